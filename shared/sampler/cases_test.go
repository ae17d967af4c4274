package sampler

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
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

func TestAStoredRequestReplaysToTheSameSplit(t *testing.T) {
	won := money.Amount(1_500_000)
	req := Request{Currency: "USD", Total: 90_000, Seed: math.MaxUint64, Account: Account{
		Deals: []Deal{{Steps: []Step{{Hours: 30.1, Value: 225_000}, {Hours: 200, Value: 1_500_000}}, Observed: 900, Won: true}},
	}}
	for i := range 12 {
		a := Arm{
			ID: fmt.Sprint(i), Impressions: 30_000, Clicks: int64(100 * i), Spend: 40_000, Pipeline: won, Cash: &won, AgeHours: 240.7,
			Days: []Day{{AgeHours: 100, Impressions: 9_000, Clicks: 30, Spend: 9_000}},
		}
		for d := range 9 {
			zero := money.Amount(0)
			a.Past = append(a.Past, Observation{AgeHours: 24 * float64(d), Impressions: int64(2_000 * d), Clicks: int64(2 * d), Spend: money.Amount(3_000 * d), Cash: &zero})
		}
		req.Arms = append(req.Arms, a)
	}
	stored, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	var again Request
	if err := json.Unmarshal(stored, &again); err != nil {
		t.Fatal(err)
	}
	if one, two := Allocate(req), Allocate(again); !reflect.DeepEqual(one, two) {
		t.Errorf("%+v\n%+v", one, two)
	}
}

func TestDealsTeachTheDelay(t *testing.T) {
	slow := make([]Deal, 200)
	for i := range slow {
		slow[i] = Deal{Steps: []Step{{Hours: 48, Value: 100}, {Hours: 24 * 30, Value: 1000}}, Observed: 24 * 50, Won: true}
		if i%2 == 0 {
			slow[i] = Deal{Steps: []Step{{Hours: 48, Value: 100}, {Hours: 24 * 20, Value: 0}}, Observed: 24 * 50, Lost: true}
		}
	}
	req := Request{Currency: "USD", Total: 10_000, Arms: []Arm{{ID: "a"}}, Account: Account{Deals: slow}}
	if got := Allocate(req).Posterior.MedianDelay / 24; got < 24 || got > 32 {
		t.Errorf("deals are won after 30 days, the median is taken to be %v", got)
	}
}

// The right direction of a doubtful change is reported as doubtful, that of a
// plain one as sure.
func TestConfidenceFollowsTheEvidence(t *testing.T) {
	arm := func(id string, spend, pipeline money.Amount) Arm {
		imp := int64(spend)
		return Arm{ID: id, Impressions: imp, Clicks: imp / 50, Spend: spend, Pipeline: pipeline, AgeHours: 24 * 40, Current: 5_000, CurrentKnown: true}
	}
	split := Allocate(Request{Currency: "USD", Total: 10_000, Arms: []Arm{
		arm("good", 2_000_000, 12_000_000), arm("bad", 2_000_000, 400_000),
	}, Account: Account{DealValue: 50_000}})
	for _, r := range split.Recommendations {
		if r.Confidence < 0.95 {
			t.Errorf("%s: confidence %v in %v%%: %s", r.ID, r.Confidence, r.Change, r.Reason)
		}
	}
	if good := split.Recommendations[0]; good.Recommended != 7_500 || good.Verdict != Scale {
		t.Errorf("%+v", good)
	}
	if bad := split.Recommendations[1]; bad.Verdict != Kill || bad.Recommended != 2_500 {
		t.Errorf("%+v", bad)
	}
}

