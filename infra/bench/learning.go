package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/infra/sim/creativeworld"
	"github.com/geminivideo/geminivideo/shared/learning"
	"github.com/geminivideo/geminivideo/shared/oracle"
)

// The account of the simulation: so many days, of so many new ads each, and the day
// on which its audience's taste changes.
const (
	learningDays = 60
	newAdsADay   = 10
	tasteChanges = 30
	firstAds     = 20
)

// learner is a system that predicts each new ad on its first day, and may retrain.
type learner struct {
	model    oracle.Model
	retrains bool
	trained  int
	knew     int // ads that the model has learned from
	judged   []learning.Prediction
	outcomes []oracle.Outcome
	errors   [learningDays]float64 // mean absolute error of the logarithm of the CTR
	inside   [learningDays]float64
	days     [learningDays]float64
}

// seedResult is what one seed's accounts came to.
type seedResult struct {
	seed                             uint64
	gain, recovered, cover, shocked  float64 // shares
	before, shock, after, last, none float64 // errors
}

// learns runs accounts of 60 days with a cycle a day beside the same accounts of a
// system that never retrains, for several seeds.
func learns(args []string) error {
	flags := flag.NewFlagSet("learning", flag.ExitOnError)
	accounts := flags.Int("accounts", 3, "invented accounts of a seed")
	seed := flags.Uint64("seed", 1, "the first seed")
	seeds := flags.Int("seeds", 3, "how many seeds")
	partly := flags.Bool("partly", false, "the new taste is like the old one in part; without it, it is wholly other")
	if err := flags.Parse(args); err != nil {
		return err
	}
	began := time.Now()
	var with, without learner
	var results []seedResult
	trained := 0
	for s := range uint64(*seeds) {
		var a, b learner
		for i := range *accounts {
			x, y := sixtyDays(*seed+s, uint64(i), *partly)
			a.add(&x)
			b.add(&y)
			trained += x.trained
		}
		with.add(&a)
		without.add(&b)
		r := resultOf(*seed+s, &a, &b)
		results = append(results, r)
		fmt.Printf("seed %d done in %s: %s\n", r.seed, time.Since(began).Round(time.Second), r)
	}
	n := *accounts * *seeds
	fmt.Printf("\n%d accounts (%d seeds of %d) of %d days, %d new ads a day; the taste changes on day %d; %.1f models promoted an account; %s an account\n\n",
		n, *seeds, *accounts, learningDays, newAdsADay, tasteChanges, float64(trained)/float64(n),
		(time.Since(began) / time.Duration(n)).Round(time.Millisecond))
	fmt.Printf("%-12s %14s %14s %9s %9s\n", "days", "with cycles", "never retrains", "change", "90% holds")
	for _, w := range weeks() {
		a, cover := with.mean(w[0], w[1])
		b, _ := without.mean(w[0], w[1])
		fmt.Printf("%3d to %-5d %14.3f %14.3f %8.0f%% %9.3f  %s\n", w[0]+1, w[1], a, b, 100*(a/b-1), cover, strings.Repeat("#", int(40*a)))
	}
	return limits(results, &with, &without)
}

// weeks are the days by seven, with a border where the taste changes.
func weeks() (all [][2]int) {
	for _, half := range [][2]int{{0, tasteChanges}, {tasteChanges, learningDays}} {
		for from := half[0]; from < half[1]; from += 7 {
			all = append(all, [2]int{from, min(from+7, half[1])})
		}
	}
	return all
}

