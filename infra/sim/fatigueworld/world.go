// Package fatigueworld invents ads' histories of which it is known whether they need
// action, to hold the detector against. It knows nothing of how the detector
// thinks: people scroll, tire and are bid for, and days differ.
package fatigueworld

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/geminivideo/geminivideo/shared/fatigue"
)

// Kind is what happens to an ad.
type Kind string

// The kinds.
const (
	Healthy     Kind = "healthy"
	VolumeNoise Kind = "volume noise"
	Weekdays    Kind = "weekday pattern"
	BudgetMove  Kind = "budget change"
	Decay       Kind = "CTR decay"
	Saturation  Kind = "saturation"
	Dearer      Kind = "CPM rise"
	Stalled     Kind = "stalled delivery"
)

// Kinds lists all of them.
func Kinds() []Kind {
	return []Kind{Healthy, VolumeNoise, Weekdays, BudgetMove, Decay, Saturation, Dearer, Stalled}
}

// NeedsAction reports whether such an ad tires.
func (k Kind) NeedsAction() bool {
	switch k {
	case Decay, Saturation, Dearer, Stalled, SlowDecline, OldFall, WeekendDecay:
		return true
	}
	return false
}

// Ad is an invented ad.
type Ad struct {
	Kind Kind
	Days []fatigue.Day
	// Context is what an advertiser knows beside the days.
	Context fatigue.Context
	// Volume is its usual number of impressions a day.
	Volume float64
	// Visible is false where the ad tires, but even who knew all the rates could
	// not tell it from the days: the newest two days had too few clicks, or too
	// few people.
	Visible bool
}

// truth is what a day is like before chance.
type truth struct{ seen, ctr, cpm, frequency float64 }

// New invents an ad of a kind.
func New(r *rand.Rand, kind Kind) Ad {
	if slices.Contains(Causes(), kind) {
		return caused(r, kind)
	}
	for {
		days := plan(r, kind)
		if fits(kind, days) {
			return live(r, kind, days)
		}
	}
}

// plan draws what would happen without chance.
func plan(r *rand.Rand, kind Kind) []truth {
	n := 5 + r.IntN(26)
	if kind == Stalled {
		n = 8 + r.IntN(23)
	}
	volume := exp(between(r, math.Log(30), math.Log(100_000)))
	ctr := exp(between(r, math.Log(0.006), math.Log(0.035)))
	cpm := exp(between(r, math.Log(4), math.Log(40)))
	cumulative := r.Float64() < 0.5
	people := between(r, 1.02, 1.5) // who see it on a day, see it so often
	audience := volume * float64(n) / between(r, 1.1, 2.6)
	if kind == Saturation {
		audience = volume * float64(n) / between(r, 3.9, 7)
	}
	drift := between(r, -0.06, 0.06)
	onset := float64(n) * between(r, 0.1, 0.75)
	fall := between(r, 0.3, 0.75)
	form := r.IntN(3)
	days := make([]truth, n)
	total := 0.0
	for i := range days {
		d := &days[i]
		along := float64(i) / float64(n-1)
		since := max(0, (float64(i)-onset)/(float64(n-1)-onset))
		*d = truth{seen: volume, ctr: ctr * (1 + drift*along), cpm: cpm * (1 - drift*along)}
		switch kind {
		case Decay:
			switch form {
			case 0: // people tire by seeing it again
				d.ctr *= math.Pow(1+since*(math.Pow(1-fall, -1/0.43)-1), -0.43)
			case 1: // a share a day
				d.ctr *= math.Pow(1-fall, since)
			default: // from one day to the next
				if since > 0 {
					d.ctr *= 1 - fall
				}
			}
		case Dearer:
			rise := 1 + fall*1.8
			if form == 0 {
				d.cpm *= 1 + (rise-1)*min(1, 1.5*since)
			} else {
				d.cpm *= math.Pow(rise, since)
			}
		case Stalled: // every day's money buys less
			week := max(0, float64(i-(n-8))/7)
			d.cpm *= 1 + between(r, 0, 0.02) + (0.25+fall/2)*week
		case Weekdays:
			wave := math.Sin(2 * math.Pi * (float64(i) + fall*10) / 7)
			d.ctr *= 1 + 0.12*wave
			d.cpm *= 1 - 0.10*wave
			d.seen *= 1 + 0.3*wave
		case BudgetMove:
			if since > 0 {
				d.seen *= 1 + 4*(fall-0.3)
				d.cpm *= 1.08
			}
		}
		total += d.seen
		if d.frequency = people * (1 + 0.2*along); cumulative || kind == Saturation {
			reached := audience * -math.Expm1(-total/audience)
			d.frequency = max(1, total/reached)
		}
	}
	return days
}

