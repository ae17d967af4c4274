package sampler

import (
	"cmp"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/geminivideo/geminivideo/infra/testkit/simulation"
	"github.com/geminivideo/geminivideo/shared/money"
)

// TestMain checks a thousand random accounts per property unless a flag says otherwise,
// the same ones each time, so that a failure is the change's own and not the
// day's; -rapid.seed 0 looks at new ones.
func TestMain(m *testing.M) {
	flag.Parse()
	usual := map[string]string{"rapid.checks": "1000", "rapid.seed": "20261122"}
	flag.Visit(func(f *flag.Flag) { delete(usual, f.Name) })
	for name, value := range usual {
		_ = flag.Set(name, value)
	}
	os.Exit(m.Run())
}

// account draws any account that the edge would let through, wild ones included.
func account(t *rapid.T) Request {
	req := Request{
		Currency: rapid.SampledFrom([]money.Currency{"USD", "JPY", "KWD"}).Draw(t, "currency"),
		Total:    money.Amount(rapid.SampledFrom([]int64{0, 1, 7, 999, 90_000, 1_000_000, 1_000_000_000, int64(money.Max)}).Draw(t, "total")),
		Seed:     rapid.Uint64().Draw(t, "seed"),
	}
	cash := rapid.Bool().Draw(t, "cash")
	known := rapid.Bool().Draw(t, "known")
	for i := range rapid.IntRange(1, 24).Draw(t, "ads") {
		a := plainArm(t, i)
		if cash {
			won := money.Amount(float64(a.Pipeline) * rapid.Float64Range(0, 1).Draw(t, "won"))
			a.Cash = &won
		}
		if known && rapid.Bool().Draw(t, "current") {
			a.Current, a.CurrentKnown = 2*money.Amount(rapid.Int64Range(0, 100_000).Draw(t, "budget")), true
		}
		switch rapid.IntRange(0, 9).Draw(t, "limits") {
		case 0:
			a.Min = money.Amount(rapid.Int64Range(0, 50_000).Draw(t, "min"))
		case 1:
			ceiling := money.Amount(rapid.Int64Range(0, 50_000).Draw(t, "max"))
			a.Max = &ceiling
		case 2:
			a.Excluded = true
		case 3:
			score := rapid.Float64Range(0, 1).Draw(t, "dna")
			a.DNA = &score
		}
		req.Arms = append(req.Arms, a)
	}
	return req
}

// plainArm draws an ad: from nothing at all to years of delivery, money without
// impressions, views without money, and a whale now and then.
func plainArm(t *rapid.T, i int) Arm {
	imp := int64(math.Exp(rapid.Float64Range(0, 22).Draw(t, "imp"))) - 1
	rate := math.Exp(rapid.Float64Range(-9, -2).Draw(t, "ctr"))
	price := math.Exp(rapid.Float64Range(-1, 4).Draw(t, "cpm")) / 10
	a := Arm{
		ID: fmt.Sprintf("ad-%d", i), Impressions: imp, Clicks: int64(float64(imp) * rate),
		Spend:    money.Amount(float64(imp) * price),
		AgeHours: rapid.SampledFrom([]float64{0, 1, 20, 24, 47, 100, 400, 2000, 30000}).Draw(t, "age"),
	}
	switch rapid.IntRange(0, 11).Draw(t, "kind") {
	case 0:
		a.Impressions, a.Clicks, a.Spend = 0, 0, 0
	case 1:
		a.Impressions, a.Clicks = 0, 0
	case 2:
		a.Spend = 0
	case 3:
		a.Pipeline = 1_000_000_000_000
	}
	if rapid.Bool().Draw(t, "sold") {
		a.Pipeline += money.Amount(75_000 * rapid.Int64Range(0, 60).Draw(t, "deals"))
	}
	return a
}

