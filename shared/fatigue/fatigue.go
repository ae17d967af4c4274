// Package fatigue says whether an ad is tiring, from its days and what is known
// beside them: pure, with no clock and no I/O. Every rule of the contract is decided
// on the probability that it holds given the counts, not on the newest day's
// figures alone. What the days cannot show, or something else explains, is never an
// alarm.
package fatigue

import (
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Status is the state of an ad.
type Status string

// The statuses. The last three need action: a FATIGUING ad needs a new creative, a
// SATURATED one a larger audience, and an exhausted audience other people.
const (
	InsufficientData  Status = "INSUFFICIENT_DATA"
	Healthy           Status = "HEALTHY"
	Fatiguing         Status = "FATIGUING"
	Saturated         Status = "SATURATED"
	AudienceExhausted Status = "AUDIENCE_EXHAUSTED"
)

// NeedsAction reports whether an ad of that status tires.
func (s Status) NeedsAction() bool {
	return s == Fatiguing || s == Saturated || s == AudienceExhausted
}

// Day is what an ad did on one day.
type Day struct {
	// Date is the day; the zero time where it is not known, and then the days
	// follow each other.
	Date        time.Time
	Impressions int64
	CTR         float64 // a rate, 0 to 1
	CPM         float64 // price of a thousand impressions, in any currency
	Frequency   float64 // impressions per person, of the day or to date; 0 where it is not known
}

// Median is what the other ads of an account had on a day; 0 where not known.
type Median struct{ CTR, CPM float64 }

// Context is what is known beside the ad's own days.
type Context struct {
	// Account holds the account's medians on the same days as the history, one
	// for each, or nothing. With it, CTR and CPM must have moved for the ad
	// itself and also against its account.
	Account []Median
	// BudgetChanged are the times at which the ad's budget was changed during the
	// history, oldest first. A change within budgetDays of the newest day explains
	// moves of CTR and CPM.
	BudgetChanged []time.Time
	// Learning is set where the platform still learns how to deliver the ad: CTR and
	// CPM swing by themselves then.
	Learning bool
	// Currency is what reasons write prices in; "" where it is not known.
	Currency money.Currency
}

// Rule is one of the contract's rules.
type Rule string

// The rules.
const (
	CTRFall   Rule = "ctr_down"
	Frequency Rule = "frequency"
	CPMRise   Rule = "cpm_up"
	Delivery  Rule = "delivery_saturated"
)

// status is what an ad is for which the rule holds.
func (r Rule) status() Status {
	switch r {
	case CTRFall:
		return Fatiguing
	case Frequency:
		return Saturated
	default:
		return AudienceExhausted
	}
}

// The limits of the rules, and the probability from which one holds.
const (
	MaxFall      = 0.20 // of CTR
	MaxFrequency = 3.5
	MaxRise      = 0.50 // of CPM
	LeastGrowth  = 0.10 // of impressions in 7 days
	MostOutgrown = 0.20 // by which spend outgrew impressions
	Sure         = 2. / 3

	// leastDays have to be there, and leastImpressions on the newest of them: a
	// rate of fewer is a rate of a few people.
	leastDays        = 3
	leastImpressions = 50
)

// Signal is what one rule found.
type Signal struct {
	Rule Rule
	// Probability that the rule holds.
	Probability float64
	// Observed is what the days show: the change of CTR or CPM as a share, the
	// frequency, or by how much spend outgrew impressions.
	Observed float64
	Limit    float64
	// Alone is set where the rule holds for the ad's own days, whatever its account
	// did.
	Alone bool
	// Slow is set where the whole last week is what fell, beside the first week.
	Slow bool
	// Explained is what else accounts for it; then the rule does not hold.
	Explained Explanation
}

// Holds reports whether the rule holds.
func (s Signal) Holds() bool { return s.Probability > Sure && s.Explained == "" }

// Forecast says in how many days the first rule will hold if the trend goes on:
// the median, and the range that holds it with a probability of 80%.
type Forecast struct {
	Rule                   Rule
	Days, Soonest, Longest float64
}

// Verdict is a judgement that explains itself.
type Verdict struct {
	Status Status
	// Confidence is the probability of what the status says; 0 where the days
	// say nothing.
	Confidence float64
	Reason     string
	Signals    []Signal
	// Confounders say what else may be behind it, in words.
	Confounders []string
	// Critical is nil where there is no trend, and 0 days where a rule holds.
	Critical *Forecast
}

// Judge says whether an ad is tiring, and why. The days are oldest first.
func Judge(days []Day, context Context) Verdict {
	var h history
	h.fill(days, context)
	if v, ok := tooLittle(days, h.days); ok {
		return v
	}
	v, vague := h.decide()
	switch {
	case v.Status.NeedsAction():
		v.Critical = &Forecast{Rule: strongest(v.Signals, v.Status)}
	case !vague:
		v.Critical = h.forecast()
	}
	v.Confounders = h.confounders(v, context)
	v.Reason = h.reason(v)
	return v
}

// A Decider judges many ads, one after the other, in the memory of the first. Its
// zero value is ready.
type Decider struct{ history history }

// Decision is what Judge decides, without the words.
type Decision struct {
	Status Status
	// Alone are the rules of CTR and CPM that hold for the ad's own days, whatever its
	// account did, with what they observed.
	CTR, CPM *float64
}

// Decide returns what Judge decides, without the words.
func (d *Decider) Decide(days []Day, context Context) (out Decision) {
	h := &d.history
	h.fill(days, context)
	if little(days, h.days) {
		return Decision{Status: InsufficientData}
	}
	if h.quiet() {
		return Decision{Status: Healthy}
	}
	v, _ := h.decide()
	out.Status = v.Status
	for _, s := range v.Signals {
		observed := s.Observed
		switch {
		case !s.Alone:
		case s.Rule == CTRFall:
			out.CTR = &observed
		case s.Rule == CPMRise:
			out.CPM = &observed
		}
	}
	return out
}

// decide finds the status and how sure it is.
func (h *history) decide() (v Verdict, vague bool) {
	signals, vague := h.signals()
	v = Verdict{Status: Healthy, Confidence: 1, Signals: signals}
	for _, s := range signals {
		switch {
		case s.Holds() && severity(s.Rule.status()) >= severity(v.Status):
			if s.Rule.status() != v.Status || s.Probability > v.Confidence {
				v.Confidence = s.Probability
			}
			v.Status = s.Rule.status()
		case v.Status == Healthy && s.Explained != "":
			v.Confidence = min(v.Confidence, 0.5) // the explanation may be wrong
		case v.Status == Healthy:
			v.Confidence = min(v.Confidence, 1-s.Probability)
		}
	}
	if vague && !v.Status.NeedsAction() {
		v.Status, v.Confidence = InsufficientData, 0
	}
	return v, vague
}

// severity orders the statuses by how much they ask for.
func severity(s Status) int {
	switch s {
	case Fatiguing:
		return 1
	case Saturated:
		return 2
	case AudienceExhausted:
		return 3
	default:
		return 0
	}
}

// strongest is the rule behind a status.
func strongest(signals []Signal, status Status) (rule Rule) {
	best := 0.0
	for _, s := range signals {
		if s.Rule.status() == status && s.Probability > best {
			rule, best = s.Rule, s.Probability
		}
	}
	return rule
}
