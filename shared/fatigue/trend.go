package fatigue

import "math"

// line is a straight line through a figure of the days, and how sure it is.
type line struct {
	level, slope float64 // at the newest day, and per day
	sd           float64 // of the slope
	leverage     float64 // the sum of squares of the days about their mean
}

// line fits the days from first to before end.
func (h *history) line(first, end int, figure func(*day) float64) line {
	var n, x, y, xx, xy, yy float64
	for i := first; i < end; i++ {
		t, v := -float64(h.lag(i)), figure(&h.days[i])
		n, x, y, xx, xy, yy = n+1, x+t, y+v, xx+t*t, xy+t*v, yy+v*v
	}
	l := line{leverage: xx - x*x/n}
	if n < 3 || l.leverage <= 0 {
		return line{leverage: 1}
	}
	l.slope = (xy - x*y/n) / l.leverage
	l.level = y/n - l.slope*x/n
	rest := max(0, yy-y*y/n-l.slope*l.slope*l.leverage)
	l.sd = math.Sqrt(rest / max(1, n-2) / l.leverage)
	return l
}

const (
	// trendDays are the newest days that a trend is read from, and horizon how
	// far ahead one is believed.
	trendDays = 14
	horizon   = 60.0
	// tenth is the normal deviate that one in ten exceeds; a trend must be at
	// least that sure.
	tenth = 1.2816
)

// forecast says when the first rule will hold if the trends go on; nil where
// there is no trend that leads there.
func (h *history) forecast() *Forecast {
	first := 0
	for h.lag(first) >= trendDays {
		first++
	}
	if len(h.days)-first < leastDays+1 {
		return nil
	}
	seen, clicks, spend := h.pooled()
	var best *Forecast
	consider := func(rule Rule, limit, bad, counting float64, figure func(*day) float64) {
		for i := first; i < len(h.days); i++ {
			if figure(&h.days[i]) <= 0 {
				return
			}
		}
		log := func(d *day) float64 { return math.Log(figure(d)) }
		l := h.line(first, len(h.days), log)
		if bad*h.line(first, len(h.days)-1, log).slope < bad*l.slope/3 {
			return // one day is no trend
		}
		// The residuals may be small by luck; counting alone has its noise.
		sd := math.Sqrt(l.sd*l.sd + counting/l.leverage)
		if f := reaching(l, sd, limit, bad); f != nil && (best == nil || f.Days < best.Days) {
			f.Rule = rule
			best = f
		}
	}
	if clicks > 0 {
		perDay := clicks / float64(h.pool)
		consider(CTRFall, math.Log((1-MaxFall)*clicks/seen), -1, 1/perDay, func(d *day) float64 { return d.CTR })
	}
	consider(Frequency, math.Log(MaxFrequency), 1, 1e-4, func(d *day) float64 { return d.Frequency })
	if spend > 0 {
		consider(CPMRise, math.Log((1+MaxRise)*1000*spend/seen), 1, 1e-3, func(d *day) float64 { return d.CPM })
	}
	return best
}

// reaching returns when the line reaches the limit that lies in the direction bad,
// up or down: tomorrow at the soonest, since no rule holds yet.
func reaching(l line, sd, limit, bad float64) *Forecast {
	way, slope := bad*(limit-l.level), bad*l.slope
	if slope <= tenth*sd || way/slope > horizon {
		return nil
	}
	return &Forecast{
		Days: max(1, way/slope), Soonest: max(1, way/(slope+tenth*sd)), Longest: max(1, min(10*horizon, way/(slope-tenth*sd))),
	}
}
