package oracle

import (
	"fmt"
	"math"

	"github.com/geminivideo/geminivideo/shared/creative"
)

// rate is what is expected of an ad's CTR or ROAS.
type rate struct {
	mean     float64
	interval [2]float64
	log      student
	// beside is log, as far above or below its account's level.
	beside student
}

// Predict says what a creative would do in the model's account. near are the
// stored winners most like it, as a search with the vectors that the model was
// trained with found them; nil where there are none.
func (m Model) Predict(dna creative.DNA, near []Neighbour) Prediction {
	features := dna.Features()
	row := m.Columns.row(m.Columns.Account, features)
	unseen := m.Columns.unseen(features)
	around := m.Memory.around(near)
	ctr := m.CTR.expects(m.Columns, row, unseen, m.Memory.CTR.says(around), 1).widened(m.Widen, 1)
	roas := m.ROAS.expects(m.Columns, row, unseen, m.Memory.ROAS.says(around), 1e6)
	p := Prediction{
		CTR: ctr.mean, CTRInterval: ctr.interval, ROAS: roas.mean, ROASInterval: roas.interval,
		Version: m.Version(), Ads: m.Totals[1].Ads, Own: m.Totals[0].Ads, Near: used(around),
		Weaknesses: m.weaknesses(features), Patterns: m.having(features),
	}
	p.Baseline, p.BaselineROAS, p.BaselineSource = m.Baseline()
	m.ask(&p, row, unseen, ctr)
	p.Reason, p.Recommendation = m.reason(p), m.recommendation(p)
	return p
}

// Version names what was learned: by which way of learning, from which data.
func (m Model) Version() string { return fmt.Sprintf("oracle-%d-%s", Algorithm, m.Print) }

// What an account or a niche must have shown for its average to be one.
const (
	leastImpressions = 1000 // with a click among them
	leastClicks      = 10
)

// Baseline returns the average CTR and ROAS that a creative is held against:
// clicks over impressions and value over spend, of the account, or, where it has
// no history (10 clicks, or one in at least 1,000 impressions), of its niche, its own or
// the pooled one, or else the global prior.
func (m Model) Baseline() (ctr, roas float64, from Source) {
	for i, source := range []Source{FromAccount, FromNiche} {
		t := m.Totals[i]
		if t.Clicks >= leastClicks || t.Impressions >= leastImpressions && t.Clicks > 0 {
			return float64(t.Clicks) / float64(t.Impressions), t.Value / max(t.Spend, 1), source
		}
	}
	if m.NicheCTR > 0 {
		return m.NicheCTR, PriorROAS, FromNiche
	}
	return PriorCTR, PriorROAS, FromPrior
}

// unseen counts the categories that no past ad had: their effect may be any.
func (c *columns) unseen(features []creative.Feature) int {
	n := 0
	for _, f := range features {
		if _, ok := c.category[category{f.Name, f.Value}]; !ok && !f.IsNumber {
			n++
		}
	}
	return n
}

// expects turns what is known of a row into a rate of at most most.
func (e *expectation) expects(c *columns, row []entry, unseen int, near nearness, most float64) rate {
	mean, variance := e.says(c, row)
	if _, known := c.account[c.Account]; len(c.Accounts) > 0 && !known {
		variance += e.Variance[accounts] // an account like those of its niche
	}
	mean += near.shift
	spread, scale := e.Spread*(1-near.explained), e.Scale*e.Scale
	// The mean is of ads around the most probable rate, of the distribution's body:
	// nobody counts on going viral, nor on what is merely not known.
	body := spread / (widen * widen) * scale
	variance = (variance + spread) * scale
	wide := min(variance+float64(unseen)*e.Variance[categories], mostVariance)
	r := rate{log: student{mean, math.Sqrt(wide), e.Freedom}}
	lift, known := e.says(c, row[c.levels(row):])
	r.beside = student{lift + near.shift, math.Sqrt((known+e.Spread)*e.Scale*e.Scale + float64(unseen)*e.Variance[categories]), e.Freedom}
	r.mean = min(math.Exp(mean+min(body, mostVariance)/2), most)
	r.interval = [2]float64{min(math.Exp(r.log.quantile(-z90)), most), min(math.Exp(r.log.quantile(z90)), most)}
	return r
}

// levels is how many entries of a row are the level's and the account's own.
func (c *columns) levels(row []entry) int {
	if len(row) > 1 && c.group(int(row[1].Col)) == accounts {
		return 2
	}
	return 1
}
