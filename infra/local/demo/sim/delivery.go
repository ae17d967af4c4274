package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Fatigue is what an ad's click rate loses per impression; a tiring ad's public
// is so small that it loses several times as much.
const (
	Fatigue       = 2e-6
	FatigueTiring = 1e-5
)

// weekdays are how much of a budget is spent, Sunday first: people resolve to
// train at the end of a weekend.
var weekdays = [7]float64{1.06, 1.08, 1.02, 0.98, 0.96, 0.92, 0.95}

func newAd(c Config, n int, campaign Campaign, theme Theme) Ad {
	r := stream(c.Seed, "ad", n)
	dna := newDNA(r, n, c.Business)
	if theme.Ads > 0 && n%19 == 7 {
		dna.HookStrength = 0.92 // every account has its darling
	}
	ad := Ad{
		ID: metaID(c.Seed, 3, n), CampaignID: campaign.ID, AdsetID: metaID(c.Seed, 2, n),
		Name: dna.name(n), Active: true, DNA: dna, Tiring: n%20 == 11,
	}
	budget := c.Business.Budget * around(r, 0.25)
	if ad.Tiring {
		budget = math.Max(budget, 1.1*c.Business.Budget) // that is how it wears out
	}
	ad.DailyBudget = units(math.Max(math.Round(budget/5)*5, 10), c.Currency)
	first, last := 0, Days
	switch {
	case ad.Tiring:
	case n%17 == 16:
		first = Days - 1 - r.IntN(3) // launched these days
	case chance(r, 0.2):
		first = 3 + r.IntN(18)
	case chance(r, 0.12):
		last, ad.Active = 15+r.IntN(10), false // paused
	}
	ad.deliver(c, r, first, last)
	return ad
}

// deliver runs the ad on the days from first until before last.
func (ad *Ad) deliver(c Config, r *rand.Rand, first, last int) {
	effect := ad.DNA.effect()
	ctr := c.Business.CTR * effect.clicks * around(r, 0.1)
	cpm := c.Business.CPM * around(r, 0.15)
	fatigue := Fatigue * around(r, 0.2)
	frequency := 1.1 + 0.25*r.Float64()
	if ad.Tiring {
		fatigue = FatigueTiring
		cpm *= 0.8
	}
	shown := 0.0
	for i := first; i < last; i++ {
		day := Day{Date: Midnight(c.Now, c.Zone, i-Days), Frequency: frequency * around(r, 0.03)}
		price := cpm * around(r, 0.06)
		if ad.Tiring {
			worn := float64(i-first) / Days
			day.Frequency *= 1 + 2.2*worn
			price *= 1 + 0.7*worn
		}
		if i == Days-1 && i == first {
			ad.Days = append(ad.Days, Day{Date: day.Date}) // approved last night, not delivered yet
			break
		}
		spend := ad.DailyBudget.Units(c.Currency) * weekdays[day.Date.Weekday()] * around(r, 0.05)
		mean := spend / price * 1000
		day.Spend = units(spend, c.Currency)
		day.Impressions = poisson(r, mean)
		rate := math.Min(ctr*around(r, 0.06)*math.Exp(-fatigue*shown), 0.5)
		day.Clicks = min(poisson(r, rate*float64(day.Impressions)), day.Impressions)
		day.Frequency = math.Round(max(day.Frequency, 1)*1e6) / 1e6
		day.Reach = min(int64(math.Round(float64(day.Impressions)/day.Frequency)), day.Impressions)
		shown += float64(day.Impressions)
		ad.Days = append(ad.Days, day)
	}
}

// Midnight is the start of the day in zone that lies days after now's.
func Midnight(now time.Time, zone *time.Location, days int) time.Time {
	y, m, d := now.In(zone).Date()
	return time.Date(y, m, d+days, 0, 0, 0, 0, zone)
}

// metaID looks like the ids of Meta's objects; kind keeps campaigns, ad sets and
// ads apart, and the seed keeps accounts apart.
func metaID(seed uint64, kind, n int) string {
	return fmt.Sprintf("120%07d%d%07d", seed%10_000_000, kind, 1000+n*7)
}

// units is an amount that is surely in range.
func units(u float64, c money.Currency) money.Amount {
	a, _ := money.FromUnits(u, c)
	return a
}
