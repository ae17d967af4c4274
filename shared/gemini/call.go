package gemini

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/sony/gobreaker/v2"
)

const (
	maxTries = 4
	// breakerTrips is how many tries in a row fail before a model is left alone,
	// and breakerRest for how long; then one try shows whether it is back.
	breakerTrips = 5
	breakerRest  = 30 * time.Second
)

// call makes try until it succeeds, cannot, or limit has passed; a single try
// has each. It waits as the server says, and returns at once where that is
// longer than there is time. unsure is how many tries may be paid for although
// nothing came of them.
func (c *Client) call(ctx context.Context, model string, limit, each time.Duration,
	try func(context.Context) error,
) (unsure int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	end, _ := ctx.Deadline()
	var last *failure
	pause := &backoff.ExponentialBackOff{
		InitialInterval: 500 * time.Millisecond, Multiplier: 2, MaxInterval: 8 * time.Second,
		RandomizationFactor: 0.5,
	}
	_, err = backoff.Retry(ctx, func() (any, error) {
		last = c.once(ctx, model, each, try)
		switch {
		case last == nil:
			return nil, nil
		case last.unsure:
			unsure++
		}
		if !last.again() {
			return nil, backoff.Permanent(last)
		}
		if last.wait > 0 {
			return nil, &backoff.RetryAfterError{Duration: last.wait}
		}
		return nil, last
	}, backoff.WithBackOff(pause), backoff.WithMaxTries(maxTries), backoff.WithMaxElapsedTime(max(time.Until(end), 1)))
	switch {
	case err == nil:
		return unsure, nil
	case last == nil: // no time for even one try
		last = &failure{text: "no answer in time"}
	}
	return unsure, last.public(model)
}

// once makes one try, where the model's breaker lets it.
func (c *Client) once(ctx context.Context, model string, each time.Duration, try func(context.Context) error) *failure {
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	ctx, s := watch(ctx)
	_, err := c.breaker(model).Execute(func() (any, error) {
		if err := guarded(ctx, try); err != nil {
			return nil, failureOf(ctx, err, s)
		}
		return nil, nil
	})
	var f *failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return f
	}
	return &failure{text: err.Error(), resting: true, wait: c.rest} // the breaker's own
}

// guarded turns a panic into an error: genai takes some answers' form for granted.
func guarded(ctx context.Context, try func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic of type %T", p) // its text may hold the answer
		}
	}()
	return try(ctx)
}

// breaker returns the model's breaker. Only outages trip it: a model that
// refuses one request answers another.
func (c *Client) breaker(model string) *gobreaker.CircuitBreaker[any] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := c.breakers[model]; b != nil {
		return b
	}
	b := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{
		Name: model, Timeout: c.rest,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= breakerTrips },
		IsSuccessful: func(err error) bool {
			var f *failure
			return err == nil || errors.As(err, &f) && !f.outage()
		},
		IsExcluded: func(err error) bool {
			var f *failure
			return errors.As(err, &f) && f.left
		},
		OnStateChange: func(name string, from, to gobreaker.State) {
			slog.Warn("gemini: breaker", "model", name, "from", from.String(), "to", to.String())
		},
	})
	c.breakers[model] = b
	return b
}