func TestBudgetsSumToTheTotalWithinLimits(t *testing.T) {
	simulation.Test(t)
	rapid.Check(t, func(t *rapid.T) {
		req := account(t)
		split := Allocate(req)
		sum, best := split.Unallocated, 0.0
		if split.Unallocated < 0 || split.Unallocated > 0 && (split.Limit == NoLimit || split.LimitReason == "") {
			t.Fatalf("unallocated %d, limit %q", split.Unallocated, split.Limit)
		}
		for i, r := range split.Recommendations {
			a := req.Arms[i]
			sum += r.Recommended
			best += r.PBest
			if r.ID != a.ID || r.Recommended < 0 || r.Reason == "" {
				t.Fatalf("%+v", r)
			}
			if a.Max != nil && !a.Excluded && r.Recommended > *a.Max {
				t.Fatalf("%d above its ceiling of %d", r.Recommended, *a.Max)
			}
			if a.CurrentKnown && a.Current > 0 && !a.Excluded && 2*r.Recommended > 3*a.Current {
				t.Fatalf("%d is more than half above %d", r.Recommended, a.Current)
			}
			if a.CurrentKnown && a.Max == nil && !a.Excluded && split.Limit == NoLimit && 2*r.Recommended < a.Current {
				t.Fatalf("%d is more than half below %d", r.Recommended, a.Current)
			}
			if a.Spend == 0 && !a.Excluded && a.Max == nil && !a.CurrentKnown && split.Limit == NoLimit &&
				int(req.Total) >= 1000*len(req.Arms) && r.Recommended == 0 {
				t.Fatalf("an ad that has not spent gets nothing: %+v", r)
			}
			finite(t, reflect.ValueOf(r))
		}
		finite(t, reflect.ValueOf(split.Posterior))
		if sum != req.Total {
			t.Fatalf("budgets sum to %d, not %d", sum, req.Total)
		}
		if math.Abs(best-1) > 1e-9 {
			t.Fatalf("p_best sums to %v", best)
		}
	})
}

// deliver makes an ad's totals those of real delivery: a thousand views or more
// but no millions in an hour, a price of them, fewer clicks, deals of any worth. (Where one view cost a
// fortune or a click stood beside ten billion of value, one ad's change can
// remake what is believed of the whole account, the others included.)
func deliver(t *rapid.T, a *Arm) {
	a.Impressions = min(a.Impressions/10, int64(20_000*(1+a.AgeHours))) + 1000
	a.Clicks = int64(float64(a.Impressions) * math.Exp(rapid.Float64Range(-6, -3.5).Draw(t, "rate")))
	a.Spend = money.Amount(float64(a.Impressions) * rapid.Float64Range(0.5, 1.5).Draw(t, "price"))
	a.Pipeline %= 1_000_000_000_000
	a.Pipeline = min(a.Pipeline, 75_000*money.Amount(1+float64(a.Clicks)*a.AgeHours/2000)) // deals take clicks and time
	if a.Cash != nil {
		won := min(*a.Cash, a.Pipeline)
		a.Cash = &won
	}
}

// likely makes an ad one of a plain account: deals of deal each, at a return
// around one and a half.
func likely(t *rapid.T, a *Arm, deal float64) {
	normal := func(name string) float64 { return quantile(rapid.Float64Range(0.001, 0.999).Draw(t, name)) }
	a.AgeHours = math.Exp(rapid.Float64Range(0, 7).Draw(t, "hours"))
	a.Impressions = int64(math.Exp(rapid.Float64Range(6, 12.5).Draw(t, "views")))
	a.Clicks = min(a.Impressions, int64(float64(a.Impressions)*0.012*math.Exp(0.6*normal("rate"))))
	a.Spend = money.Amount(float64(a.Impressions) * 1.2 * math.Exp(0.3*normal("price")))
	deals := math.Round(float64(a.Spend) * 1.5 * math.Exp(0.8*normal("return")) / deal)
	stage := rapid.SampledFrom([]float64{0.15, 0.6, 1}).Draw(t, "stage")
	a.Pipeline = money.Amount(deals * deal * stage)
	if a.Cash != nil {
		won := money.Amount(0)
		if stage == 1 {
			won = a.Pipeline
		}
		a.Cash = &won
	}
}

// withPast gives an ad totals that were reported at earlier ages.
func withPast(t *rapid.T, a *Arm) {
	if a.AgeHours < 24 {
		return
	}
	var parts []float64
	for range rapid.IntRange(0, 6).Draw(t, "reports") {
		parts = append(parts, rapid.Float64Range(0, 0.99).Draw(t, "part"))
	}
	slices.Sort(parts)
	for _, p := range parts {
		o := Observation{
			AgeHours: p * a.AgeHours, Impressions: int64(p * float64(a.Impressions)), Clicks: int64(p * float64(a.Clicks)),
			Spend: money.Amount(p * float64(a.Spend)), Pipeline: money.Amount(p * rapid.Float64Range(0, 1.5).Draw(t, "value") * float64(a.Pipeline)),
		}
		if a.Cash != nil {
			won := money.Amount(p * float64(*a.Cash))
			o.Cash, o.Pipeline = &won, max(won, o.Pipeline)
		}
		a.Past = append(a.Past, o)
	}
}

