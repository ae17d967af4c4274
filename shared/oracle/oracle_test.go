package oracle_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/sim/creativeworld"
	"github.com/geminivideo/geminivideo/infra/testkit/simulation"
	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/oracle"
)

func off(p oracle.Prediction, a creativeworld.Ad) float64 { return math.Abs(math.Log(p.CTR / a.CTR)) }

func dna(t testing.TB, in string) creative.DNA {
	t.Helper()
	d, err := creative.Parse([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func account(seed uint64, n int) []oracle.Past {
	r := rand.New(rand.NewPCG(seed, 1))
	taste := creativeworld.NewTaste(r)
	taste.Secret = 0.5
	return creativeworld.Pasts(taste.Ads(r, "acc", n))
}

func TestTheOrderOfAdsChangesNothing(t *testing.T) {
	t.Parallel()
	past := account(1, 90)
	mixed := slices.Clone(past)
	rand.New(rand.NewPCG(9, 9)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	a, b := oracle.Train("acc", past), oracle.Train("acc", mixed)
	near := []oracle.Neighbour{{AdID: "acc-0003", Similarity: 0.9}, {AdID: "acc-0007", Similarity: 0.4}}
	for _, p := range past[:10] {
		if diff := cmp.Diff(a.Predict(p.DNA, near), b.Predict(p.DNA, near)); diff != "" {
			t.Fatal(diff)
		}
	}
	if diff := cmp.Diff(a.Metrics, b.Metrics); diff != "" || a.Version() != b.Version() {
		t.Errorf("%s %s %s", a.Version(), b.Version(), diff)
	}
}

func TestTheFingerprintTellsAnyChange(t *testing.T) {
	t.Parallel()
	past := account(2, 6)
	seen := map[string]string{oracle.Fingerprint("acc", past, 0, time.Time{}): "nothing"}
	for name, change := range map[string]func(*oracle.Past){
		"impressions": func(p *oracle.Past) { p.Impressions++ },
		"clicks":      func(p *oracle.Past) { p.Clicks++ },
		"spend":       func(p *oracle.Past) { p.Spend += 0.01 },
		"value":       func(p *oracle.Past) { p.Value += 0.01 },
		"DNA":         func(p *oracle.Past) { p.DNA = creative.DNA{"hook_type": "question"} },
		"account":     func(p *oracle.Past) { p.AccountID = "other" },
		"vector":      func(p *oracle.Past) { p.Vector = nil },
	} {
		changed := slices.Clone(past)
		change(&changed[3])
		print := oracle.Fingerprint("acc", changed, 0, time.Time{})
		if before, ok := seen[print]; ok {
			t.Errorf("%s and %s have one fingerprint", name, before)
		}
		seen[print] = name
	}
	if _, ok := seen[oracle.Fingerprint("elsewhere", past, 0, time.Time{})]; ok {
		t.Error("two accounts have one fingerprint")
	}
}

func TestNothingKnownIsThePrior(t *testing.T) {
	t.Parallel()
	p := oracle.Train("acc", nil).Predict(dna(t, `{"hook_type":"question","hook_strength":0.9}`), nil)
	if math.Abs(p.CTR-oracle.PriorCTR) > 1e-6 || math.Abs(p.ROAS-oracle.PriorROAS) > 1e-6 || p.Reject ||
		p.BaselineSource != oracle.FromPrior || p.Baseline != oracle.PriorCTR || p.CTRInterval[1] < 4*p.CTRInterval[0] || p.Weaknesses == nil || p.Near == nil {
		t.Errorf("%+v", p)
	}
}

func TestTheAverageIsTheAccountsOwnOnceItHasAHistory(t *testing.T) {
	t.Parallel()
	mine := func(impressions, clicks int64) oracle.Past {
		return oracle.Past{AdID: "a", AccountID: "acc", Impressions: impressions, Clicks: clicks, Spend: 10, Value: 30}
	}
	theirs := oracle.Past{AdID: "b", AccountID: "other", Impressions: 10_000, Clicks: 500, Spend: 100, Value: 50}
	for _, c := range []struct {
		past []oracle.Past
		ctr  float64
		from oracle.Source
	}{
		{[]oracle.Past{mine(1000, 1)}, 0.001, oracle.FromAccount},
		{[]oracle.Past{mine(50, 10)}, 0.2, oracle.FromAccount},
		{[]oracle.Past{mine(999, 9)}, oracle.PriorCTR, oracle.FromPrior},
		{[]oracle.Past{mine(1_000_000, 0)}, oracle.PriorCTR, oracle.FromPrior},
		{[]oracle.Past{mine(100, 0), theirs}, 500.0 / 10_100, oracle.FromNiche},
		{[]oracle.Past{mine(2000, 20), theirs}, 0.01, oracle.FromAccount},
	} {
		if ctr, _, from := oracle.Train("acc", c.past).Baseline(); math.Abs(ctr-c.ctr) > 1e-12 || from != c.from {
			t.Errorf("%+v: %v of the %s", c.past, ctr, from)
		}
	}
}

func TestStrangeAccountsArePredictedWithoutNonsense(t *testing.T) {
	t.Parallel()
	same := func(n int, p oracle.Past) []oracle.Past {
		all := make([]oracle.Past, n)
		for i := range all {
			all[i] = p
			all[i].AdID, all[i].AccountID = fmt.Sprintf("a%d", i), "acc"
			if all[i].DNA == nil {
				all[i].DNA = creative.DNA{"hook_type": []string{"question", "offer"}[i%2], "hook_strength": float64(i%7) / 7}
			}
		}
		return all
	}
	huge := int64(math.MaxInt64 / 4)
	for name, past := range map[string][]oracle.Past{
		"one ad":               same(1, oracle.Past{Impressions: 1000, Clicks: 10, Spend: 5}),
		"one without a click":  same(1, oracle.Past{Impressions: 1000}),
		"no clicks at all":     same(40, oracle.Past{Impressions: 90_000, Spend: 100}),
		"nothing but clicks":   same(40, oracle.Past{Impressions: 500, Clicks: 500, Spend: 100, Value: 1e6}),
		"one impression each":  same(40, oracle.Past{Impressions: 1, Clicks: 1}),
		"huge":                 same(40, oracle.Past{Impressions: huge, Clicks: huge / 50, Spend: 1e14, Value: 1e14}),
		"nonsense":             same(40, oracle.Past{Impressions: -5, Clicks: 70, Spend: math.NaN(), Value: math.Inf(1)}),
		"more clicks than ads": same(40, oracle.Past{Impressions: 5, Clicks: 70, Spend: math.Inf(1), Value: -1}),
		"spend without sight":  same(40, oracle.Past{Spend: 50, Value: 900}),
		"tiny money":           same(40, oracle.Past{Impressions: 5000, Clicks: 50, Spend: 1e-12, Value: 1e-12}),
		"all alike":            same(40, oracle.Past{Impressions: 5000, Clicks: 50, Spend: 50, Value: 100, DNA: creative.DNA{"hook_type": "question"}}),
		"a wrong vector":       same(40, oracle.Past{Impressions: 5000, Clicks: 50, Vector: embed.Vector{1, 2, 3}}),
		"one vector for all":   same(40, oracle.Past{Impressions: 5000, Clicks: 50, Spend: 9, Vector: make(embed.Vector, embed.Dimensions)}),
		"twice the same":       append(same(9, oracle.Past{Impressions: 5000, Clicks: 50}), same(9, oracle.Past{Impressions: 5000, Clicks: 50})...),
	} {
		model := oracle.Train("acc", past)
		for _, in := range []string{`{}`, `{"hook_type":"question","hook_strength":0.5}`, `{"hook_type":"never","hook_strength":1,"zebra":[1,2]}`} {
			for _, near := range [][]oracle.Neighbour{nil, {{AdID: "a1", Similarity: math.NaN()}, {AdID: "a2", Similarity: 7}, {AdID: "who"}}} {
				check(t, name+" "+in, model.Predict(dna(t, in), near))
			}
		}
	}
}

// check refuses what no prediction may be.
func check(t *testing.T, name string, p oracle.Prediction) {
	t.Helper()
	in := func(x, low, high float64) bool { return x >= low && x <= high } // false for NaN
	if !in(p.CTR, 0, 1) || !in(p.ROAS, 0, 1e6) || !in(p.Confidence, 0, 1) || !(p.Baseline > 0 && p.Baseline <= 1) || !in(p.BaselineROAS, 0, math.MaxFloat64) ||
		!in(p.CTR, p.CTRInterval[0], p.CTRInterval[1]) || !in(p.ROAS, p.ROASInterval[0], p.ROASInterval[1]) || !in(p.CTRInterval[1], 0, 1) ||
		p.CTRInterval[0] < 0 || p.Reason == "" || p.Recommendation == "" || strings.Contains(p.Reason+p.Recommendation, "NaN") || p.Reject != (p.CTR < 0.7*p.Baseline) {
		t.Errorf("%s: %+v", name, p)
	}
	for _, w := range p.Weaknesses {
		if !in(w.Effect, 0, 1) || !in(w.Probability, 0, 1) || w.Ads == nil {
			t.Errorf("%s: %+v", name, w)
		}
	}
}

func TestAHundredThousandAdsAreLearnedFrom(t *testing.T) {
	t.Parallel()
	past := make([]oracle.Past, 100_000)
	for i := range past {
		hook := []string{"question", "offer"}[i%2]
		past[i] = oracle.Past{
			AdID: fmt.Sprint(i), AccountID: "acc", DNA: creative.DNA{"hook_type": hook}, Impressions: 1000, Clicks: int64(20 - 10*(i%2) + i%5), Spend: 20, Value: float64(i % 40),
		}
	}
	model := oracle.Train("acc", past)
	question, offer := model.Predict(past[0].DNA, nil), model.Predict(past[1].DNA, nil)
	check(t, "question", question)
	if math.Abs(question.CTR-0.022) > 0.002 || math.Abs(offer.CTR-0.012) > 0.002 {
		t.Errorf("%v and %v", question.CTR, offer.CTR)
	}
}

func TestACreativesWeaknessIsNamedWithWhatBetterAdsDid(t *testing.T) {
	t.Parallel()
	var past []oracle.Past
	for i := range 60 {
		strength := float64(i%10) / 10
		hook := []string{"question", "statistic", "offer"}[i%3]
		clicks := map[string]float64{"question": 400, "offer": 250, "statistic": 150}[hook] * (0.7 + 0.6*strength)
		past = append(past, oracle.Past{
			AdID: fmt.Sprintf("ad-%02d", i), AccountID: "acc", Impressions: 20_000, Clicks: int64(clicks),
			DNA: dna(t, fmt.Sprintf(`{"hook_type":%q,"hook_strength":%v,"music":%q}`, hook, strength, []string{"calm", "upbeat"}[i/3%2])),
		})
	}
	weak := oracle.Train("acc", past).Predict(dna(t, `{"hook_type":"statistic","hook_strength":0.05,"music":"calm"}`), nil).Weaknesses
	if len(weak) != 2 || weak[0].Feature != "hook_type" || weak[0].Instead != "question" || weak[1].Feature != "hook_strength" || weak[1].Instead != "about 0.9" {
		t.Fatalf("%+v", weak)
	}
	for _, id := range weak[0].Ads {
		var n int
		if fmt.Sscanf(id, "ad-%02d", &n); past[n].DNA["hook_type"] != "question" {
			t.Errorf("%s did not do that", id)
		}
	}
	if len(weak[0].Ads) != 3 || weak[0].Effect < 0.3 || weak[0].Probability < 0.95 || len(weak[1].Ads) == 0 {
		t.Errorf("%+v", weak)
	}
}

func TestClicksThatBringNoDealsAreNoAdvice(t *testing.T) {
	t.Parallel()
	var past []oracle.Past
	for i := range 60 {
		hook := []string{"clickbait", "offer", "statistic"}[i%3]
		p := oracle.Past{
			AdID: fmt.Sprintf("ad-%02d", i), AccountID: "acc", DNA: creative.DNA{"hook_type": hook}, Impressions: 20_000,
			Clicks: map[string]int64{"clickbait": 600, "offer": 400, "statistic": 150}[hook] + int64(i), Spend: 500,
		}
		if hook != "clickbait" && i%2 == 0 {
			p.Value = 3000
		}
		past = append(past, p)
	}
	weak := oracle.Train("acc", past).Predict(creative.DNA{"hook_type": "statistic"}, nil).Weaknesses
	if len(weak) != 1 || weak[0].Instead != "offer" {
		t.Errorf("%+v", weak)
	}
}

func TestAChallengerThatKnowsLessIsNotBetter(t *testing.T) {
	t.Parallel()
	simulation.Test(t)
	past := account(5, 100)
	wrong := slices.Clone(past) // as if an import had mixed up the creatives
	for i := range wrong {
		wrong[i].DNA = past[(i+37)%len(past)].DNA
	}
	champion, challenger := oracle.Train("acc", past), oracle.Train("acc", wrong)
	if _, c := oracle.Contend("acc", &champion, wrong); c.Promote && c.CTR.Mean < 0 || c.Ads != 20 {
		t.Errorf("%+v", c)
	}
	if m, c := oracle.Contend("acc", &challenger, past); !c.Promote || !(c.Challenger > c.Champion) || m.Version() != oracle.Train("acc", past).Version() {
		t.Errorf("the other way round: %+v", c)
	}
	if _, c := oracle.Contend("acc", &champion, past); c.Promote {
		t.Errorf("on the very data that the champion has seen: %+v", c)
	}
	if m := champion.Metrics; m.AUC == nil || *m.AUC < 0.6 || *m.LogLoss > *m.AccountLogLoss || *m.Coverage < 0.8 || m.Held != 100 {
		t.Errorf("%+v", m)
	}
}

// dated returns ads of a taste, five a day from a day on.
func dated(r *rand.Rand, taste *creativeworld.Taste, name string, n, from int) []oracle.Past {
	all := creativeworld.Pasts(taste.Ads(r, name, n))
	for i := range all {
		all[i].AccountID, all[i].Created = "acc", time.Date(2026, 1, 1+from+i/5, 0, 0, 0, 0, time.UTC)
	}
	return all
}

func TestASuddenChangeOfTasteIsSeenAndASteadyTasteIsNone(t *testing.T) {
	simulation.Test(t)
	t.Parallel()
	seen := 0
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 77))
		taste, other := creativeworld.NewTaste(r), creativeworld.NewTaste(r)
		taste.Viral, other.Viral, other.Base = 0.01, 0.01, taste.Base
		known := dated(r, taste, "known", 120, 0)
		champion := oracle.Train("acc", known)
		if m, c := oracle.Contend("acc", &champion, append(slices.Clone(known), dated(r, taste, "same", 40, 24)...)); !m.Since.IsZero() {
			t.Errorf("account %d: a steady taste was taken for a change: %s", seed, c.Verdict)
		}
		m, c := oracle.Contend("acc", &champion, append(slices.Clone(known), dated(r, other, "other", 60, 24)...))
		if at := m.Since.Sub(time.Date(2026, 1, 25, 0, 0, 0, 0, time.UTC)).Hours() / 24; c.Promote && !m.Since.IsZero() && math.Abs(at) <= 7 {
			seen++
		}
	}
	if seen < 3 {
		t.Errorf("a change of taste was seen in %d of 4 accounts", seen)
	}
}

func TestAfterAChangeTheShareOfTheTasteThatStaysIsNotLearnedAnew(t *testing.T) {
	t.Parallel()
	simulation.Test(t)
	var with, without float64
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 78))
		taste := creativeworld.NewTaste(r)
		other := taste.Like(r)
		taste.Viral, other.Viral = 0, 0
		then, now := dated(r, taste, "then", 150, 0), dated(r, other, "now", 30, 30)
		since := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
		carried, anew := oracle.TrainFading("acc", append(then, now...), 0, since), oracle.Train("acc", now)
		if carried.SinceAds != 30 {
			t.Errorf("%d ads since the change, want 30", carried.SinceAds)
		}
		for _, a := range other.Ads(r, "new", 40) {
			with += math.Abs(math.Log(carried.Predict(a.DNA, nil).CTR / a.CTR))
			without += math.Abs(math.Log(anew.Predict(a.DNA, nil).CTR / a.CTR))
		}
	}
	t.Logf("error %.3f, learned anew %.3f", with/120, without/120)
	if with > 0.9*without {
		t.Errorf("error %.3f, learned anew %.3f: want at least a tenth less", with/120, without/120)
	}
}

