package oracle_test

import (
	"math/rand/v2"
	"testing"

	"github.com/geminivideo/geminivideo/infra/sim/creativeworld"
	"github.com/geminivideo/geminivideo/infra/testkit/simulation"
	"github.com/geminivideo/geminivideo/shared/oracle"
)

// The seeds are not those by which the model's beliefs were chosen.
const heldOut = 20_261_122

func report(t *testing.T, name string, s creativeworld.Score) {
	t.Helper()
	t.Logf("%-26s AUC %.3f (who knows all: %.3f), %d rejected, %d of them losers; 90%% intervals hold %.3f of CTRs, %.3f of ROAS",
		name, s.AUC, s.Bound, s.Rejected, s.Right, s.Coverage, s.ROASCoverage)
	t.Logf("%-26s error of log CTR %.3f, the average's %.3f; root mean square %.3f, %.3f; of log(1+ROAS) %.3f, %.3f; said %.3f sure, %.3f right",
		"", s.Error, s.AverageError, s.Square, s.AverageSquare, s.ROASError, s.ROASAverageError, s.Confidence, s.Decided)
}

func TestWithThreeHundredAdsRejectsAreLosersAndIntervalsHold(t *testing.T) {
	t.Parallel()
	simulation.Test(t)
	s := creativeworld.Run(heldOut, 5, 300, 80, nil)
	report(t, "300 ads", s)
	if s.AUC < 0.80 || s.Coverage < 0.85 || s.Coverage > 0.95 || s.ROASCoverage < 0.85 || float64(s.Right) < 0.7*float64(s.Rejected) || s.Rejected == 0 {
		t.Errorf("AUC %.3f, coverage %.3f and %.3f, %d of %d rejects right", s.AUC, s.Coverage, s.ROASCoverage, s.Right, s.Rejected)
	}
	if s.Error > 0.7*s.AverageError || s.Square > s.AverageSquare || s.ROASError > s.ROASAverageError {
		t.Errorf("not much better than the average: %+v", s)
	}
	if d := s.Confidence - s.Decided; d < -0.06 || d > 0.06 {
		t.Errorf("says that it is right in %.3f of cases, and is in %.3f", s.Confidence, s.Decided)
	}
}

func TestWithFiveAdsItIsNeverWorseThanTheAverage(t *testing.T) {
	t.Parallel()
	simulation.Test(t)
	for name, shape := range map[string]func(*creativeworld.Taste){
		"DNA matters":       nil,
		"DNA matters less":  func(w *creativeworld.Taste) { w.Matters = 0.5 },
		"DNA means nothing": func(w *creativeworld.Taste) { w.Matters = 0 },
		"few impressions":   func(w *creativeworld.Taste) { w.Seen = 300 },
		"no viral ads":      func(w *creativeworld.Taste) { w.Viral = 0 },
		"many viral ads":    func(w *creativeworld.Taste) { w.Viral = 0.1 },
		"low CTR":           func(w *creativeworld.Taste) { w.Base = 0.0004 },
		"high CTR":          func(w *creativeworld.Taste) { w.Base = 0.1 },
	} {
		s := creativeworld.Run(heldOut+1, 60, 5, 20, shape)
		report(t, "5 ads, "+name, s)
		if s.Error > s.AverageError || s.Square > 1.005*s.AverageSquare || s.ROASError > 1.02*s.ROASAverageError {
			t.Errorf("%s: worse than the average", name)
		}
		if s.Coverage < 0.80 {
			t.Errorf("%s: intervals hold %.3f", name, s.Coverage)
		}
	}
}

func TestIntervalsHoldWithFiftyAds(t *testing.T) {
	t.Parallel()
	simulation.Test(t)
	for name, shape := range map[string]func(*creativeworld.Taste){
		"DNA matters":      nil,
		"DNA matters less": func(w *creativeworld.Taste) { w.Matters = 0.5 },
		"many viral ads":   func(w *creativeworld.Taste) { w.Viral = 0.08 },
		"few impressions":  func(w *creativeworld.Taste) { w.Seen = 600 },
	} {
		s := creativeworld.Run(heldOut+2, 16, 50, 40, shape)
		report(t, "50 ads, "+name, s)
		if s.Coverage < 0.83 || s.Coverage > 0.97 || s.Error > s.AverageError {
			t.Errorf("%s: intervals hold %.3f; error %.3f, the average's %.3f", name, s.Coverage, s.Error, s.AverageError)
		}
	}
}

func TestWhatOnlyTheEmbeddingShowsIsLearnedFromNeighbours(t *testing.T) {
	t.Parallel()
	simulation.Test(t)
	secret := func(w *creativeworld.Taste) { w.Secret = 3 }
	s := creativeworld.Run(heldOut+3, 3, 150, 60, secret)
	report(t, "with neighbours", s)
	alone := creativeworld.Run(heldOut+3, 3, 150, 60, func(w *creativeworld.Taste) { secret(w); w.Lonely = true })
	report(t, "without", alone)
	if s.Error > 0.9*alone.Error || s.Coverage < 0.85 || s.Coverage > 0.95 {
		t.Errorf("error %.3f with neighbours, %.3f without; intervals hold %.3f", s.Error, alone.Error, s.Coverage)
	}
}

func TestAYoungAccountLearnsFromItsNiche(t *testing.T) {
	t.Parallel()
	simulation.Test(t)
	var with, without, n float64
	for i := range 3 {
		r := rand.New(rand.NewPCG(heldOut+4, uint64(i)))
		niche := creativeworld.NewTaste(r)
		mine := niche.Like(r)
		young := creativeworld.Pasts(mine.Ads(r, "young", 5))
		all := append(creativeworld.Pasts(niche.Ads(r, "a", 75)), creativeworld.Pasts(niche.Like(r).Ads(r, "b", 75))...)
		alone, together := oracle.Train("young", young), oracle.Train("young", append(all, young...))
		for _, a := range mine.Ads(r, "new", 60) {
			without += off(alone.Predict(a.DNA, nil), a)
			with += off(together.Predict(a.DNA, nil), a)
			n++
		}
	}
	t.Logf("error of log CTR %.3f with the niche, %.3f without", with/n, without/n)
	if with > 0.85*without {
		t.Errorf("error of log CTR %.3f with the niche, %.3f without", with/n, without/n)
	}
}
