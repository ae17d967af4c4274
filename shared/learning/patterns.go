package learning

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/mathext"

	"github.com/geminivideo/geminivideo/shared/creative"
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

type table struct {
	y, noise          []float64 // log CTR, and the variance of its counting
	value, exposure   []float64
	ads               []Ad
	clicked, paidRows []int
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

type candidate struct {
	feature, value string
	carriers       []int
}

// candidates lists the values that can be tested, in one order. A feature of two
// values is one test, not two.
func candidates(ads []Ad) []candidate {
	carriers, known := map[[2]string][]int{}, map[string]int{}
	values, numbers := map[string]map[string]bool{}, map[string][]float64{}
	features := make([][]creative.Feature, len(ads))
	for i, a := range ads {
		features[i] = a.DNA.Features()
		for _, f := range features[i] {
			if f.IsNumber {
				numbers[f.Name] = append(numbers[f.Name], f.Number)
			}
		}
	}
	middle := map[string]float64{}
	for name, all := range numbers {
		slices.Sort(all)
		middle[name], _ = strconv.ParseFloat(strconv.FormatFloat(all[len(all)/2], 'g', 2, 64), 64)
	}
	for i := range ads {
		seen := map[[2]string]bool{}
		counted := map[string]bool{}
		for _, f := range features[i] {
			value := f.Value
			if f.IsNumber {
				value = "below " + strconv.FormatFloat(middle[f.Name], 'g', -1, 64)
				if f.Number >= middle[f.Name] {
					value = "at least " + strconv.FormatFloat(middle[f.Name], 'g', -1, 64)
				}
			}
			k := [2]string{f.Name, value}
			if !seen[k] {
				seen[k] = true
				carriers[k] = append(carriers[k], i)
			}
			if values[f.Name] == nil {
				values[f.Name] = map[string]bool{}
			}
			values[f.Name][value] = true
			if !counted[f.Name] {
				counted[f.Name] = true
				known[f.Name]++
			}
		}
	}
	var all []candidate
	for k, c := range carriers {
		if len(c) >= leastSide && len(ads)-len(c) >= leastSide {
			all = append(all, candidate{k[0], k[1], c})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(len(b.carriers), len(a.carriers)), cmp.Compare(a.feature, b.feature), cmp.Compare(a.value, b.value))
	})
	once := map[string]bool{}
	all = slices.DeleteFunc(all, func(c candidate) bool {
		if len(values[c.feature]) != 2 || known[c.feature] < len(ads) {
			return false
		}
		twice := once[c.feature]
		once[c.feature] = true
		return twice
	})
	return all[:min(len(all), mostTests)]
}

func newTable(ads []Ad) *table {
	o := &table{ads: ads}
	o.y, o.noise, o.value, o.exposure = make([]float64, len(ads)), make([]float64, len(ads)), make([]float64, len(ads)),
		make([]float64, len(ads))
	var paid []float64
	for i, a := range ads {
		clicks, shown := float64(a.Clicks), float64(a.Impressions)
		o.y[i], o.noise[i] = math.Log((clicks+0.5)/(shown+1)), 1/(clicks+0.5)
		o.value[i], o.exposure[i] = a.Value, shown*a.Arrived
		if a.Impressions >= leastShown {
			o.clicked = append(o.clicked, i)
		}
		if a.Impressions >= leastShown && a.Arrived > 0.1 {
			o.paidRows = append(o.paidRows, i)
		}
		if a.Value > 0 {
			paid = append(paid, a.Value)
		}
	}
	if len(paid) > 0 { // one deal out of all proportion is one deal, not a pattern
		slices.Sort(paid)
		most := 3 * paid[len(paid)/2]
		for i := range o.value {
			o.value[i] = math.Min(o.value[i], math.Max(most, paid[len(paid)*3/4]))
		}
	}
	return o
}

func (o *table) test(m Metric, c candidate) (effect, bool) {
	e := effect{metric: m, feature: c.feature, value: c.value, carriers: c.carriers, without: len(o.ads) - len(c.carriers)}
	carries := make([]bool, len(o.ads))
	for _, i := range c.carriers {
		carries[i] = true
	}
	ok := false
	if m == CTR {
		ok = o.testCTR(&e, carries)
	} else {
		ok = o.testValue(&e, carries)
	}
	return e, ok && !math.IsNaN(e.size) && e.se > 0
}

