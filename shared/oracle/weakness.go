package oracle

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/geminivideo/geminivideo/shared/creative"
)

// example is what past ads did with a feature: on average, and which of the good
// ones did which of its values.
type example struct {
	Feature string
	Usual   []entry // the average row of the ads that have the feature
	Ways    []way
}

// way is a value of a feature, or a number's neighbourhood, that past ads had.
type way struct {
	Value string
	Row   []entry
	Ads   []string // up to three good ones, best first; the account's own before others
	Total totals   // of all that went it
	Worth float64  // logarithm of their value over spend, against all ads'; shrunk
}

// Limits of what a prediction says.
const (
	maxWeaknesses = 6
	maxExamples   = 3
	leastEffect   = 0.01
	likely        = 0.6
)

// exemplify collects examples of every feature from ads.
func exemplify(c *columns, ads []ad, ctr, roas expected) []example {
	// How much better an ad's CTR was than its account's, and how good it was: with
	// what it lacked in value taken off.
	lift, good := make([]float64, len(ads)), make([]float64, len(ads))
	for i, a := range ads {
		lift[i] = ctr.above(c, i, a)
		if a.Impressions == 0 {
			lift[i] = math.Inf(-1)
		}
		good[i] = lift[i] + min(roas.above(c, i, a), 0)
	}
	order := make([]int, len(ads))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(-compareBool(ads[i].AccountID == c.Account, ads[j].AccountID == c.Account), cmp.Compare(good[j], good[i]),
			cmp.Compare(ads[i].AdID, ads[j].AdID))
	})
	var all []example
	for _, k := range c.Categories {
		if len(all) == 0 || all[len(all)-1].Feature != k.Name {
			all = append(all, example{Feature: k.Name})
		}
		e := &all[len(all)-1]
		e.Ways = append(e.Ways, way{Value: k.Value, Row: c.effect([]creative.Feature{{Name: k.Name, Value: k.Value}})})
	}
	for _, n := range c.Numbers {
		e := example{Feature: n.Name}
		for _, at := range n.stops() {
			e.Ways = append(e.Ways, way{
				Value: "about " + rounded(at),
				Row:   c.effect([]creative.Feature{{Name: n.Name, Number: at, IsNumber: true}}),
			})
		}
		all = append(all, e)
	}
	byName := map[string]*example{}
	for i := range all {
		byName[all[i].Feature] = &all[i]
	}
	sums := map[string]map[int32]float64{}
	count := map[string]int{}
	for _, i := range order {
		for name, features := range byFeature(ads[i].features) {
			e := byName[name]
			if e == nil {
				continue
			}
			if sums[name] == nil {
				sums[name] = map[int32]float64{}
			}
			count[name]++
			for _, x := range c.effect(features) {
				sums[name][x.Col] += x.X
			}
			if w := e.way(c, features); w != nil {
				w.Total.add(ads[i].Past)
				if lift[i] > 0 && len(w.Ads) < maxExamples && !slices.Contains(w.Ads, ads[i].AdID) {
					w.Ads = append(w.Ads, ads[i].AdID)
				}
			}
		}
	}
	for i := range all {
		e := &all[i]
		for col, sum := range sums[e.Feature] {
			e.Usual = append(e.Usual, entry{col, sum / float64(max(count[e.Feature], 1))})
		}
		slices.SortFunc(e.Usual, func(a, b entry) int { return cmp.Compare(a.Col, b.Col) })
	}
	appraise(all, ads)
	return all
}

// appraise says of every way what its ads were worth: their value over what it
// would be at all ads' ROAS, with a typical deal added to both, so that one lucky
// deal, or none in a few clicks, says little.
func appraise(all []example, ads []ad) {
	var spent, value, square float64
	for _, a := range ads {
		spent, value, square = spent+a.Spend, value+a.Value, square+a.Value*a.Value
	}
	if spent <= 0 || value <= 0 {
		return
	}
	deal := square / value
	for i := range all {
		for j := range all[i].Ways {
			w := &all[i].Ways[j]
			w.Worth = math.Log((w.Total.Value + deal) / (w.Total.Spend*value/spent + deal))
		}
	}
}

