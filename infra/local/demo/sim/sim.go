// Package sim invents thirty days in the life of an advertiser: ads whose
// creatives truly decide who clicks and who buys, what they cost a day, the
// clicks that landing pages saw, and the deals that came of them. It is a pure
// function of its Config: the same one gives the same world.
package sim

import (
	"cmp"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Days is how many days a history has; the last of them is yesterday.
const Days = 30

// Config is everything that a world depends on.
type Config struct {
	Seed     uint64
	Now      time.Time
	Zone     *time.Location // the ad account's
	Currency money.Currency // of the account and of the CRM
	Business Business
}

// World is what happened up to Config.Now.
type World struct {
	Campaigns []Campaign
	Ads       []Ad
	Clicks    []Click   // those that the landing pages saw, by time
	Contacts  []Contact // by the time of their first conversion
	Deals     []Deal    // by the time of their first move
}

// Campaign is a group of ads.
type Campaign struct {
	ID, Name string
}

// Ad is one creative in an ad set of its own, so that it has a budget.
type Ad struct {
	ID, CampaignID, AdsetID string
	Name                    string
	Active                  bool
	DailyBudget             money.Amount
	DNA                     DNA
	Days                    []Day // one per day of its life, oldest first
	// Tiring ads lose their public within the month.
	Tiring bool
}

// Day is what the ad platform reports of one day.
type Day struct {
	Date                       time.Time // midnight in the account's zone
	Impressions, Clicks, Reach int64
	Spend                      money.Amount
	Frequency                  float64
}

// New invents the world of c.
func New(c Config) *World {
	w := &World{}
	for i, theme := range c.Business.Themes {
		campaign := Campaign{ID: metaID(c.Seed, 1, i), Name: theme.Name}
		w.Campaigns = append(w.Campaigns, campaign)
		for range theme.Ads {
			n := len(w.Ads)
			w.Ads = append(w.Ads, newAd(c, n, campaign, theme))
		}
	}
	for i := range w.Ads {
		w.visit(c, i)
	}
	slices.SortFunc(w.Clicks, func(a, b Click) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	w.sell(c)
	return w
}

// stream returns the random numbers of one thing, so that another ad more or
// less leaves everything else as it was.
func stream(seed uint64, what string, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(what))
	return rand.New(rand.NewPCG(seed^uint64(n)<<32, h.Sum64())) //nolint:gosec // a simulation wants repeatable numbers
}

// around returns a factor whose logarithm is normal around 0.
func around(r *rand.Rand, sigma float64) float64 { return math.Exp(sigma * r.NormFloat64()) }

// poisson returns how many events there were where mean was expected.
func poisson(r *rand.Rand, mean float64) int64 {
	if mean > 50 {
		return int64(max(math.Round(mean+math.Sqrt(mean)*r.NormFloat64()), 0))
	}
	n, left, floor := int64(0), r.Float64(), math.Exp(-mean)
	for left > floor {
		n++
		left *= r.Float64()
	}
	return n
}

// chance is true with probability p.
func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// hours is a duration of that many hours.
func hours(h float64) time.Duration { return time.Duration(h * float64(time.Hour)) }
