package fatigue

import "math"

// quiet reports, for a fraction of what the full judgement costs, that no rule
// holds and that the clicks are enough to tell: most ads, on most days. It never
// says so of an ad of which the full judgement would say anything else; of the
// others it says nothing.
//
// Of the cells into which a shape's posterior is cut, half are on either side of
// its mode and weigh less the further they are from it. Where, for every shape, no
// more than the outer half of one side is beyond the limit, at most half of what
// is believed is, and a rule takes two thirds.
func (h *history) quiet() bool {
	d := h.newest()
	if d.Frequency > 0 {
		if mean, _ := h.seenBy(); mean > MaxFrequency {
			return false
		}
	}
	if h.mayDecline() {
		return false
	}
	all := h.clicked(func(*day) float64 { return 1 })
	low, high, ok := h.series().within(&all, math.Log(1-MaxFall))
	if !ok || high-low > 2*vagueness { // no deviation is more than half of the range
		return false
	}
	if d.CPM <= 0 {
		return true
	}
	prices, days := h.quotes(func(*day) float64 { return 1 })
	if days == nil {
		return true
	}
	_, _, ok = days.within(&prices, min(math.Log(1+MaxRise), leastDearer))
	return ok
}

// within reports that no shape has more than the outer half of one side beyond the
// limit, and between which moves the cells of all of them are.
func (s *series) within(e evidence, limit float64) (low, high float64, ok bool) {
	part := s.part[:len(s.lags)]
	for _, sh := range shapes {
		if sh.span > 1 && sh.span >= 2*s.span {
			continue
		}
		for i, lag := range s.lags {
			part[i] = sh.part(lag)
		}
		e.fit(part)
		mode, sd := peak(e)
		h := 2 * reach * sd / cells
		// A move is never less than the ratio to the baseline that it comes to.
		if limit < 0 && mode-2*h < limit || limit > 0 && mode+2*h > limit {
			return 0, 0, false
		}
		low, high = min(low, mode-cells/2*h), max(high, mode+cells/2*h)
	}
	return low, high, true
}
