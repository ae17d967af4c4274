package sweep

import (
	"cmp"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/geminivideo/geminivideo/shared/fatigue"
	"github.com/geminivideo/geminivideo/shared/money"
)

// ads is a batch: some thousand ads with their days.
type ads struct {
	now      time.Time
	from     place // behind that ad
	partial  bool  // it does not hold all ads of its first tenant
	keys     []key
	accounts []*account
}

// key is an active ad.
type key struct {
	tenant, account, ad string
	impressions         int64
	was, is             fatigue.Status
	ctr, cpm            *float64 // what its own days show of a fall; nil where they show none
	stored              bool     // what it was
	of                  int      // its account's place
	days                []row    // oldest first
}

// account is one of a batch's.
type account struct {
	tenant, id string
	members    []int   // its ads' places
	today      int32   // in its time zone
	unit       float64 // minor units in one of its currency
	currency   money.Currency
	medians    *medians
	together   []fall
}

// divide finds the accounts of the batch. Where there may be more ads than were read,
// those of the last tenant, which may go on, are left to the next batch and
// returned, but where they are all there is.
func (b *ads) divide(full bool) (left []key) {
	first, last := b.keys[0].tenant, b.keys[len(b.keys)-1].tenant
	if full && first != last {
		at := slices.IndexFunc(b.keys, func(k key) bool { return k.tenant == last })
		b.keys, left = b.keys[:at], b.keys[at:]
	}
	b.partial = full && first == last || b.from.ad != "" && b.from.tenant == first
	b.accounts = b.accounts[:0]
	type id struct{ tenant, account string }
	known := map[id]int{}
	for i := range b.keys {
		k := &b.keys[i]
		at, ok := known[id{k.tenant, k.account}]
		if !ok {
			at = len(b.accounts)
			known[id{k.tenant, k.account}] = at
			b.accounts = append(b.accounts, &account{tenant: k.tenant, id: k.account})
		}
		k.of = at
		b.accounts[at].members = append(b.accounts[at].members, i)
	}
	return left
}

// An account's median is of its largest ads, sampled at most: more would not move
// it. Of a day it takes ads with leastImpressions, and at least leastOthers beside
// the ad that is judged: in an account of two, the other one says what the account
// did. POST /api/ml/fatigue/check has the same numbers.
const (
	sampled          = 200
	leastImpressions = 100
	leastOthers      = 1
)

// medians are the sorted CTRs and CPMs of an account's sample, by day.
type medians struct {
	from int32
	ctr  [window + 2][]float64
	cpm  [window + 2][]float64
	of   map[string]bool // the ads that they are of
	// sample says that they are of an account that no batch holds; together is what
	// the sample's ads do together.
	sample   bool
	together []fall
}

// compare gives every account its medians: those of large where the batch does not
// hold all of the first tenant's ads.
func (b *ads) compare(large map[string]*medians) {
	for _, a := range b.accounts {
		if b.partial && a.tenant == b.keys[0].tenant && large[a.id] != nil {
			a.medians = large[a.id]
		} else {
			a.medians = b.mediansOf(a)
		}
	}
}

func (b *ads) mediansOf(a *account) *medians {
	m := &medians{of: map[string]bool{}, from: dayOf(b.since())}
	chosen := a.members
	if len(chosen) > sampled {
		slices.SortFunc(chosen, func(x, y int) int {
			return cmp.Or(cmp.Compare(b.keys[y].impressions, b.keys[x].impressions), cmp.Compare(b.keys[x].ad, b.keys[y].ad))
		})
		chosen = chosen[:sampled]
	}
	for _, i := range chosen {
		m.of[b.keys[i].ad] = true
		for _, r := range b.keys[i].days {
			if at := int(r.day - m.from); at >= 0 && at < len(m.ctr) && r.impressions >= leastImpressions {
				m.ctr[at] = append(m.ctr[at], r.ctr())
				m.cpm[at] = append(m.cpm[at], r.cpm(a.unit))
			}
		}
	}
	for at := range m.ctr {
		slices.Sort(m.ctr[at])
		slices.Sort(m.cpm[at])
	}
	return m
}

