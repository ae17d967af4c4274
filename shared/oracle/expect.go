package oracle

import (
	"math"
	"slices"
	"time"
)

// folds is how many twins a model has. Each has seen all ads but those of its
// fold, so that of every ad there is a twin that has never seen it. An ad's fold
// is a hash of its id: it stays in it from one model to the next, and two models
// can be compared on ads that neither of the twins that judge them has seen.
const folds = 5

// expectation is what was learned of a rate.
type expectation struct {
	Effects    []float64
	Covariance []float32 // of the columns that a prediction needs, lower triangle
	Spread     float64   // variance of an ad's own deviation
	Variance   [groups]float64
	// Scale is how much wider than the model says the held-out ads lay.
	Scale float64
	// Freedom is the t distribution's degrees of freedom: how well Spread is known.
	Freedom float64
	Twins   []twin
}

// twin is what was learned without the ads of a fold.
type twin struct {
	Effects []float32
	// Variance is that of a held-out ad's log rate around what the twin says.
	Variance float64
}

// expected is an expectation with what only training needs.
type expected struct {
	expectation
	data  []observed
	sites []site
	held  []held
}

// held is what an ad's twin, which has not seen it, says of its log rate.
type held struct{ mean, variance float64 }

// expect learns a rate and what it says of ads that it has not seen. before is what is
// believed of single columns, and since is when the taste changed.
func expect(prior belief, c *columns, ads []ad, data []observed, before map[int]normal, since time.Time) expected {
	group := make([]int, c.size())
	for j := range group {
		group[j] = c.group(j)
	}
	old := make([]bool, len(ads))
	for i, a := range ads {
		old[i] = a.Created.Before(since)
	}
	was := prior.carry(c, group, before, data, old)
	f := newFit(was.belief, group, before)
	f.share, f.mean = was.share, was.mean
	f.learn(data, rounds)
	f.solve(data)
	f.invert(data)
	e := expected{data: data, sites: f.sites, held: make([]held, len(data))}
	e.Effects, e.Spread, e.Variance = f.effects, f.spread(), f.variance
	e.Covariance = packed(c, f.covariance)
	for fold := range folds {
		e.Twins = append(e.Twins, e.without(f, fold, ads))
	}
	e.Scale = e.calibrated()
	e.Freedom = prior.Strength + f.evidence(data)
	for i := range e.held {
		e.held[i].variance *= e.Scale * e.Scale
	}
	for i := range e.Twins {
		e.Twins[i].Variance *= e.Scale * e.Scale
	}
	return e
}

// without learns again without the ads of a fold, from where f ended, and says
// what it expects of them.
func (e *expected) without(f *fit, fold int, ads []ad) twin {
	var rest []observed
	var out []int
	for i, a := range ads {
		if a.fold == fold {
			out = append(out, i)
		} else {
			rest = append(rest, e.data[i])
		}
	}
	g := &fit{
		share: f.share, mean: f.mean, prior: f.prior, group: f.group, before: f.before, start: f.start,
		effects: slices.Clone(f.effects), between: f.between, variance: f.variance, covariance: f.covariance,
	}
	switch {
	case len(rest) == 0:
		g = newFit(f.prior, f.group, f.before)
		g.share, g.mean = f.share, f.mean
		g.solve(nil)
		g.invert(nil)
	case len(out) > 0:
		g.relearn(rest)
	}
	t := twin{Effects: make([]float32, len(g.effects)), Variance: g.spread()}
	for j, b := range g.effects {
		t.Effects[j] = float32(b)
	}
	sum := 0.0
	for _, i := range out {
		h := held{g.predictor(e.data[i].row), g.uncertainty(e.data[i].row) + g.spread()}
		e.held[i] = h
		sum += h.variance
	}
	if len(out) > 0 {
		t.Variance = sum / float64(len(out))
	}
	return t
}

// How sure the held-out ads must be of a scale, and how far it may go.
const (
	doubt        = 50 // ads
	leastScale   = 0.8
	mostScale    = 1.5
	leastExpects = 5 // successes expected of an ad, for its rate to say anything
	ofToday      = 4 // how much more than those of today the ads may differ that a scale is learned from
)

// calibrated returns by how much the intervals have to be widened for 90% of what
// was held out to lie in them.
func (e *expected) calibrated() float64 {
	var far []float64
	for i, h := range e.held {
		if o := e.data[i]; o.exposure*math.Exp(h.mean) >= leastExpects && o.wider <= ofToday {
			far = append(far, e.distance(i))
		}
	}
	if len(far) == 0 {
		return 1
	}
	slices.Sort(far)
	n := float64(len(far))
	return clamp(math.Exp(n/(n+doubt)*math.Log(max(quantile(far, 0.9), 0.1)/z90)), leastScale, mostScale)
}

// distance is how many standard deviations an ad's observed rate lies from what
// its twin expected, chance in counting included.
func (e *expected) distance(i int) float64 {
	o, h := e.data[i], e.held[i]
	return math.Abs(math.Log((o.count+0.5)/(o.exposure+0.5))-h.mean) / math.Sqrt(h.variance+1/(o.count+0.5))
}

// evidence is how many ads' worth of deviations the data show.
func (f *fit) evidence(data []observed) float64 {
	sum := 0.0
	for i := range data {
		w := f.weightOf(&f.sites[i])
		sum += (w - w*w*f.sites[i].leverage) * f.between
	}
	return max(sum, 0)
}

// packed returns of a covariance what a prediction for the model's account needs:
// all but the other accounts' levels, the lower triangle.
func packed(c *columns, m symmetric) []float32 {
	var all []float32
	for i := range m.n {
		for j := range i + 1 {
			if c.kept[i] >= 0 && c.kept[j] >= 0 {
				all = append(all, float32(*m.at(i, j)))
			}
		}
	}
	return all
}

// says returns what is expected of an ad of the model's account: the mean of its
// log rate, and the variance of it by what is not known of the effects.
func (e *expectation) says(c *columns, row []entry) (mean, variance float64) {
	for j, x := range row {
		mean += x.X * e.Effects[x.Col]
		i := c.kept[x.Col]
		for k, y := range row[:j+1] {
			part := x.X * y.X * float64(e.Covariance[packedAt(i, c.kept[y.Col])])
			if k < j {
				part *= 2
			}
			variance += part
		}
	}
	return clamp(mean, lowest, highest), max(variance, 0)
}

func packedAt(i, j int) int {
	i, j = max(i, j), min(i, j)
	return i*(i+1)/2 + j
}
