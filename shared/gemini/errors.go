package gemini

import (
	"fmt"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// ErrTruncated is returned where the answer was longer than its bound and so
// ends in its middle.
var ErrTruncated = &fault.Error{
	Kind: fault.Unavailable, RetryAfter: 30 * time.Second,
	Message: "the AI model's answer was longer than it may be and was cut off; nothing of it was used, and it may fit another time",
}

// ErrNonsense is returned where the answer does not keep to its schema.
var ErrNonsense = &fault.Error{
	Kind: fault.Unavailable, RetryAfter: 10 * time.Second,
	Message: "the AI model answered something that makes no sense here; nothing of it was used, and another try may go better",
}

// Refused is returned where the model will not answer this request, however
// often it is asked.
type Refused struct {
	// Reason is Google's word for it, such as SAFETY, PROHIBITED_CONTENT or
	// INVALID_ARGUMENT.
	Reason string
}

// Error says why, in words for whoever made the request.
func (r *Refused) Error() string {
	switch r.Reason {
	case "INVALID_ARGUMENT":
		return "the AI model cannot read what it was given: the file may be damaged, too long or of a kind that it does not know"
	case "RECITATION":
		return "the AI model refuses to answer: its answer would have repeated somebody else's text (RECITATION)"
	}
	return "the AI model refuses to answer for reasons of content (" + r.Reason + ")"
}

// Unwrap returns the fault that it is: trying again changes nothing.
func (r *Refused) Unwrap() error {
	return &fault.Error{Kind: fault.Invalid, Message: r.Error()}
}

// Capped is returned where the tenant has used up what it may use in a day.
type Capped struct {
	// Until is when the next day begins, in UTC.
	Until time.Time
	// Tokens is true where the bound on tokens was met, not the one on money.
	Tokens bool
}

// Error says which bound, and when it ends.
func (c *Capped) Error() string {
	what := "spending limit"
	if c.Tokens {
		what = "token limit"
	}
	return fmt.Sprintf("your organisation's daily %s for the AI model is reached; it begins anew at %s", what,
		c.Until.Format("15:04 MST on 2 January"))
}

// Unwrap returns the fault that it is: later, the same may be asked again.
func (c *Capped) Unwrap() error {
	return fault.Limited(c.Error(), max(time.Until(c.Until).Round(time.Second), time.Second))
}
