package allocate

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// figure is a named number of the posterior.
type figure struct {
	name string
	x    float64
}

// believe returns the posterior as the ledger keeps it: the account's and each
// ad's, to six digits, money in units. A reflecting encoder would take longer
// over 10,000 ads than the sampler does.
func believe(c money.Currency, split *sampler.Split) ([]byte, error) {
	one := money.Amount(1).Units(c)
	p := &split.Posterior
	b := make([]byte, 0, 512+256*len(split.Recommendations))
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
		{"deal_value", p.Lump * one},
		{"median_delay_hours", p.MedianDelay},
		{"return", p.Return},
	})
	if !ok {
		return nil, fmt.Errorf("the account's posterior is not finite: %+v", *p)
	}
	b = append(b, `},"ads":[`...)
	for i := range split.Recommendations {
		r := &split.Recommendations[i]
		q := &r.Posterior
		id, err := json.Marshal(r.ID)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, `{"ad_id":`...), id...)
		b, ok = appendFigures(b, []figure{
			{"return", q.Return},
			{"first_return", q.First},
			{"shape", q.Shape},
			{"ctr", q.CTR},
			{"value_per_click", q.ValuePerClick * one},
			{"cpm", q.CPM * one},
			{"fatigue_per_impression", q.Fatigue},
			{"matured", q.Matured},
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