func (r *row) ctr() float64 { return float64(r.clicks) / float64(r.impressions) }
func (r *row) cpm(unit float64) float64 {
	return 1000 * float64(r.spend) / unit / float64(r.impressions)
}

// at returns the medians of the others on a row's day; those of the sample
// without the ad itself where that is in it.
func (m *medians) at(r *row, unit float64, within bool) fatigue.Median {
	i := int(r.day - m.from)
	if i < 0 || i >= len(m.ctr) {
		return fatigue.Median{}
	}
	if within = within && r.impressions >= leastImpressions; !within {
		return fatigue.Median{CTR: middle(m.ctr[i], -1), CPM: middle(m.cpm[i], -1)}
	}
	return fatigue.Median{CTR: middle(m.ctr[i], r.ctr()), CPM: middle(m.cpm[i], r.cpm(unit))}
}

// middle is the median of sorted values, without one that is own; 0 where fewer
// than leastOthers are left.
func middle(sorted []float64, own float64) float64 {
	n, skip := len(sorted), math.MaxInt
	if at, found := slices.BinarySearch(sorted, own); found {
		n, skip = n-1, at
	}
	if n < leastOthers {
		return 0
	}
	value := func(i int) float64 {
		if i >= skip {
			i++
		}
		return sorted[i]
	}
	return (value((n-1)/2) + value(n/2)) / 2
}

// judge decides every ad's status.
func (b *ads) judge() {
	inParts(len(b.keys), func(first, end int) {
		var decider fatigue.Decider
		var days []fatigue.Day
		var beside []fatigue.Median
		for i := first; i < end; i++ {
			days, beside = b.history(i, days[:0], beside[:0])
			d := decider.Decide(days, fatigue.Context{Account: beside})
			b.keys[i].is, b.keys[i].ctr, b.keys[i].cpm = d.Status, d.CTR, d.CPM
		}
	})
	b.falls()
}

// inParts has some of n done at a time, on all processors.
func inParts(n int, do func(first, end int)) {
	const share = 250
	var (
		group sync.WaitGroup
		next  atomic.Int64
	)
	for range min(runtime.GOMAXPROCS(0), (n+share-1)/share) {
		group.Go(func() {
			for {
				end := int(next.Add(share))
				if end-share >= n {
					return
				}
				do(end-share, min(end, n))
			}
		})
	}
	group.Wait()
}

// history returns an ad's days, and its account's medians beside them; none where
// the newest is too old to say anything of today.
func (b *ads) history(i int, days []fatigue.Day, beside []fatigue.Median) ([]fatigue.Day, []fatigue.Median) {
	k := &b.keys[i]
	a := b.accounts[k.of]
	rows := k.days
	for len(rows) > 0 && rows[len(rows)-1].day > a.today {
		rows = rows[:len(rows)-1]
	}
	rows = unfinished(rows, a.today)
	if len(rows) == 0 || rows[len(rows)-1].day < a.today-stale {
		return days, beside
	}
	within := a.medians.of[k.ad]
	for j := max(0, len(rows)-window); j < len(rows); j++ {
		r := &rows[j]
		d := fatigue.Day{Date: r.date(), Impressions: r.impressions, Frequency: float64(r.frequency)}
		if r.impressions > 0 {
			d.CTR, d.CPM = r.ctr(), r.cpm(a.unit)
		}
		days = append(days, d)
		beside = append(beside, a.medians.at(r, a.unit, within))
	}
	return days, beside
}

// unfinished leaves out today while it is young: until it has half of yesterday's
// impressions it says less of the ad than yesterday does.
func unfinished(rows []row, today int32) []row {
	n := len(rows)
	if n < 4 || rows[n-1].day != today || 2*rows[n-1].impressions >= rows[n-2].impressions {
		return rows
	}
	return rows[:n-1]
}

// verdict is the whole judgement of an ad, with what else is known of it.
func (b *ads) verdict(i int32, budgets []time.Time, learning bool) fatigue.Verdict {
	days, beside := b.history(int(i), nil, nil)
	return fatigue.Judge(days, fatigue.Context{
		Account: beside, BudgetChanged: budgets, Learning: learning, Currency: b.accounts[b.keys[i].of].currency,
	})
}
