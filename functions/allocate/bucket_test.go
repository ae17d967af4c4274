package allocate

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// anyObservation draws an observation of one of a few ads.
func anyObservation(t *rapid.T, ads int) observation {
	o := observation{
		AdID: fmt.Sprintf("ad-%03d", rapid.IntRange(0, ads-1).Draw(t, "ad")), AgeHours: rapid.Float64Range(0, 1e5).Draw(t, "age"),
		Impressions: rapid.Int64Min(0).Draw(t, "impressions"), Clicks: rapid.Int64Min(0).Draw(t, "clicks"),
		Spend: rapid.Float64Range(0, 1e12).Draw(t, "spend"),
	}
	if rapid.Bool().Draw(t, "value known") {
		value := rapid.Float64Range(0, 1e12).Draw(t, "value")
		o.PipelineValue = &value
	}
	if rapid.Bool().Draw(t, "counts known") {
		deals, won := rapid.Int64Range(0, 1<<53).Draw(t, "deals"), rapid.Int64Range(0, 1<<53).Draw(t, "won")
		o.Deals, o.WonDeals = &deals, &won
	}
	if rapid.Bool().Draw(t, "cash known") {
		cash := rapid.Float64Range(0, 1e12).Draw(t, "cash")
		o.CashRevenue = &cash
	}
	return o
}

// last returns what the bucket holds of each ad.
func (s bucket) last(t *rapid.T) map[string][]observation {
	t.Helper()
	all, err := records(s.packed)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(all, func(a, b record) int { return strings.Compare(a.id, b.id) }) {
		t.Fatal("the ads are not in order")
	}
	found := map[string][]observation{}
	for _, r := range all {
		found[r.id] = r.last(mostPerAd)
	}
	return found
}

func TestABucketHoldsTheLatestObservationsOfEachAd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ads := rapid.IntRange(1, 6).Draw(t, "ads")
		var s bucket
		want := map[string][]observation{}
		for range rapid.IntRange(0, 12).Draw(t, "requests") {
			byAd := map[string]observation{}
			for range rapid.IntRange(1, 5).Draw(t, "observations") {
				o := anyObservation(t, ads)
				byAd[o.AdID] = o
			}
			var added []observation
			for _, o := range byAd {
				added = append(added, o)
				want[o.AdID] = append(want[o.AdID], o)
			}
			slices.SortFunc(added, func(a, b observation) int { return strings.Compare(a.AdID, b.AdID) })
			put, err := s.add(3, added, 20000)
			if err != nil {
				t.Fatal(err)
			}
			again, err := bucket{put.Version, put.Packed}.add(3, added, 20000)
			if err != nil || string(again.Packed) != string(put.Packed) {
				t.Fatalf("the same observation twice changes the bucket (%v)", err)
			}
			s = bucket{put.Version, put.Packed}
			if int(put.Ads) != len(want) {
				t.Fatalf("holds %d ads, want %d", put.Ads, len(want))
			}
		}
		if diff := cmp.Diff(want, s.last(t)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestABucketIsBounded(t *testing.T) {
	t.Parallel()
	var s bucket
	add := func(ad string, age float64, day uint32) {
		t.Helper()
		put, err := s.add(0, []observation{{AdID: ad, AgeHours: age}}, day)
		if err != nil {
			t.Fatal(err)
		}
		if put.Ads > mostPerBucket || int(put.Observations) > max(mostPerAd, bucketRoom, leastPerAd*int(put.Ads)) {
			t.Fatalf("holds %d ads and %d observations", put.Ads, put.Observations)
		}
		s = bucket{put.Version, put.Packed}
	}
	for i := range mostPerAd + 20 {
		add("often", float64(i), 1000)
	}
	all, _ := records(s.packed)
	if got := all[0].last(mostPerAd); len(got) != mostPerAd || got[0].AgeHours != 20 || got[mostPerAd-1].AgeHours != mostPerAd+19 {
		t.Errorf("keeps %d observations from age %v", len(got), got[0].AgeHours)
	}
	for i := range mostPerBucket + 5 {
		add(fmt.Sprintf("ad-%04d", i), 1, 1001)
	}
	all, _ = records(s.packed)
	if all[len(all)-1].id == "often" {
		t.Error("of too many ads, the one that no request has named for longest stays")
	}
	add("new", 1, 1001+retentionDays+1)
	if all, _ = records(s.packed); len(all) != 1 || all[0].id != "new" {
		t.Errorf("%d ads stay that no request has named for %d days", len(all)-1, retentionDays)
	}
}

func TestBrokenBytesAreNoBucket(t *testing.T) {
	t.Parallel()
	whole, err := bucket{}.add(0, []observation{{AdID: "ad"}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for n := 3; n < len(whole.Packed); n++ { // the first two bytes alone are an empty bucket
		if _, err := records(whole.Packed[:n]); err == nil {
			t.Errorf("the first %d of %d bytes pass for a bucket", n, len(whole.Packed))
		}
	}
}

func TestTheBucketsAreFilledEvenly(t *testing.T) {
	t.Parallel()
	var on [buckets]int
	for i := range 10000 {
		on[bucketOf(fmt.Sprintf("2385%011d", i*7919))]++
	}
	if most, least := slices.Max(on[:]), slices.Min(on[:]); most > 70 || least < 15 {
		t.Errorf("10,000 ads fall %d to %d into a bucket, want about 39", least, most)
	}
}

func TestObservationsOfTheFirstFormAreRead(t *testing.T) {
	t.Parallel()
	// One ad, "a", of day 7, with one observation: 24 h, 5 impressions, 1 click, 2.00 spent, 3.00, cash unknown.
	old := []byte{1, 'a', 7, 0, 0, 0, 1, 0}
	for _, bits := range []uint64{math.Float64bits(24), 5, 1, math.Float64bits(2), math.Float64bits(3), math.Float64bits(math.NaN())} {
		old = binary.LittleEndian.AppendUint64(old, bits)
	}
	all, err := records(old)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	value := 3.0
	want := []observation{{AdID: "a", AgeHours: 24, Impressions: 5, Clicks: 1, Spend: 2, PipelineValue: &value}}
	if diff := cmp.Diff(want, all[0].last(9)); diff != "" {
		t.Error(diff)
	}
}