func TestNoVerdictInIgnorance(t *testing.T) {
	for _, c := range []struct {
		age   float64
		spend money.Amount
		want  Verdict
	}{
		{24, 5_000, None}, {24, 15_000, None}, {24 * 30, 5_000, None}, {24 * 30, 19_999, Maintain}, {24 * 90, 800_000, Kill},
	} {
		a := Arm{ID: "a", Impressions: int64(c.spend), Clicks: int64(c.spend) / 100, Spend: c.spend, AgeHours: c.age}
		other := Arm{ID: "b", Impressions: 1_000_000, Clicks: 10_000, Spend: 1_000_000, Pipeline: 2_000_000, AgeHours: 2_000}
		got := Allocate(Request{Currency: "USD", Total: 10_000, Arms: []Arm{a, other}, Account: Account{DealValue: 20_000}}).Recommendations[0]
		if got.Verdict != c.want {
			t.Errorf("%v h and %d spent: %s, want %s (%+v)", c.age, c.spend, got.Verdict, c.want, got.Interval)
		}
	}
}

func TestThousandsOfAds(t *testing.T) {
	req := manyAds(10_000)
	req.Settings.Workers = 0
	split, sum := Allocate(req), money.Amount(0)
	for _, r := range split.Recommendations {
		sum += r.Recommended
		if r.Recommended < 0 || r.Reason == "" {
			t.Fatalf("%+v", r)
		}
	}
	if sum+split.Unallocated != req.Total || split.Unallocated != 0 {
		t.Errorf("%d and %d unallocated of %d", sum, split.Unallocated, req.Total)
	}
}

// grown is an account of 30 ads of twenty days, two thirds of which have sold two
// deals of 100.00; the first has sold forty.
func grown() Request {
	req := Request{Currency: "USD", Total: 100_000, Seed: 7}
	for i := range 30 {
		deals := 2
		switch {
		case i == 0:
			deals = 40
		case i%3 == 1:
			deals = 0
		}
		req.Arms = append(req.Arms, Arm{
			ID: fmt.Sprint(i), AgeHours: 480, Impressions: 50_000, Clicks: 600, Spend: 60_000, Pipeline: money.Amount(10_000 * deals),
		})
	}
	return req
}

func TestWhatWasReportedOfOtherAdsLongAgoDoesNotHideAWinner(t *testing.T) {
	for name, report := range map[string]func(i int, a *Arm){
		"nothing": func(int, *Arm) {},
		"one, of its first hour": func(i int, a *Arm) {
			if i == 3 {
				a.Past = []Observation{{AgeHours: 1, Impressions: 10}}
			}
		},
		"one, before it began": func(i int, a *Arm) {
			if i == 3 {
				a.Past = []Observation{{}}
			}
		},
		"all, of their first hours": func(_ int, a *Arm) {
			a.Past = []Observation{{AgeHours: 2, Impressions: 100, Clicks: 2, Spend: 200}}
		},
	} {
		req := grown()
		for i := range req.Arms {
			report(i, &req.Arms[i])
		}
		if got := Allocate(req).Recommendations[0]; got.Recommended < 60_000 || got.PBest < 0.95 {
			t.Errorf("%s: %d, the best with %v", name, got.Recommended, got.PBest)
		}
	}
}

func TestTheSameTotalsReportedAgainShakeNothing(t *testing.T) {
	before := money.Amount(0)
	for known := range 8 {
		req := grown()
		for i := range req.Arms {
			a := &req.Arms[i]
			a.AgeHours = 480 + 6*float64(known)
			for d := range known {
				a.Past = append(a.Past, Observation{
					AgeHours: 480 + 6*float64(d), Impressions: a.Impressions, Clicks: a.Clicks, Spend: a.Spend, Pipeline: a.Pipeline,
				})
			}
		}
		split := Allocate(req)
		got, size := split.Recommendations[0], split.Posterior.DealSize
		if known == 0 {
			before = got.Recommended
		}
		if moved := before - got.Recommended; moved < -2_000 || moved > 2_000 || got.Recommended < 59_000 || got.PBest < 0.95 ||
			size < 5_000 || size > 40_000 {
			t.Errorf("reported %d times: %d after %d, the best with %v, a deal of %v", known, got.Recommended, before, got.PBest, size)
		}
		before = got.Recommended
	}
}

