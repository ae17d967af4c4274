package fatigue

import "math"

// vagueness is how uncertain the log of a CTR's move may be before the clicks are
// said to tell nothing: three quarters of what was not known before them.
const vagueness = 0.75 * spread

// signals decides every rule. vague is set where the clicks cannot tell a fall.
func (h *history) signals() (signals []Signal, vague bool) {
	ctr, blur := h.ctr()
	signals = append(signals, ctr)
	if f, ok := h.frequency(); ok {
		signals = append(signals, f)
	}
	cpm, delivery := h.cpm()
	for _, s := range []*Signal{cpm, delivery} {
		if s != nil {
			signals = append(signals, *s)
		}
	}
	return signals, blur > vagueness
}

// ctr decides whether the CTR fell: on the newest day beside the pooled days, or in
// the whole last week beside the first. It must have, for the ad itself and, where
// the account is known, beside its account; and nothing else may explain it.
func (h *history) ctr() (Signal, float64) {
	limit := math.Log(1 - MaxFall)
	seen, clicks, _ := h.pooled()
	s := Signal{Rule: CTRFall, Limit: MaxFall}
	if clicks > 0 {
		s.Observed = h.newest().CTR/(clicks/seen) - 1
	}
	itself := func(*day) float64 { return 1 }
	alone := h.fall(limit, itself)
	s.Probability = alone.beyond
	h.explain(&s, func() bool { return h.onlyWeekday(s.Observed) }, h.ctrIsBack)
	if s.Explained != "" || !s.Holds() {
		if p, observed := h.decline(limit, itself); p > Sure {
			s.Probability, s.Observed, s.Slow, s.Explained = p, observed, true, ""
			h.explain(&s, func() bool { return false }, h.ctrIsBack)
		}
	}
	s.Alone = s.Holds()
	if h.againstCTR && s.Alone {
		usual := h.usual(func(d *day) float64 { return d.account.CTR })
		beside := func(d *day) float64 {
			if d.account.CTR <= 0 {
				return 1
			}
			return d.account.CTR / usual
		}
		p := h.fall(limit, beside).beyond
		if s.Slow {
			p, _ = h.decline(limit, beside)
		}
		if p <= Sure {
			s.Explained = ByAccount
		}
		s.Probability = min(s.Probability, p)
	}
	return s, alone.blur
}

func (h *history) ctrIsBack() bool {
	return h.isBack(1, (*day).clicks, func(d *day) float64 { return float64(d.Impressions) })
}

// fall judges the clicks on impressions, each day's counting for scale of what it
// was.
func (h *history) fall(limit float64, scale func(*day) float64) posterior {
	all := h.clicked(scale)
	days := h.series()
	p := days.judge(&all, limit, nil)
	if p.beyond > Sure {
		own := counts{clicks: ends(all.clicks, h.pool), seen: ends(all.seen, h.pool)}
		p.beyond = days.unless(p.beyond, &own, limit)
	}
	return p
}

// clicked is the evidence of the clicks.
func (h *history) clicked(scale func(*day) float64) counts {
	n := len(h.days)
	all := counts{clicks: h.room.take(n), seen: h.room.take(n), mixed: mixed{part: h.room.take(n)[:0], weight: h.room.take(n)[:0]}}
	for i := range h.days {
		d := &h.days[i]
		all.clicks[i], all.seen[i] = d.clicks(), float64(d.Impressions)*scale(d)
	}
	all.temper()
	return all
}

// unless returns p, unless the newest day by itself, beside the baseline, says
// that it is most likely wrong. own is the evidence of those days alone.
func (s *series) unless(p float64, own evidence, limit float64) float64 {
	two := series{lags: make([]float64, s.pool+1), weight: ends(s.weight, s.pool), part: make([]float64, s.pool+1), pool: s.pool}
	for i := range s.pool {
		two.lags[i] = 1
	}
	if newest := two.judge(own, limit, nil).moved; newest < 1-Sure {
		return min(p, newest)
	}
	return p
}

// ends returns the values of the baseline's days and of the newest.
func ends(of []float64, pool int) []float64 {
	return append(append(make([]float64, 0, pool+1), of[:pool]...), of[len(of)-1])
}

func (h *history) series() *series {
	n := len(h.days)
	s := &series{lags: h.room.take(n), weight: h.room.take(n), part: h.room.take(n), pool: h.pool, span: h.lag(0)}
	for i := range h.days {
		s.lags[i], s.weight[i] = float64(h.lag(i)), float64(h.days[i].Impressions)
	}
	return s
}

// usual is the mean of an account's figure over the days that have it.
func (h *history) usual(figure func(*day) float64) float64 {
	sum, n := 0.0, 0.0
	for i := range h.days {
		if v := figure(&h.days[i]); v > 0 {
			sum, n = sum+v, n+1
		}
	}
	return sum / n
}

// frequency decides whether people have seen the ad too often, where it is known.
// A few people say little: the count of people is taken together with four who
// saw it 1.5 times each.
func (h *history) frequency() (Signal, bool) {
	d := h.newest()
	if d.Frequency <= 0 {
		return Signal{}, false
	}
	mean, impressions := h.seenBy()
	noise := h.noise(func(d *day) float64 { return d.Frequency }, 0.03, 2)
	sd := math.Sqrt(noise*noise + 1/impressions)
	return Signal{
		Rule: Frequency, Limit: MaxFrequency, Observed: d.Frequency,
		Probability: normal(math.Log(mean/MaxFrequency) / sd),
	}, true
}

