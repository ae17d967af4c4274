package oracle

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Comparison is how a challenger did beside the champion on the newest ads, which
// neither has seen: the challenger is trained on those before them, and of the
// champion the twin is asked that was trained without the ad.
type Comparison struct {
	Ads int // that were judged
	// Champion and Challenger are the mean log likelihood of an ad's clicks, in
	// nats: higher is better.
	Champion, Challenger float64
	// CTR and Value are by how much the challenger is better, in nats an ad, on clicks
	// and on value, and how well that is known.
	CTR, Value Gain
	// Promote is set where the challenger is better beyond noise, Worse where it is worse
	// beyond noise on clicks or on value, and Verdict says why.
	Promote bool
	Worse   bool
	Verdict string
}

// Gain is a mean difference of log likelihoods and its standard error.
type Gain struct{ Mean, Error float64 }

// halfLives are tried, in days; 0 is none. A sudden change of taste is learned by
// the shortest.
var halfLives = []float64{0, 21, 5}

const (
	// fewAds is how many ads it takes to compare two models; below it, the one that
	// knows more serves.
	fewAds = 10
	// heldShare of the ads, the newest, are held out, and at most mostHeld.
	heldShare = 0.2
	mostHeld  = 200
)

// Contend trains the model that would take the champion's place, nil for none, and
// says whether it should. The hold-out is by time: the newest ads. How fast ads
// fade is chosen on it; the model that is returned has learned from all ads.
func Contend(account string, champion *Model, past []Past) (Model, Comparison) {
	before, held := heldOut(account, past)
	if champion == nil {
		return Train(account, past), Comparison{Promote: true, Verdict: "the first model"}
	}
	if len(held) < fewAds {
		return TrainFading(account, past, champion.HalfLife), Comparison{
			Ads: len(held), Promote: true, Verdict: fmt.Sprintf("only %d ads to compare two models on: the one that has seen more serves", len(held)),
		}
	}
	best, halfLife := math.Inf(-1), 0.0
	var better [2][]float64
	c := Comparison{Ads: len(held)}
	size := lumpOf(prepared(past))
	for _, h := range halfLives {
		m := TrainFading(account, before, h)
		var ctr, value []float64
		sum, own := 0.0, 0.0
		for _, a := range held {
			mine, its := m.likelihood(a), champion.likelihood(a)
			ctr = append(ctr, mine-its)
			sum, own = sum+mine, own+its
			if a.Spend*a.arrived() > 0 {
				value = append(value, m.valueLikelihood(a, size)-champion.valueLikelihood(a, size))
			}
		}
		// A half-life must pay for itself: the newest ads are few, and three are tried.
		if total := sum - penalty*float64(min(h, 1)); total > best {
			best, halfLife, better = total, h, [2][]float64{ctr, value}
			c.Champion, c.Challenger = own/float64(len(held)), sum/float64(len(held))
		}
	}
	c.CTR, c.Value = gainOf(better[0]), gainOf(better[1])
	c.judge()
	return TrainFading(account, past, halfLife), c
}

// penalty in nats is what a half-life must be better by.
const penalty = 2

// judge promotes where clicks and value together are more likely beyond noise, and
// neither is less likely beyond noise.
func (c *Comparison) judge() {
	both := Gain{c.CTR.Mean + c.Value.Mean, math.Hypot(c.CTR.Error, c.Value.Error)}
	said := fmt.Sprintf("on the %d newest ads its log likelihood an ad is %+.3f (error %.3f) of clicks and %+.3f (error %.3f) of value beside the champion's",
		c.Ads, c.CTR.Mean, c.CTR.Error, c.Value.Mean, c.Value.Error)
	switch {
	case c.CTR.Mean < -z90*c.CTR.Error:
		c.Worse, c.Verdict = true, "worse on CTR: "+said
	case c.Value.Mean < -z90*c.Value.Error:
		c.Worse, c.Verdict = true, "worse on value: "+said
	case both.Mean <= both.Error:
		c.Verdict = "not better beyond noise: " + said
	default:
		c.Promote, c.Verdict = true, "better beyond noise: "+said
	}
}