func TestOnItsFirstDayAnAccountsClickRateIsItsUsualOne(t *testing.T) {
	for _, clicks := range []int64{20, 200, 4000} {
		req := Request{Currency: "USD", Total: 100_000, Seed: 7}
		for i := range 10 {
			req.Arms = append(req.Arms, Arm{ID: fmt.Sprint(i), AgeHours: 20, Impressions: 20_000, Clicks: clicks, Spend: 20_000})
		}
		split := Allocate(req)
		if got := split.Posterior.Return; got < 0.4 || got > 1.2 || split.Recommendations[0].Verdict == Kill {
			t.Errorf("%d clicks of 20,000: a return of %v, %s", clicks, got, split.Recommendations[0].Verdict)
		}
	}
}

func TestAVerdictAgreesWithTheBudgetBesideIt(t *testing.T) {
	t.Parallel()
	req := Request{Currency: "USD", Total: 40_000, Seed: 3, Account: Account{DealValue: 50_000}}
	for i, deals := range []money.Amount{0, 1, 2, 1} { // each has spent 5,000.00 and returns a fifth of it at most
		req.Arms = append(req.Arms, Arm{
			ID: fmt.Sprint(i), Impressions: 500_000, Clicks: 5_000, Spend: 500_000, Pipeline: 50_000 * deals, AgeHours: 24 * 90,
			Current: 5_000, CurrentKnown: true,
		})
	}
	split := Allocate(req)
	for _, r := range split.Recommendations {
		if r.Verdict == Kill && r.Recommended > r.Current || r.Verdict == Scale && r.Recommended < r.Current {
			t.Errorf("%s beside %d to %d", r.Verdict, r.Current, r.Recommended)
		}
	}
	if a := split.Account; a.Verdict != SpendLess || a.Marginal >= a.BreakEven || a.TotalAtBreakEven >= 30_000 || a.Reason == "" {
		t.Errorf("%+v", a)
	}
	req.AllowUnspent = true
	rest := Allocate(req)
	if rest.Unallocated < 10_000 || rest.Limit != BreakEven {
		t.Errorf("%d stays unspent by %q", rest.Unallocated, rest.Limit)
	}
}

func TestWhatIsNotSentIsUnknownAndNotZero(t *testing.T) {
	t.Parallel()
	arm := func(id string, unknown bool) Arm {
		cash := money.Amount(0)
		return Arm{
			ID: id, Impressions: 200_000, Clicks: 2_000, Spend: 300_000, AgeHours: 24 * 20, Cash: &cash, PipelineUnknown: unknown,
		}
	}
	old := Arm{ID: "old", Impressions: 400_000, Clicks: 4_000, Spend: 600_000, Pipeline: 1_500_000, AgeHours: 24 * 60}
	for _, pair := range [][2]Arm{{arm("a", true), arm("b", false)}} {
		split := Allocate(Request{Currency: "USD", Total: 30_000, Seed: 1, Arms: []Arm{pair[0], pair[1], old}})
		if unknown, zero := split.Recommendations[0], split.Recommendations[1]; unknown.Posterior.Return <= zero.Posterior.Return {
			t.Errorf("unknown pipeline returns %v, an empty one %v", unknown.Posterior.Return, zero.Posterior.Return)
		}
	}
}

func TestNoStepAtADaysAge(t *testing.T) {
	t.Parallel()
	at := func(hours float64) money.Amount {
		req := grown()
		req.Arms = append(req.Arms, Arm{ID: "new", AgeHours: hours, Impressions: 20_000, Clicks: 400, Spend: 20_000})
		return Allocate(req).Recommendations[30].Recommended
	}
	before := at(22)
	for hours := 22.5; hours <= 26; hours += 0.5 {
		now := at(hours)
		if d := math.Abs(float64(now - before)); d > 1_000 {
			t.Errorf("at %v h its budget moves from %d to %d", hours, before, now)
		}
		before = now
	}
}

func TestMoreClicksBeforeDealsCouldShowAreNotLessMoney(t *testing.T) {
	t.Parallel()
	budget := func(clicks int64) money.Amount {
		return Allocate(Request{Currency: "USD", Total: 50_000, Seed: 1, Arms: []Arm{
			{ID: "old", Impressions: 100_000, Clicks: 800, Spend: 300_000, Pipeline: 4_500_000, AgeHours: 900},
			{ID: "new", Impressions: 20_000, Clicks: clicks, Spend: 50_000, AgeHours: 30},
		}}).Recommendations[1].Recommended
	}
	if few, many := budget(80), budget(1600); many < few-1_000 {
		t.Errorf("80 clicks get %d, 1,600 get %d", few, many)
	}
}