// finite fails on any NaN or infinity in v.
func finite(t *rapid.T, v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Float64:
			if math.IsNaN(f.Float()) || math.IsInf(f.Float(), 0) {
				t.Fatalf("%s is %v", v.Type().Field(i).Name, f.Float())
			}
		case reflect.Struct:
			finite(t, f)
		}
	}
}

func TestTheMostEvidentAreThoseThatSortFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weight := make([]int, rapid.IntRange(0, 3*sampled).Draw(t, "rows"))
		kinds := rapid.IntRange(1, 1000).Draw(t, "kinds")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		want := make([]int, len(weight))
		for i := range weight {
			weight[i], want[i] = r.IntN(kinds), i
		}
		slices.SortStableFunc(want, func(a, b int) int { return weight[b] - weight[a] })
		want = want[:min(len(want), sampled)]
		slices.Sort(want)
		if got := mostEvident(len(weight), sampled, func(i int) float64 { return float64(weight[i]) }); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestPermutingTheAdsPermutesTheAnswer(t *testing.T) {
	simulation.Test(t)
	rapid.Check(t, func(t *rapid.T) {
		req := account(t)
		one := Allocate(req)
		req.Arms = rapid.Permutation(req.Arms).Draw(t, "order")
		req.Settings.Workers = 1
		two := Allocate(req)
		byID := func(a, b Recommendation) int { return cmp.Compare(a.ID, b.ID) }
		slices.SortFunc(one.Recommendations, byID)
		slices.SortFunc(two.Recommendations, byID)
		if !reflect.DeepEqual(one, two) {
			t.Fatalf("%+v\n%+v", one, two)
		}
	})
}

func TestScalingTheMoneyScalesTheBudgets(t *testing.T) {
	simulation.Test(t)
	rapid.Check(t, func(t *rapid.T) {
		req := account(t)
		req.Settings.TestSpend = 10_000
		one := Allocate(req)
		const by = 100
		for i := range req.Arms {
			a := &req.Arms[i]
			a.Spend, a.Pipeline, a.Current, a.Min = by*a.Spend, by*a.Pipeline, by*a.Current, by*a.Min
			if a.Cash != nil {
				won := by * *a.Cash
				a.Cash = &won
			}
			if a.Max != nil {
				ceiling := by * *a.Max
				a.Max = &ceiling
			}
		}
		req.Total *= by
		req.Settings.TestSpend *= by
		two := Allocate(req)
		for i, r := range two.Recommendations {
			// Floors and limits are whole minor units, and each ad's is rounded, so
			// small budgets come out differently by up to a unit an ad.
			off := math.Abs(float64(r.Recommended)/by - float64(one.Recommendations[i].Recommended))
			if off > 3+float64(len(req.Arms))+1e-3*float64(req.Total)/by {
				t.Fatalf("%s: %d, then %d", r.ID, one.Recommendations[i].Recommended, r.Recommended)
			}
		}
	})
}

func TestABetterAdNeverGetsLess(t *testing.T) {
	simulation.Test(t)
	rapid.Check(t, func(t *rapid.T) {
		req := account(t)
		past, plain := rapid.Bool().Draw(t, "earlier requests"), rapid.Bool().Draw(t, "plain")
		deal := math.Exp(rapid.Float64Range(7, 14.5).Draw(t, "deal"))
		for i := range req.Arms {
			if plain {
				likely(t, &req.Arms[i], deal)
			} else {
				deliver(t, &req.Arms[i])
			}
			if past {
				withPast(t, &req.Arms[i])
			}
		}
		i := rapid.IntRange(0, len(req.Arms)-1).Draw(t, "better")
		split := Allocate(req)
		before := split.Recommendations[i].Recommended
		a := &req.Arms[i]
		if a.AgeHours < 24 && rapid.Bool().Draw(t, "clicks") {
			a.Clicks += rapid.Int64Range(0, min(a.Impressions-a.Clicks, 10+2*a.Clicks)).Draw(t, "more")
		} else {
			a.Pipeline += money.Amount(split.Posterior.DealSize * rapid.Float64Range(0.7, 3).Draw(t, "more"))
		}
		after := Allocate(req).Recommendations[i].Recommended
		if float64(after) < float64(before)-1-0.02*float64(req.Total) {
			t.Fatalf("%d, and %d when better, of %d", before, after, req.Total)
		}
	})
}
