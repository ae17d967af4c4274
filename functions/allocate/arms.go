package allocate

import (
	"fmt"
	"math"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// request joins what the caller said with what is known, in minor units. It also
// returns the observations that are new.
func (k *knowledge) request(body *selectBody, seed uint64) (sampler.Request, []observation, error) {
	m := minor{scale: math.Pow10(k.currency.Decimals()), at: -1}
	req := sampler.Request{
		Currency: k.currency, Seed: seed, Arms: make([]sampler.Arm, len(body.AdStates)),
		Account: k.deals, Settings: k.settings, AllowUnspent: body.Unspent,
		Total: m.down("total_budget", body.TotalBudget),
	}
	var added []observation
	for i := range body.AdStates {
		m.at = i
		arm := &req.Arms[i]
		*arm = k.arm(&body.AdStates[i], &m)
		if dna, ok := body.Scores[arm.ID]; ok {
			arm.DNA = (*float64)(&dna)
		}
		now, earlier := observed(arm, k.currency), k.past.byAd[arm.ID]
		arm.Past = forSampler(history(earlier, now, k.depth), k.currency)
		if len(earlier) == 0 || !earlier[len(earlier)-1].equal(now) {
			added = append(added, now)
		}
	}
	if m.broken != nil {
		return req, nil, m.broken
	}
	return req, added, nil
}

// arm is one ad as the sampler sees it.
func (k *knowledge) arm(s *adState, m *minor) sampler.Arm {
	a := sampler.Arm{
		ID: s.AdID, Impressions: int64(s.Impressions), Clicks: int64(s.Clicks), AgeHours: s.AgeHours, Excluded: s.Excluded,
		Spend: m.near("spend", s.Spend),
	}
	stored, known := k.ads[s.AdID]
	if s.CashRevenue != nil {
		cash := m.near("cash_revenue", *s.CashRevenue)
		a.Cash = &cash
	}
	fromLedger := known && stored.ValueSource == "ledger"
	switch {
	case s.PipelineValue != nil:
		a.Pipeline = m.near("pipeline_value", *s.PipelineValue)
		fromLedger = fromLedger && a.Pipeline == stored.Pipeline
	case known && a.Cash == nil && stored.ValueSource != "none":
		a.Pipeline = stored.Pipeline
		if fromLedger {
			cash := stored.Revenue
			a.Cash = &cash
		}
	default:
		a.PipelineUnknown, fromLedger = true, false
	}
	if a.Cash != nil && !a.PipelineUnknown { // what is won is part of the pipeline's value, whoever forgot to say so
		a.Pipeline = max(a.Pipeline, *a.Cash)
	}
	a.Deals, a.WonDeals = count(s.Deals), count(s.WonDeals)
	if n, ok := k.counts[s.AdID]; ok && fromLedger && a.Deals == nil && a.WonDeals == nil {
		a.Deals, a.WonDeals = &n.Deals, &n.Won
	}
	if s.CurrentBudget != nil {
		a.Current, a.CurrentKnown = m.near("current_budget", *s.CurrentBudget), true
	} else if known && stored.DailyBudget != nil {
		a.Current, a.CurrentKnown = money.Amount(*stored.DailyBudget), true
	}
	if s.MinBudget != nil {
		a.Min = m.up("min_budget", *s.MinBudget)
	}
	if s.MaxBudget != nil {
		ceiling := m.down("max_budget", *s.MaxBudget)
		a.Max = &ceiling
	}
	if known && stored.ValueSource == "ledger" {
		a.Attribution = stored.Confidence
	}
	a.Days = fit(k.days[s.AdID], s.AgeHours)
	return a
}

// fit moves days back where the caller says that the ad is younger than they
// are, so that the last of them has begun by now.
func fit(days []sampler.Day, age float64) []sampler.Day {
	if len(days) == 0 {
		return nil
	}
	if ahead := days[len(days)-1].AgeHours - 24 - age; ahead > 0 {
		for i := range days {
			days[i].AgeHours -= ahead
		}
	}
	return days
}

// minor converts units to minor units and stores the first amount that is out of range.
type minor struct {
	scale  float64
	at     int // the ad that the fields are of; -1: the request itself
	broken error
}

// near rounds to the nearest minor unit; down and up never pass a limit.
func (m *minor) near(field string, units float64) money.Amount {
	return m.amount(field, math.Round(units*m.scale))
}

func (m *minor) down(field string, units float64) money.Amount {
	return m.amount(field, math.Floor(units*m.scale+1e-6))
}

func (m *minor) up(field string, units float64) money.Amount {
	return m.amount(field, math.Ceil(units*m.scale-1e-6))
}

func (m *minor) amount(field string, n float64) money.Amount {
	if n <= float64(money.Max) {
		return money.Amount(n)
	}
	if m.broken == nil {
		path := "body." + field
		if m.at >= 0 {
			path = fmt.Sprintf("body.ad_states[%d].%s", m.at, field)
		}
		m.broken = fault.Field(path, fmt.Sprintf("must be at most %.0f in this currency", float64(money.Max)/m.scale))
	}
	return 0
}
