package allocate

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// knowledge is what the database adds to a request. Of ads that are not stored
// it holds what earlier requests said of them, and nothing else.
type knowledge struct {
	account  string
	currency money.Currency
	settings sampler.Settings
	ads      map[string]ad // in this currency
	days     map[string][]sampler.Day
	past     past
	counts   map[string]dealCount // of ads whose deals the ledger has
	depth    int                  // observations and days per ad
	deals    sampler.Account
}

const (
	// requestObservations bounds the observations and days of one request,
	// mostObservations those of one ad.
	requestObservations, mostObservations, leastObservations = 30_000, 120, 3
	// recentDeals are enough for a delay curve.
	recentDeals = 1000
)

// know reads what is known for a request.
func (s store) know(ctx context.Context, body *selectBody) (knowledge, error) {
	k := knowledge{depth: min(mostObservations, max(leastObservations, requestObservations/len(body.AdStates)))}
	ids := make([]string, len(body.AdStates))
	for i := range body.AdStates {
		ids[i] = body.AdStates[i].AdID
	}
	home, found, err := s.home(ctx)
	if err != nil {
		return k, fmt.Errorf("find tenant: %w", err)
	}
	if !found {
		return k, fault.Forbiddenf("your token's tenant is not known here")
	}
	if k.ads, err = s.ads(ctx, ids); err != nil {
		return k, err
	}
	if err := s.findAccount(ctx, &k, body, home); err != nil {
		return k, err
	}
	// One more than the sampler gets: the last may be this very request, made before.
	if k.past, err = s.past(ctx, ids, k.depth+1); err != nil || len(k.ads) == 0 {
		return k, err
	}
	if k.days, err = s.days(ctx, ids, k.depth); err != nil || k.currency != home {
		return k, err
	}
	own := 0
	for _, a := range k.ads {
		if a.AccountID == k.account {
			own++
		}
	}
	// Where any ad is a stranger, the deals of ads that are not asked about stay out.
	moves, err := s.moves(ctx, k.account, own == len(ids), ids, recentDeals)
	if err != nil {
		return k, err
	}
	k.deals = lives(moves)
	if k.counts, err = s.dealCounts(ctx, ids); err != nil {
		return k, err
	}
	k.deals.Attributed, err = s.attributed(ctx)
	return k, err
}

// findAccount finds the request's account, and with it the currency of all its
// amounts and the thresholds. What is stored in another currency is left out.
func (s store) findAccount(ctx context.Context, k *knowledge, body *selectBody, home money.Currency) error {
	var acc *account
	var err error
	switch one, same := k.oneAccount(); {
	case body.AccountID != nil:
		if acc, err = s.account(ctx, *body.AccountID); err == nil && acc == nil {
			return fault.NotFoundf("account_id names no account of yours")
		}
	case same:
		acc, err = s.account(ctx, one)
	default:
		acc, err = s.onlyAccount(ctx)
	}
	if err != nil {
		return err
	}
	k.currency = home
	if acc != nil {
		k.account, k.currency = acc.AccountID, acc.Currency
		k.settings = thresholds(acc)
	}
	for id, a := range k.ads {
		if a.Currency != k.currency {
			delete(k.ads, id)
		}
	}
	return nil
}

// oneAccount returns the account that all the stored ads belong to.
func (k *knowledge) oneAccount() (id string, same bool) {
	for _, a := range k.ads {
		if id != "" && a.AccountID != id {
			return "", false
		}
		id = a.AccountID
	}
	return id, id != ""
}

// thresholds reads an account's settings; what it has not set takes the
// sampler's defaults.
func thresholds(a *account) sampler.Settings {
	var s sampler.Settings
	switch {
	case a.BreakEven != nil:
		s.BreakEven = *a.BreakEven
	case a.Margin != nil:
		s.BreakEven = 1 / *a.Margin
	}
	if spend, ok := a.Settings["verdict_spend"].(float64); ok && spend > 0 {
		if minor, err := money.FromUnits(spend, a.Currency); err == nil {
			s.TestSpend = minor
		}
	}
	if roas, ok := a.Settings["winner_roas"].(float64); ok && roas > 0 {
		s.Target = roas
	}
	return s
}

// lives turns stage changes into deals' lives. The clock is the last change that
// the ledger knows, so that the same ledger gives the same lives at any time.
func lives(moves []move) sampler.Account {
	var now time.Time
	for _, m := range moves {
		if m.At.After(now) {
			now = m.At
		}
	}
	return livesAt(moves, now)
}

// livesAt is what is known at now, which is after all that moved.
func livesAt(moves []move, now time.Time) sampler.Account {
	var known sampler.Account
	for i := 0; i < len(moves); {
		first := moves[i]
		deal := sampler.Deal{Ad: first.Ad, Observed: hours(now.Sub(first.Began))}
		for ; i < len(moves) && moves[i].Deal == first.Deal; i++ {
			m := moves[i]
			deal.Steps = append(deal.Steps, sampler.Step{Hours: hours(m.At.Sub(m.Began)), Value: m.Value})
			deal.Won, deal.Lost = m.Stage == "closed_won", m.Stage == "closed_lost"
		}
		known.Deals = append(known.Deals, deal)
	}
	known.DealValue = sampler.TypicalDeal(known.Deals)
	return known
}

// hours is d in hours, never negative, to the second decimal: the ledger of
// decisions keeps every one of them.
func hours(d time.Duration) float64 { return math.Round(max(0, d.Hours())*100) / 100 }
