package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

// errNoKeys says that a token could not be judged: its issuer's keys are out of reach.
var errNoKeys = errors.New("no public key could be fetched")

// fetchTimeout bounds one fetch of the keys, and a token's wait for one.
const fetchTimeout = 5 * time.Second

// keySet is an issuer's public keys.
type keySet struct {
	keyfunc.Keyfunc
	issuer *observed
}

// openKeySet fetches the keys at url: again every ten minutes, and at once for an
// unknown key id, but not more often than every few seconds, so that made-up key
// ids cannot be used to flood the issuer.
func openKeySet(url string) (*keySet, error) {
	issuer := &observed{base: http.DefaultTransport}
	carryOn := true
	keys, err := keyfunc.NewDefaultOverrideCtx(context.Background(), []string{url}, keyfunc.Override{
		Client:                    &http.Client{Transport: issuer},
		HTTPTimeout:               fetchTimeout,
		NoErrorReturnFirstHTTPReq: &carryOn,
		RefreshInterval:           10 * time.Minute,
		RefreshUnknownKID:         rate.NewLimiter(rate.Every(5*time.Second), 3),
		RateLimitWaitMax:          fetchTimeout, // of the wait and the fetch together
		RefreshErrorHandlerFunc: func(string) func(context.Context, error) {
			return func(context.Context, error) {} // the verification that needed the key reports it
		},
	})
	if err != nil {
		return nil, err
	}
	return &keySet{keys, issuer}, nil
}

// find returns the key of t. Where it is not known, and the issuer could not be
// asked, t may well be good: the error is errNoKeys then.
func (k *keySet) find(ctx context.Context, t *jwt.Token) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	key, err := k.KeyfuncCtx(ctx)(t)
	if err != nil && k.issuer.down.Load() {
		return nil, fmt.Errorf("%w: %w", errNoKeys, err)
	}
	return key, err
}

// observed records whether the last fetch failed.
type observed struct {
	base http.RoundTripper
	down atomic.Bool
}

func (o *observed) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	answer, err := o.base.RoundTrip(r)
	if r.Context().Err() != nil && time.Since(began) < fetchTimeout/2 {
		return answer, err // the token that asked had waited its time out for its turn; that says nothing of the issuer
	}
	o.down.Store(err != nil || answer.StatusCode != http.StatusOK)
	return answer, err
}