func resultOf(seed uint64, with, never *learner) seedResult {
	r := seedResult{seed: seed}
	first, _ := with.mean(0, 7)
	r.last, _ = with.mean(learningDays-7, learningDays)
	r.none, _ = never.mean(learningDays-7, learningDays)
	neverFirst, _ := never.mean(0, 7)
	// From the first week to the last, against never retraining.
	r.gain = 1 - (r.last/first)/(r.none/neverFirst)
	r.shock, _ = with.mean(tasteChanges, tasteChanges+2)
	r.before, _ = with.mean(tasteChanges-7, tasteChanges)
	r.after, _ = with.mean(tasteChanges+7, tasteChanges+14)
	r.recovered = (r.shock - r.after) / (r.shock - r.before)
	_, r.cover = with.mean(0, learningDays)
	_, r.shocked = with.mean(tasteChanges, tasteChanges+7)
	return r
}

func (r seedResult) String() string {
	return fmt.Sprintf("error in the last week %.3f (never retraining %.3f; %.0f%% better from first to last week), before the change %.3f, in its first two days %.3f, from day 7 after it %.3f: %.0f%% won back; 90%% intervals hold %.3f, in the week of the change %.3f",
		r.last, r.none, 100*r.gain, r.before, r.shock, r.after, 100*r.recovered, r.cover, r.shocked)
}

// What is wanted: the least gain on never retraining, the least share of what the change
// cost that is won back within seven days, and what 90% intervals hold in any week.
const (
	wantGain, wantRecovered      = 0.30, 0.80
	wantCoverLeast, wantCoverMax = 0.85, 0.95
	// noise is how far one week's share may lie outside by chance: two standard errors of
	// the outcomes in it.
	coverErrors = 2
)

// limits prints the mean and the worst seed, and says what of the wants is missed.
func limits(all []seedResult, with, never *learner) error {
	mean := resultOf(0, with, never)
	fmt.Printf("\nmean:  %s\n", mean)
	worst := all[0]
	for _, r := range all {
		worst.gain, worst.recovered = min(worst.gain, r.gain), min(worst.recovered, r.recovered)
		worst.cover, worst.shocked = min(worst.cover, r.cover), min(worst.shocked, r.shocked)
	}
	fmt.Printf("worst of the %d seeds: %.0f%% better than never retraining, %.0f%% won back, 90%% intervals hold %.3f, in the week of the change %.3f\n",
		len(all), 100*worst.gain, 100*worst.recovered, worst.cover, worst.shocked)
	var missed []error
	if worst.gain < wantGain {
		missed = append(missed, fmt.Errorf("the error falls by %.0f%% against never retraining, want %.0f%%", 100*worst.gain, 100*wantGain))
	}
	if mean.recovered < wantRecovered {
		missed = append(missed, fmt.Errorf("%.0f%% of what the change cost is won back in the week from day 7, want %.0f%%", 100*mean.recovered, 100*wantRecovered))
	}
	for _, w := range weeks() {
		_, cover := with.mean(w[0], w[1])
		n := 0.0
		for d := w[0]; d < w[1]; d++ {
			n += with.days[d]
		}
		if by := coverErrors * math.Sqrt(0.9*0.1/n); cover < wantCoverLeast-by || cover > wantCoverMax+by {
			missed = append(missed, fmt.Errorf("90%% intervals hold %.3f on days %d to %d, want %.2f to %.2f", cover, w[0]+1, w[1], wantCoverLeast, wantCoverMax))
		}
	}
	fmt.Printf("Limits: of every seed the error at least %.0f%% lower, from the first week to the last, against never retraining; of all together at least %.0f%% of what the change cost won back in the week from day 7 on, and 90%% intervals that hold %.2f to %.2f every week (within %d standard errors of counting).\n",
		100*wantGain, 100*wantRecovered, wantCoverLeast, wantCoverMax, coverErrors)
	return errors.Join(missed...)
}

func (l *learner) mean(from, to int) (err, cover float64) {
	var n float64
	for d := from; d < to; d++ {
		err, cover, n = err+l.errors[d], cover+l.inside[d], n+l.days[d]
	}
	return err / n, cover / n
}

func (l *learner) add(o *learner) {
	for d := range learningDays {
		l.errors[d], l.inside[d], l.days[d] = l.errors[d]+o.errors[d], l.inside[d]+o.inside[d], l.days[d]+o.days[d]
	}
}