// testCTR compares the mean log CTR of the two sides. An ad's weight goes by its
// clicks and by how much ads differ anyway; a viral ad counts for less.
func (o *table) testCTR(e *effect, carries []bool) bool {
	var n [2]int
	for _, i := range o.clicked {
		n[side(carries[i])]++
	}
	if n[0] < leastSide || n[1] < leastSide {
		return false
	}
	robust := make([]float64, len(o.ads))
	for i := range robust {
		robust[i] = 1
	}
	between := 0.05
	var mean, weight [2]float64
	for range 12 {
		var sum [2]float64
		weight = [2]float64{}
		for _, i := range o.clicked {
			w, s := robust[i]/(between+o.noise[i]), side(carries[i])
			sum[s], weight[s] = sum[s]+w*o.y[i], weight[s]+w
		}
		mean = [2]float64{sum[0] / weight[0], sum[1] / weight[1]}
		var over, under float64
		for _, i := range o.clicked {
			r := o.y[i] - mean[side(carries[i])]
			w := 1 / (between + o.noise[i])
			robust[i] = math.Min(1, huber/math.Max(math.Abs(r)*math.Sqrt(w), 1e-9))
			// Paule and Mandel's equation for the variance between ads.
			over, under = over+robust[i]*(r*r-o.noise[i])*w*w, under+w*w
		}
		free := float64(n[0]+n[1]) / float64(n[0]+n[1]-2)
		between = math.Max(over*free/under, 1e-4)
	}
	e.size = mean[1] - mean[0]
	e.se = math.Sqrt(1/weight[0] + 1/weight[1])
	e.p = tail(e.size/e.se, float64(n[0]+n[1]-2))
	return true
}

// testValue compares value per impression, by a ratio's standard error.
func (o *table) testValue(e *effect, carries []bool) bool {
	var n, paid [2]int
	var value, exposure, square [2]float64
	for _, i := range o.paidRows {
		s := side(carries[i])
		n[s]++
		value[s], exposure[s] = value[s]+o.value[i], exposure[s]+o.exposure[i]
		if o.value[i] > 0 {
			paid[s]++
		}
	}
	if paid[0] < leastPaid || paid[1] < leastPaid {
		return false
	}
	for _, i := range o.paidRows {
		s := side(carries[i])
		r := o.value[i] - value[s]/exposure[s]*o.exposure[i]
		square[s] += r * r
	}
	e.size = math.Log(value[1] / exposure[1] * exposure[0] / value[0])
	var variance [2]float64
	for s := range variance {
		variance[s] = square[s] / (value[s] * value[s]) * float64(n[s]) / float64(n[s]-1)
	}
	e.se = math.Sqrt(variance[0] + variance[1])
	free := float64(min(paid[0], paid[1]) - 1)
	e.p = tail(e.size/e.se, free)
	return true
}

func side(carries bool) int {
	if carries {
		return 1
	}
	return 0
}

// tail is the two-sided probability of a t statistic. distuv.StudentsT says the same, and
// links a linear algebra of 2 MB.
func tail(t, free float64) float64 {
	free = math.Max(free, 1)
	return math.Min(1, mathext.RegIncBeta(free/2, 0.5, free/(t*t+free)))
}

// remove takes an effect out of the outcome, so that what goes along with it is not
// found in its place.
func (o *table) remove(e effect) {
	for _, i := range e.carriers {
		if e.metric == CTR {
			o.y[i] -= e.size
		} else {
			o.value[i] *= math.Exp(-e.size)
		}
	}
}

// levels are the account's own CTR and value per thousand impressions.
func (o *table) levels() []Effect {
	var all []Effect
	var clicks, shown, value, exposure float64
	for i, a := range o.ads {
		clicks, shown = clicks+float64(a.Clicks), shown+float64(a.Impressions)
		value, exposure = value+o.value[i], exposure+o.exposure[i]
	}
	if clicks >= 20 {
		all = append(all, Effect{CTR, "", "", math.Log(clicks / shown), 1 / math.Sqrt(clicks)})
	}
	return all
}

// usual is the variance of the tested effects beyond their errors, by metric: what
// an effect is shrunk by.
func usual(tests map[string]effect) map[Metric]float64 {
	sum, n := map[Metric]float64{}, map[Metric]float64{}
	for _, k := range slices.Sorted(maps.Keys(tests)) {
		e := tests[k]
		sum[e.metric] += e.size*e.size - e.se*e.se
		n[e.metric]++
	}
	prior := map[Metric]float64{}
	for _, m := range []Metric{CTR, Value} {
		prior[m] = math.Max((sum[m]+10*priorEffect*priorEffect)/(n[m]+10), 0.01)
	}
	return prior
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
