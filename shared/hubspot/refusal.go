package hubspot

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// dailyWait is how long a portal whose day's requests are used up is left alone
// where HubSpot does not say: the day may end any time.
const dailyWait = 15 * time.Minute

// refusal turns an answer that is no success into an error.
func (c *Client) refusal(r request, resp *http.Response, raw []byte) error {
	answer := describe(resp.StatusCode, raw)
	switch status := resp.StatusCode; {
	case status == http.StatusNotFound:
		return fault.NotFoundf("%s is not in HubSpot portal %d", r.what, c.opts.Portal)
	case status == http.StatusConflict:
		return fault.Conflictf("%s is in HubSpot portal %d already", r.what, c.opts.Portal)
	case status == http.StatusUnauthorized:
		return c.refused(fault.Unauthorized, "HubSpot does not accept the token of "+c.connection()+": connect it again", answer)
	case status == http.StatusForbidden:
		return c.refused(fault.Forbidden, c.connection()+" lacks a scope that is needed: connect it again with all scopes", answer)
	case status == http.StatusTooManyRequests:
		return c.limited(resp.Header, raw, answer)
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusLocked, status == 477:
		// 477 is HubSpot's own: the portal is being moved to another data centre.
		return &retry{cause: errors.New(answer), after: retryAfter(resp.Header, time.Now())}
	default:
		return &invalid{answer}
	}
}

// errInvalid is behind an answer that sending the same again cannot change.
var errInvalid = errors.New("HubSpot refuses the request")

type invalid struct{ answer string }

func (e *invalid) Error() string { return errInvalid.Error() + ": " + e.answer }
func (e *invalid) Unwrap() error { return errInvalid }

// code returns HubSpot's status and code of an answer behind errInvalid.
func code(err error) string {
	var e *invalid
	if !errors.As(err, &e) {
		return "without a code"
	}
	words := strings.Fields(e.answer) // status 400 CATEGORY ... correlation id
	return strings.Join(words[:min(len(words), 3)], " ")
}

// limited keeps all clients of the portal back for as long as HubSpot says, or
// for a quarter of its window at least, so that the tries outlast the window.
func (c *Client) limited(header http.Header, raw []byte, answer string) error {
	var policy struct {
		PolicyName string `json:"policyName"`
		Message    string `json:"message"`
	}
	_ = json.Unmarshal(raw, &policy) // a proxy's 429 has no policy
	after := retryAfter(header, time.Now())
	name := strings.ToUpper(policy.PolicyName)
	if strings.Contains(name, "DAILY") || header.Get("X-HubSpot-RateLimit-Daily-Remaining") == "0" {
		message := fmt.Sprintf("HubSpot portal %d has used up its requests of the day", c.opts.Portal)
		after = or(after, dailyWait)
		c.limit.pause(after, message)
		return down(message, errors.New(answer), after)
	}
	if after == 0 {
		after = interval(header) / 4
	}
	c.limit.pause(after, fmt.Sprintf("HubSpot portal %d has used up its requests of these ten seconds", c.opts.Portal))
	return &retry{cause: errors.New(answer), after: after}
}

// describe names an answer for the log by what HubSpot's support asks for. The
// message itself is left out: it can repeat a contact's data.
func describe(status int, raw []byte) string {
	var body struct {
		Category      string `json:"category"`
		ErrorType     string `json:"errorType"`
		PolicyName    string `json:"policyName"`
		CorrelationID string `json:"correlationId"`
	}
	_ = json.Unmarshal(raw, &body) // gateways answer in HTML
	words := []string{"status " + strconv.Itoa(status)}
	for _, part := range []string{body.Category, body.ErrorType, body.PolicyName, body.CorrelationID} {
		if part != "" && len(part) <= 100 {
			words = append(words, part)
		}
	}
	return strings.Join(words, " ")
}

// retryAfter reads Retry-After in both of its forms; 0 where there is none.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds >= 0 && seconds < 1e6 {
		return time.Duration(seconds * float64(time.Second))
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