// fits reports whether the ad does what its kind says and nothing else, by the
// contract's words applied to what would happen without chance, with room between.
func fits(kind Kind, days []truth) bool {
	pool, newest := days[:max(1, len(days)-3)], days[len(days)-1]
	var seen, clicks, spend float64
	for _, d := range pool {
		seen, clicks, spend = seen+d.seen, clicks+d.seen*d.ctr, spend+d.seen*d.cpm
	}
	fall, rise := 1-newest.ctr/(clicks/seen), newest.cpm/(spend/seen)-1
	stalled := 0.0
	if n := len(days); n >= 7 {
		week := days[n-7]
		grown := newest.seen / week.seen
		if stalled = grown * (newest.cpm/week.cpm - 1); grown > 1.1 {
			stalled = 0
		}
	}
	switch kind {
	case Decay:
		return fall > 0.28 && newest.frequency < 3.2
	case Saturation:
		return newest.frequency > 3.8
	case Dearer:
		return rise > 0.62 && newest.frequency < 3.2
	case Stalled:
		return stalled > 0.3 && newest.frequency < 3.2
	default:
		return fall < 0.14 && rise < 0.35 && stalled < 0.14 && newest.frequency < 3.2
	}
}

// live lets the days happen.
func live(r *rand.Rand, kind Kind, plan []truth) Ad {
	restless := between(r, 0, 0.12) // how much a day's click rate differs
	auction := between(r, 0.02, 0.10)
	swing := between(r, 0.05, 0.25)
	if kind == VolumeNoise {
		swing = between(r, 0.4, 0.9)
	}
	a := Ad{Kind: kind, Days: happen(r, plan, restless, auction, swing), Volume: plan[0].seen}
	a.Visible = visible(kind, plan, a.Days)
	return a
}

// happen draws what chance makes of the days: how restless their click rate is, how
// much prices differ, and how much volume swings.
func happen(r *rand.Rand, plan []truth, restless, auction, swing float64) []fatigue.Day {
	days := make([]fatigue.Day, len(plan))
	for i, p := range plan {
		seen := int64(max(30, min(100_000, math.Round(p.seen*exp(swing*r.NormFloat64())))))
		mood := 1.0
		if restless > 0.005 {
			k := 1 / (restless * restless)
			mood = gamma(r, k) / k
		}
		clicks := binomial(r, seen, min(1, p.ctr*mood))
		noise := math.Hypot(auction, 0.8/math.Sqrt(float64(seen)))
		days[i] = fatigue.Day{
			Impressions: seen,
			CTR:         round(float64(clicks)/float64(seen), 1e6),
			CPM:         round(p.cpm*exp(noise*r.NormFloat64()), 100),
			Frequency:   round(max(1, p.frequency*exp(0.03*r.NormFloat64())), 100),
		}
	}
	return days
}

// visible reports whether one who knew the rates before and now would, on average,
// see them two standard errors apart in the counts of the newest day.
func visible(kind Kind, plan []truth, days []fatigue.Day) bool {
	newest, now := days[len(days)-1], plan[len(plan)-1]
	if newest.Impressions < 50 {
		return false
	}
	switch kind {
	case Decay:
		var before, seen float64
		for i := range max(1, len(days)-3) {
			n := float64(days[i].Impressions)
			before, seen = before+n*plan[i].ctr, seen+n
		}
		had := float64(newest.Impressions) * now.ctr
		usual := float64(newest.Impressions) * before / seen
		return (usual-had)/math.Sqrt(usual+usual*usual/before) > 2
	default:
		return true
	}
}

func between(r *rand.Rand, from, to float64) float64 { return from + (to-from)*r.Float64() }
func exp(x float64) float64                          { return math.Exp(x) }
func round(x, to float64) float64                    { return math.Round(x*to) / to }

// binomial counts who click, one by one or, of many, by the normal distribution.
func binomial(r *rand.Rand, n int64, p float64) int64 {
	if mean := float64(n) * p; mean > 200 {
		return max(0, min(n, int64(math.Round(mean+math.Sqrt(mean*(1-p))*r.NormFloat64()))))
	}
	var hits int64
	for at := int64(0); p > 0; hits++ { // the gaps between hits are geometric
		at += 1 + int64(math.Log(1-r.Float64())/math.Log1p(-p))
		if at > n {
			break
		}
	}
	return hits
}

// gamma draws from a Gamma distribution of shape k > 1 (Marsaglia and Tsang).
func gamma(r *rand.Rand, k float64) float64 {
	d := k - 1./3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v *= v * v
		if math.Log(r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
