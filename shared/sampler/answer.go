package sampler

import "github.com/geminivideo/geminivideo/shared/money"

// Split is the answer: the recommendations and Unallocated sum to the total.
type Split struct {
	// Recommendations are in the order of the request's arms.
	Recommendations []Recommendation
	// Unallocated is the part of the total that the ads' limits admit nowhere.
	Unallocated money.Amount
	// Limit names the limit that made the total impossible, "" where none did.
	Limit Limit
	// LimitReason says in plain words what that limit did.
	LimitReason string
	// Account judges the whole split.
	Account AccountAnswer
	// Posterior is what the account taught, for the decision ledger.
	Posterior AccountPosterior
}

// AccountAnswer judges the total, not its parts.
type AccountAnswer struct {
	// Return is the expected final value, a day, of this split, in minor units.
	Return float64
	// ReturnBefore is the same of the budgets before it, Recommendation.Current.
	ReturnBefore float64
	// Marginal is the expected value of one more unit of money, limits included.
	Marginal float64
	// BreakEven is the return at which a sale pays for its ad.
	BreakEven float64
	Verdict   AccountVerdict
	// TotalAtBreakEven is the total whose last unit of money returns BreakEven,
	// limits included; set where Verdict is SpendLess.
	TotalAtBreakEven money.Amount
	// Reason says in plain words why.
	Reason string
}

// AccountVerdict says whether the total should change.
type AccountVerdict string

// The account's verdicts.
const (
	SpendMore AccountVerdict = "spend_more"
	Hold      AccountVerdict = "hold"
	SpendLess AccountVerdict = "spend_less"
	Unknown   AccountVerdict = "unknown" // too few of the deals could have shown yet
)

// Budgets returns the recommended budgets in the order of the arms.
func (s Split) Budgets() []money.Amount {
	all := make([]money.Amount, len(s.Recommendations))
	for i := range s.Recommendations {
		all[i] = s.Recommendations[i].Recommended
	}
	return all
}

// Limit is the name of a limit that binds the whole split.
type Limit string

// The limits.
const (
	NoLimit     Limit = ""
	MaxBudget   Limit = "max_budget"   // the ceilings add up to less than the total
	ChangeLimit Limit = "change_limit" // plus 50% of the known budgets is less than the total
	MinBudget   Limit = "min_budget"   // the floors add up to more than the total
	ChangeFloor Limit = "change_floor" // minus 50% of the known budgets is more than the total
	AllExcluded Limit = "all_excluded" // no ad takes part
	BreakEven   Limit = "break_even"   // AllowUnspent: more money would not pay for itself
	KeptByOther Limit = "kept_budgets" // excluded ads keep more than the total
)

// Verdict is a judgement that is reported beside the budget and never sets it.
type Verdict string

// The verdicts; None is the ignorance zone.
const (
	None     Verdict = "none"
	Kill     Verdict = "kill"
	Maintain Verdict = "maintain"
	Scale    Verdict = "scale"
)

// Recommendation is the answer for one ad.
type Recommendation struct {
	ID string
	// Current is the budget shown as today's; Recommended the proposed one.
	Current, Recommended money.Amount
	// Change is in percent: 100 from nothing to something, 0 from nothing to nothing.
	Change float64
	// Confidence is the posterior probability that the direction of the change is right.
	Confidence float64
	// Reason is one or two sentences for a media buyer.
	Reason string
	// Interval holds 90% of the posterior of Posterior.Return.
	Interval Interval
	// PBest is the posterior probability that the ad returns the most per unit of money.
	PBest   float64
	Verdict Verdict
	Metrics Metrics
	// Posterior is what the ledger keeps of the ad.
	Posterior ArmPosterior
}

// Interval is a range of values per unit of money.
type Interval struct{ Low, High float64 }

// Metrics are the figures that the frontend shows. They decide nothing.
type Metrics struct {
	Impressions, Clicks int64
	// CTR is a percent.
	CTR          float64
	PipelineROAS float64
	CTRWeight    float64
	ROASWeight   float64
	BlendedScore float64
	DecayFactor  float64
	AgeHours     float64
}

// ArmPosterior is what the model believes of one ad.
type ArmPosterior struct {
	// Return is the expected final value of a unit of money spent at the
	// recommended budget.
	Return float64
	// First is the same for the first unit of the day, before the price rises.
	First float64
	// Shape is the shape parameter of the Gamma posterior; 1/Shape is the posterior's
	// squared coefficient of variation.
	Shape float64
	// Floor is the part of the budget that the ad gets to stay tried, whatever is
	// believed of it, and Spread the standard deviation of the budgets that the draws
	// would have given it, both in minor units: for reading experiments out later.
	Floor, Spread float64
	// CTR is the present click rate (0 to 1), after fatigue.
	CTR float64
	// ValuePerClick is the expected final value of a click, in minor units.
	ValuePerClick float64
	// CPM is the price of a thousand impressions at a small budget, in minor units.
	CPM float64
	// Fatigue is the loss of click rate per impression.
	Fatigue float64
	// Matured is the part of the ad's clicks whose deals should have shown by now.
	Matured float64
}

// AccountPosterior is what the account taught.
type AccountPosterior struct {
	Version string
	Draws   int
	// CTR, CPM and ValuePerClick are where a new ad starts (CPM and value in minor units).
	CTR, CPM, ValuePerClick float64
	// Saturation is the daily budget of one ad at which its price has doubled, in minor units.
	Saturation float64
	// Fatigue is the account's loss of click rate per impression.
	Fatigue float64
	// Spread is the coefficient of variation of value per click between ads.
	Spread float64
	// Clickbait is the elasticity of value per click to click rate: -1 means that
	// clicks say nothing about value.
	Clickbait float64
	// DealSize is the value that one won deal usually adds, in minor units.
	DealSize float64
	// Deals is how many deals were counted, or estimated.
	Deals float64
	// MedianDelay is the hours until half of a click's final value is in cash.
	MedianDelay float64
	// DelaySpread is the standard deviation of its logarithm.
	DelaySpread float64
	// Doubt is the squared coefficient of variation of all values together, beyond
	// what is not known of the delay. It widens intervals and moves no budget.
	Doubt float64
	// Return is the expected return of the whole recommended split.
	Return float64
}
