package allocate

import (
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// observation is an ad's totals as one request gave them, money in units. What is
// nil was not known.
type observation struct {
	AdID            string
	AgeHours        float64
	Impressions     int64
	Clicks          int64
	Spend           float64
	PipelineValue   *float64
	CashRevenue     *float64
	Deals, WonDeals *int64
}

// observed is the arm's present as an observation.
func observed(a *sampler.Arm, c money.Currency) observation {
	o := observation{
		AdID: a.ID, AgeHours: a.AgeHours, Impressions: a.Impressions, Clicks: a.Clicks, Spend: a.Spend.Units(c),
		Deals: a.Deals, WonDeals: a.WonDeals,
	}
	if !a.PipelineUnknown {
		value := a.Pipeline.Units(c)
		o.PipelineValue = &value
	}
	if a.Cash != nil {
		cash := a.Cash.Units(c)
		o.CashRevenue = &cash
	}
	return o
}

func (o observation) equal(p observation) bool {
	return o.AdID == p.AdID && o.AgeHours == p.AgeHours && o.Impressions == p.Impressions && o.Clicks == p.Clicks && o.Spend == p.Spend &&
		same(o.PipelineValue, p.PipelineValue) && same(o.CashRevenue, p.CashRevenue) && same(o.Deals, p.Deals) &&
		same(o.WonDeals, p.WonDeals)
}

func same[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// history returns an ad's earlier observations beside its present one: at most n,
// by rising age. all is in the order of arrival.
//
// The clock is the ad's age. An observation of an age that was observed before
// corrects it, and with it whatever was observed at later ages, which is also what
// a new ad under an old id does. So the present one is never part of its own
// history, however often it is repeated, and a request repeated at once computes
// from what the first one computed from.
func history(all []observation, now observation, n int) []observation {
	if last := len(all) - 1; last >= 0 && all[last].equal(now) {
		all = all[:last]
	}
	all = all[max(0, len(all)-n):]
	rising := make([]observation, 0, len(all))
	for _, o := range all {
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

// forSampler puts observations into the sampler's terms.
func forSampler(rising []observation, c money.Currency) []sampler.Observation {
	if len(rising) == 0 {
		return nil
	}
	all := make([]sampler.Observation, 0, len(rising))
	for _, o := range rising {
		spend, err := money.FromUnits(o.Spend, c)
		if err != nil {
			continue // given in another currency, beyond what this one can hold
		}
		s := sampler.Observation{
			AgeHours: o.AgeHours, Impressions: o.Impressions, Clicks: o.Clicks, Spend: spend, PipelineUnknown: true,
			Deals: o.Deals, WonDeals: o.WonDeals,
		}
		if o.PipelineValue != nil {
			if value, err := money.FromUnits(*o.PipelineValue, c); err == nil {
				s.Pipeline, s.PipelineUnknown = value, false
			}
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
