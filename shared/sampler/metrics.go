package sampler

import (
	"math"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Shown returns the contract's displayed figures of an arm in currency c.
func Shown(a *Arm, c money.Currency) Metrics {
	m := Metrics{Impressions: a.Impressions, Clicks: a.Clicks, AgeHours: a.AgeHours}
	ctr := 0.0
	if a.Impressions > 0 {
		ctr = float64(a.Clicks) / float64(a.Impressions)
	}
	m.CTR = 100 * ctr
	m.PipelineROAS = a.Pipeline.Units(c) / math.Max(a.Spend.Units(c), 1)
	m.CTRWeight = CTRWeight(a.AgeHours)
	m.ROASWeight = 1 - m.CTRWeight
	m.BlendedScore = m.CTRWeight*math.Min(ctr/0.05, 1) + m.ROASWeight*math.Min(m.PipelineROAS/3, 1)
	m.DecayFactor = math.Exp(-0.0001 * float64(a.Impressions))
	return m
}

// CTRWeight is the displayed weight of clicks against pipeline ROAS by age.
func CTRWeight(hours float64) float64 {
	switch {
	case hours < 6:
		return 1
	case hours < 24:
		return 1 - 0.3*(hours-6)/18
	case hours < 72:
		return 0.7 - 0.4*(hours-24)/48
	default:
		return math.Max(0.1, 0.3*math.Exp(-0.1*(hours-72)/24))
	}
}

// EstimateCurrent is the budget shown for an ad whose own is unknown: its spend
// over the days it has lived.
func EstimateCurrent(a *Arm) money.Amount {
	return money.Amount(math.Round(float64(a.Spend) / math.Max(1, a.AgeHours/24)))
}

// change is the percentage from current to next.
func change(current, next money.Amount) float64 {
	switch {
	case current > 0:
		return 100 * float64(next-current) / float64(current)
	case next > 0:
		return 100
	default:
		return 0
	}
}