// seenBy is how often the newest day's people saw the ad, and the impressions that
// this is of.
func (h *history) seenBy() (mean, impressions float64) {
	const people, usual = 4, 1.5
	d := h.newest()
	seen := float64(d.Impressions)
	return (seen + people*usual) / (seen/d.Frequency + people), seen + people*usual
}

// The noise of a CPM from day to day before any day was seen, and how many days
// that is worth. A thousand impressions have a price to a day; fewer have the
// price of single auctions besides.
const (
	cpmNoise  = 0.05
	cpmBefore = 3
	auctions  = 100
)

// cpm decides whether the CPM rose, and whether delivery is saturated: spend grew
// and impressions did not.
func (h *history) cpm() (rise, delivery *Signal) {
	alone := h.price(func(*day) float64 { return 1 })
	if alone == nil {
		return nil, nil
	}
	seen, _, spend := h.pooled()
	rise = &Signal{Rule: CPMRise, Limit: MaxRise, Probability: alone.rise, Observed: h.newest().CPM/(1000*spend/seen) - 1}
	if alone.week {
		delivery = &Signal{Rule: Delivery, Limit: MostOutgrown, Probability: alone.outgrown, Observed: alone.observed}
	}
	never := func() bool { return false }
	h.explain(rise, never, func() bool {
		return h.isBack(-1, (*day).spend, func(d *day) float64 { return float64(d.Impressions) })
	})
	if delivery != nil {
		h.explain(delivery, never, never)
	}
	rise.Alone = rise.Holds()
	if !h.againstCPM || !rise.Holds() && (delivery == nil || !delivery.Holds()) {
		return rise, delivery
	}
	usual := h.usual(func(d *day) float64 { return d.account.CPM })
	beside := h.price(func(d *day) float64 {
		if d.account.CPM <= 0 {
			return 1
		}
		return d.account.CPM / usual
	})
	for s, p := range map[*Signal]float64{rise: beside.rise, delivery: beside.outgrown} {
		if s != nil && s.Holds() {
			if p <= Sure {
				s.Explained = ByAccount
			}
			s.Probability = min(s.Probability, p)
		}
	}
	return rise, delivery
}

// priced is what the CPMs say.
type priced struct {
	rise, outgrown, observed float64
	week                     bool // there are seven days to compare
}

// price judges the CPMs, each divided by what scale says of its day; nil where
// they are not known.
func (h *history) price(scale func(*day) float64) *priced {
	if h.newest().CPM <= 0 {
		return nil
	}
	all, s := h.quotes(scale)
	if s == nil {
		return nil
	}
	out := &priced{}
	var each func(float64, shape, float64)
	week, ok := h.week()
	if ok {
		out.week, out.observed = true, week.observed
		each = func(p float64, sh shape, move float64) {
			out.outgrown += p * week.saturated(move*(1-sh.part(float64(week.lag))))
		}
	}
	p := s.judge(&all, math.Log(1+MaxRise), each)
	out.rise = p.beyond
	if out.rise > Sure {
		own := all
		own.logs, own.weight = ends(all.logs, s.pool), ends(all.weight, s.pool)
		out.rise = s.unless(out.rise, &own, math.Log(1+MaxRise))
	}
	return out
}

// quotes is the evidence of the prices, and its days; nil where too few are known.
func (h *history) quotes(scale func(*day) float64) (prices, *series) {
	n := len(h.days)
	s := &series{span: h.lag(0), lags: h.room.take(n)[:0], weight: h.room.take(n)[:0], part: h.room.take(n)}
	all := prices{noise: cpmNoise, before: cpmBefore, logs: h.room.take(n)[:0], weight: h.room.take(n)[:0]}
	for i := range h.days {
		d := &h.days[i]
		if d.CPM <= 0 {
			continue
		}
		if i < h.pool {
			s.pool++
		}
		s.lags = append(s.lags, float64(h.lag(i)))
		s.weight = append(s.weight, float64(d.Impressions))
		all.logs = append(all.logs, math.Log(d.CPM/scale(d)))
		all.weight = append(all.weight, 1/(1+auctions/float64(d.Impressions)))
	}
	if s.pool == 0 || len(all.logs) < leastDays {
		return all, nil
	}
	return all, s
}

// week returns the last seven days, where there are as many.
func (h *history) week() (w week, ok bool) {
	first := len(h.days) - 1
	for first > 0 && h.lag(first-1) <= 6 {
		first--
	}
	w.lag = h.lag(first)
	if w.lag < 6 {
		return w, false
	}
	then, now := &h.days[first], h.newest()
	if then.CPM <= 0 || len(h.days)-first < 5 {
		return w, false
	}
	grown := float64(now.Impressions) / float64(then.Impressions)
	w.observed = now.spend()/then.spend() - grown
	line := h.line(first, len(h.days), func(d *day) float64 { return math.Log(float64(d.Impressions)) })
	noise := h.noise(func(d *day) float64 { return float64(d.Impressions) }, 0.1, 2)
	w.weigh(6*line.slope, 6*noise/math.Sqrt(line.leverage))
	return w, true
}
