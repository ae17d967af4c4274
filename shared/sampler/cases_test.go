package sampler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/geminivideo/geminivideo/shared/money"
)

func TestTheBetterHalfGetsMostOfTheMoney(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 5))
		type truth struct {
			roas float64
			at   int
		}
		var truths []truth
		req := Request{Currency: "USD", Total: 100_000, Seed: seed}
		for i := range 20 {
			roas := 0.2 * math.Pow(45, r.Float64())
			spend := 500 + 4500*r.Float64()
			deals := 0
			for p := r.ExpFloat64(); p < spend*roas/250; p += r.ExpFloat64() {
				deals++
			}
			imp := int64(spend / 12 * 1000)
			truths = append(truths, truth{roas, i})
			req.Arms = append(req.Arms, Arm{
				ID: fmt.Sprint(i), Impressions: imp, Clicks: imp / int64(40+r.IntN(100)), AgeHours: 24 * (5 + 40*r.Float64()),
				Spend: money.Amount(100 * spend), Pipeline: money.Amount(25_000 * deals),
			})
		}
		slices.SortFunc(truths, func(a, b truth) int { return int(1000 * (b.roas - a.roas)) })
		split, top := Allocate(req), money.Amount(0)
		for _, x := range truths[:10] {
			top += split.Recommendations[x.at].Recommended
		}
		if top < 60_000 {
			t.Errorf("seed %d: the better half got %d of 100000", seed, top)
		}
	}
}

func TestTinyTotals(t *testing.T) {
	req := Request{Currency: "USD", Total: 1}
	for i := range 100 {
		req.Arms = append(req.Arms, Arm{ID: fmt.Sprint(i)})
	}
	for _, total := range []money.Amount{0, 1, 99, 100, 101} {
		req.Total = total
		split, sum, given := Allocate(req), money.Amount(0), 0
		for _, r := range split.Recommendations {
			sum += r.Recommended
			if r.Recommended > 0 {
				given++
			}
		}
		if sum != total || split.Unallocated != 0 || total >= 100 && given < 100 {
			t.Errorf("of %d: %d over %d ads, %d unallocated", total, sum, given, split.Unallocated)
		}
	}
}

func TestExcludedAdsKeepWhatIsTheirs(t *testing.T) {
	arm := func(id string) Arm {
		return Arm{ID: id, Impressions: 10_000, Clicks: 100, Spend: 10_000, Pipeline: 30_000, AgeHours: 100}
	}
	kept, gone, open := arm("kept"), arm("gone"), arm("open")
	kept.Excluded, kept.Current, kept.CurrentKnown = true, 3_000, true
	gone.Excluded = true
	split := Allocate(Request{Currency: "USD", Total: 10_000, Arms: []Arm{kept, gone, open}})
	for i, want := range []money.Amount{3_000, 0, 7_000} {
		if got := split.Recommendations[i].Recommended; got != want {
			t.Errorf("%s gets %d, want %d", split.Recommendations[i].ID, got, want)
		}
	}
}

func TestUnreachableTotalsNameTheLimit(t *testing.T) {
	ceiling := money.Amount(2_000)
	limited := Arm{ID: "a", Max: &ceiling}
	known := Arm{ID: "b", Current: 1_000, CurrentKnown: true, Spend: 100, Impressions: 50}
	floored := Arm{ID: "c", Min: 9_000}
	for _, c := range []struct {
		arms  []Arm
		total money.Amount
		left  money.Amount
		limit Limit
	}{
		{[]Arm{limited}, 5_000, 3_000, MaxBudget},
		{[]Arm{known}, 5_000, 3_500, ChangeLimit},
		{[]Arm{known}, 300, 0, ChangeFloor},
		{[]Arm{floored}, 300, 0, MinBudget},
		{[]Arm{limited, known}, 3_500, 0, NoLimit},
		{[]Arm{{ID: "x", Excluded: true}}, 300, 300, AllExcluded},
	} {
		split := Allocate(Request{Currency: "USD", Total: c.total, Arms: c.arms})
		if split.Unallocated != c.left || split.Limit != c.limit {
			t.Errorf("%+v of %d: %d left by %q, want %d by %q", c.arms, c.total, split.Unallocated, split.Limit, c.left, c.limit)
		}
	}
}

func TestShownMetrics(t *testing.T) {
	a := &Arm{Impressions: 10_000, Clicks: 400, Spend: 10_000, Pipeline: 20_000, AgeHours: 48}
	m := Shown(a, "USD")
	want := 0.5*0.8 + 0.5*2/3
	if m.CTR != 4 || m.PipelineROAS != 2 || math.Abs(m.BlendedScore-want) > 1e-9 || math.Abs(m.DecayFactor-math.Exp(-1)) > 1e-12 {
		t.Errorf("%+v", m)
	}
	for hours, want := range map[float64]float64{0: 1, 6: 1, 24: 0.7, 72: 0.3, 96: 0.3 * math.Exp(-0.1), 9000: 0.1} {
		if got := CTRWeight(hours); math.Abs(got-want) > 1e-12 {
			t.Errorf("weight at %v h is %v, want %v", hours, got, want)
		}
	}
}
