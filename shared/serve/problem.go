package serve

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// problem is an RFC 9457 answer. It never holds a value of the request, a stack
// or a secret.
type problem struct {
	Status int          `json:"status" doc:"HTTP status."`
	Title  string       `json:"title" doc:"The status in words."`
	Detail string       `json:"detail" doc:"What went wrong, for people."`
	Errors []fieldError `json:"errors,omitempty" doc:"The fields that break a rule, at most 20 of them."`
	// MoreErrors counts those that Errors leaves out.
	MoreErrors int `json:"more_errors,omitempty" doc:"How many more rules are broken than errors names."`
	// Error is HubSpot's own member, and ours for nothing else.
	ErrorText string `json:"error,omitempty"`

	retryAfter time.Duration
}

type fieldError struct {
	Location string `json:"location" doc:"JSON path of the field."`
	Message  string `json:"message" doc:"The rule it breaks."`
}

func (p *problem) Error() string             { return p.Detail }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders tells huma to add Retry-After.
func (p *problem) GetHeaders() http.Header {
	if p.retryAfter <= 0 {
		return nil
	}
	return http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds())))}}
}

func init() {
	huma.ValidateStrictCasing = true // AD_ID is not ad_id, though Go's decoder takes it for that
	// huma's own errors (validation, size, type) take the same form as ours, and
	// a plain error's text never reaches the client.
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError { return fromHuma(status, msg, errs) }
	huma.NewErrorWithContext = func(_ huma.Context, status int, msg string, errs ...error) huma.StatusError {
		return fromHuma(status, msg, errs)
	}
}

func fromHuma(status int, msg string, errs []error) huma.StatusError {
	p := &problem{Status: status, Title: http.StatusText(status), Detail: msg}
	if status >= 500 {
		p.Detail = "internal error"
		return p
	}
	var found []fieldError
	for _, err := range errs {
		var d huma.ErrorDetailer
		if errors.As(err, &d) {
			detail := d.ErrorDetail()
			if name, ok := missing(detail.Message); ok {
				found = append(found, fieldError{detail.Location + "." + name, "is required"})
				continue
			}
			if path, rule, ok := strings.Cut(detail.Message, fieldMark); ok {
				detail = &huma.ErrorDetail{Location: strings.TrimSuffix(detail.Location+"."+path, "."), Message: rule}
			}
			found = append(found, fieldError{detail.Location, plainRule(detail.Message)})
		}
	}
	if len(found) > 0 {
		return fieldProblem(status, found, len(found))
	}
	return p
}

// missing returns the field that huma's message says is not there.
func missing(message string) (name string, ok bool) {
	if name, ok = strings.CutPrefix(message, "expected required property "); ok {
		return strings.CutSuffix(name, " to be present")
	}
	return "", false
}

// plainRule puts the decoder's Go words into a caller's.
func plainRule(text string) string {
	switch {
	case strings.HasPrefix(text, "json: unknown field"):
		return "holds a field that is not known here"
	case strings.HasPrefix(text, "json: cannot unmarshal"):
		return "has the wrong type"
	case strings.HasPrefix(text, "unknown content type"):
		return "must be sent as application/json"
	}
	return text
}

var statuses = map[fault.Kind]int{
	fault.Internal:     http.StatusInternalServerError,
	fault.Invalid:      http.StatusUnprocessableEntity,
	fault.NotFound:     http.StatusNotFound,
	fault.Forbidden:    http.StatusForbidden,
	fault.Conflict:     http.StatusConflict,
	fault.Unauthorized: http.StatusUnauthorized,
	fault.TooMany:      http.StatusTooManyRequests,
	fault.Unavailable:  http.StatusServiceUnavailable,
}

// maxDetail is the longest detail of an answer, in bytes.
const maxDetail = 2000

// problemOf returns the answer that err deserves.
func problemOf(err error) *problem {
	var (
		p     *problem
		f     *fault.Error
		large *http.MaxBytesError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &f):
		status := statuses[f.Kind]
		p = &problem{Status: status, Title: http.StatusText(status), Detail: cut(f.Message, maxDetail), retryAfter: f.RetryAfter}
		for i, d := range f.Details {
			if i == maxErrors {
				p.MoreErrors = len(f.Details) - maxErrors
				break
			}
			p.Errors = append(p.Errors, fieldError{cut(d.Field, maxLocation), cut(d.Rule, maxRule)})
		}
		return p
	case errors.As(err, &large):
		return Problem(http.StatusRequestEntityTooLarge, "the body is larger than "+strconv.FormatInt(large.Limit, 10)+" bytes")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		p = Problem(http.StatusServiceUnavailable, "the request took too long")
		p.retryAfter = 5 * time.Second
		return p
	}
	return Problem(http.StatusInternalServerError, "internal error")
}

// Problem returns an error that is answered with status, for the few statuses
// that no kind of fault stands for, such as 400 and 415.
func Problem(status int, detail string) *problem { //nolint:revive // callers only return it
	return &problem{Status: status, Title: http.StatusText(status), Detail: detail}
}

// WithErrorText adds the member "error" to err's answer.
func WithErrorText(err error, text string) error {
	p := *problemOf(err)
	p.ErrorText = text
	return &causedProblem{&p, err}
}

type causedProblem struct {
	*problem
	cause error
}

func (c *causedProblem) Error() string { return c.cause.Error() }
func (c *causedProblem) Unwrap() error { return c.problem }

// public returns what of err may be shown.
func public(err error) string { return problemOf(err).Detail }

// WriteError answers r with err's problem and gives err to the log line.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	note(r.Context(), func(o *outcome) { o.err = err })
	p := problemOf(err)
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_ = jsonFormat.Marshal(w, p)
}
