package learning

import (
	"math"
	"time"
)

// Prediction is what was said of an ad, and what it did afterwards.
type Prediction struct {
	ID, AdID, Source, Version string
	// Segment is the ad's hook type: bias is shown by it.
	Segment                 string
	CTR, CTRLow, CTRHigh    float64
	ROAS, ROASLow, ROASHigh float64
	MadeAt                  time.Time
	State                   State
	Impressions, Clicks     int64
	Spend, Value            float64
	Deals                   float64 // about how many deals Value is made of
	Arrived                 float64 // share of the conversions that could have shown
	JudgedAt                *time.Time
}

// State is what became of a prediction.
type State string

// The states: open until its conversions could have arrived; expired where its ad
// never ran, or too little to say anything.
const (
	Open       State = "open"
	Successful State = "successful"
	Missed     State = "failed"
	Expired    State = "expired"
)

const (
	// Horizon is how long a prediction waits for its outcome.
	Horizon = 30 * 24 * time.Hour
	// enoughArrived is the share of conversions that could have shown from which on a
	// prediction of value is judged, and leastArrived the one below which it never is.
	enoughArrived, leastArrived = 0.8, 0.3
	// leastClicks are expected of an ad before its CTR says anything.
	leastClicks = 5
	// day is how long an ad runs before its CTR says anything.
	day = 24 * time.Hour
	z90 = 1.6448536269514722
)

// Judge says what became of a prediction by now. valued says whether the account's
// ads have a pipeline value at all; where none has, CTR alone is judged.
func Judge(p Prediction, valued bool, now time.Time) State {
	age := now.Sub(p.MadeAt)
	clicked := age >= day && p.hasCTR()
	switch {
	case age < Horizon && (!clicked || valued && (p.Arrived < enoughArrived || p.Spend <= 0)):
		return Open
	case !clicked:
		return Expired
	}
	z := p.ctrError()
	inside := math.Abs(z) <= z90
	if valued && p.hasROAS() {
		z, _ := p.roasError()
		inside = inside && math.Abs(z) <= z90
	}
	if inside {
		return Successful
	}
	return Missed
}

// hasCTR reports whether the ad ran enough for its CTR to say anything.
func (p *Prediction) hasCTR() bool {
	return p.Impressions > 0 && (p.CTR*float64(p.Impressions) >= leastClicks || p.Clicks >= leastClicks)
}

// hasROAS reports whether the ad's value says anything.
func (p *Prediction) hasROAS() bool { return p.Spend > 0 && p.Arrived >= leastArrived }

// ctrError is by how many standard deviations, of the prediction and of counting
// together, the observed CTR lies from the predicted one.
func (p *Prediction) ctrError() float64 {
	seen := (float64(p.Clicks) + 0.5) / (float64(p.Impressions) + 0.5)
	return distance(p.CTRLow, p.CTRHigh, seen, 1/(float64(p.Clicks)+0.5))
}

// roasError is ctrError of the value, corrected for what could not have arrived, and
// the logarithm of the observed ROAS over the predicted one.
// Half a deal is added to what was seen and to what was expected, so that an ad
// without a deal has an error with an end.
func (p *Prediction) roasError() (z, off float64) {
	size := p.Value / math.Max(p.Deals, 1)
	if size <= 0 {
		size = math.Max(p.ROAS*p.Spend*p.Arrived, 1e-9)
	}
	half := size / 2
	seen := (p.Value + half) / (p.Spend*p.Arrived + half/math.Max(p.ROAS, 1e-9))
	return distance(p.ROASLow, p.ROASHigh, seen, 1/(p.Deals+0.5)), math.Log(seen / math.Max(p.ROAS, 1e-9))
}

// distance is how far seen lies from the middle of a 90% interval of a logarithm,
// in standard deviations, noise included.
func distance(low, high, seen, noise float64) float64 {
	l, h := math.Log(math.Max(low, 1e-12)), math.Log(math.Max(high, 1e-12))
	sd := math.Max(h-l, 1e-6) / (2 * z90)
	return (math.Log(math.Max(seen, 1e-12)) - (l+h)/2) / math.Sqrt(sd*sd+noise)
}

// intervalScore is a proper score of a 90% interval for a logarithm (Gneiting and
// Raftery 2007): its width, and 20 times what the outcome lies outside. Lower is
// better. Chance in counting widens the interval.
func intervalScore(low, high, seen, noise float64) float64 {
	l, h := math.Log(math.Max(low, 1e-12)), math.Log(math.Max(high, 1e-12))
	mid, half := (l+h)/2, z90*math.Sqrt(math.Pow((h-l)/(2*z90), 2)+noise)
	x := math.Log(math.Max(seen, 1e-12))
	return 2*half + 20*math.Max(0, math.Abs(x-mid)-half)
}
