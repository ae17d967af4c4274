package fatigueworld

import (
	"math/rand/v2"
	"time"

	"github.com/geminivideo/geminivideo/shared/fatigue"
)

// The kinds whose days look like fatigue and have another cause, and the kinds of
// fatigue that the newest day alone does not show. Their days are dated, and
// Context holds what an advertiser would know beside them.
const (
	Weekend      Kind = "weekend dip"
	Learning     Kind = "learning phase"
	Promotion    Kind = "after a promotion"
	AuctionRise  Kind = "auction-wide CPM rise"
	AccountFall  Kind = "account-wide CTR fall"
	FreshBudget  Kind = "budget changed lately"
	SlowDecline  Kind = "slow decline"
	OldFall      Kind = "old fall"
	WeekendDecay Kind = "fall under a weekend dip"
)

// Causes lists these kinds.
func Causes() []Kind {
	return []Kind{Weekend, Learning, Promotion, AuctionRise, AccountFall, FreshBudget, SlowDecline, OldFall, WeekendDecay}
}

// caused invents an ad of one of these kinds.
func caused(r *rand.Rand, kind Kind) Ad {
	n := 15 + r.IntN(14)
	switch kind {
	case Learning:
		n = 4 + r.IntN(6)
	case Promotion:
		n = 13 + r.IntN(10)
	}
	newest := time.Date(2026, 6, 1+r.IntN(28), 0, 0, 0, 0, time.UTC)
	if kind == Weekend {
		newest = time.Date(2026, 6, 6+7*r.IntN(3)+r.IntN(2), 0, 0, 0, 0, time.UTC) // a Saturday or Sunday
	}
	volume := exp(between(r, 6.2, 10.8)) // 500 to 50,000 a day
	ctr, cpm := exp(between(r, -4.8, -3.4)), exp(between(r, 1.6, 3.4))
	dip := between(r, 0.65, 0.82)       // of a weekend's CTR
	factor := between(r, 1.35, 2.0)     // of a promotion, or of an auction's prices
	left := between(r, 0.5, 0.68)       // of the CTR after a fall
	ago := 1 + r.IntN(3)                // days since something happened
	long := 3 + r.IntN(max(1, n-ago-5)) // days of a promotion, after three ordinary ones at least
	onset := 3 + r.IntN(max(1, n-3-7))  // of an old fall: at least a week ago
	restless, auction := between(r, 0.01, 0.09), between(r, 0.02, 0.08)
	plan := make([]truth, n)
	days := make([]time.Time, n)
	a := Ad{Kind: kind, Volume: volume, Visible: true}
	for i := range plan {
		days[i] = newest.AddDate(0, 0, i-n+1)
		lag := n - 1 - i
		d := truth{seen: volume, ctr: ctr, cpm: cpm, frequency: 1.3}
		if w := days[i].Weekday(); (w == time.Saturday || w == time.Sunday) && (kind == Weekend || kind == WeekendDecay) {
			d.ctr, d.seen, d.cpm = d.ctr*dip, d.seen*1.2, d.cpm*1.08
		}
		switch kind {
		case Learning: // it finds its people, loses them, and pays for it
			d.ctr *= exp(0.3 * r.NormFloat64())
			d.cpm *= exp(0.3 * r.NormFloat64())
			if lag < ago {
				d.ctr, d.cpm = d.ctr*left, d.cpm*between(r, 1, 1.5)
			}
		case Promotion:
			if lag >= ago && lag < ago+long {
				d.ctr *= factor
			}
		case AuctionRise:
			if lag < ago {
				d.cpm *= factor * 1.2
			}
		case AccountFall:
			if lag < ago {
				d.ctr *= left
			}
		case FreshBudget:
			if lag < ago {
				d.seen, d.ctr, d.cpm = d.seen*2.2, d.ctr*left*1.1, d.cpm*between(r, 1.1, 1.6)
			}
		case SlowDecline: // a fixed share every day
			d.ctr *= exp(-between(r, 0.018, 0.018) * (1 + left) * float64(i))
		case OldFall:
			if i >= onset {
				d.ctr *= left
			}
		case WeekendDecay:
			if lag < 2+ago {
				d.ctr *= left
			}
		}
		plan[i] = d
		if kind == AuctionRise || kind == AccountFall { // the others of the account, with noise of their own
			a.Context.Account = append(a.Context.Account, fatigue.Median{
				CTR: 0.02 * d.ctr / ctr * exp(0.04*r.NormFloat64()), CPM: 9 * d.cpm / cpm * exp(0.04*r.NormFloat64()),
			})
		}
	}
	a.Days = happen(r, plan, restless, auction, between(r, 0.05, 0.2))
	for i := range a.Days {
		a.Days[i].Date = days[i]
	}
	a.Context.Learning = kind == Learning
	if kind == FreshBudget {
		a.Context.BudgetChanged = []time.Time{newest.AddDate(0, 0, 1-ago)}
	}
	if kind.NeedsAction() {
		a.Visible = visible(Decay, plan, a.Days)
		if kind == OldFall || kind == SlowDecline {
			a.Visible = float64(a.Days[n-1].Impressions)*plan[n-1].ctr*7 > 60 // a week of clicks
		}
	}
	return a
}
