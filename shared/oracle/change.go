package oracle

import (
	"fmt"
	"math"
)

// What a fit takes over from the ads before a change of taste.
const (
	leastBefore = 60 // ads, to take anything over
	// How many ads, and columns, what they say of the variances is worth.
	carriedAds, carriedColumns = 20, 30
	// shareDoubt is how many columns it takes to believe that a feature matters more, or
	// less, than the others of its group.
	shareDoubt = 2
	// slopeMean and slopeError are believed of the share of the taste that is still what
	// it was, and otherwise is the variance of an ad around that share.
	slopeMean, slopeError, otherwise = 0.5, 0.5, 0.4
	// grown is by what share a model must know more ads since the change to serve though
	// it is not better beyond noise: a model of twenty ads soon is out of date.
	grown = 0.2
)

// carried is what a fit begins with after a change of taste.
type carried struct {
	belief belief
	share  []float64 // by column: its effect's variance over that of its group; nil for 1
	mean   []float64 // by column: its effect's mean; nil for 0
}

// carry learns from the ads before a change of taste what the change probably leaves as
// it was: how much features matter at all, by group and by feature (the evidence
// procedure with a variance for each: MacKay 1992; Tipping 2001), and the share of the
// old effects that the new ads still show, which becomes the mean of the new ones
// (a discounted prior of historical data: Ibrahim & Chen 2000, with the discount
// estimated by regressing the new outcomes on the old prediction: Breiman 1996).
func (b belief) carry(c *columns, group []int, before map[int]normal, data []observed, old []bool) carried {
	out := carried{belief: b}
	var then, now []observed
	for i, o := range data {
		if old[i] {
			o.wider = 1
			then = append(then, o)
		} else {
			now = append(now, o)
		}
	}
	if len(then) < leastBefore {
		return out
	}
	f := newFit(b, group, before)
	f.learn(then, rounds)
	f.solve(then)
	f.invert(then)
	for g := range f.variance {
		if g != level {
			out.belief.Effect[g] = math.Sqrt(f.variance[g])
		}
	}
	out.belief.Ad, out.belief.Strength, out.belief.Columns = math.Sqrt(f.between)*widen, carriedAds, carriedColumns
	out.share, out.mean = f.shares(c), f.still(now)
	return out
}

// shares returns, by column, the mean square effect of its feature's values over that
// of all categories.
func (f *fit) shares(c *columns) []float64 {
	square, n := map[string]float64{}, map[string]float64{}
	for i, k := range c.Categories {
		j := c.first() + i
		square[k.Name] += f.effects[j]*f.effects[j] + *f.covariance.at(j, j)
		n[k.Name]++
	}
	share := make([]float64, len(f.effects))
	for j := range share {
		share[j] = 1
	}
	v := f.variance[categories]
	for i, k := range c.Categories {
		share[c.first()+i] = (square[k.Name] + shareDoubt*v) / (n[k.Name] + shareDoubt) / v
	}
	return share
}

// still returns the effects, each by the share of the taste that the new ads still show.
// Levels are no taste: an account's is taken over whole, that of all begins anew.
func (f *fit) still(now []observed) []float64 {
	// The posterior of a line: the new ads' log rates by what the old effects say of them.
	precision := 1 / (slopeError * slopeError)
	a00, a01, a11, b0, b1 := 1.0, 0.0, precision, 0.0, slopeMean*precision
	for _, o := range now {
		lift := 0.0
		for _, e := range o.row {
			if g := f.group[e.Col]; g != level && g != accounts {
				lift += e.X * f.effects[e.Col]
			}
		}
		off := math.Log((o.count+0.5)/(o.exposure+0.5)) - (f.predictor(o.row) - lift)
		w := 1 / (otherwise + 1/(o.count+0.5))
		a00, a01, a11 = a00+w, a01+w*lift, a11+w*lift*lift
		b0, b1 = b0+w*off, b1+w*lift*off
	}
	slope := clamp((a00*b1-a01*b0)/(a00*a11-a01*a01), 0, 1)
	mean := make([]float64, len(f.effects))
	for j, g := range f.group {
		switch g {
		case level:
		case accounts:
			mean[j] = f.effects[j]
		default:
			mean[j] = slope * f.effects[j]
		}
	}
	return mean
}

// outgrown reports whether a challenger, no worse than the champion, knows so many more
// ads since the change of taste that it serves though the hold-out is too small to show it.
func (c *Comparison) outgrown(m, champion *Model) {
	if c.Promote || c.Worse || m.Since.IsZero() || !m.Since.Equal(champion.Since) ||
		float64(m.SinceAds) < (1+grown)*float64(champion.SinceAds) {
		return
	}
	c.Promote = true
	c.Verdict = fmt.Sprintf("it has learned from %d ads since the taste changed, the champion from %d; %s", m.SinceAds, champion.SinceAds, c.Verdict)
}
