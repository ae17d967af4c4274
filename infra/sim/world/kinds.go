package world

import (
	"math"
	"math/rand/v2"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// Kind is a sort of account that allocators find hard.
type Kind struct {
	Name string
	// Days is how long one account of the kind is played.
	Days int
	// CashOnly leaves pipeline_value out of the requests, Counts adds deal counts.
	CashOnly, Counts bool
	// Ledger gives the lives of the ads' deals, as the ledger knows them.
	Ledger bool
	// History is what the account knows of deals of its other campaigns.
	History sampler.Account
	change  func(w *World)
}

// Ordinary is the kind that New makes.
func Ordinary() Kind { return Kind{Name: "ordinary", Days: 60, change: func(*World) {}} }

// Kinds are the hard ones that are played day by day.
func Kinds() []Kind {
	return []Kind{
		{Name: "49 days to close", Days: 100, change: slow},
		{Name: "cash only", Days: 60, CashOnly: true, change: func(*World) {}},
		{Name: "deals are counted", Days: 60, Counts: true, change: func(*World) {}},
		{Name: "ledger", Days: 60, Counts: true, Ledger: true, change: func(*World) {}},
		{Name: "heavy tails, no counts", Days: 60, change: heavy},
		{Name: "heavy tails, counts", Days: 60, Counts: true, change: heavy},
		{Name: "small deals, other history", Days: 30, History: otherCampaigns(), change: memberships},
		{Name: "losing", Days: 60, change: losing},
		{Name: "3 to 5 ads", Days: 60, change: few},
		{Name: "strong weekdays", Days: 60, change: weekdays},
		{Name: "strong weekdays, 3 to 5 ads", Days: 60, change: func(w *World) { weekdays(w); few(w) }},
	}
}

// slow stretches the delays to 49 days from click to close.
func slow(w *World) {
	w.steps, w.stay = [3]float64{7, 14, 28}, 35
}

// heavy makes deal sizes vary by a factor of five either way, around the same mean.
func heavy(w *World) {
	const spread = 1.6
	w.dealValue = w.meanDeal() * math.Exp(-spread*spread/2)
	w.valueSpread = spread
}

// memberships are many small sales in the place of few large ones.
func memberships(w *World) {
	times := w.meanDeal() / 100
	w.dealValue, w.valueSpread = 100, 0
	for _, a := range w.Ads {
		a.lead *= times * 0.3
	}
}

// otherCampaigns is the history of an account that sells at 12,000 elsewhere.
func otherCampaigns() sampler.Account {
	known := sampler.Account{DealValue: 1_200_000}
	for i := range 60 {
		d := sampler.Deal{Observed: 24 * float64(30+i), Steps: []sampler.Step{{Hours: 48, Value: 180_000}}}
		if i%3 == 0 {
			d.Won = true
			d.Steps = append(d.Steps, sampler.Step{Hours: 24 * 11, Value: 1_200_000})
		} else {
			d.Lost = true
			d.Steps = append(d.Steps, sampler.Step{Hours: 24 * 15})
		}
		known.Deals = append(known.Deals, d)
	}
	return known
}

// losing scales the leads so that an even split returns 0.35 of what it costs.
func losing(w *World) {
	even, n := 0.0, 0.0
	for _, a := range w.Ads {
		even += w.Return(a, w.Total.Units(Currency)/float64(len(w.Ads)))
		n++
	}
	for _, a := range w.Ads {
		a.lead *= 0.35 * n / even
	}
}

// few leaves three to five of the ads.
func few(w *World) { w.Ads = w.Ads[:3+w.rng.IntN(3)] }

// weekdays makes all ads of the account go by the day of the week.
func weekdays(w *World) { w.weekdays = true }

// Make makes account number seed of the kind.
func (k Kind) Make(seed uint64) *World {
	w := New(seed)
	k.change(w)
	return w
}

// Shock is something that happens to one ad on a day and lasts.
type Shock struct {
	Name   string
	Within float64 // days after which less than half of the ad's money may be left
	strike func(a *Ad)
}

// Shocks are one for each link of the chain.
func Shocks() []Shock {
	return []Shock{
		{"its price triples", 3, func(a *Ad) { a.cpm *= 3 }},
		{"its clicks fall by 94%", 1.5, func(a *Ad) { a.ctr *= 0.06 }},
		{"its page brings no leads", 9, func(a *Ad) { a.lead = 0 }},
	}
}

// AfterShock plays account seed until the ad with the most money is struck, and
// returns the days until half of its money is gone, at most 21.
func AfterShock(seed uint64, s Shock, k Kind) float64 {
	const strikes, longest = 40, 21
	w := New(seed)
	w.Ads = w.Ads[:8]
	for _, a := range w.Ads {
		a.Born, a.Dies = 0, math.MaxInt
		a.lead *= 3 // enough deals to see that they stop
	}
	struck, had := -1, money.Amount(0)
	for day := range strikes + longest {
		live := w.Live(day)
		split := sampler.Allocate(w.request(day, live, k))
		budgets := split.Budgets()
		if day == strikes {
			for i, b := range budgets {
				if b > had {
					struck, had = i, b
				}
			}
			s.strike(live[struck])
		}
		if struck >= 0 && 2*budgets[struck] < had {
			return float64(day - strikes)
		}
		w.Spend(day, live, budgets)
	}
	return longest
}

// Eight is a request of eight ads of forty days with about five deals each, in
// the order of what they return; the fourth is the median.
func Eight(seed uint64, counts bool) sampler.Request {
	r := rand.New(rand.NewPCG(seed, 8))
	req := sampler.Request{Currency: Currency, Total: 50_000, Seed: seed}
	for i := range 8 {
		deals := int64(9 - i)
		clicks := 1200 + r.Int64N(200)
		a := sampler.Arm{
			ID: string(rune('a' + i)), Impressions: 100 * clicks, Clicks: clicks, Spend: money.Amount(150 * clicks), AgeHours: 24 * 40,
			Pipeline: money.Amount(100_000 * deals),
		}
		if counts {
			a.Deals = &deals
		}
		req.Arms = append(req.Arms, a)
	}
	return req
}

// WithLargeDeal adds one deal of twenty times the usual size to ad i.
func WithLargeDeal(req sampler.Request, i int) sampler.Request {
	a := req.Arms[i]
	a.Past = []sampler.Observation{{
		AgeHours: a.AgeHours, Impressions: a.Impressions, Clicks: a.Clicks, Spend: a.Spend, Pipeline: a.Pipeline, Deals: a.Deals,
	}}
	a.AgeHours += 6
	a.Pipeline += 20 * 100_000
	if a.Deals != nil {
		more := *a.Deals + 1
		a.Deals = &more
	}
	req.Arms = append([]sampler.Arm(nil), req.Arms...)
	req.Arms[i] = a
	return req
}
