package learning

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Metric is what a pattern moves.
type Metric string

// The metrics: clicks per impression, and pipeline value per impression.
const (
	CTR   Metric = "ctr"
	Value Metric = "value"
)

// FalseDiscoveryRate is the share of reported patterns that may be chance, of both
// metrics together (Benjamini and Hochberg 1995).
const FalseDiscoveryRate = 0.06

// Limits of what is tested.
const (
	leastSide   = 5   // ads with the value, and without it
	leastPaid   = 6   // ads with value on each side, for a pattern of value
	leastShown  = 200 // impressions of an ad
	mostTests   = 400
	mostFound   = 20
	priorEffect = 0.15 // standard deviation of a usual effect's logarithm
	huber       = 2.5
)

// Pattern is a value of the creative DNA that moves a metric in an account.
type Pattern struct {
	Metric  Metric   `json:"metric" enum:"ctr,value"`
	Feature string   `json:"feature"`
	Value   string   `json:"value"`
	Lift    float64  `json:"lift" doc:"0.3 is 30% more than the account's other ads, shrunk towards nothing as far as little is known."`
	Low     float64  `json:"lift_low"`
	High    float64  `json:"lift_high" doc:"The lift lies between lift_low and lift_high with a probability of 95%."`
	P       float64  `json:"p_value"`
	With    int      `json:"ads_with"`
	Without int      `json:"ads_without"`
	Ads     []string `json:"examples" nullable:"false" doc:"Ads that have the value, the best first."`
}

// effect is a tested value: the logarithm of the ratio of the ads with it to those
// without.
type effect struct {
	metric         Metric
	feature, value string
	carriers       []int
	size, se, p    float64
	without        int
}

// Effect is a tested value as it is shared with others of a niche.
type Effect struct {
	Metric         Metric
	Feature, Value string
	Size, Error    float64
}

// Tested is what the ads of an account say of their DNA.
type Tested struct {
	Found   []Pattern
	Effects []Effect // of all values that were tested, and of the levels
	tests   map[string]effect
	Tests   int
}

// FindPatterns tests every value of the DNA that enough ads have and enough lack.
// The strongest effect is taken first and taken out of the others' way; what is
// then no more than chance is not reported.
func FindPatterns(ads []Ad) Tested {
	o := newTable(ads)
	tests := candidates(ads)
	out := Tested{tests: map[string]effect{}, Found: []Pattern{}}
	var taken []effect
	for round := 0; ; round++ {
		var all []effect
		for _, t := range tests {
			for _, m := range []Metric{CTR, Value} {
				if e, ok := o.test(m, t); ok && !has(taken, e) {
					all = append(all, e)
				}
			}
		}
		if round == 0 {
			out.Tests = len(all)
			for _, e := range all {
				out.tests[key(e.metric, e.feature, e.value)] = e
				out.Effects = append(out.Effects, Effect{e.metric, e.feature, e.value, e.size, e.se})
			}
		}
		best, ok := strongest(all, len(all)+len(taken))
		if !ok || len(taken) == mostFound {
			break
		}
		taken = append(taken, best)
		o.remove(best)
	}
	prior := usual(out.tests)
	for _, e := range taken {
		out.Found = append(out.Found, e.pattern(ads, prior[e.metric]))
	}
	out.Effects = append(out.Effects, o.levels()...)
	return out
}

func key(m Metric, feature, value string) string {
	return string(m) + "\x00" + feature + "\x00" + value
}

func has(all []effect, e effect) bool {
	return slices.ContainsFunc(all, func(t effect) bool { return t.metric == e.metric && t.feature == e.feature && t.value == e.value })
}

// valueWeight is the weight of a test of value: deals are few, and such a test finds
// little. What it gives up the tests of CTR get, so that the mean weight is one and the
// false discovery rate holds (Genovese, Roeder and Wasserman 2006).
const valueWeight = 0.5

// strongest returns the effect with the smallest weighted p where Benjamini and
// Hochberg's procedure reports any; tests is how many there were.
func strongest(all []effect, tests int) (effect, bool) {
	values := 0
	for _, e := range all {
		if e.metric == Value {
			values++
		}
	}
	weight := map[Metric]float64{Value: 1, CTR: 1}
	if values > 0 && values < len(all) {
		weight = map[Metric]float64{Value: valueWeight, CTR: (float64(len(all)) - valueWeight*float64(values)) / float64(len(all)-values)}
	}
	p := func(e effect) float64 { return e.p / weight[e.metric] }
	slices.SortFunc(all, func(a, b effect) int {
		return cmp.Or(cmp.Compare(p(a), p(b)), cmp.Compare(key(a.metric, a.feature, a.value), key(b.metric, b.feature, b.value)))
	})
	for i, e := range all {
		if p(e) <= FalseDiscoveryRate*float64(i+1)/float64(tests) {
			return all[0], true
		}
	}
	return effect{}, false
}

func (e *effect) pattern(ads []Ad, prior float64) Pattern {
	share := prior / (prior + e.se*e.se)
	size, sd := share*e.size, math.Sqrt(share)*e.se
	p := Pattern{
		Metric: e.metric, Feature: e.feature, Value: e.value, Lift: math.Expm1(size), Low: math.Expm1(size - 1.96*sd),
		High: math.Expm1(size + 1.96*sd),
		P:    e.p, With: len(e.carriers), Without: e.without, Ads: []string{},
	}
	best := slices.Clone(e.carriers)
	rate := func(i int) float64 {
		if e.metric == Value {
			return ads[i].Value / math.Max(float64(ads[i].Impressions)*ads[i].Arrived, leastShown)
		}
		return (float64(ads[i].Clicks) + 5) / (float64(ads[i].Impressions) + 500)
	}
	slices.SortFunc(best, func(a, b int) int { return cmp.Or(cmp.Compare(rate(b), rate(a)), cmp.Compare(ads[a].ID, ads[b].ID)) })
	for _, i := range best[:min(len(best), 3)] {
		p.Ads = append(p.Ads, ads[i].ID)
	}
	return p
}

// Sentence says what a pattern means, for a buyer.
func (p Pattern) Sentence() string {
	what, way := "CTR", "raises"
	if p.Metric == Value {
		what = "value per impression"
	}
	if p.Lift < 0 {
		way = "lowers"
	}
	return fmt.Sprintf("%s %s %s %s by %.0f%% (95%%: %+.0f%% to %+.0f%%; %d ads with it, %d without).",
		p.Feature, p.Value, way, what, 100*math.Abs(p.Lift), 100*p.Low, 100*p.High, p.With, p.Without)
}