func gainOf(all []float64) Gain {
	n := float64(len(all))
	if n < 2 {
		return Gain{}
	}
	var sum, square float64
	for _, x := range all {
		sum, square = sum+x, square+x*x
	}
	return Gain{sum / n, math.Sqrt(max(square-sum*sum/n, 0) / (n - 1) / n)}
}

// heldOut divides the ads by when they began: the newest that have run are held out.
// Ads whose beginning nobody knows count as the oldest. Of an account with few ads
// of its own the niche's are held out too.
func heldOut(account string, past []Past) (before []Past, held []ad) {
	ads := prepared(past)
	judged := slices.DeleteFunc(slices.Clone(ads), func(a ad) bool { return a.Impressions == 0 || a.AccountID != account })
	if len(judged) < 2*fewAds {
		judged = slices.DeleteFunc(slices.Clone(ads), func(a ad) bool { return a.Impressions == 0 })
	}
	slices.SortFunc(judged, func(a, b ad) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.hash, b.hash))
	})
	n := min(max(int(heldShare*float64(len(judged))), fewAds), mostHeld, len(judged)/2)
	held = judged[:n]
	out := map[[2]string]bool{}
	for _, a := range held {
		out[[2]string{a.AccountID, a.AdID}] = true
	}
	for _, p := range past {
		if !out[[2]string{p.AccountID, p.AdID}] {
			before = append(before, p)
		}
	}
	return before, held
}

// Degraded reports whether a champion does worse on the newest ads than the average
// of the ads before them would, beyond noise: then it is to serve no longer as it is.
func Degraded(champion Model, past []Past) (bool, Gain) {
	before, held := heldOut(champion.Columns.Account, past)
	if len(held) < fewAds {
		return false, Gain{}
	}
	plain := make([]Past, len(before))
	for i, p := range before {
		p.DNA, p.Vector = nil, nil
		plain[i] = p
	}
	m := TrainFading(champion.Columns.Account, plain, 0)
	var diff []float64
	for _, a := range held {
		bare := a
		bare.features = nil
		diff = append(diff, champion.likelihood(a)-m.likelihood(bare))
	}
	g := gainOf(diff)
	return g.Mean < -2*g.Error, g
}

// likelihood is the logarithm of how likely the ad's clicks are to the twin that
// has not seen it.
func (m Model) likelihood(a ad) float64 {
	return m.CTR.likelihood(m.Columns, a, float64(a.Clicks), float64(a.Impressions))
}

// valueLikelihood is the same of the ad's value, counted in typical deals of the
// given size.
func (m Model) valueLikelihood(a ad, size float64) float64 {
	return m.ROAS.likelihood(m.Columns, a, a.Value/size, a.Spend*a.arrived()/size)
}

// likelihood is negative binomial, which has an end where counts are huge.
func (e *expectation) likelihood(c *columns, a ad, count, exposure float64) float64 {
	t := e.Twins[a.fold]
	mean := 0.0
	for _, x := range c.row(a.AccountID, a.features) {
		mean += x.X * float64(t.Effects[x.Col])
	}
	v := clamp(t.Variance, leastVariance, mostVariance)
	if _, known := c.account[a.AccountID]; len(c.Accounts) > 0 && !known {
		v += e.Variance[accounts]
	}
	k := 1 / math.Expm1(v)
	mu := max(exposure*math.Exp(clamp(mean, lowest, highest)+v/2), 1e-12)
	return lgamma(count+k) - lgamma(k) - lgamma(count+1) - k*math.Log1p(mu/k) - count*math.Log1p(k/mu)
}

func lgamma(x float64) float64 {
	v, _ := math.Lgamma(x)
	return v
}
