package changes

import (
	"cmp"
	"time"
)

// OutcomeKind is what happened to a change: what Judge or a member decided, or
// what the platform did with a write.
type OutcomeKind string

// The outcomes.
const (
	// What Judge decides.
	Send        OutcomeKind = "send"              // write the step
	Validate    OutcomeKind = "validate"          // a dry run: the platform only checks the step
	Wait        OutcomeKind = "waiting"           // until Until
	Hold        OutcomeKind = "held"              // end it, with the reason
	Fail        OutcomeKind = "failed"            // end it, with the reason
	AskApproval OutcomeKind = "awaiting_approval" // an admin must approve it first
	AlreadySet  OutcomeKind = "already_set"       // the object is as wanted, and nothing was written
	Confirmed   OutcomeKind = "confirmed"         // the write whose outcome was unknown was made
	Retry       OutcomeKind = "retry"             // that write was not made: it is sent again

	// What the platform does with a write, or with a read before it.
	Applied        OutcomeKind = "applied"
	OutcomeUnknown OutcomeKind = "unknown"     // sent, and no answer tells whether it was made
	RetryLater     OutcomeKind = "retry_later" // refused for now; the try does not count
	Forbidden      OutcomeKind = "forbidden"   // we may not write there
	Refused        OutcomeKind = "refused"     // refused for good
	Validated      OutcomeKind = "dry_run"     // a dry run ended
	Unreadable     OutcomeKind = "unreadable"  // the object could not be read; nothing was sent

	// What members and newer decisions do.
	Approve OutcomeKind = "approve"
	Reject  OutcomeKind = "reject"
	Replace OutcomeKind = "replace"   // a newer decision takes its place
	Revert  OutcomeKind = "take_back" // its undo was applied
)

// Outcome is what happened to a change, with what belongs to it.
type Outcome struct {
	Kind   OutcomeKind
	Reason string
	// Rule is which rule of Judge kept the change from going on, in a word.
	Rule string
	// Step is the amount that Send and Validate are about, and Floor its minimum spend.
	Step  int64
	Floor *int64
	// Until is when a change that waits, or is sent again, is due.
	Until time.Time
	// Wait is how long to wait before the next try; LeaveAlone says that the platform
	// wants no call for the whole account until then.
	Wait       time.Duration
	LeaveAlone bool
	// Foreign says that somebody else's edit was found.
	Foreign bool
	// Trace is the platform's id of the call, and Took how long the call took.
	Trace string
	Took  time.Duration
	// By is who approved, rejected or undid it, and Digest the approved plan.
	By     string
	Digest []byte
}

// WhyNot says in a word why the change was not carried out: the rule that held it, or
// the platform; "none" where it was.
func (o Outcome) WhyNot() string {
	switch o.Kind {
	case RetryLater, Forbidden, Refused, Unreadable, OutcomeUnknown, Retry:
		return "platform"
	}
	return cmp.Or(o.Rule, "none")
}

// transition is a row of the table: an outcome leads a change of one of the from
// statuses to the status to; to More where a step was made and more are to come,
// Tried is the outcome of a dry run: what would have been done, as described, and
// what the platform says to that.
func Tried(described string, verdict, result Outcome) Outcome {
	why := "dry run: would " + described
	switch result.Kind {
	case Applied:
		why += "; Meta would accept it"
	case RetryLater, OutcomeUnknown:
		why += "; Meta could not be asked: " + result.Reason
	default:
		why += "; Meta would refuse it: " + result.Reason
	}
	return Outcome{Kind: Validated, Reason: why, Step: verdict.Step, Trace: result.Trace, Took: result.Took}
}
