package allocate

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

const (
	dateOnly = time.DateOnly
	// lead is how many days before the replayed ones are read one by one; what is
	// older counts as one sum.
	lead = 30
)

// pastDays is what is stored of an account's days. Dates are the account's own.
type pastDays struct {
	account  *account
	from, to time.Time // the days to be replayed; zero where none has any spend
	known    time.Time // the morning after the last thing that is known
	ads      []pastAd
	days     map[string][]pastDay
	deals    sampler.Account
	// unvalued counts the ads whose value is known only as a total, and others
	// those beyond mostAds.
	unvalued, others int
}

// pastAd is an ad that spent money on the days to be replayed.
type pastAd struct {
	AdID       string
	Source     string
	Confidence float64
	Pipeline   money.Amount
	// First is the first stored day with spend: the ad's life begins there.
	First time.Time
	// Valued: the daily metrics have values. Converted: they have conversions, each
	// counted as Won.
	Valued, Converted bool
	Won               money.Amount
	// Of is how many such ads there are, within the limit and beyond it.
	Of int
}

// pastDay is what one day added to an ad's totals.
type pastDay struct {
	AdID                string
	Day                 time.Time
	Impressions, Clicks int64
	Spend               money.Amount
	Value, Cash         money.Amount
	Conversions         int64
}

// pastDays reads what a backtest of the account's last n days needs.
func (s store) pastDays(ctx context.Context, id string, n int) (pastDays, error) {
	p := pastDays{days: map[string][]pastDay{}}
	home, _, err := s.home(ctx)
	if err != nil {
		return p, fmt.Errorf("find tenant: %w", err)
	}
	if p.account, err = s.account(ctx, id); err != nil {
		return p, err
	}
	if p.account == nil {
		return p, errNoAccount
	}
	if p.to, err = s.lastDay(ctx, id); err != nil || p.to.IsZero() {
		return p, err
	}
	p.from, p.known = p.to.AddDate(0, 0, 1-n), p.to.AddDate(0, 0, 1)
	found, err := s.pastAds(ctx, id, p.from, p.to)
	if err != nil {
		return p, err
	}
	ledger := map[string]time.Time{} // the ads whose deals tell their value
	ids := []string{}
	for _, a := range found {
		p.others = a.Of - len(found)
		if a.Source == "ledger" && p.account.Currency == home {
			ledger[a.AdID] = a.First
		} else if !a.Valued && !a.Converted && a.Pipeline > 0 {
			p.unvalued++
			continue
		}
		p.ads, ids = append(p.ads, a), append(ids, a.AdID)
	}
	horizon := p.from.AddDate(0, 0, -lead)
	metrics, err := s.pastMetrics(ctx, ids, horizon, p.to)
	if err != nil {
		return p, err
	}
	p.add(metrics)
	if len(ledger) == 0 {
		return p, nil
	}
	values, err := s.pastValues(ctx, id, ledger, horizon)
	if err != nil {
		return p, err
	}
	p.credit(values, ledger)
	now, err := s.morning(ctx, id, p.known)
	if err != nil {
		return p, err
	}
	moves, err := s.moves(ctx, id, false, ids, recentDeals)
	p.deals = livesAt(moves, now)
	return p, err
}

func (p *pastDays) add(days []pastDay) {
	for _, d := range days {
		p.days[d.AdID] = append(p.days[d.AdID], d)
		if next := d.Day.AddDate(0, 0, 1); next.After(p.known) {
			p.known = next
		}
	}
}

// credit replaces the values that the daily metrics hold of the ledger's ads by
// the ledger's own.
func (p *pastDays) credit(values []pastDay, ledger map[string]time.Time) {
	for id := range ledger {
		for i := range p.days[id] {
			d := &p.days[id][i]
			d.Value, d.Cash, d.Conversions = 0, 0, 0
		}
	}
	p.add(values)
}

// request is the account as it stands, with every morning of the past, and how
// many days before now the first day to be replayed began.
func (p *pastDays) request() (req sampler.Request, ago int) {
	req = sampler.Request{Currency: p.account.Currency, Settings: thresholds(p.account), Account: p.deals}
	for _, a := range p.ads {
		req.Arms = append(req.Arms, a.arm(p.days[a.AdID], p.known))
	}
	return req, between(p.from, p.known)
}

// arm is the ad as it was known at the end of each of its days, and now.
func (a pastAd) arm(days []pastDay, known time.Time) sampler.Arm {
	life := max(between(a.First, known), 1)
	sums, start := make([]pastDay, life), life-1
	for _, d := range days {
		at := min(max(between(a.First, d.Day), 0), life-1)
		start = min(start, at)
		if a.Source != "ledger" && !a.Valued && a.Converted {
			d.Value = money.Amount(d.Conversions) * a.Won
			d.Cash = d.Value
		}
		sums[at].plus(d)
	}
	all := make([]sampler.Observation, 0, life-start)
	for i := start; i < life; i++ {
		if i > start {
			sums[i].plus(sums[i-1])
		}
		o := &sums[i]
		all = append(all, sampler.Observation{
			AgeHours: 24 * float64(i+1), Impressions: o.Impressions, Clicks: o.Clicks, Spend: o.Spend,
			Pipeline: o.Value, Cash: &o.Cash,
		})
	}
	now := all[len(all)-1]
	arm := sampler.Arm{
		ID: a.AdID, AgeHours: now.AgeHours, Impressions: now.Impressions, Clicks: now.Clicks, Spend: now.Spend,
		Pipeline: now.Pipeline, Cash: now.Cash, Past: all[:len(all)-1],
	}
	if a.Source == "ledger" {
		arm.Attribution = a.Confidence
	}
	return arm
}

func (d *pastDay) plus(e pastDay) {
	d.Impressions, d.Clicks, d.Spend = d.Impressions+e.Impressions, d.Clicks+e.Clicks, d.Spend+e.Spend
	d.Value, d.Cash = d.Value+e.Value, d.Cash+e.Cash
}

// valued reports whether any of the ads was ever worth anything.
func valued(req *sampler.Request) bool {
	for i := range req.Arms {
		a := &req.Arms[i]
		if a.Pipeline > 0 || slices.ContainsFunc(a.Past, func(o sampler.Observation) bool { return o.Pipeline > 0 }) {
			return true
		}
	}
	return false
}

// leftOut says for people which ads took no part.
func (p *pastDays) leftOut() []string {
	notes := []string{}
	if p.unvalued > 0 {
		notes = append(notes, fmt.Sprintf("%d ads are left out: their value is known only as a total to date, not by day.", p.unvalued))
	}
	if p.others > 0 {
		notes = append(notes, fmt.Sprintf("The %d ads that spent most on these days are compared; %d others are left out.",
			mostAds, p.others))
	}
	return notes
}

// between counts the days from one date to another.
func between(from, to time.Time) int { return int(math.Round(to.Sub(from).Hours() / 24)) }
