// Package oracle predicts a creative's CTR and ROAS before money is spent on it,
// from its DNA and from what the account's, and the niche's, ads have done. It is
// a trained statistical model; nothing in it asks a language model for a number.
//
// The ladder of what a prediction rests on: the account's own ads, then those of
// the same tenant's other accounts of the same niche, then a fixed global prior.
// It is one hierarchical model, so that each step speaks as loudly as it has
// evidence. Of other tenants only the pooled prior of a niche reaches a model, where the
// account takes part: effects that at least five accounts have in common.
package oracle

import (
	"time"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/embed"
)

// Past is an ad that has run. The same ads in any order train the same model.
type Past struct {
	AdID      string
	AccountID string
	DNA       creative.DNA
	// Impressions and Clicks are totals to date; an ad without impressions
	// teaches nothing of CTR.
	Impressions, Clicks int64
	// Spend and Value (pipeline value, won deals included) are totals to date in
	// units of one currency; an ad without spend teaches nothing of ROAS.
	Spend, Value float64
	// Immature is the share of the ad's conversions that could not have shown yet, 0
	// to 1: its value is judged by the spend whose conversions could.
	Immature float64
	// Created is when the ad began; the zero time where nobody knows. A model with a
	// half-life believes an older ad less.
	Created time.Time
	// Vector is the ad's embedding where it is a stored winner, or nil.
	Vector embed.Vector
	// Pooled is set where this is no ad but a cell of the niche's prior.
	Pooled *Pooled
}

// leastArrived keeps a deal that came on an ad's first day from counting as a
// hundred.
const leastArrived = 0.03

// arrived is the share of the ad's conversions that could have shown.
func (p Past) arrived() float64 { return clamp(1-p.Immature, leastArrived, 1) }

// Neighbour is a stored winner that is like the one to be judged. Its figures are
// those that the model was trained on; an ad that it was not is passed over.
type Neighbour struct {
	AdID       string
	Similarity float64 // cosine, 0 to 1
}

// Source is what a baseline was taken from.
type Source string

// The ladder.
const (
	// FromAccount is the account's own ads.
	FromAccount Source = "account"
	// FromNiche is the same tenant's accounts of the same niche, or the pooled prior of a
	// niche that the account shares with.
	FromNiche Source = "niche"
	// FromPrior is no ads at all: PriorCTR and PriorROAS.
	FromPrior Source = "global_prior"
)

// Level is the probability with which an interval holds the truth.
const Level = 0.90

// RejectBelow is the share of the baseline CTR below which a creative is rejected.
const RejectBelow = 0.70

// Prediction is what an ad is expected to do, and why.
type Prediction struct {
	// CTR (a rate, 0 to 1) and ROAS (pipeline value over spend) are the long-run
	// means of ads with such a DNA in the account, by what its features most probably
	// do; that it goes viral is not counted on.
	CTR, ROAS float64
	// CTRInterval and ROASInterval hold the true, long-run figure (not what a given
	// number of impressions will show) with a probability of 90%.
	CTRInterval, ROASInterval [2]float64
	// Confidence is the probability, 0 to 1, that the decision is right: that what the
	// gate asks for truly lies below RejectBelow x its average where Reject is set, and
	// at or above it where it is not. Of an account without a history nobody knows the
	// level: then it is held against what the account's own average will be.
	Confidence float64
	// Baseline is the average CTR that the creative is held against, a rate, and
	// BaselineROAS the ROAS beside it.
	Baseline, BaselineROAS float64
	BaselineSource         Source
	// Version names the model; the same data train the same version.
	Version string
	// Ads is how many ads there are to learn from; Own of them are the account's.
	Ads, Own int
	// Weaknesses are what costs CTR, the dearest first; never nil.
	Weaknesses []Weakness
	// Near are the neighbours whose figures the model knows, most like it first; never
	// nil. They move the numbers as far as likeness has been seen to tell.
	Near []Neighbour
	// Patterns are the account's known patterns that the creative has; never nil. They
	// move no number.
	Patterns []Pattern
	// Gate says what was asked. Value is the predicted pipeline value of an impression
	// and BaselineValue the account's average, in units; 0 where Gate is ByCTR.
	Gate                 Gate
	Value, BaselineValue float64
	// TestBudget is what to try an uncertain creative with, in units; nil where it is
	// certain, or nothing is known that could say.
	TestBudget *float64
	// Reject is set where, by value, Value is below RejectBelow x BaselineValue and the
	// truth probably is, too, or, by clicks, CTR < RejectBelow x Baseline.
	Reject bool
	// Reason says in words where the numbers come from, and Recommendation what to do.
	Reason, Recommendation string
}

// Weakness is a feature of the creative that costs clicks.
type Weakness struct {
	Feature, Value string
	// Effect is the share of CTR lost against what past ads usually do with the
	// feature: 0.2 is 20% fewer clicks.
	Effect float64
	// Probability is that it costs anything at all, 0 to 1.
	Probability float64
	// Instead is what better ads did, more clicks that were worth no less, and Ads up
	// to three of them, best first; "" where none is known.
	Instead string
	Ads     []string
}
