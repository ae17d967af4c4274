package fatigue

import (
	"slices"
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
)

// day is a day with impressions, and its account beside it.
type day struct {
	Day
	at      int // days since the first
	account Median
}

// history is an ad's days with impressions, made ready to be judged.
type history struct {
	days []day
	// pool is how many of the first days are the baseline: those before the last
	// three, or the first where there are no more.
	pool int
	// againstCTR and againstCPM: enough of the account is known.
	againstCTR, againstCPM bool
	// learning and budgetMoved explain moves of CTR and CPM.
	learning, budgetMoved bool
	currency              money.Currency

	room scratch
}

// scratch is memory for numbers that live as long as one judgement.
type scratch []float64

// take returns n zeros.
func (s *scratch) take(n int) []float64 {
	if len(*s)+n > cap(*s) { // what was taken stays with its takers
		*s = make(scratch, 0, max(64, 2*cap(*s), n))
	}
	from := len(*s)
	*s = (*s)[:from+n]
	clear((*s)[from:])
	return (*s)[from : from+n : from+n]
}

// fill takes the days that had impressions. Their places in time are their dates
// where all have one, and else their places in the list.
func (h *history) fill(all []Day, context Context) {
	dated := true
	for _, d := range all {
		dated = dated && !d.Date.IsZero()
	}
	h.days, h.room = slices.Grow(h.days[:0], len(all)), h.room[:0]
	for i, d := range all {
		if d.Impressions <= 0 {
			continue
		}
		one := day{Day: d, at: i}
		if dated {
			one.at = int(d.Date.Sub(all[0].Date).Round(24*time.Hour) / (24 * time.Hour))
		}
		if len(context.Account) == len(all) {
			one.account = context.Account[i]
		}
		h.days = append(h.days, one)
	}
	h.pool = max(1, len(h.days)-3)
	h.learning, h.budgetMoved, h.currency = context.Learning, false, context.Currency
	if len(h.days) == 0 {
		return
	}
	h.budgetMoved = h.movedWithin(context.BudgetChanged)
	h.againstCTR = h.known(func(d *day) float64 { return d.account.CTR })
	h.againstCPM = h.known(func(d *day) float64 { return d.account.CPM })
}

// known reports whether the account's figure is there for the newest day and for
// at least half of the baseline.
func (h *history) known(figure func(*day) float64) bool {
	if figure(h.newest()) <= 0 {
		return false
	}
	n := 0
	for i := range h.days[:h.pool] {
		if figure(&h.days[i]) > 0 {
			n++
		}
	}
	return 2*n >= h.pool
}

func (h *history) newest() *day { return &h.days[len(h.days)-1] }

// lag is how many days before the newest day i was.
func (h *history) lag(i int) int { return h.newest().at - h.days[i].at }

// clicks and spend are what the rates say that a day had.
func (d *day) clicks() float64 { return d.CTR * float64(d.Impressions) }
func (d *day) spend() float64  { return d.CPM * float64(d.Impressions) / 1000 }

// pooled is what the baseline's days had together.
func (h *history) pooled() (impressions, clicks, spend float64) {
	for i := range h.days[:h.pool] {
		d := &h.days[i]
		impressions += float64(d.Impressions)
		clicks += d.clicks()
		spend += d.spend()
	}
	return impressions, clicks, spend
}
