package fatigue_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/geminivideo/geminivideo/infra/sim/fatigueworld"
	"github.com/geminivideo/geminivideo/infra/testkit/simulation"
	"github.com/geminivideo/geminivideo/shared/fatigue"
)

func TestTheCurrencyChangesNothing(t *testing.T) {
	t.Parallel()
	for _, a := range fatigueworld.Ads(3, 60) {
		v := judge(a.Days)
		for _, factor := range []float64{0.0067, 100, 15_000} {
			days := slices.Clone(a.Days)
			for i := range days {
				days[i].CPM *= factor
			}
			w := judge(days)
			if w.Status != v.Status || math.Abs(w.Confidence-v.Confidence) > 1e-6 || (w.Critical == nil) != (v.Critical == nil) {
				t.Fatalf("%s times %v: %s %v, and before %s %v", a.Kind, factor, w.Status, w.Confidence, v.Status, v.Confidence)
			}
		}
	}
}

func TestMoreEvidenceOfTheSameFallNeverLowersItsProbability(t *testing.T) {
	t.Parallel()
	// Before the days say anything, a fall is this probable; a few clicks that
	// a steady ad could as well have had make it a little less so.
	const unseen = 0.25
	for _, n := range []int{3, 4, 7, 14, 30} {
		for _, fall := range []float64{0.25, 0.3, 0.5, 0.8} {
			for _, last := range []int{1, 2, 3} {
				before, at := 0.0, int64(0)
				for _, volume := range []int64{100, 300, 1000, 3000, 10_000, 30_000, 100_000, 1_000_000} {
					days := flat(n, volume)
					for i := max(1, n-last); i < n; i++ {
						days[i].CTR *= 1 - fall
					}
					p := probability(judge(days), fatigue.CTRFall)
					if before > unseen && p < before-0.01 { // a posterior cut into cells is good to a percent
						t.Errorf("%d days, down %.0f%% for the last %d: %.3f at %d a day and %.3f at %d", n, 100*fall, last, before, at, p, volume)
					}
					if before > fatigue.Sure && p <= fatigue.Sure {
						t.Errorf("%d days, down %.0f%% for the last %d: the alarm is lost at %d a day", n, 100*fall, last, volume)
					}
					before, at = max(before, p), volume
				}
			}
		}
	}
}

func TestADeeperFallIsNeverLessProbable(t *testing.T) {
	t.Parallel()
	for _, volume := range []int64{300, 3000, 30_000} {
		before := 0.0
		for fall := 0.0; fall < 1; fall += 0.05 {
			p := probability(judge(newest(flat(10, volume), func(d *fatigue.Day) { d.CTR *= 1 - fall })), fatigue.CTRFall)
			if p < before-0.01 {
				t.Errorf("%d a day: %.3f down %.0f%%, and %.3f before", volume, p, 100*fall, before)
			}
			before = p
		}
	}
}

func TestNoHistoryMakesNumbersThatAreNone(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	pick := func(from ...float64) float64 { return from[r.IntN(len(from))] }
	for range 20_000 {
		days := make([]fatigue.Day, r.IntN(12))
		account := make([]fatigue.Median, len(days)*r.IntN(2))
		for i := range days {
			days[i] = fatigue.Day{
				Impressions: int64(pick(0, 1, 49, 50, 1000, 1e6, 1e12)), CTR: pick(0, 1e-9, 0.01, 0.5, 1),
				CPM: pick(0, 1e-9, 0.01, 10, 1e9), Frequency: pick(0, 0.1, 1, 3.6, 1e9),
			}
			if len(account) > 0 {
				account[i] = fatigue.Median{CTR: pick(0, 1e-9, 0.01, 1), CPM: pick(0, 1e-9, 10, 1e12)}
			}
		}
		v := fatigue.Judge(days, fatigue.Context{Account: account})
		numbers := []float64{v.Confidence}
		for _, s := range v.Signals {
			if s.Probability < 0 || s.Probability > 1+1e-9 {
				t.Fatalf("%+v: %+v", days, s)
			}
			numbers = append(numbers, s.Probability, s.Observed, s.Limit)
		}
		if c := v.Critical; c != nil {
			numbers = append(numbers, c.Days, c.Soonest, c.Longest)
		}
		for _, x := range numbers {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				t.Fatalf("%+v: %+v", days, v)
			}
		}
		if v.Reason == "" || v.Confidence < 0 || v.Confidence > 1 {
			t.Fatalf("%+v: %+v", days, v)
		}
	}
}

// probability is that of a rule.
func probability(v fatigue.Verdict, rule fatigue.Rule) float64 {
	for _, s := range v.Signals {
		if s.Rule == rule {
			return s.Probability
		}
	}
	return 0
}

func TestDecidingQuicklyIsDecidingTheSame(t *testing.T) {
	simulation.Test(t)
	t.Parallel()
	var decider fatigue.Decider // one for all: nothing of an ad is left for the next
	for _, a := range fatigueworld.Ads(11, 400) {
		for _, days := range [][]fatigue.Day{a.Days, a.Days[max(0, len(a.Days)-7):], a.Days[max(0, len(a.Days)-4):]} {
			if v, quick := judge(days), decider.Decide(days, fatigue.Context{}).Status; quick != v.Status {
				t.Errorf("%s: %s, and quickly %s: %s", a.Kind, v.Status, quick, v.Reason)
			}
		}
	}
}
