package world

import (
	"math"

	"github.com/geminivideo/geminivideo/shared/money"
)

// The policy of one who knows the account to the last constant (prices, click rates,
// wear, delays, what deals bring, how ads differ) and learns one thing from the CRM:
// how good each ad's leads are. It reads each deal's every step, where the request
// holds sums, and says how much of what the clairvoyant earns can be had at all
// before value has arrived.

// qualities is the grid of qualities, in standard deviations of what the click rate
// leaves open.
const qualities = 61

func standard(j int) float64 { return 4 * (2*float64(j)/(qualities-1) - 1) }

// withQuality sets what an ad's leads do at quality q.
func (a *Ad) withQuality(q, scale float64) {
	a.lead = scale * math.Exp(0.7*q)
	a.pass = [3]float64{chance(-0.9 + 0.8*q), chance(0.4 + 0.4*q), chance(-0.7 + 0.7*q)}
}

// passed is the share of a stage's steps that are made within days.
func (w *World) passed(stage int, days float64) float64 {
	if days <= 0 {
		return 0
	}
	x := 2 * days / w.steps[stage] // two exponential waits of half the mean each
	return 1 - math.Exp(-x)*(1+x)
}

// belief returns the posterior of ad a's quality on the grid, and its worth at each.
func (w *World) belief(a *Ad, day int) (post, worth [qualities]float64) {
	now := float64(day)
	exposure := 0.0
	for d, clicks := range a.clicksOf {
		// Leads come evenly through the day.
		for part := range 4 {
			exposure += clicks / 4 * w.passed(0, now-float64(d)-(float64(part)+0.5)/4)
		}
	}
	for j := range post {
		z := standard(j)
		b := Ad{}
		b.withQuality(w.expectedQuality(a)+w.qualitySpread()*z, w.scale)
		worth[j] = b.worth()
		like := -z * z / 2
		first := 0.0
		for _, d := range a.deals {
			like += w.lifeLikelihood(&d, &b, now, &first)
		}
		mean := exposure * b.lead * b.pass[0]
		post[j] = like + first*math.Log(mean+1e-300) - mean
	}
	top, sum := math.Inf(-1), 0.0
	for _, x := range post {
		top = math.Max(top, x)
	}
	for j := range post {
		post[j] = math.Exp(post[j] - top)
		sum += post[j]
	}
	for j := range post {
		post[j] /= sum
	}
	return post, worth
}

// lifeLikelihood is that of what a deal has done since its first stage, which it
// counts in first.
func (w *World) lifeLikelihood(d *deal, b *Ad, now float64, first *float64) (like float64) {
	for s := range d.moves {
		if m := d.moves[s]; m.day > now || m.value == 0 {
			break
		}
		if s == 0 {
			*first++
		}
		if s == len(b.pass)-1 {
			break
		}
		age, p := now-d.moves[s].day, b.pass[s+1]
		switch {
		case s+1 < len(d.moves) && d.moves[s+1].day <= now && d.moves[s+1].value > 0:
			like += math.Log(p)
		case s+1 < len(d.moves) && d.moves[s+1].day <= now:
			like += math.Log(1 - p)
		case age > w.stay: // silent for longer than a lost deal stays
			like += math.Log(p)
		default:
			like += math.Log(1 - p*w.passed(s+1, age))
		}
	}
	return like
}

func (w *World) expectedQuality(a *Ad) float64 { return w.apart * w.clickbait * a.ease }

func (w *World) qualitySpread() float64 { return w.apart * math.Sqrt(1-w.clickbait*w.clickbait) }

// withPrior splits the day's budget by Thompson sampling: the mean of the splits that
// draws of the posteriors ask for.
func (w *World) withPrior(day int, live []*Ad) []money.Amount {
	const draws = 64
	cumulated := make([][qualities]float64, len(live))
	worths := make([][qualities]float64, len(live))
	for i, a := range live {
		post, worth := w.belief(a, day)
		sum := 0.0
		for j, p := range post {
			sum += p
			cumulated[i][j] = sum
		}
		worths[i] = worth
	}
	budgets := make([]money.Amount, len(live))
	for k := range draws {
		r := w.stream(-1, day, k)
		drawn := make([]float64, len(live))
		for i := range live {
			u, j := r.Float64(), 0
			for j < qualities-1 && cumulated[i][j] < u {
				j++
			}
			drawn[i] = worths[i][j]
		}
		for i, b := range w.divide(live, drawn) {
			budgets[i] += b / money.Amount(draws)
		}
	}
	return budgets
}
