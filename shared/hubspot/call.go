package hubspot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/geminivideo/geminivideo/shared/clock"
	"github.com/geminivideo/geminivideo/shared/fault"
)

// maxAnswer bounds an answer; a deal with a long history is a few kilobytes.
const maxAnswer = 8 << 20

// request is one call of the API; what names its subject for errors.
type request struct {
	method, path string
	query        url.Values
	body         any
	what         string
}

// call sends r until it succeeds, until trying again is useless, or until
// attempts or time run out, and reads the answer into out.
func (c *Client) call(ctx context.Context, r request, out any) error {
	inTime, cancel := context.WithTimeout(ctx, c.opts.Budget)
	defer cancel()
	waits := &backoff.ExponentialBackOff{
		InitialInterval: c.opts.FirstWait, Multiplier: 2, RandomizationFactor: 0.25, MaxInterval: 20 * time.Second,
	}
	waits.Reset()
	refused := false
	for attempt := 1; ; attempt++ {
		err := c.limit.wait(inTime)
		if err == nil {
			err = c.try(inTime, r, out, attempt)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
			return fmt.Errorf("read %s: %w", r.what, ctx.Err())
		}
		// A token that was rotated a moment ago deserves a second look, once.
		if errors.Is(err, ErrRefused) && !refused && c.opts.Forget != nil {
			refused = true
			c.opts.Forget()
			continue
		}
		var again *retry
		if !errors.As(err, &again) {
			if inTime.Err() != nil {
				return c.gaveUp(r, err, c.opts.FirstWait)
			}
			return fmt.Errorf("read %s: %w", r.what, err)
		}
		wait := max(waits.NextBackOff(), again.after)
		deadline, _ := inTime.Deadline()
		if attempt >= c.opts.Attempts || time.Until(deadline) < wait {
			return c.gaveUp(r, again.cause, wait)
		}
		if clock.Sleep(inTime, wait) != nil {
			return c.gaveUp(r, again.cause, wait)
		}
	}
}

// gaveUp asks for at least ten seconds: whoever comes back sooner would find
// the same, and there may be many of them.
func (c *Client) gaveUp(r request, cause error, after time.Duration) error {
	return fmt.Errorf("read %s: %w", r.what,
		down("HubSpot does not answer for portal "+fmt.Sprint(c.opts.Portal), cause, max(after, 10*time.Second)))
}

// try sends r once.
func (c *Client) try(ctx context.Context, r request, out any, attempt int) error {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	token, err := c.opts.Token(ctx)
	if token = strings.TrimSpace(token); err != nil || token == "" {
		return down("the token of "+c.connection()+" cannot be read", err, time.Minute)
	}
	address := c.opts.BaseURL + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		raw, err := json.Marshal(r.body)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return &retry{cause: fmt.Errorf("attempt %d: %w", attempt, err)}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return &retry{cause: fmt.Errorf("attempt %d: read the answer: %w", attempt, err)}
	}
	c.limit.learn(resp.Header)
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusMultiStatus {
		return c.refusal(r, resp, raw)
	}
	if len(raw) > maxAnswer {
		return errors.New("HubSpot's answer is larger than 8 MiB")
	}
	if err := json.Unmarshal(raw, out); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) { // cut off on its way, or a proxy's page
			return &retry{cause: fmt.Errorf("attempt %d: the answer is not whole JSON: %w", attempt, err)}
		}
		return fmt.Errorf("HubSpot's answer has another form than expected: %w", err)
	}
	return nil
}

// retry is a failure that another try may cure.
type retry struct {
	cause error
	after time.Duration
}

func (e *retry) Error() string { return e.cause.Error() }
func (e *retry) Unwrap() error { return e.cause }

// ErrRefused is behind every error that means that HubSpot does not accept the
// connection: its token is wrong, revoked, or lacks a scope.
var ErrRefused = errors.New("HubSpot refuses the connection")

// refused does not come right by itself, but does once somebody connects the
// portal again; until then events must wait, not be lost, hence RetryAfter.
func (c *Client) refused(kind fault.Kind, message string, answer string) error {
	return &fault.Error{
		Kind: kind, Message: message, RetryAfter: 5 * time.Minute,
		Cause: fmt.Errorf("%w: %s", ErrRefused, answer),
	}
}
