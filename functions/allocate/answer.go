package allocate

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// answer is what select answers and the ledger keeps. Money is in units.
type answer struct {
	DecisionID      string           `json:"decision_id"`
	TotalBudget     float64          `json:"total_budget"`
	Currency        string           `json:"currency"`
	Recommendations []recommendation `json:"recommendations" nullable:"false"`
	NumAds          int              `json:"num_ads"`
	Unallocated     float64          `json:"unallocated_budget" doc:"0 unless limits make it impossible to give away the total, or allow_unspent is set."`
	Account         accountAnswer    `json:"account" doc:"Judges the total."`
	Reason          string           `json:"unallocated_reason,omitempty" doc:"Which limit left money over."`
	Limit           string           `json:"limit,omitempty" enum:"max_budget,change_limit,min_budget,change_floor,all_excluded,kept_budgets,break_even" doc:"The limit that binds the whole split, where one does."`
	LimitReason     string           `json:"limit_reason,omitempty" doc:"What that limit did."`
	Seed            uint64           `json:"seed"`
	ModelVersion    string           `json:"model_version"`
}

type recommendation struct {
	AdID        string   `json:"ad_id"`
	Current     float64  `json:"current_budget" doc:"Known, or else estimated: spend over days lived."`
	Recommended float64  `json:"recommended_budget"`
	Change      float64  `json:"change_percentage"`
	Confidence  float64  `json:"confidence" doc:"Probability that the direction of the change is right."`
	Reason      string   `json:"reason"`
	Interval    interval `json:"interval" doc:"90% of the posterior of what a unit of money here finally returns."`
	PBest       float64  `json:"p_best" doc:"Probability that this ad returns the most."`
	Verdict     string   `json:"verdict" enum:"none,kill,maintain,scale"`
	Metrics     metrics  `json:"metrics"`
}

type accountAnswer struct {
	ExpectedReturn   float64  `json:"expected_return" doc:"Posterior mean of the pipeline value that a day of this split finally brings."`
	MarginalReturn   float64  `json:"marginal_return" doc:"Expected pipeline value of one more unit of money at this total, limits included."`
	BreakEven        float64  `json:"break_even" doc:"The account's: the pipeline ROAS at which a sale pays for its ad."`
	Verdict          string   `json:"verdict" enum:"spend_more,hold,spend_less,unknown"`
	TotalAtBreakEven *float64 `json:"total_at_break_even,omitempty" doc:"With spend_less: the total whose last unit of money returns break_even."`
	Reason           string   `json:"reason"`
}

type interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

type metrics struct {
	Impressions  int64   `json:"impressions"`
	Clicks       int64   `json:"clicks"`
	CTR          float64 `json:"ctr" doc:"Percent."`
	PipelineROAS float64 `json:"pipeline_roas"`
	CTRWeight    float64 `json:"ctr_weight"`
	ROASWeight   float64 `json:"roas_weight"`
	BlendedScore float64 `json:"blended_score"`
	DecayFactor  float64 `json:"decay_factor"`
	AgeHours     float64 `json:"age_hours"`
}

// modelVersion names everything that an answer's bytes come from: the sampler,
// and how its split is written down here.
const modelVersion = sampler.Version + "/2"

// write returns the answer's bytes. Together with the sampler it is what a
// replay repeats, so it depends on its arguments alone.
func write(id uuid.UUID, req *sampler.Request, split *sampler.Split) ([]byte, error) {
	c := req.Currency
	a := answer{
		DecisionID: id.String(), TotalBudget: req.Total.Units(c), Currency: string(c), NumAds: len(req.Arms),
		Recommendations: make([]recommendation, len(split.Recommendations)),
		Unallocated:     split.Unallocated.Units(c), Limit: string(split.Limit), LimitReason: split.LimitReason,
		Seed: req.Seed, ModelVersion: modelVersion,
		Account: accountAnswer{
			ExpectedReturn: split.Account.Return * money.Amount(1).Units(c), MarginalReturn: split.Account.Marginal,
			BreakEven: split.Account.BreakEven, Verdict: string(split.Account.Verdict), Reason: split.Account.Reason,
		},
	}
	if split.Account.Verdict == sampler.SpendLess {
		total := split.Account.TotalAtBreakEven.Units(c)
		a.Account.TotalAtBreakEven = &total
	}
	if split.Unallocated > 0 {
		a.Reason = split.LimitReason
	}
	for i := range split.Recommendations {
		r := &split.Recommendations[i]
		a.Recommendations[i] = recommendation{
			AdID: r.ID, Current: r.Current.Units(c), Recommended: r.Recommended.Units(c), Change: r.Change,
			Confidence: r.Confidence, Reason: r.Reason, Interval: interval(r.Interval), PBest: r.PBest,
			Verdict: string(r.Verdict), Metrics: metrics(r.Metrics),
		}
	}
	return encode(a, 1024+640*len(a.Recommendations))
}

// encode writes JSON of about so many bytes as the edge does. It fails on numbers
// that JSON has not got.
func encode(v any, about int) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(about) // megabytes that would be copied again at every doubling
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return b.Bytes(), nil
}
