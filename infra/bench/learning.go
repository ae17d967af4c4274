package main

import (
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
	errors   [learningDays]float64 // mean absolute error of the logarithm of the CTR
	inside   [learningDays]float64
	days     [learningDays]float64
}

// learns runs accounts of 60 days with a cycle a day beside the same accounts of a
// system that never retrains.
func learns(args []string) error {
	flags := flag.NewFlagSet("learning", flag.ExitOnError)
	accounts := flags.Int("accounts", 12, "invented accounts")
	seed := flags.Uint64("seed", 1, "of the invented accounts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	began := time.Now()
	var with, without learner
	trained := 0
	for i := range *accounts {
		a, b := sixtyDays(*seed, uint64(i))
		for d := range learningDays {
			with.errors[d], with.inside[d], with.days[d] = with.errors[d]+a.errors[d], with.inside[d]+a.inside[d], with.days[d]+a.days[d]
			without.errors[d], without.inside[d], without.days[d] = without.errors[d]+b.errors[d], without.inside[d]+b.inside[d], without.days[d]+b.days[d]
		}
		trained += a.trained
	}
	took := time.Since(began) / time.Duration(*accounts)
	fmt.Printf("%d accounts of %d days, %d new ads a day; the taste changes on day %d; %.1f models promoted an account; %s an account\n\n",
		*accounts, learningDays, newAdsADay, tasteChanges, float64(trained)/float64(*accounts), took.Round(time.Millisecond))
	fmt.Printf("%-12s %14s %14s %9s %9s\n", "days", "with cycles", "never retrains", "change", "90% holds")
	for from := 0; from < learningDays; from += 7 {
		to := min(from+7, learningDays)
		a, cover := with.mean(from, to)
		b, _ := without.mean(from, to)
		fmt.Printf("%3d to %-5d %14.3f %14.3f %8.0f%% %9.3f  %s\n", from+1, to, a, b, 100*(a/b-1), cover, strings.Repeat("#", int(40*a)))
	}
	return with.limits(&without)
}

// limits says what of the wants is missed.
func (l *learner) limits(never *learner) error {
	var missed []string
	last, cover := l.mean(learningDays-7, learningDays)
	theirs, _ := never.mean(learningDays-7, learningDays)
	if last > 0.7*theirs {
		missed = append(missed, fmt.Sprintf("in the last week the error is %.0f%% below never retraining, want 30%%", 100*(1-last/theirs)))
	}
	if cover < 0.85 || cover > 0.95 {
		missed = append(missed, fmt.Sprintf("90%% intervals hold %.3f in the last week, want 0.85 to 0.95", cover))
	}
	shock, _ := l.mean(tasteChanges, tasteChanges+3)
	before, _ := l.mean(tasteChanges-7, tasteChanges)
	after, _ := l.mean(tasteChanges+7, tasteChanges+14)
	fmt.Printf("\nerror in the week before the change %.3f, in its first three days %.3f, in the week from day 7 after it %.3f\n", before, shock, after)
	if after > before+0.5*(shock-before) {
		missed = append(missed, "seven days after the change less than half of what it cost is recovered")
	}
	fmt.Println("Limits: last week at least 30% below never retraining, intervals 0.85 to 0.95, and half of what the change cost recovered within 7 days.")
	if len(missed) > 0 {
		return fmt.Errorf("missed: %s", strings.Join(missed, "; "))
	}
	return nil
}

func (l *learner) mean(from, to int) (err, cover float64) {
	var n float64
	for d := from; d < to; d++ {
		err, cover, n = err+l.errors[d], cover+l.inside[d], n+l.days[d]
	}
	return err / n, cover / n
}

// sixtyDays runs one account twice over: the same ads, with and without cycles.
func sixtyDays(seed, account uint64) (with, without learner) {
	r := rand.New(rand.NewPCG(seed, account))
	taste, other := creativeworld.NewTaste(r), creativeworld.NewTaste(r)
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
		ID: a.AdID, AdID: a.AdID, CTR: p.CTR, CTRLow: p.CTRInterval[0], CTRHigh: p.CTRInterval[1], MadeAt: now, Impressions: a.Impressions, Clicks: a.Clicks, Arrived: 1,
	}
	if one.State = learning.Judge(one, false, now.AddDate(0, 0, 1)); one.State != learning.Open {
		l.judged = append(l.judged, one)
	}
}

// cycle is what steps 2 and 3 do of a day: measure, and where the predictions are off
// train a challenger and let it serve where it is better.
func (l *learner) cycle(past []oracle.Past, now time.Time) {
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
