// Package world is a simulator of ad accounts whose value arrives late, to try
// ways of dividing a budget on: ads with different click rates and lead
// quality, clickbait, deals that take their time and mostly come to nothing,
// fatigue by exposure, an auction with noise and rising prices, ads that come
// and go. Policies see what the documented request holds and nothing else; the
// clairvoyant sees the truth. It also replays an account's own days (Backtest).
package world

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// Currency is that of all simulated accounts.
const Currency money.Currency = "USD"

// World is one simulated account.
type World struct {
	// Total is the budget of a day.
	Total money.Amount
	Ads   []*Ad

	seed        uint64
	rng         *rand.Rand // makes the account, see stream for what becomes of it
	double      float64    // budget of one ad at which its price doubles
	stay        float64    // days after which a silent deal counts as lost
	steps       [3]float64
	priceNoise  float64
	clickNoise  float64
	stages      [3]float64 // value of a deal at each stage, as a share of its final value
	dealValue   float64
	valueSpread float64

	clickbait, apart, scale float64 // how ads differ, see withQuality

	weekdays bool // see weekday
}

// Ad is one ad with its truth and its history.
type Ad struct {
	ID         string
	Born, Dies int // days

	number            int
	ctr, cpm, fatigue float64
	lead              float64    // leads per click
	pass              [3]float64 // chance of each stage after the one before
	imp, clk          int64
	spend             float64
	deals             []deal
	past              []sampler.Observation

	ease     float64         // of getting clicks, in standard deviations
	clicksOf map[int]float64 // by day
}

// deal is what an ad's lead becomes: its value changes at times of its own.
type deal struct {
	began float64 // when its click was
	moves []move
}

type move struct {
	day, value float64
	won        bool
}

// New makes world number seed: everything about it differs from seed to seed.
func New(seed uint64) *World {
	r := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	between := func(lo, hi float64) float64 { return lo + (hi-lo)*r.Float64() }
	around := func(median, spread float64) float64 { return median * math.Exp(spread*r.NormFloat64()) }
	w := &World{
		seed: seed, rng: r, Total: 90_000, double: around(800, 0.3), stay: between(9, 15),
		steps:      [3]float64{between(1, 3), between(2, 5), between(3, 8)},
		priceNoise: between(0.05, 0.2), clickNoise: between(0, 0.15),
		stages: [3]float64{between(0.1, 0.2), between(0.4, 0.7), 1}, dealValue: around(6000, 0.5), valueSpread: between(0, 0.5),
	}
	wins := between(0.5, 3) // won deals a day if the money were spread evenly
	clickbait, apart := between(-0.8, 0.1), between(0.5, 1.1)
	n := 10 + r.IntN(21)
	for i := range n {
		z := r.NormFloat64()
		q := apart * (clickbait*z + math.Sqrt(1-clickbait*clickbait)*r.NormFloat64())
		a := &Ad{
			ID: fmt.Sprintf("ad-%02d", i), number: i, Dies: math.MaxInt,
			ctr: 0.014 * math.Exp(0.45*z), cpm: around(13, 0.3), fatigue: around(2e-6, 0.35), ease: z, clicksOf: map[int]float64{},
		}
		a.withQuality(q, 1)
		if i >= 8 && r.Float64() < 0.3 {
			a.Born = r.IntN(40)
		}
		if i >= 8 && r.Float64() < 0.2 {
			a.Dies = a.Born + 10 + r.IntN(40)
		}
		w.Ads = append(w.Ads, a)
	}
	even := 0.0
	for _, a := range w.Ads {
		even += w.Total.Units(Currency) / float64(n) / a.cpm * 1000 * a.ctr * a.worth()
	}
	w.clickbait, w.apart, w.scale = clickbait, apart, wins/even
	for _, a := range w.Ads {
		a.lead *= w.scale
	}
	return w
}

// stream is the randomness of one thing that happens: of the market on a day, of an
// ad on a day, of a lead. So the same account meets the same luck under every
// policy, and two policies differ by what they decide.
func (w *World) stream(ad, day, lead int) luck {
	mixed := uint64(ad+1)<<42 ^ uint64(day+1)<<24 ^ uint64(lead+1)
	return luck{rand.New(rand.NewPCG(w.seed^0xd1b54a32d192ed03, mixed*0x9e3779b97f4a7c15))}
}

// luck draws random numbers.
type luck struct{ *rand.Rand }

