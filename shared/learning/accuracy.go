package learning

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Quality is how good predictions of one kind were. What could not be computed is
// nil.
type Quality struct {
	Judged int `json:"judged" doc:"Predictions that the figures are of."`
	// Accuracy is 1 - weighted MAPE, never below 0.
	Accuracy *float64 `json:"accuracy" nullable:"true" doc:"1 - the absolute error over the sum of what happened; 0 where the error is larger than that."`
	Coverage *float64 `json:"interval_coverage" nullable:"true" doc:"Share of outcomes inside the 90% intervals; 0.9 is right."`
	Score    *float64 `json:"interval_score" nullable:"true" doc:"Mean interval score of the logarithm, lower is better: a proper score."`
	Bias     *float64 `json:"bias" nullable:"true" doc:"Predicted over observed, minus 1: 0.1 is 10% too high."`
}

// SegmentBias is the bias of the CTR predictions of ads with one hook type.
type SegmentBias struct {
	Segment string  `json:"segment"`
	Judged  int     `json:"judged"`
	Bias    float64 `json:"bias"`
}

// Accuracy is what step 2 found.
type Accuracy struct {
	Accuracy *float64      `json:"accuracy" nullable:"true"`
	Judged   int           `json:"judged"`
	CTR      Quality       `json:"ctr"`
	Value    Quality       `json:"value"`
	Segments []SegmentBias `json:"bias_by_segment" nullable:"false"`
	Drift    bool          `json:"drift_detected"`
	DriftWhy string        `json:"drift_reason,omitempty"`
}

// enough is how many judged predictions make a figure.
const enough = 5

// Measure computes how accurate judged predictions were; why says what is missing
// where there is no accuracy.
func Measure(all []Prediction, now time.Time) (a Accuracy, why string) {
	judged := slices.DeleteFunc(slices.Clone(all), func(p Prediction) bool { return p.State != Successful && p.State != Missed })
	a.Judged, a.Segments = len(judged), []SegmentBias{}
	a.CTR = quality(judged, (*Prediction).hasCTR, ctrOutcome)
	a.Value = quality(judged, (*Prediction).hasROAS, roasOutcome)
	a.Accuracy = a.CTR.Accuracy
	a.Segments = segments(judged)
	a.Drift, a.DriftWhy = drift(judged, now)
	switch {
	case len(judged) == 0:
		return a, "no prediction of the last 30 days has an outcome yet: their ads must run, and their conversions must have had time to arrive"
	case a.Accuracy == nil:
		return a, fmt.Sprintf("%d of the predictions have an outcome; it takes %d to compute an accuracy", a.CTR.Judged, enough)
	case a.Value.Accuracy == nil:
		return a, "too few ads with pipeline value have an outcome to compute the accuracy of value"
	}
	return a, ""
}

// outcomeOf is a prediction beside its outcome: what was expected and what came, as
// amounts that add up, and as a rate with its interval.
type outcomeOf struct{ expected, came, low, high, seen, noise, z float64 }

func ctrOutcome(p *Prediction) outcomeOf {
	z := p.ctrError()
	return outcomeOf{
		expected: p.CTR * float64(p.Impressions), came: float64(p.Clicks), low: p.CTRLow, high: p.CTRHigh,
		seen: (float64(p.Clicks) + 0.5) / (float64(p.Impressions) + 0.5), noise: 1 / (float64(p.Clicks) + 0.5), z: z,
	}
}

func roasOutcome(p *Prediction) outcomeOf {
	z, off := p.roasError()
	return outcomeOf{
		expected: p.ROAS * p.Spend * p.Arrived, came: p.Value, low: p.ROASLow, high: p.ROASHigh,
		seen: p.ROAS * math.Exp(off), noise: 1 / (p.Deals + 0.5), z: z,
	}
}

func quality(all []Prediction, has func(*Prediction) bool, of func(*Prediction) outcomeOf) Quality {
	var q Quality
	var errs, came, expected, inside, score float64
	for i := range all {
		if !has(&all[i]) {
			continue
		}
		o := of(&all[i])
		q.Judged++
		errs, came, expected = errs+math.Abs(o.expected-o.came), came+o.came, expected+o.expected
		if math.Abs(o.z) <= z90 {
			inside++
		}
		score += intervalScore(o.low, o.high, o.seen, o.noise)
	}
	if q.Judged < enough || came <= 0 {
		return q
	}
	n := float64(q.Judged)
	accuracy, coverage, bias := math.Max(0, 1-errs/came), inside/n, expected/came-1
	score /= n
	q.Accuracy, q.Coverage, q.Score, q.Bias = &accuracy, &coverage, &score, &bias
	return q
}

// segments returns the CTR bias by hook type, the most frequent first.
func segments(all []Prediction) []SegmentBias {
	type sums struct {
		n              int
		expected, came float64
	}
	by := map[string]sums{}
	for i := range all {
		if p := &all[i]; p.hasCTR() {
			s := by[p.Segment]
			by[p.Segment] = sums{s.n + 1, s.expected + p.CTR*float64(p.Impressions), s.came + float64(p.Clicks)}
		}
	}
	found := []SegmentBias{}
	for _, name := range slices.Sorted(maps.Keys(by)) {
		if s := by[name]; s.n >= enough && s.came > 0 {
			found = append(found, SegmentBias{cmp.Or(name, "unknown"), s.n, s.expected/s.came - 1})
		}
	}
	slices.SortStableFunc(found, func(a, b SegmentBias) int { return cmp.Compare(b.Judged, a.Judged) })
	return found[:min(len(found), 20)]
}

// What counts as drift: the newest predictions are off in one direction, or miss
// their intervals, by more than chance.
const (
	driftWindow   = 7 * day
	driftAds      = 8
	driftZ        = 2.6
	driftCoverage = 0.7
)

// drift reports whether the newest outcomes depart from what was predicted.
func drift(all []Prediction, now time.Time) (bool, string) {
	var n, sum, square, inside float64
	for i := range all {
		p := &all[i]
		if !p.hasCTR() || now.Sub(p.MadeAt) > driftWindow+2*day {
			continue
		}
		z := p.ctrError()
		n, sum, square = n+1, sum+z, square+z*z
		if math.Abs(z) <= z90 {
			inside++
		}
	}
	if n < driftAds {
		return false, ""
	}
	mean := sum / n
	sd := math.Sqrt(math.Max(square/n-mean*mean, 1))
	switch {
	case math.Abs(mean) > driftZ*sd/math.Sqrt(n):
		way := "higher"
		if mean < 0 {
			way = "lower"
		}
		return true, fmt.Sprintf("the CTR of the last %.0f ads is %s than predicted by more than chance", n, way)
	case inside/n < driftCoverage:
		return true, fmt.Sprintf("only %.0f%% of the last %.0f ads lie in their 90%% intervals", 100*inside/n, n)
	}
	return false, ""
}
