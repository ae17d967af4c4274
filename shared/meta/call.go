package meta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/geminivideo/geminivideo/shared/clock"
)

// maxAnswer bounds an answer; a page of 500 days with all their actions has some megabytes.
const maxAnswer = 32 << 20

// call is one request; what names its subject for errors.
type call struct {
	path  string     // below the version
	query url.Values // of a GET
	form  url.Values // of a POST; nil means a GET
	class class      // whose quota it uses
	bulk  bool       // one of many: the first to be held back
	what  string
}

// read calls until it succeeds, until trying again is useless, or until attempts
// or time run out.
func (a *Account) read(ctx context.Context, c call, out any) (trace string, err error) {
	o := a.client.opts
	inTime, cancel := context.WithTimeout(ctx, o.Budget)
	defer cancel()
	waits := &backoff.ExponentialBackOff{
		InitialInterval: o.FirstWait, Multiplier: 2, RandomizationFactor: 0.25, MaxInterval: 20 * time.Second,
	}
	waits.Reset()
	for attempt := 1; ; attempt++ {
		trace, err = a.once(inTime, c, out)
		if err == nil {
			return trace, nil
		}
		wait, again := waits.NextBackOff(), retryable(err)
		if pause, ok := Throttled(err); ok {
			wait, again = pause, pause <= patience
		}
		deadline, _ := inTime.Deadline()
		if !again || attempt >= o.Attempts || ctx.Err() != nil || time.Until(deadline) < wait || clock.Sleep(inTime, wait) != nil {
			return trace, fmt.Errorf("%s: %w", c.what, err)
		}
	}
}

// patience is how long a throttled read waits for its turn rather than give up.
const patience = 5 * time.Second

func retryable(err error) bool {
	var b *broken
	return errors.As(err, &b) || is(err, temporary)
}

// write calls once, and once only.
func (a *Account) write(ctx context.Context, c call) (trace string, err error) {
	var answer struct {
		Success *bool `json:"success"`
	}
	trace, err = a.once(ctx, c, &answer)
	if err == nil && (answer.Success == nil || !*answer.Success) {
		err = &broken{a.id, errors.New("the answer is neither success nor an error")}
	}
	if err != nil {
		return trace, fmt.Errorf("%s: %w", c.what, err)
	}
	return trace, nil
}

// once sends c, reads its answer into out, and records what it says of quotas.
func (a *Account) once(ctx context.Context, c call, out any) (trace string, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.client.opts.Timeout)
	defer cancel()
	req, sent, err := a.request(ctx, c)
	if err != nil {
		return "", &unsent{err}
	}
	resp, err := a.client.http.Do(req)
	if err != nil {
		var asURL *url.Error
		if errors.As(err, &asURL) {
			err = asURL.Err // its own text repeats the address
		}
		if !sent.Load() {
			return "", &unsent{&broken{a.id, err}}
		}
		return "", &broken{a.id, err}
	}
	defer resp.Body.Close()
	a.client.quota.learn(a.id, resp.Header)
	trace = traceOf(resp.Header)
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return trace, &broken{a.id, fmt.Errorf("read the answer: %w", err)}
	}
	if len(raw) > maxAnswer {
		return trace, fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	}
	if e := a.refusal(resp.StatusCode, resp.Header, raw); e != nil {
		if e.kind() == throttled {
			e.wait = a.client.quota.throttled(a.id, c.class, e)
		}
		if e.kind() == budgetLimited {
			e.wait = time.Hour
		}
		return or(e.Trace, trace), e
	}
	if err := json.Unmarshal(raw, out); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) || len(raw) == 0 { // cut off on its way, or a proxy's page
			return trace, &broken{a.id, fmt.Errorf("the answer is not whole JSON: %w", err)}
		}
		return trace, fmt.Errorf("the answer has another form than expected: %w", err)
	}
	return trace, nil
}

// request makes c's request and waits for its turn. sent becomes true once there
// is a connection that it may have gone out on.
func (a *Account) request(ctx context.Context, c call) (req *http.Request, sent *atomic.Bool, err error) {
	if a.token() == "" {
		return nil, nil, &Error{Code: 190, Message: "there is no token", account: a.id}
	}
	if wait, why := a.client.quota.wait(a.id, c.class, c.bulk); wait > 0 {
		return nil, nil, &Error{Code: codeThrottled, Message: "held back: " + why, account: a.id, wait: wait}
	}
	method, body := http.MethodGet, io.Reader(nil)
	if c.form != nil {
		method, body = http.MethodPost, strings.NewReader(c.form.Encode())
		if err := a.client.limiter(a.id).Wait(ctx); err != nil {
			return nil, nil, err
		}
	}
	address := a.client.base.JoinPath(c.path)
	address.RawQuery = c.query.Encode()
	sent = &atomic.Bool{}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	req, err = http.NewRequestWithContext(ctx, method, address.String(), body)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.token())
	req.Header.Set("Accept", "application/json")
	if c.form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, sent, nil
}