// sixtyDays runs one account twice over: the same ads, with and without cycles.
func sixtyDays(seed, account uint64, partly bool) (with, without learner) {
	r := rand.New(rand.NewPCG(seed, account))
	taste, other := creativeworld.NewTaste(r), creativeworld.NewTaste(r)
	if partly {
		other = taste.Like(r)
	}
	taste.Viral, other.Viral, other.Base = 0.01, 0.01, taste.Base
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var past []oracle.Past
	add := func(day, n int) []creativeworld.Ad {
		from := taste
		if day >= tasteChanges {
			from = other
		}
		ads := from.Ads(r, fmt.Sprintf("day%03d", day), n)
		for i := range ads {
			ads[i].AccountID, ads[i].Created = "acc", start.AddDate(0, 0, day)
		}
		return ads
	}
	past = append(past, creativeworld.Pasts(add(-1, firstAds))...)
	first := oracle.Train("acc", past)
	with, without = learner{model: first, retrains: true}, learner{model: first}
	for day := range learningDays {
		now := start.AddDate(0, 0, day)
		if day > 0 {
			with.cycle(past, now)
		}
		ads := add(day, newAdsADay)
		for _, l := range []*learner{&with, &without} {
			for i := range ads {
				l.predict(&ads[i], day, now)
			}
		}
		past = append(past, creativeworld.Pasts(ads)...)
	}
	return with, without
}

// predict says what an ad will do, and what it did is known on the next day.
func (l *learner) predict(a *creativeworld.Ad, day int, now time.Time) {
	p := l.model.Predict(a.DNA, nil)
	l.errors[day] += math.Abs(math.Log(p.CTR / a.CTR))
	if a.CTR >= p.CTRInterval[0] && a.CTR <= p.CTRInterval[1] {
		l.inside[day]++
	}
	l.days[day]++
	one := learning.Prediction{
		ID: a.AdID, AdID: a.AdID, CTR: p.CTR, CTRLow: p.CTRInterval[0], CTRHigh: p.CTRInterval[1], MadeAt: now, Impressions: a.Impressions,
		Clicks: a.Clicks, Arrived: 1,
	}
	if one.State = learning.Judge(one, false, now.AddDate(0, 0, 1)); one.State != learning.Open {
		l.judged = append(l.judged, one)
	}
	l.outcomes = append(l.outcomes, oracle.Outcome{
		Low: p.CTRInterval[0], High: p.CTRInterval[1], Impressions: a.Impressions,
		Clicks: a.Clicks,
	})
}

// cycle is what steps 2 and 3 do of a day: measure, and where the predictions are off
// train a challenger and let it serve where it is better. How wide intervals are follows
// the outcomes, as with every prediction that the oracle serves.
func (l *learner) cycle(past []oracle.Past, now time.Time) {
	defer func() { l.model.Widen = oracle.Widening(l.outcomes[max(0, len(l.outcomes)-30*newAdsADay):]) }()
	var recent []learning.Prediction
	for _, p := range l.judged {
		if now.Sub(p.MadeAt) <= learning.Horizon {
			recent = append(recent, p)
		}
	}
	a, _ := learning.Measure(recent, now)
	if a.Accuracy == nil || *a.Accuracy >= 0.80 && !a.Drift {
		return
	}
	next, c := oracle.Contend("acc", &l.model, past)
	degraded := false
	if !c.Promote && !c.Worse {
		degraded, _ = oracle.Degraded(l.model, past)
	}
	// A refresh, which the oracle makes of itself once there is a tenth more to learn from,
	// serves unless it is worse.
	refreshed := !c.Worse && 10*(len(past)-l.knew) > l.knew
	if c.Promote || degraded || refreshed {
		l.model, l.knew = next, len(past)
		l.trained++
	}
}
