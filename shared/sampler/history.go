package sampler

import (
	"math"

	"github.com/geminivideo/geminivideo/shared/money"
)

// leg is a stretch of an ad's delivery between two ages at which its totals are known.
type leg struct {
	from, to        float64 // age in hours
	imp, clk, spend float64
	before          float64 // impressions before it
	open, won       float64 // change of the open and of the won value; NaN where unknown
}

// daily is the money spent per day in the leg. A leg shorter than a day counts
// as one: budgets are daily, and an ad of one hour has not shown a day's rate.
func (l *leg) daily() float64 { return l.spend * 24 / math.Max(l.to-l.from, 24) }

// appendLegs appends the delivery of a, oldest first. Where nothing but totals
// is known it is one leg over the whole life. It returns the last totals that were
// told before these, nil where none were.
func appendLegs(legs []leg, a *Arm) (_ []leg, was *Observation) {
	now := totals(a)
	if len(a.Days) > len(a.Past) {
		for i := range a.Past {
			if p := &a.Past[i]; follows(now, *p) && p.AgeHours < now.AgeHours {
				was = p
			}
		}
		return appendDays(legs, a, now), was
	}
	last := Observation{}
	before := 0.0
	for i := 0; i <= len(a.Past); i++ {
		next := now
		if i < len(a.Past) {
			next = a.Past[i]
			if !follows(next, last) || !follows(now, next) || next.AgeHours >= now.AgeHours {
				continue // a reset, a correction or a repeat: it tells of no stretch
			}
		}
		l := leg{
			from: last.AgeHours, to: math.Max(next.AgeHours, last.AgeHours),
			imp: float64(next.Impressions - last.Impressions), clk: float64(next.Clicks - last.Clicks),
			spend: float64(next.Spend - last.Spend), before: before, open: math.NaN(), won: math.NaN(),
		}
		if cash, had := next.Cash, last.Cash; i == 0 || last.AgeHours == 0 && had == nil {
			l.open, l.won = value(next.Pipeline, cash)
		} else if (cash == nil) == (had == nil) {
			o1, w1 := value(next.Pipeline, cash)
			o0, w0 := value(last.Pipeline, had)
			l.open, l.won = o1-o0, w1-w0
		}
		before += l.imp
		legs = append(legs, l)
		last = next
		if i < len(a.Past) {
			was = &a.Past[i]
		}
	}
	return legs, was
}

// appendDays appends the stored days, and what the totals hold beyond them as
// one leg before the first.
func appendDays(legs []leg, a *Arm, now Observation) []leg {
	var imp, clk int64
	var spend float64
	for _, d := range a.Days {
		imp, clk, spend = imp+d.Impressions, clk+d.Clicks, spend+float64(d.Spend)
	}
	start := clamp(a.Days[0].AgeHours-24, 0, now.AgeHours)
	first := leg{
		to: start, imp: math.Max(0, float64(now.Impressions-imp)), clk: math.Max(0, float64(now.Clicks-clk)),
		spend: math.Max(0, float64(now.Spend)-spend), open: math.NaN(), won: math.NaN(),
	}
	if first.imp > 0 || first.clk > 0 || first.spend > 0 {
		legs = append(legs, first)
	}
	before := first.imp
	for _, d := range a.Days {
		l := leg{
			from: clamp(d.AgeHours-24, 0, now.AgeHours), to: clamp(d.AgeHours, 0, now.AgeHours),
			imp: float64(d.Impressions), clk: float64(d.Clicks), spend: float64(d.Spend),
			before: before, open: math.NaN(), won: math.NaN(),
		}
		before += l.imp
		legs = append(legs, l)
	}
	return legs
}

// totals is the arm's present as an observation.
func totals(a *Arm) Observation {
	return Observation{
		AgeHours: a.AgeHours, Impressions: a.Impressions, Clicks: a.Clicks,
		Spend: a.Spend, Pipeline: a.Pipeline, Cash: a.Cash,
	}
}

// follows reports whether b can be the same ad later than a.
func follows(b, a Observation) bool {
	return b.AgeHours >= a.AgeHours && b.Impressions >= a.Impressions && b.Clicks >= a.Clicks && b.Spend >= a.Spend
}

// value splits a pipeline value into its open and its won part.
func value(pipeline money.Amount, cash *money.Amount) (open, won float64) {
	if cash == nil {
		return float64(pipeline), 0
	}
	return math.Max(0, float64(pipeline-*cash)), float64(*cash)
}
