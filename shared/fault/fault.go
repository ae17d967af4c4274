// Package fault gives an error its kind: what went wrong for the caller, and so
// what happens next. The edge (shared/serve) turns kinds into HTTP statuses, and
// for messages into "acknowledge and keep as a dead letter" or "send it again".
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says whose move it is after an error.
type Kind int

// The kinds. Invalid, NotFound, Forbidden and Conflict can never succeed by
// being tried again as they are; TooMany and Unavailable can, later.
const (
	Internal Kind = iota
	Invalid
	NotFound
	Forbidden
	Conflict
	Unauthorized
	TooMany
	Unavailable
)

// Detail names a field and the rule it breaks, never the value that broke it.
type Detail struct {
	// Field is the JSON path, such as body.ad_states[3].spend.
	Field string
	// Rule says what is expected, such as "must be at least 0".
	Rule string
}

// Error is an error whose text may be shown to the caller.
type Error struct {
	Kind Kind
	// Message is safe to show: it holds no secret and no value of the request.
	Message string
	Details []Detail
	// RetryAfter is when another try may succeed, for TooMany, Unavailable and
	// a Conflict that passes; zero where waiting changes nothing.
	RetryAfter time.Duration
	// Cause is for the log only.
	Cause error

	origin []uintptr // where Down was called
}

// Error returns the message, and the cause for the log where there is one.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Unwrap returns the hidden cause.
func (e *Error) Unwrap() error { return e.Cause }

// Field returns an Invalid error for one field, such as
// Field("body.total_budget", "must be a finite number").
func Field(field, rule string) *Error {
	return &Error{Kind: Invalid, Message: field + " " + rule, Details: []Detail{{field, rule}}}
}

// Invalidf returns an Invalid error: the request breaks a rule.
func Invalidf(format string, args ...any) *Error { return newf(Invalid, format, args) }

// NotFoundf returns a NotFound error: what the request names does not exist.
func NotFoundf(format string, args ...any) *Error { return newf(NotFound, format, args) }

// Forbiddenf returns a Forbidden error: the caller may not do this.
func Forbiddenf(format string, args ...any) *Error { return newf(Forbidden, format, args) }

// Conflictf returns a Conflict error: the state of things refuses the request.
func Conflictf(format string, args ...any) *Error { return newf(Conflict, format, args) }

// Unauthorizedf returns an Unauthorized error: no credentials, or bad ones.
func Unauthorizedf(format string, args ...any) *Error { return newf(Unauthorized, format, args) }

// Down returns an Unavailable error for a dependency that is down: message is what
// the caller reads, cause what the log keeps.
func Down(message string, cause error) *Error {
	return &Error{Kind: Unavailable, Message: message, Cause: cause, RetryAfter: 10 * time.Second, origin: callers()}
}

// Limited returns a TooMany error that says when to come back.
func Limited(message string, after time.Duration) *Error {
	return &Error{Kind: TooMany, Message: message, RetryAfter: after}
}

// Of returns the kind of err, Internal where it has none.
func Of(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Permanent reports whether trying again as it is can never help.
func Permanent(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.RetryAfter > 0 {
		return false
	}
	switch e.Kind {
	case Invalid, NotFound, Forbidden, Conflict, Unauthorized:
		return true
	default:
		return false
	}
}

func newf(kind Kind, format string, args []any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}
