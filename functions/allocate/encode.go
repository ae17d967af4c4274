package allocate

import (
	"fmt"
	"math"
	"strconv"

	"github.com/segmentio/encoding/json"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// encodeRequest returns what the sampler computes from as the ledger stores it: JSON
// that reads back to the same request. The standard library's encoder takes twice as
// long as this one, which over 10,000 ads is as long as the sampler takes.
func encodeRequest(req *sampler.Request) ([]byte, error) {
	size := 4096 + 256*len(req.Account.Deals)
	for i := range req.Arms {
		size += 320 + 96*len(req.Arms[i].Days) + 160*len(req.Arms[i].Past)
	}
	b, err := json.Append(make([]byte, 0, size), req, 0)
	if err != nil {
		return nil, fmt.Errorf("encode the sampler's request: %w", err)
	}
	return b, nil
}

// figure is a named number of the posterior.
type figure struct {
	name string
	x    float64
}

// encodePosterior returns the posterior as the ledger stores it: the account's and
// each ad's, to six digits, money in units. The digits are why it is written by
// hand: no encoder shortens a number.
func encodePosterior(c money.Currency, split *sampler.Split) ([]byte, error) {
	one := money.Amount(1).Units(c)
	p := &split.Posterior
	b := make([]byte, 0, 512+320*len(split.Recommendations))
	b = append(b, `{"account":{"draws":`...)
	b = strconv.AppendInt(b, int64(p.Draws), 10)
	b, ok := appendFigures(b, []figure{
		{"ctr", p.CTR},
		{"cpm", p.CPM * one},
		{"value_per_click", p.ValuePerClick * one},
		{"saturation_budget", p.Saturation * one},
		{"fatigue_per_impression", p.Fatigue},
		{"spread", p.Spread},
		{"clickbait_elasticity", p.Clickbait},
		{"deal_value", p.DealSize * one},
		{"deals", p.Deals},
		{"median_delay_hours", p.MedianDelay},
		{"delay_spread", p.DelaySpread},
		{"return", p.Return},
	})
	if !ok {
		return nil, fmt.Errorf("the account's posterior is not finite: %+v", *p)
	}
	b = append(b, `},"ads":[`...)
	for i := range split.Recommendations {
		r := &split.Recommendations[i]
		q := &r.Posterior
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = json.Append(append(b, `{"ad_id":`...), r.ID, 0); err != nil {
			return nil, fmt.Errorf("encode the id of ad %d: %w", i, err)
		}
		b, ok = appendFigures(b, []figure{
			{"return", q.Return},
			{"first_return", q.First},
			{"shape", q.Shape},
			{"ctr", q.CTR},
			{"value_per_click", q.ValuePerClick * one},
			{"cpm", q.CPM * one},
			{"fatigue_per_impression", q.Fatigue},
			{"matured", q.Matured},
			{"floor_budget", q.Floor * one},
			{"budget_spread", q.Spread * one},
		})
		if !ok {
			return nil, fmt.Errorf("the posterior of ad %d is not finite: %+v", i, *q)
		}
		b = append(b, '}')
	}
	return append(b, "]}"...), nil
}

func appendFigures(b []byte, figures []figure) (_ []byte, finite bool) {
	for _, f := range figures {
		if math.IsNaN(f.x) || math.IsInf(f.x, 0) {
			return b, false
		}
		b = append(append(append(b, `,"`...), f.name...), `":`...)
		b = strconv.AppendFloat(b, f.x, 'g', 6, 64)
	}
	return b, true
}
