package sampler

import (
	"math"
	"sync"
)

// The lives of an account's deals by numbers alone: when the deals of a click open,
// and when those that come to nothing are gone.

// countDays is how far back the account's counts teach.
const countDays = 120

// openings are how many days pass until most deals of a click are open, silences how
// many more until those that come to nothing are gone, and comings how many do.
var (
	openings = [...]float64{0.4, 1, 2.5, 6, 14}
	silences = [...]float64{4, 8, 15, 28, 60}
	comings  = [...]float64{0.2, 0.5, 0.75, 0.9}
)

const (
	usualOpening, openingSpread = 2.5, 1.2 // the median, and the standard deviation of the logarithm
	usualSilence, silenceSpread = 15, 0.8
	openingShape                = 1.5 // of the law of openings (Weibull)
)

// share is a share of a click's deals by the day since the click, and its integral.
type share struct{ at, sum [horizon + 1]float64 }

func (s *share) integrate() {
	for d := 1; d <= horizon; d++ {
		s.sum[d] = s.sum[d-1] + (s.at[d-1]+s.at[d])/2
	}
}

// add adds a weight of another share.
func (s *share) add(weight float64, other *share) {
	for d, x := range other.at {
		s.at[d] += weight * x
	}
}

// over is the mean share of clicks that are spread evenly between two lags in days.
func (s *share) over(from, to float64) float64 {
	if from = math.Max(0, from); to-from < 1e-6 {
		return at(&s.at, from)
	}
	return (until(&s.at, &s.sum, to) - until(&s.at, &s.sum, from)) / (to - from)
}

// daily is by how much the share of a day's clicks grows on each day from theirs on.
func (s *share) daily() (grows [countDays]float64) {
	was := 0.0
	for d := range grows {
		now := s.over(float64(d), float64(d+1))
		grows[d], was = now-was, now
	}
	return grows
}

// life is one of the laws that the account's may be a mixture of.
type life struct {
	opened      share
	gone        [len(silences)]share
	opens       [countDays]float64
	disappeared [len(silences)][countDays]float64
}

var lifeLaws = sync.OnceValue(func() *[len(openings)]life {
	all := new([len(openings)]life)
	for k, o := range openings {
		l := &all[k]
		for d := range l.opened.at {
			l.opened.at[d] = -math.Expm1(-math.Pow(float64(d)/o, openingShape))
		}
		l.opened.integrate()
		l.opens = l.opened.daily()
		for s, days := range silences {
			for d := range l.gone[s].at {
				l.gone[s].at[d] = l.opened.at[d] / (1 + math.Pow((o+days)/math.Max(float64(d), 0.1), 4))
			}
			l.gone[s].integrate()
			l.disappeared[s] = l.gone[s].daily()
		}
	}
	return all
})

// countDay is one day before now: clicks, each weighted by what its ad's clicks bring,
// and by how much the number of deals moved.
type countDay struct{ clicks, moved float64 }

// countDays spreads the rows' stretches over the days before now.
func (m *model) countDays(rows []int) []countDay {
	var all [countDays]countDay
	last := 0
	for _, i := range rows {
		a, hat := m.arm(i), m.expectedClicks(i)
		weight := (float64(*a.Deals) + 1) / (float64(a.Clicks) + 1)
		legs := m.armLegs(i)
		for k := range legs {
			l := &legs[k]
			from, to := (a.AgeHours-l.to)/24, (a.AgeHours-l.from)/24
			to = math.Max(to, from+1e-6)
			for d := int(from); float64(d) < to && d < countDays; d++ {
				part := (math.Min(to, float64(d+1)) - math.Max(from, float64(d))) / (to - from)
				all[d].clicks += part * weight * hat.of(l)
				all[d].moved += part * l.deals
				last = max(last, d+1)
			}
		}
	}
	return all[:last]
}

// learnLives returns the shares of a click's deals that have opened and that have
// gone, from how the number of all the rows' deals moved day by day: normal with the
// variance of what opens and what goes (Skellam), over a grid of laws.
func (m *model) learnLives(rows []int) (opened, gone *share) {
	days := m.countDays(rows)
	total := 0.0
	for _, d := range days {
		total += d.moved
	}
	laws := lifeLaws()
	var post [len(openings) * len(silences) * len(comings)]float64
	for o := range laws {
		for s := range silences {
			var in, out [countDays]float64 // per weighted click
			present, left := 0.0, 0.0
			for d, x := range days {
				for now := d; x.clicks > 0 && now >= 0; now-- {
					opens, goes := x.clicks*laws[o].opens[d-now], x.clicks*laws[o].disappeared[s][d-now]
					in[now], out[now] = in[now]+opens, out[now]+goes
					present, left = present+opens, left+goes
				}
			}
			for c, q := range comings {
				rate := (total + 1) / (present - q*left + 1)
				like := -sq(math.Log(openings[o]/usualOpening)/openingSpread)/2 - sq(math.Log(silences[s]/usualSilence)/silenceSpread)/2
				for d, x := range days {
					v := rate*(in[d]+q*out[d]) + 0.5
					like -= sq(x.moved-rate*(in[d]-q*out[d]))/(2*v) + math.Log(v)/2
				}
				// The ads' mix changes too, so that the days prove half of what they seem to.
				post[(o*len(silences)+s)*len(comings)+c] = like / 2
			}
		}
	}
	weigh(post[:])
	opened, gone = new(share), new(share)
	for k, w := range post {
		if w < 1e-4 {
			continue
		}
		law, s := &laws[k/len(comings)/len(silences)], k/len(comings)%len(silences)
		opened.add(w, &law.opened)
		gone.add(w*comings[k%len(comings)], &law.gone[s])
	}
	opened.integrate()
	gone.integrate()
	return opened, gone
}