func TestAHundredYenAreNoTest(t *testing.T) {
	t.Parallel()
	for currency, want := range map[money.Currency]money.Amount{"USD": 10_000, "JPY": 15_000, "KWD": 30_000} {
		if got := hundredDollars(currency); got != want {
			t.Errorf("%s: a test costs %d, want %d", currency, got, want)
		}
	}
}

func TestAHistoryOfManyShortDaysIsManyStretches(t *testing.T) {
	t.Parallel()
	for _, days := range []int{20, 63, 65, 90, 200, 400} {
		zero := money.Amount(0)
		a := Arm{ID: "a", AgeHours: 24 * float64(days), Impressions: int64(1000 * days), Clicks: int64(20 * days), Spend: 100, Cash: &zero}
		for d := 1; d < days; d++ {
			a.Past = append(a.Past, Observation{
				AgeHours: 24 * float64(d), Impressions: int64(1000 * d), Clicks: int64(20 * d), Spend: 100, Cash: &zero,
			})
		}
		m := fit(&Request{Currency: "USD", Total: 100, Arms: []Arm{a}})
		all := m.stretches(0)
		if len(all) < 10 || len(all) > mostStretches+1 {
			t.Errorf("%d days are %d stretches", days, len(all))
		}
		for _, s := range all {
			if s.to-s.from > a.AgeHours/6 {
				t.Errorf("of %d days one stretch is %v h long", days, s.to-s.from)
			}
		}
	}
}

func TestTheOlderTheClicksTheLessIsOpen(t *testing.T) {
	t.Parallel()
	open, won := usualCurve(2).steps()
	for b := range open { // increments that do not come back to zero, as noise leaves them
		open[b] += 0.1
	}
	c := stepped(open, won)
	for d := range c.open {
		if c.open[d] > mostOpen*(1-c.won[d])+1e-9 {
			t.Errorf("at day %d %.2f is open where %.2f is won", d, c.open[d], c.won[d])
		}
	}
}

func TestOneLargeDealIsOneLargeDeal(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		for _, counted := range []bool{true, false} {
			req := Request{Currency: "USD", Total: 50_000, Seed: seed}
			for i := range 8 {
				deals := int64(9 - i)
				a := Arm{
					ID: string(rune('a' + i)), Impressions: 130_000, Clicks: 1300, Spend: 195_000, AgeHours: 960,
					Pipeline: money.Amount(100_000 * deals),
				}
				if counted {
					a.Deals = &deals
				}
				req.Arms = append(req.Arms, a)
			}
			a := &req.Arms[3]
			a.Past = []Observation{{
				AgeHours: a.AgeHours, Impressions: a.Impressions, Clicks: a.Clicks, Spend: a.Spend, Pipeline: a.Pipeline, Deals: a.Deals,
			}}
			if counted {
				more := *a.Deals + 1
				a.Deals = &more
			}
			a.AgeHours, a.Pipeline = a.AgeHours+6, a.Pipeline+2_000_000
			if got := Allocate(req).Recommendations[3].Recommended; got > req.Total/5 {
				t.Errorf("seed %d, counted %v: a median ad of eight gets %d of %d after one deal of twenty times the usual size", seed, counted,
					got, req.Total)
			}
		}
	}
}

func TestConfidenceOfAFewAdsDoubtsWhatTheyShare(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 4, 20, 1000} {
		m := model{rows: make([]int, n), set: Settings{Draws: 1000}}
		if p := m.doubted(950); p >= 0.95 || p < 0.7 || n == 1000 && p < 0.949 {
			t.Errorf("%d ads: 0.95 of the draws are a confidence of %v", n, p)
		}
		if half, one := m.doubted(500), m.doubted(1000); math.Abs(half-0.5) > 1e-9 || one <= m.doubted(990) || one > 1 {
			t.Errorf("%d ads: half of the draws are %v, all %v", n, half, one)
		}
	}
}
