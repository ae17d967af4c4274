package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// Config is where messages may go.
type Config struct {
	// AllowLocal admits addresses other than Slack's, for development.
	AllowLocal bool `env:"WEBHOOK_ALLOW_LOCAL, default=false"`
	// Deadline is how long Slack may take to answer; 10 s unless set.
	Deadline time.Duration
}

// Client posts messages. It is safe for concurrent use.
type Client struct {
	local bool
	http  *http.Client
}

// New returns a client.
func New(cfg Config) *Client {
	deadline := cfg.Deadline
	if deadline <= 0 {
		deadline = 10 * time.Second
	}
	return &Client{local: cfg.AllowLocal, http: &http.Client{
		Timeout: deadline, Transport: telemetry.Transport("slack", nil),
		// Following a redirect would carry a tenant's figures to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Failure is why a message was not taken. Its text is safe to show and to log: it holds
// nothing of the address.
type Failure struct {
	Status int    // Slack's answer, 0 where there was none
	Code   string // such as no_service
	Reason string
	// RetryAfter is how long Slack wants to be left alone.
	RetryAfter time.Duration
	// Gone says that the address takes nothing any more: it was revoked, or its channel
	// archived. Refused says that Slack does not take this message.
	Gone, Refused bool
}

// Error returns the reason.
func (f *Failure) Error() string { return f.Reason }

// Check returns the rule that an address breaks as an incoming webhook's, "" where none.
func (c *Client) Check(address string) (rule string) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.RawQuery != "":
		return "must be the address of an incoming webhook such as https://hooks.slack.com/services/T000/B000/XXXX"
	case c.local && (u.Scheme == "http" || u.Scheme == "https"):
		return ""
	case u.Scheme != "https" || u.Port() != "" || u.Hostname() != "hooks.slack.com" && u.Hostname() != "hooks.slack-gov.com" ||
		!strings.HasPrefix(u.Path, "/services/"):
		return "must begin with https://hooks.slack.com/services/"
	}
	return ""
}

var code = regexp.MustCompile(`^[a-z_]{1,60}$`)

// Post posts m and returns nil once Slack has taken it. Any other end is a *Failure.
func (c *Client) Post(ctx context.Context, address string, m Message) error {
	if rule := c.Check(address); rule != "" {
		return &Failure{Reason: "Slack's address " + rule, Gone: true}
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write a message for Slack: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return &Failure{Reason: "Slack's address is no web address", Gone: true}
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	answer, err := c.http.Do(r)
	if err != nil {
		reason := "Slack cannot be reached"
		var named *url.Error
		if errors.As(err, &named) && named.Timeout() {
			reason = "Slack did not answer in time"
		}
		return &Failure{Reason: reason} // the error's own text holds the address
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
	if answer.StatusCode/100 == 2 {
		return nil
	}
	f := &Failure{Status: answer.StatusCode}
	if said := strings.TrimSpace(string(text)); code.MatchString(said) {
		f.Code = said
	}
	f.Reason = fmt.Sprintf("Slack answered %d %s", f.Status, f.Code)
	f.Reason = strings.TrimSpace(f.Reason)
	switch {
	case f.Status == http.StatusTooManyRequests:
		f.RetryAfter = time.Minute
		if s, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && s >= 0 {
			f.RetryAfter = min(max(time.Duration(s)*time.Second, time.Second), 24*time.Hour)
		}
	case f.Status == http.StatusForbidden, f.Status == http.StatusNotFound, f.Status == http.StatusGone:
		f.Gone = true
	case f.Status == http.StatusBadRequest, f.Status == http.StatusRequestEntityTooLarge:
		f.Refused = true
	}
	return f
}
