// Package director writes what is to be filmed next: a battle plan for a
// creative that the oracle lets through, a fix plan for one that it rejects, and
// the replacement of an ad that has tired. A plan is written by a language model
// or, without one, computed from the winners' DNA; either way it is checked before
// anybody sees it, and each pattern that it borrows names the ad it came from.
package director

import (
	"math"

	"github.com/geminivideo/geminivideo/shared/creative"
)

// Kind is what a plan is for.
type Kind string

// The kinds of plans.
const (
	BattlePlan Kind = "battle_plan" // for a creative that may be run, or a new one
	FixPlan    Kind = "fix_plan"    // for a creative that the gate rejects
)

// Grounding says where a plan's examples come from.
type Grounding string

// The groundings, best first.
const (
	OnWinners Grounding = "winners" // stored winners like the creative
	OnAccount Grounding = "account" // no winners to go by: the account's ads with the best pipeline ROAS
	OnGeneral Grounding = "general" // no ads to go by: what usually works
)

// Brief is what a plan is written from.
type Brief struct {
	Kind Kind
	// DNA is the creative's that the plan is for, or the tired ad's.
	DNA creative.DNA
	// Seconds is how long the video is to be; 0 leaves that to the plan.
	Seconds    float64
	Prediction Prediction
	Grounding  Grounding
	Examples   []Example // best first
	Patterns   []Pattern // the strongest first
	// Unsearched says why the memory of winners could not be searched, "" where it was.
	Unsearched string

	vectors string // the embedding model that it was searched with
	// Tired is the ad that the plan is to replace; nil where there is none.
	Tired *Tired
}

// Example is an ad that a plan may borrow from.
type Example struct {
	AdID       string
	Similarity float64 // to the creative, 0 to 1; 0 where it was not compared
	ROAS       float64 // pipeline value over spend
	CTR        float64 // a rate, 0 to 1
	DNA        creative.DNA
}

// Pattern is a value of the creative DNA of which the learning cycle has found that it
// moves clicks, or value, in this account.
type Pattern struct {
	Metric  string   `json:"metric"` // ctr, or value: pipeline value per impression
	Feature string   `json:"feature"`
	Value   string   `json:"value"`
	Lift    float64  `json:"lift"` // 0.3 is 30% more than the account's other ads
	Ads     []string `json:"ad_ids"`
}

// Tired is an ad that its audience has seen enough of.
type Tired struct {
	AdID   string
	Reason string
	// Hook is the type of hook that is worn out, "" where it is not known.
	Hook string
}

// Prediction is what the oracle expects of a creative. Rates are 0 to 1.
type Prediction struct {
	Decision        string     `json:"decision" enum:"PROCEED,REJECT"`
	Reason          string     `json:"reason,omitempty"`
	Recommendation  string     `json:"recommendation"`
	PredictedCTR    float64    `json:"predicted_ctr" doc:"A rate: 0.02 is 2%."`
	PredictedROAS   float64    `json:"predicted_roas" doc:"Pipeline value over spend."`
	Confidence      float64    `json:"confidence" doc:"0 to 1."`
	Intervals       Intervals  `json:"intervals"`
	AccountBaseline float64    `json:"account_baseline" doc:"What the prediction is held against: an average CTR, a rate."`
	BaselineSource  string     `json:"baseline_source" enum:"account,niche,global_prior"`
	ModelVersion    string     `json:"model_version"`
	Weaknesses      []Weakness `json:"weaknesses" nullable:"false" doc:"What costs most clicks, the worst first."`
}

// Intervals are of a prediction's two figures.
type Intervals struct {
	CTR  Interval `json:"ctr"`
	ROAS Interval `json:"roas"`
}

// Interval holds the true, long-run figure with the probability Level.
type Interval struct {
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Level float64 `json:"level" doc:"0.9."`
}

// Weakness is a feature of the creative that costs clicks.
type Weakness struct {
	Feature string   `json:"feature"`
	Value   string   `json:"value"`
	Effect  float64  `json:"effect" doc:"The share of the CTR that it costs: 0.2 is 20%."`
	Likely  float64  `json:"probability" doc:"That it costs clicks at all, 0 to 1."`
	Instead string   `json:"instead,omitempty" doc:"What did better."`
	Ads     []string `json:"ads" nullable:"false" doc:"Ads of yours that did so."`
}

// citable returns the ads that a plan may name: its examples, and those that the
// weaknesses and the patterns name.
func (b Brief) citable() map[string]bool {
	ads := map[string]bool{}
	for _, e := range b.Examples {
		ads[e.AdID] = true
	}
	for _, w := range b.Prediction.Weaknesses {
		for _, ad := range w.Ads {
			ads[ad] = true
		}
	}
	for _, p := range b.Patterns {
		for _, ad := range p.Ads {
			ads[ad] = true
		}
	}
	return ads
}

// weight says how much an example counts: by what it brought, and by how like
// the creative it is. A ROAS of 30 is not ten times as telling as one of 3, so it
// counts by its logarithm.
func (e Example) weight() float64 {
	const unlike = 0.05 // an example that was not compared still counts
	return max(e.Similarity, unlike) * math.Log1p(max(e.ROAS, 0))
}
