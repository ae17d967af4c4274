package oracle

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
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
// fade is chosen on it; the model that is returned has learned from all ads. Where the
// champion does far worse on the newest ads than on those before them, the challenger
// learns from the newest alone: the audience's taste has changed.
func Contend(account string, champion *Model, past []Past) (Model, Comparison) {
	if champion == nil {
		return Train(account, past), Comparison{Promote: true, Verdict: "the first model"}
	}
	since := champion.Since
	before, held := heldOut(account, past, since, heldShare)
	if len(held) < fewAds {
		return TrainFading(account, past, champion.HalfLife, since), Comparison{
			Ads: len(held), Promote: true, Verdict: fmt.Sprintf("only %d ads to compare two models on: the one that has seen more serves", len(held)),
		}
	}
	size := dealSizeOf(prepared(past))
	if changed, ok := champion.changed(account, past); ok {
		// There are few ads since then: each is judged by the twin that has not seen it, of
		// both models, so that all of them count.
		m := TrainFading(account, past, 0, changed)
		if c := compare(&m, champion, newestFirst(account, past, changed), size); c.Promote {
			c.Verdict = fmt.Sprintf("the taste has changed since %s: %s", changed.UTC().Format(time.DateOnly), c.Verdict)
			return m, c
		}
	}
	best, halfLife := math.Inf(-1), 0.0
	var c Comparison
	for _, h := range halfLives {
		m := TrainFading(account, before, h, since)
		one := compare(&m, champion, held, size)
		// A half-life must pay for itself: the newest ads are few, and three are tried.
		if total := one.Challenger*float64(len(held)) - penalty*min(h, 1); total > best {
			best, halfLife, c = total, h, one
		}
	}
	m := TrainFading(account, past, halfLife, since)
	c.outgrown(&m, champion)
	return m, c
}

// compare judges a challenger that has not seen the held-out ads.
func compare(m, champion *Model, held []ad, size float64) Comparison {
	c := Comparison{Ads: len(held)}
	var ctr, value []float64
	for _, a := range held {
		mine, its := m.likelihood(a), champion.likelihood(a)
		ctr = append(ctr, mine-its)
		c.Challenger, c.Champion = c.Challenger+mine/float64(len(held)), c.Champion+its/float64(len(held))
		if a.Spend*a.arrived() > 0 {
			value = append(value, m.valueLikelihood(a, size)-champion.valueLikelihood(a, size))
		}
	}
	c.CTR, c.Value = gainOf(ctr), gainOf(value)
	c.judge()
	return c
}

// What it takes to say that an audience's taste has changed.
const (
	leastChanged = 2 * fewAds // ads since then
	mostChanged  = 120
	surelyOther  = 3.5 // standard errors
)

// changed returns since when the champion, which knew the ads before, does worse than
// it did: the change point at which the mean log likelihood falls most surely.
func (m *Model) changed(account string, past []Past) (since time.Time, ok bool) {
	ads := newestFirst(account, past, m.Since)
	if len(ads) < 2*leastChanged {
		return since, false
	}
	n := float64(len(ads))
	said := make([]float64, len(ads))
	sum, square := 0.0, 0.0
	for i, a := range ads {
		// Per click an ad that was shown more says more; what counts is how far off it is.
		said[i] = m.CTR.surprise(m.Columns, a)
		sum, square = sum+said[i], square+said[i]*said[i]
	}
	newest, newestSquare, most := 0.0, 0.0, surelyOther
	for i := range min(len(ads)-leastChanged, mostChanged) {
		newest, newestSquare = newest+said[i], newestSquare+said[i]*said[i]
		k := float64(i + 1)
		if i+1 < leastChanged || i+1 < len(ads) && ads[i+1].Created.Equal(ads[i].Created) {
			continue
		}
		a, b := newest/k, (sum-newest)/(n-k)
		va, vb := newestSquare/k-a*a, (square-newestSquare)/(n-k)-b*b
		if t := (a - b) / math.Sqrt(max(va, 0)/k+max(vb, 0)/(n-k)+1e-12); t > most {
			most, since, ok = t, ads[i].Created, true
		}
	}
	return since, ok
}

// surprise is how many standard deviations an ad lies from what the twin says that has
// not seen it, but for the sign, and at most five.
func (e *expectation) surprise(c *columns, a ad) float64 {
	t := e.Twins[a.fold]
	mean := 0.0
	for _, x := range c.row(a.AccountID, a.features) {
		mean += x.X * float64(t.Effects[x.Col])
	}
	count, exposure := float64(a.Clicks)+0.5, float64(a.Impressions)+0.5
	return min(math.Abs(math.Log(count/exposure)-mean)/math.Sqrt(clamp(t.Variance, leastVariance, mostVariance)+1/count), 5)
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

// heldOut divides the ads by when they began: of those since a change of taste, a share,
// the newest that have run, is held out, and at least fewAds. Ads whose beginning nobody
// knows count as the oldest.
func heldOut(account string, past []Past, since time.Time, share float64) (before []Past, held []ad) {
	judged := newestFirst(account, past, since)
	n := min(max(int(share*float64(len(judged))), fewAds), mostHeld, len(judged)/2)
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

// newestFirst returns the ads that have run since a change of taste. Of an account with
// few ads of its own the niche's count too.
func newestFirst(account string, past []Past, since time.Time) []ad {
	ads := slices.DeleteFunc(prepared(past), func(a ad) bool { return a.Impressions == 0 || a.Created.Before(since) })
	judged := slices.DeleteFunc(slices.Clone(ads), func(a ad) bool { return a.AccountID != account })
	if len(judged) < 2*fewAds {
		judged = ads
	}
	slices.SortFunc(judged, func(a, b ad) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.hash, b.hash))
	})
	return judged
}

// Degraded reports whether a champion does worse on the newest ads than the average
// of the ads before them would, beyond noise: then it is to serve no longer as it is.
func Degraded(champion Model, past []Past) (bool, Gain) {
	before, held := heldOut(champion.Columns.Account, past, champion.Since, heldShare)
	if len(held) < fewAds {
		return false, Gain{}
	}
	plain := make([]Past, len(before))
	for i, p := range before {
		p.DNA, p.Vector = nil, nil
		plain[i] = p
	}
	m := TrainFading(champion.Columns.Account, plain, 0, champion.Since)
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