func TestAModelOfFewAdsSinceAChangeIsFollowedByOneOfMore(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 79))
	taste := creativeworld.NewTaste(r)
	taste.Viral = 0
	since := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	all := append(dated(r, taste, "then", 60, 0), dated(r, taste, "now", 40, 30)...)
	champion := oracle.TrainFading("acc", all[:80], 0, since)
	if m, c := oracle.Contend("acc", &champion, all); c.Worse || !c.Promote || m.SinceAds != 40 || !m.Since.Equal(since) {
		t.Errorf("%d ads: %+v", m.SinceAds, c)
	}
	if _, c := oracle.Contend("acc", &champion, all[:81]); c.Promote && c.CTR.Mean+c.Value.Mean <= 0 {
		t.Errorf("one ad more: %+v", c)
	}
}

func TestIntervalsWidenWithEachOutcomeOutsideAndNarrowWithEachInside(t *testing.T) {
	t.Parallel()
	inside, outside := oracle.Outcome{Low: 0.005, High: 0.02, Impressions: 10_000, Clicks: 100}, oracle.Outcome{Low: 0.005, High: 0.02, Impressions: 10_000, Clicks: 600}
	few := oracle.Outcome{Low: 0.005, High: 0.02, Impressions: 100, Clicks: 4}
	repeat := func(n int, o oracle.Outcome) []oracle.Outcome { return slices.Repeat([]oracle.Outcome{o}, n) }
	for _, c := range []struct {
		name string
		of   []oracle.Outcome
		want float64
	}{
		{"none", nil, 1},
		{"too few clicks", repeat(50, few), 1},
		{"one outside", repeat(1, outside), math.Exp(0.135)},
		{"one inside after it", append(repeat(1, outside), inside), math.Exp(0.98*0.135 - 0.015)},
		{"all outside", repeat(300, outside), 3},
		{"all inside", repeat(300, inside), 0.9},
	} {
		if got := oracle.Widening(c.of); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %g, want %g", c.name, got, c.want)
		}
	}
}
