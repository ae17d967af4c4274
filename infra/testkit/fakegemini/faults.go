package fakegemini

import (
	"context"
	"net/http"
	"time"
)

// Fault is something that goes wrong with a request. The zero Fault is none, so
// that a later one of a list can be reached.
type Fault struct {
	status           int
	code, reason     string
	retry            time.Duration
	hang, drop       bool
	body             string
	finish, blocked  string
	text             *string
	empty, noUsage   bool
	dimensions, lost int
}

// Quota is a 429 RESOURCE_EXHAUSTED that says when to come back, where wait is
// not 0.
func Quota(wait time.Duration) Fault {
	return Fault{status: http.StatusTooManyRequests, code: "RESOURCE_EXHAUSTED", retry: wait}
}

// Status is an HTTP error with Google's word for it: 503 UNAVAILABLE, 404 NOT_FOUND.
func Status(status int, code string) Fault { return Fault{status: status, code: code} }

// Because is an HTTP error with a reason in its details, such as API_KEY_INVALID.
func Because(status int, code, reason string) Fault {
	return Fault{status: status, code: code, reason: reason}
}

// Hang never answers.
func Hang() Fault { return Fault{hang: true} }

// Drop closes the connection without an answer.
func Drop() Fault { return Fault{drop: true} }

// Body answers 200 with that, whatever was asked.
func Body(body string) Fault { return Fault{body: body} }

// Truncated cuts what the model writes off in its middle: MAX_TOKENS.
func Truncated() Fault { return Fault{finish: "MAX_TOKENS"} }

// Finish ends the model's answer with that reason, and without a text: SAFETY,
// PROHIBITED_CONTENT, RECITATION, OTHER, ...
func Finish(reason string) Fault { return Fault{finish: reason} }

// Blocked refuses the prompt itself: promptFeedback, and no candidate.
func Blocked(reason string) Fault { return Fault{blocked: reason} }

// Empty answers without a candidate and without a reason.
func Empty() Fault { return Fault{empty: true} }

// Text lets the model write that, whatever the schema says.
func Text(text string) Fault { return Fault{text: &text} }

// Uncounted answers as usual without saying how many tokens it took.
func Uncounted() Fault { return Fault{noUsage: true} }

// Dimensions lets vectors have n numbers, whatever was asked.
func Dimensions(n int) Fault { return Fault{dimensions: n} }

// Lost leaves n of a batch's vectors out.
func Lost(n int) Fault { return Fault{lost: n} }

// before does what happens before a request is read, and reports whether that was
// the whole answer.
func (o *Fault) before(w http.ResponseWriter, r *http.Request, closing <-chan struct{}) bool {
	switch {
	case o.hang:
		select {
		case <-r.Context().Done():
		case <-closing:
		}
		return true
	case o.drop:
		panic(http.ErrAbortHandler)
	case o.body != "":
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Goog-Upload-Status", "final") // an upload's last answer, too
		_, _ = w.Write([]byte(o.body))
		return true
	case o.status == 0:
		return false
	}
	var details []map[string]any
	if o.retry > 0 {
		details = append(details, map[string]any{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": o.retry.String()})
	}
	if o.status == http.StatusTooManyRequests {
		details = append(details, map[string]any{
			"@type":      "type.googleapis.com/google.rpc.QuotaFailure",
			"violations": []any{map[string]any{"quotaMetric": "generativelanguage.googleapis.com/requests", "quotaId": "RequestsPerMinute"}},
		})
	}
	if o.reason != "" {
		details = append(details, map[string]any{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": o.reason})
	}
	refuse(w, o.status, o.code, "refused with "+Key+" and a piece of the prompt", details...)
	return true
}

type faultKey struct{}

func withFault(ctx context.Context, o *Fault) context.Context {
	return context.WithValue(ctx, faultKey{}, o)
}

// faultOf returns the fault that strikes r; never nil.
func faultOf(r *http.Request) *Fault {
	if o, _ := r.Context().Value(faultKey{}).(*Fault); o != nil {
		return o
	}
	return &Fault{}
}
