package meta

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// Error is Meta's refusal of a call.
type Error struct {
	HTTPStatus    int // 200 is possible: Meta sends errors with it too
	Code, Subcode int // 0 where Meta gave none
	Message       string
	Trace         string // fbtrace_id, which Meta's support asks for
	account       string
	transient     bool
	wait          time.Duration // where the call was throttled
}

// Error returns what Meta said, without the token.
func (e *Error) Error() string {
	text := fmt.Sprintf("meta: code %d", e.Code)
	if e.Subcode != 0 {
		text += fmt.Sprintf("/%d", e.Subcode)
	}
	return fmt.Sprintf("%s, status %d: %s (trace %s)", text, e.HTTPStatus, or(e.Message, "no message"), or(e.Trace, "none"))
}

// Unwrap returns what the error means for the caller of a function of ours.
func (e *Error) Unwrap() error {
	account, permissions := "ad account act_"+e.account, "ads_read and ads_management"
	if strings.HasPrefix(e.account, pagePrefix) {
		account, permissions = e.account, "leads_retrieval and pages_manage_metadata"
	}
	switch kind := e.kind(); kind {
	case unauthorized:
		return fault.Conflictf("Meta does not accept the token of %s: connect it again", account)
	case forbidden:
		return fault.Conflictf("Meta does not allow this with the token of %s: connect it again with the permissions %s", account,
			permissions)
	case gone:
		return fault.NotFoundf("Meta does not have it, or does not show it to the token of %s", account)
	case throttled, budgetLimited:
		return &fault.Error{Kind: fault.Unavailable, Message: "Meta has had enough calls for " + account, RetryAfter: e.wait}
	case temporary, tooMuch:
		return fault.Down("Meta does not answer for "+account, nil)
	default:
		return fault.Conflictf("Meta refused the call for %s with code %d/%d", account, e.Code, e.Subcode)
	}
}

type kind int

const (
	refused kind = iota
	unauthorized
	forbidden
	gone
	throttled
	budgetLimited // four changes of one ad set's budget in an hour: it waits, the account does not
	temporary
	tooMuch // asked for more than one answer may hold
)

// Codes of Meta's that mean one thing, and subcodes that mean another than their code.
const (
	codeUnknown, codeService = 1, 2
	codeInvalid              = 100
	codeThrottled            = 613

	subcodeBudgetLimit = 1487632
	subcodePostLimit   = 5044001
	subcodeMissing     = 33
	subcodeTooMuch     = 1487534
)

// codes are those whose meaning does not depend on a subcode. What the 8000x
// codes are each for is described differently by different pages; all are quotas.
var codes = map[int]kind{
	codeUnknown: temporary, codeService: temporary, -1: temporary,
	4: throttled, 17: throttled, 32: throttled, 341: throttled, codeThrottled: throttled,
	80000: throttled, 80001: throttled, 80002: throttled, 80003: throttled, 80004: throttled,
	80005: throttled, 80006: throttled, 80008: throttled, 80009: throttled, 80014: throttled,
	102: unauthorized, 190: unauthorized,
	3: forbidden, 10: forbidden, 294: forbidden,
	803: gone,
}

func (e *Error) kind() kind {
	switch {
	case e.Code == codeThrottled && e.Subcode == subcodeBudgetLimit:
		return budgetLimited
	case e.Code == codeInvalid && e.Subcode == subcodeMissing:
		return gone
	case e.Code == codeInvalid && e.Subcode == subcodeTooMuch, strings.Contains(strings.ToLower(e.Message), "reduce the amount of data"):
		return tooMuch
	case e.Code >= 200 && e.Code <= 299:
		return forbidden
	}
	if k, ok := codes[e.Code]; ok {
		return k
	}
	switch {
	case e.HTTPStatus == http.StatusTooManyRequests:
		return throttled
	case e.HTTPStatus == http.StatusUnauthorized && e.Code == 0:
		return unauthorized
	case e.transient, e.HTTPStatus >= 500, e.HTTPStatus == http.StatusRequestTimeout:
		return temporary
	}
	return refused
}

// Effect is what a write did.
type Effect int

