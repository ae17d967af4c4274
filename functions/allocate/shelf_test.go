package allocate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// telling draws an observation of one of a few ads.
func telling(t *rapid.T, ads int) observation {
	o := observation{
		AdID: fmt.Sprintf("ad-%03d", rapid.IntRange(0, ads-1).Draw(t, "ad")), AgeHours: rapid.Float64Range(0, 1e5).Draw(t, "age"),
		Impressions: rapid.Int64Min(0).Draw(t, "impressions"), Clicks: rapid.Int64Min(0).Draw(t, "clicks"),
		Spend: rapid.Float64Range(0, 1e12).Draw(t, "spend"), PipelineValue: rapid.Float64Range(0, 1e12).Draw(t, "value"),
	}
	if rapid.Bool().Draw(t, "cash known") {
		cash := rapid.Float64Range(0, 1e12).Draw(t, "cash")
		o.CashRevenue = &cash
	}
	return o
}

// last returns what the shelf holds of each ad.
func (s shelf) last(t *rapid.T) map[string][]observation {
	t.Helper()
	all, err := records(s.seen)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(all, func(a, b record) int { return strings.Compare(a.id, b.id) }) {
		t.Fatal("the ads are not in order")
	}
	held := map[string][]observation{}
	for _, r := range all {
		held[r.id] = r.last(mostKept)
	}
	return held
}

func TestAShelfHoldsTheLatestThatItWasToldOfEachAd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ads := rapid.IntRange(1, 6).Draw(t, "ads")
		var s shelf
		want := map[string][]observation{}
		for range rapid.IntRange(0, 12).Draw(t, "requests") {
			byAd := map[string]observation{}
			for range rapid.IntRange(1, 5).Draw(t, "told") {
				o := telling(t, ads)
				byAd[o.AdID] = o
			}
			var news []observation
			for _, o := range byAd {
				news = append(news, o)
				want[o.AdID] = append(want[o.AdID], o)
			}
			slices.SortFunc(news, func(a, b observation) int { return strings.Compare(a.AdID, b.AdID) })
			put, err := s.put(3, news, 20000)
			if err != nil {
				t.Fatal(err)
			}
			again, err := shelf{put.Version, put.Seen}.put(3, news, 20000)
			if err != nil || string(again.Seen) != string(put.Seen) {
				t.Fatalf("the same told twice changes the shelf (%v)", err)
			}
			s = shelf{put.Version, put.Seen}
			if int(put.Ads) != len(want) {
				t.Fatalf("holds %d ads, want %d", put.Ads, len(want))
			}
		}
		if diff := cmp.Diff(want, s.last(t)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAShelfIsBounded(t *testing.T) {
	t.Parallel()
	var s shelf
	tell := func(ad string, age float64, day uint32) {
		t.Helper()
		put, err := s.put(0, []observation{{AdID: ad, AgeHours: age}}, day)
		if err != nil {
			t.Fatal(err)
		}
		if put.Ads > mostOnShelf || int(put.Observations) > max(mostKept, room, leastKept*int(put.Ads)) {
			t.Fatalf("holds %d ads and %d observations", put.Ads, put.Observations)
		}
		s = shelf{put.Version, put.Seen}
	}
	for i := range mostKept + 20 {
		tell("often", float64(i), 1000)
	}
	all, _ := records(s.seen)
	if got := all[0].last(mostKept); len(got) != mostKept || got[0].AgeHours != 20 || got[mostKept-1].AgeHours != mostKept+19 {
		t.Errorf("keeps %d observations from age %v", len(got), got[0].AgeHours)
	}
	for i := range mostOnShelf + 5 {
		tell(fmt.Sprintf("ad-%04d", i), 1, 1001)
	}
	all, _ = records(s.seen)
	if all[len(all)-1].id == "often" {
		t.Error("of too many ads, the one that was silent for longest stays")
	}
	tell("new", 1, 1001+daysKept+1)
	if all, _ = records(s.seen); len(all) != 1 || all[0].id != "new" {
		t.Errorf("%d ads stay that nobody has told of for %d days", len(all)-1, daysKept)
	}
}

func TestBrokenBytesAreNoShelf(t *testing.T) {
	t.Parallel()
	whole, err := shelf{}.put(0, []observation{{AdID: "ad"}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(whole.Seen); n++ {
		if _, err := records(whole.Seen[:n]); err == nil {
			t.Errorf("the first %d of %d bytes pass for a shelf", n, len(whole.Seen))
		}
	}
}

func TestTheShelvesAreFilledEvenly(t *testing.T) {
	t.Parallel()
	var on [shelves]int
	for i := range 10000 {
		on[shelfOf(fmt.Sprintf("2385%011d", i*7919))]++
	}
	if most, least := slices.Max(on[:]), slices.Min(on[:]); most > 70 || least < 15 {
		t.Errorf("10,000 ads stand %d to %d on a shelf, want about 39", least, most)
	}
}
