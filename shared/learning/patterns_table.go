package learning

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/mathext"

	"github.com/geminivideo/geminivideo/shared/creative"
)

type table struct {
	y, noise          []float64 // log CTR, and the variance of its counting
	value, exposure   []float64
	ads               []Ad
	clicked, paidRows []int
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
