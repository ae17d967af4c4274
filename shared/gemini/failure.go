package gemini

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// failure is why a try brought no answer, without a word of what was sent.
type failure struct {
	status int    // HTTP's; 0 where no answer came
	code   string // Google's, such as RESOURCE_EXHAUSTED
	reason string // Google's, such as API_KEY_INVALID
	quota  string // which quota is used up
	wait   time.Duration
	text   string // what happened, where there is no status
	// unsure is true where the request may have been answered, and be paid for.
	unsure bool
	// left is true where the caller did not wait for it.
	left bool
	// resting is true where the request was not made: the model is left alone.
	resting bool
}

// Error tells the log what happened.
func (f *failure) Error() string {
	if f.status == 0 {
		return f.text
	}
	parts := []string{fmt.Sprintf("HTTP %d", f.status)}
	for _, s := range []string{f.code, f.reason, f.quota} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if f.wait > 0 {
		parts = append(parts, "wait "+f.wait.String())
	}
	return strings.Join(parts, " ")
}

// failureOf says what became of a try that ended in err.
func failureOf(ctx context.Context, err error, s *seen) *failure {
	var (
		network *net.OpError
		refused = s.refusal
	)
	switch {
	case refused != nil:
		return refused
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &failure{text: "no answer in time", unsure: true}
	case ctx.Err() != nil:
		return &failure{text: "the caller left", unsure: true, left: true}
	case s.answered:
		return &failure{text: "an answer that is not the API's", unsure: true}
	case errors.As(err, &network) && network.Op == "dial":
		return &failure{text: "no connection: " + network.Error()}
	case errors.As(err, &network):
		return &failure{text: "the connection broke: " + network.Error(), unsure: true}
	}
	return &failure{text: fmt.Sprintf("no answer (%T)", errors.Unwrap(err)), unsure: true}
}

// again reports whether the same may go well a moment later.
func (f *failure) again() bool {
	switch f.status {
	case 0:
		return !f.left && !f.resting
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// outage reports trouble of the model's, rather than with what it was asked.
func (f *failure) outage() bool { return f.again() || f.status >= 500 }

// misconfigured reports what whoever runs the system has to put right.
func (f *failure) misconfigured() bool {
	switch f.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return true
	case http.StatusBadRequest:
		return f.code == "FAILED_PRECONDITION" || strings.HasPrefix(f.reason, "API_KEY")
	}
	return false
}

// operatorWait is how soon a setting may have been put right.
const operatorWait = 5 * time.Minute

// public returns the error that callers get.
func (f *failure) public(model string) error {
	cause := fmt.Errorf("gemini %s: %w", model, f)
	down := func(message string, after time.Duration) error {
		return &fault.Error{
			Kind: fault.Unavailable, Message: message + "; nothing was changed, try again later", RetryAfter: after,
			Cause: cause,
		}
	}
	switch {
	case f.resting:
		return down("the AI model has failed several times in a row and is left alone for a moment", f.wait)
	case f.status == http.StatusTooManyRequests:
		return down("the AI model's quota is used up for the moment", max(f.wait, 10*time.Second))
	case f.status == http.StatusNotFound:
		return down("the AI model that this system is set to use does not exist, or not any more; whoever runs the system has to name another", operatorWait)
	case f.misconfigured():
		return down("the AI model does not accept this system's credentials; whoever runs the system has to look at them", operatorWait)
	case f.status >= 400 && f.status < 500 && !f.again():
		return fmt.Errorf("%w (%w)", &Refused{Reason: "INVALID_ARGUMENT"}, cause)
	case f.text == "no answer in time" || f.left:
		return down("the AI model did not answer in time", 10*time.Second)
	}
	return down("the AI model does not answer", max(f.wait, 10*time.Second))
}
