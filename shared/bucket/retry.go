package bucket

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/api/googleapi"
)

const (
	firstWait   = 200 * time.Millisecond
	longestWait = 5 * time.Second
)

// again asks Cloud Storage up to four times, as long as it stumbles.
func again[T any](ctx context.Context, ask func(...googleapi.CallOption) (T, error)) (T, error) {
	waits := &backoff.ExponentialBackOff{InitialInterval: firstWait, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: longestWait}
	return backoff.Retry(ctx, func() (T, error) {
		answer, err := ask()
		if err != nil && !stumbled(err) {
			return answer, backoff.Permanent(err)
		}
		return answer, err
	}, backoff.WithBackOff(waits), backoff.WithMaxTries(tries))
}

// retries says of an upload's answers, one after the other, whether the request is
// made again: four times in a row at most.
func retries() func(error) bool {
	failed := 0
	return func(err error) bool {
		if err == nil || !stumbled(err) {
			failed = 0
			return false
		}
		failed++
		return failed < tries
	}
}

// stumbled reports whether a request may succeed when it is made again.
func stumbled(err error) bool {
	var api *googleapi.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.As(err, &api):
		return api.Code >= 500 || api.Code == http.StatusTooManyRequests || api.Code == http.StatusRequestTimeout
	}
	return true // the connection
}
