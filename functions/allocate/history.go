package allocate

import (
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// observation is an ad's totals as one request told them, money in units.
type observation struct {
	AdID          string
	AgeHours      float64
	Impressions   int64
	Clicks        int64
	Spend         float64
	PipelineValue float64
	CashRevenue   *float64
}

// observed is the arm's present as an observation.
func observed(a *sampler.Arm, c money.Currency) observation {
	o := observation{
		AdID: a.ID, AgeHours: a.AgeHours, Impressions: a.Impressions, Clicks: a.Clicks,
		Spend: a.Spend.Units(c), PipelineValue: a.Pipeline.Units(c),
	}
	if a.Cash != nil {
		cash := a.Cash.Units(c)
		o.CashRevenue = &cash
	}
	return o
}

func (o observation) equal(p observation) bool {
	if (o.CashRevenue == nil) != (p.CashRevenue == nil) || o.CashRevenue != nil && *o.CashRevenue != *p.CashRevenue {
		return false
	}
	o.CashRevenue, p.CashRevenue = nil, nil
	return o == p
}

// history returns what earlier requests said of an ad that is now as now says:
// at most n observations, by rising age. said is in the order of arrival.
//
// The clock is the ad's age. Who tells of an age again corrects it, and with it
// whatever was told of later ages, which is also what a new ad under an old id
// does. So now itself is never part of its history, however often it is told,
// and a request repeated at once sees what the first one saw.
func history(said []observation, now observation, n int) []observation {
	if last := len(said) - 1; last >= 0 && said[last].equal(now) {
		said = said[:last]
	}
	said = said[max(0, len(said)-n):]
	rising := make([]observation, 0, len(said))
	for _, o := range said {
		rising = append(before(rising, o.AgeHours), o)
	}
	return before(rising, now.AgeHours)
}

// before cuts what is not younger than age off the end.
func before(rising []observation, age float64) []observation {
	for len(rising) > 0 && rising[len(rising)-1].AgeHours >= age {
		rising = rising[:len(rising)-1]
	}
	return rising
}

// past puts observations into the sampler's terms.
func past(rising []observation, c money.Currency) []sampler.Observation {
	if len(rising) == 0 {
		return nil
	}
	all := make([]sampler.Observation, 0, len(rising))
	for _, o := range rising {
		spend, err1 := money.FromUnits(o.Spend, c)
		pipeline, err2 := money.FromUnits(o.PipelineValue, c)
		if err1 != nil || err2 != nil {
			continue // told in another currency, beyond what this one can hold
		}
		s := sampler.Observation{
			AgeHours: o.AgeHours, Impressions: o.Impressions, Clicks: o.Clicks, Spend: spend, Pipeline: pipeline,
		}
		if o.CashRevenue != nil {
			if cash, err := money.FromUnits(*o.CashRevenue, c); err == nil {
				s.Cash = &cash
			}
		}
		all = append(all, s)
	}
	return all
}
