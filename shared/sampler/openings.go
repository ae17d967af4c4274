package sampler

import "math"

// Where the ledger tells the lives of the ads' deals, a page that stops bringing leads
// shows as soon as the deals of its last clicks have opened: each deal's first value
// is an event of its own, and what happens to older deals does not blur it.

// openedDeals is when the deals opened that are credited to each row, in days ago.
type openedDeals struct {
	byRow [][]float64
	// since is how many days of clicks the known deals are of.
	since float64
	after share // the share of a click's deals that have opened, by days since the click
}

// learnOpened returns the rows' opened deals, nil where the ledger tells nothing.
func (m *model) learnOpened() *openedDeals {
	deals := m.req.Account.Deals
	out := &openedDeals{}
	rowOf := map[string]int{}
	var post [len(openings)]float64
	for k, o := range openings {
		post[k] = -sq(math.Log(o/usualOpening)/openingSpread) / 2
	}
	for j := range deals {
		d := &deals[j]
		if d.Ad == "" || len(d.Steps) == 0 {
			continue
		}
		if out.byRow == nil {
			out.byRow = make([][]float64, len(m.rows))
			for i := range m.rows {
				rowOf[m.arm(i).ID] = i
			}
		}
		lag, seen := d.Steps[0].Hours/24, d.Observed/24
		out.since = math.Max(out.since, seen)
		for k, o := range openings {
			post[k] += openingLikelihood(math.Max(lag, 0.05)/o, math.Max(seen, 0.1)/o) - math.Log(o)
		}
		if i, ok := rowOf[d.Ad]; ok {
			out.byRow[i] = append(out.byRow[i], seen-lag)
		}
	}
	if out.byRow == nil {
		return nil
	}
	weigh(post[:])
	laws := lifeLaws()
	for k, w := range post {
		out.after.add(w, &laws[k].opened)
	}
	out.after.integrate()
	return out
}

// openingLikelihood is that of a lag, up to a constant, of a deal that is seen: it has
// opened by now, and so the law is cut off there.
func openingLikelihood(lag, now float64) float64 {
	return (openingShape-1)*math.Log(lag) - math.Pow(lag, openingShape) - math.Log(-math.Expm1(-math.Pow(now, openingShape)))
}

// rate is how many deals a click of the account opens.
func (o *openedDeals) rate(m *model, rows []int) float64 {
	deals, clicks := 0.0, 0.0
	for _, i := range rows {
		_, all := o.expected(m, i, 0)
		w := 1 / (1 + all/1000)
		deals, clicks = deals+w*float64(len(o.byRow[i])), clicks+w*all
	}
	return (deals + 0.1) / (clicks + 0.1/dealsPerClick)
}

// expected returns of how many clicks the deals should have opened by so many days
// ago, and how many more clicks' by now: of those that were before then, and later.
func (o *openedDeals) expected(m *model, i int, days float64) (x countWindow, before float64) {
	a, hat := m.arm(i), m.expectedClicks(i)
	for _, l := range m.armLegs(i) {
		from, to := (a.AgeHours-l.to)/24, math.Min((a.AgeHours-l.from)/24, o.since)
		if to < from || to <= 0 {
			continue
		}
		c, all := hat.of(&l), (l.to-l.from)/24
		part := func(from, to float64) float64 { // of the leg's clicks
			if all <= 1e-6 {
				return c
			}
			return c * (to - from) / all
		}
		if from < days {
			end := math.Min(to, days)
			x.fresh += part(from, end) * o.after.over(from, end)
		}
		if to > days {
			start := math.Max(from, days)
			n, by := part(start, to), o.after.over(start-days, to-days)
			before += n * by
			x.old += n * (o.after.over(start, to) - by)
		}
	}
	return x, before
}

// window is row i's window of so many days, where a click of the account opens rate deals.
func (o *openedDeals) window(m *model, i int, days, rate float64) countWindow {
	know := math.Min(known(m.arm(i).AgeHours, days), known(24*o.since, days))
	if know == 0 {
		return countWindow{}
	}
	x, before := o.expected(m, i, days)
	had := 0.0
	for _, ago := range o.byRow[i] {
		if ago > days {
			had++
		} else {
			x.moved++
		}
	}
	own := (sellShape + had) / (sellShape/rate + before)
	x.old, x.fresh, x.known = own*x.old, own*x.fresh, know
	x.doubt = countDoubt + 1/(sellShape+had)
	return x
}