// above is by how much an ad's log rate is above its account's level.
func (e *expected) above(c *columns, i int, a ad) float64 {
	usual := e.Effects[0]
	if at, ok := c.account[a.AccountID]; ok {
		usual += e.Effects[at]
	}
	return e.sites[i].mean - usual
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// byFeature puts the features of one name together.
func byFeature(features []creative.Feature) map[string][]creative.Feature {
	all := map[string][]creative.Feature{}
	for _, f := range features {
		all[f.Name] = append(all[f.Name], f)
	}
	return all
}

// effect returns the columns that one feature of an ad of the model's account has.
func (c *columns) effect(features []creative.Feature) []entry {
	row := c.effects(nil, features)
	if c.Own {
		shift := int32(c.main() - c.first())
		for _, e := range slices.Clone(row) {
			row = append(row, entry{e.Col + shift, e.X})
		}
	}
	return row
}

// stops are the values of a number that are distinguished.
func (n number) stops() []float64 {
	if n.Knots != nil {
		return n.Knots
	}
	return []float64{n.Low, n.Center, n.High}
}

// way returns the one that an ad went, nil where it is none of them.
func (e *example) way(c *columns, features []creative.Feature) *way {
	value := features[0].Value
	if features[0].IsNumber {
		i := slices.IndexFunc(c.Numbers, func(n number) bool { return n.Name == e.Feature })
		if i < 0 {
			return nil
		}
		near := slices.MinFunc(c.Numbers[i].stops(), func(a, b float64) int {
			return cmp.Compare(math.Abs(a-features[0].Number), math.Abs(b-features[0].Number))
		})
		value = "about " + rounded(near)
	}
	for i := range e.Ways {
		if e.Ways[i].Value == value {
			return &e.Ways[i]
		}
	}
	return nil
}

// rounded writes a number with three digits.
func rounded(x float64) string { return strconv.FormatFloat(x, 'g', 3, 64) }

// weaknesses returns what of the features costs clicks against what ads usually
// do, the dearest first, and what better ads did.
func (m Model) weaknesses(features []creative.Feature) []Weakness {
	all := []Weakness{}
	by := byFeature(features)
	for i := range m.Examples {
		e := &m.Examples[i]
		mine := m.Columns.effect(by[e.Feature])
		if len(mine) == 0 {
			continue
		}
		effect, sd := m.CTR.between(m.Columns, mine, e.Usual)
		w := Weakness{
			Feature: e.Feature, Value: valueOf(by[e.Feature]), Effect: -math.Expm1(effect),
			Probability: student{effect, sd, m.CTR.Freedom}.below(0), Ads: []string{},
		}
		if w.Effect < leastEffect || w.Probability < likely {
			continue
		}
		best := 0.0
		for _, other := range e.Ways {
			gain, sd := m.CTR.between(m.Columns, other.Row, mine)
			// A value that two ads had is not the best by their luck, and clicks that
			// bring no deals are nothing to copy.
			if sure := gain - sd/2 + min(other.Worth, 0); sure > best {
				best, w.Instead, w.Ads = sure, other.Value, append([]string{}, other.Ads...)
			}
		}
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b Weakness) int {
		return cmp.Or(cmp.Compare(b.Effect, a.Effect), cmp.Compare(a.Feature, b.Feature))
	})
	return all[:min(len(all), maxWeaknesses)]
}

// valueOf writes a feature's value, or values.
func valueOf(features []creative.Feature) string {
	if features[0].IsNumber {
		return rounded(features[0].Number)
	}
	var all []string
	for _, f := range features {
		all = append(all, f.Value)
	}
	return strings.Join(all, ", ")
}

// between returns by how much row's log rate is above other's, and how well that
// is known.
func (e *expectation) between(c *columns, row, other []entry) (mean, sd float64) {
	sums := map[int32]float64{}
	for _, x := range row {
		sums[x.Col] += x.X
	}
	for _, x := range other {
		sums[x.Col] -= x.X
	}
	var difference []entry
	for col, x := range sums {
		difference = append(difference, entry{col, x})
	}
	slices.SortFunc(difference, func(a, b entry) int { return cmp.Compare(a.Col, b.Col) })
	mean, variance := 0.0, 0.0
	for _, x := range difference {
		mean += x.X * e.Effects[x.Col]
	}
	_, variance = e.says(c, difference)
	return mean, math.Sqrt(variance) * e.Scale
}