// The effects of a write.
const (
	Applied Effect = iota // Meta said so
	Refused               // nothing was changed, for certain
	Unknown               // it was sent, and what became of it was not heard: read before anything else
)

// Outcome says what a write that returned err did.
func Outcome(err error) Effect {
	var (
		e     *Error
		local *unsent
	)
	switch {
	case err == nil:
		return Applied
	case errors.As(err, &local):
		return Refused
	case errors.As(err, &e):
		// An error of Meta's own servers may come after the change was made, and so
		// may codes 1 and 2; any other code is said before.
		if e.HTTPStatus >= 500 || e.HTTPStatus == http.StatusRequestTimeout || e.kind() == temporary {
			return Unknown
		}
		return Refused
	}
	return Unknown
}

// Throttled reports whether err means that Meta, or this client for its sake,
// wants to be called less, and how long to wait.
func Throttled(err error) (wait time.Duration, ok bool) {
	var e *Error
	if !errors.As(err, &e) {
		return 0, false
	}
	k := e.kind()
	return e.wait, k == throttled || k == budgetLimited
}

// BudgetLimited reports whether err is about one ad set's budget only, which may
// change four times an hour: the rest of the account is not affected.
func BudgetLimited(err error) bool { return is(err, budgetLimited) }

// Unauthorized reports whether the token is expired, revoked or none.
func Unauthorized(err error) bool { return is(err, unauthorized) }

// Forbidden reports whether the token lacks a permission.
func Forbidden(err error) bool { return is(err, forbidden) }

// Gone reports whether Meta does not have the object, or does not show it to
// this token.
func Gone(err error) bool { return is(err, gone) }

func is(err error, k kind) bool {
	var e *Error
	return errors.As(err, &e) && e.kind() == k
}

// unsent is a call that never left this process.
type unsent struct{ cause error }

func (u *unsent) Error() string { return "not sent: " + u.cause.Error() }
func (u *unsent) Unwrap() error { return u.cause }

// broken is a call whose answer was not heard, or not understood.
type broken struct {
	account string
	cause   error
}

func (b *broken) Error() string { return b.cause.Error() }

// Unwrap returns the fault, and its cause.
func (b *broken) Unwrap() []error {
	return []error{fault.Down("Meta does not answer for ad account act_"+b.account, nil), b.cause}
}

// refusal reads the error of an answer; nil where it has none.
func (a *Account) refusal(status int, header http.Header, raw []byte) *Error {
	var body struct {
		Error *struct {
			Message   string `json:"message"`
			Title     string `json:"error_user_title"`
			User      string `json:"error_user_msg"`
			Code      int    `json:"code"`
			Subcode   int    `json:"error_subcode"`
			Transient bool   `json:"is_transient"`
			Trace     string `json:"fbtrace_id"`
		} `json:"error"`
	}
	_ = json.Unmarshal(raw, &body) // gateways answer in HTML
	e := &Error{HTTPStatus: status, Trace: traceOf(header), account: a.id}
	switch {
	case body.Error != nil:
		e.Code, e.Subcode, e.transient = body.Error.Code, body.Error.Subcode, body.Error.Transient
		e.Trace = or(body.Error.Trace, e.Trace)
		e.Message = a.clean(strings.Join(strings.Fields(body.Error.Message+" "+body.Error.Title+" "+body.Error.User), " "))
	case status < 200 || status > 299:
		e.Message = http.StatusText(status) + ", without Meta's reason"
	default:
		return nil
	}
	return e
}

func traceOf(header http.Header) string {
	return or(header.Get("X-Fb-Trace-Id"), header.Get("X-Fb-Request-Id"))
}

var anyToken = regexp.MustCompile(`EAA[0-9A-Za-z]{10,}`)

// clean takes the token out of a text: Meta repeats one that it cannot read.
func (a *Account) clean(text string) string {
	if token := a.token(); token != "" {
		text = strings.ReplaceAll(text, token, "[token]")
	}
	text = anyToken.ReplaceAllString(text, "[token]")
	if len(text) > 500 {
		text = strings.ToValidUTF8(text[:500], "") + "..."
	}
	return text
}