func chance(logit float64) float64 { return 1 / (1 + math.Exp(-logit)) }

// worth is the expected number of won deals of a click.
func (a *Ad) worth() float64 { return a.lead * a.pass[0] * a.pass[1] * a.pass[2] }

// meanDeal is the expected value of a won deal.
func (w *World) meanDeal() float64 { return w.dealValue * math.Exp(w.valueSpread*w.valueSpread/2) }

// Return is the true expected value of a unit of money in ad a today, where it
// gets budget.
func (w *World) Return(a *Ad, budget float64) float64 {
	price := a.cpm / 1000 * (1 + budget/w.double)
	return a.ctr * math.Exp(-a.fatigue*float64(a.imp)) * a.worth() * w.meanDeal() / price
}

// weekday is by what a day's prices, click rates and leads differ from the average
// day's: in accounts that sell to businesses little happens on weekends, and Mondays
// make up for some of it.
func (w *World) weekday(day int) (price, clicks, leads float64) {
	if !w.weekdays {
		return 1, 1, 1
	}
	switch day % 7 {
	case 0:
		return 1.15, 1.2, 1.5
	case 5, 6:
		return 0.8, 0.65, 0.35
	}
	return 1.05, 1.08, 1.2
}

// Live returns the ads that run on day.
func (w *World) Live(day int) []*Ad {
	var live []*Ad
	for _, a := range w.Ads {
		if a.Born <= day && day < a.Dies {
			live = append(live, a)
		}
	}
	return live
}

// Spend plays one day and returns the expected final value of what was bought, as on
// an average day of the week.
func (w *World) Spend(day int, live []*Ad, budgets []money.Amount) float64 {
	earned := 0.0
	market := math.Exp(w.priceNoise * w.stream(-1, day, -1).NormFloat64())
	dear, clicked, leading := w.weekday(day)
	market *= dear
	for i, a := range live {
		r := w.stream(a.number, day, -1)
		b := budgets[i].Units(Currency)
		if b <= 0 {
			continue
		}
		earned += b * w.Return(a, b)
		price := a.cpm / 1000 * (1 + b/w.double) * market * math.Exp(w.priceNoise/2*r.NormFloat64())
		rate := a.ctr * clicked * math.Exp(-a.fatigue*float64(a.imp)+w.clickNoise*r.NormFloat64())
		imp := int64(b / price)
		clicks := min(r.poisson(float64(imp)*rate), imp)
		a.imp, a.clk, a.spend = a.imp+imp, a.clk+clicks, a.spend+b
		a.clicksOf[day] += float64(clicks)
		for n := range r.poisson(float64(clicks) * a.lead * leading) {
			one := w.stream(a.number, day, int(n))
			a.deals = append(a.deals, w.lead(a, float64(day)+one.Float64(), one))
		}
	}
	return earned
}

// lead draws what becomes of a lead that comes at a time.
func (w *World) lead(a *Ad, at float64, r luck) deal {
	d := deal{began: at}
	final := w.dealValue * math.Exp(w.valueSpread*r.NormFloat64())
	for s, pass := range a.pass {
		if r.Float64() >= pass {
			if s > 0 {
				d.moves = append(d.moves, move{at + w.stay, 0, false})
			}
			return d
		}
		at += w.steps[s] * (r.ExpFloat64() + r.ExpFloat64()) / 2
		d.moves = append(d.moves, move{at, final * w.stages[s], s == 2})
	}
	return d
}

// Value is what the CRM shows of an ad.
type Value struct {
	Pipeline, Cash float64
	Deals, Won     int64
}

// Value is what the CRM shows of ad a at a time.
func (a *Ad) Value(now float64) (shown Value) {
	for _, d := range a.deals {
		v, won := 0.0, false
		for _, m := range d.moves {
			if m.day <= now {
				v, won = m.value, m.won
			}
		}
		shown.Pipeline += v
		if v > 0 {
			shown.Deals++
		}
		if won {
			shown.Cash += v
			shown.Won++
		}
	}
	return shown
}

func (r luck) poisson(mean float64) int64 {
	if mean > 60 {
		return max(0, int64(math.Round(mean+math.Sqrt(mean)*r.NormFloat64())))
	}
	n := int64(0)
	for sum := r.ExpFloat64(); sum < mean; sum += r.ExpFloat64() {
		n++
	}
	return n
}
