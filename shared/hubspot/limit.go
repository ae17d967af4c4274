package hubspot

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/geminivideo/geminivideo/shared/clock"
	"github.com/geminivideo/geminivideo/shared/fault"
)

// DefaultPerTenSeconds keeps below the smallest of HubSpot's limits, 100 requests
// in 10 seconds, for other apps of the same account may use the rest.
const DefaultPerTenSeconds = 90

// Limits holds the request budget of each portal within one process.
type Limits struct {
	perTenSeconds int
	mu            sync.Mutex
	portals       map[int64]*limit
}

// NewLimits allows each portal that many requests in any ten seconds, or fewer
// where HubSpot's answers say that the portal has less.
func NewLimits(perTenSeconds int) *Limits {
	return &Limits{perTenSeconds: max(perTenSeconds, 1), portals: make(map[int64]*limit)}
}

func (l *Limits) of(portal int64) *limit {
	l.mu.Lock()
	defer l.mu.Unlock()
	one, ok := l.portals[portal]
	if !ok {
		one = &limit{most: perSecond(l.perTenSeconds, 10*time.Second)}
		one.bucket = rate.NewLimiter(one.most, burst(l.perTenSeconds))
		one.search = rate.NewLimiter(searchesPerSecond, 1)
		l.portals[portal] = one
	}
	return one
}

// limit is one portal's budget: a bucket, and a time before which HubSpot has
// asked not to be called.
type limit struct {
	most   rate.Limit
	bucket *rate.Limiter
	search *rate.Limiter
	mu     sync.Mutex
	until  time.Time
	reason string
}

// wait returns when a request may be sent, or at once with a fault where that
// would be after ctx's deadline.
func (l *limit) wait(ctx context.Context) error {
	l.mu.Lock()
	pause, reason := time.Until(l.until), l.reason
	l.mu.Unlock()
	if deadline, ok := ctx.Deadline(); ok && pause > time.Until(deadline) {
		return down(reason, nil, pause)
	}
	if err := clock.Sleep(ctx, pause); err != nil {
		return err
	}
	if err := l.bucket.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return down("HubSpot's request budget is used up", nil, 10*time.Second)
	}
	return nil
}

// pause keeps every client of the portal from calling for d.
func (l *limit) pause(d time.Duration, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(d); until.After(l.until) {
		l.until, l.reason = until, reason
	}
}

// learn follows what an answer says of the portal's real limit: never faster
// than we were configured to be, slower where the account has a smaller plan.
func (l *limit) learn(header http.Header) {
	most, err := strconv.Atoi(header.Get("X-HubSpot-RateLimit-Max"))
	every := interval(header)
	if err != nil || most <= 0 || every <= 0 {
		return
	}
	allowed := min(l.most, perSecond(most, every))
	if l.bucket.Limit() != allowed {
		l.bucket.SetLimit(allowed)
		l.bucket.SetBurst(min(l.bucket.Burst(), burst(most)))
	}
	if header.Get("X-HubSpot-RateLimit-Remaining") == "0" {
		// The window rolls: a tenth of it frees a tenth of the requests.
		l.pause(every/10, "HubSpot's request budget is used up")
	}
}

// perSecond and burst split n requests per interval so that the bucket, full at
// first, never lets more than n through in any one interval.
func perSecond(n int, every time.Duration) rate.Limit {
	return rate.Limit(float64(max(n-burst(n), 1)) / every.Seconds())
}

func burst(n int) int { return max(1, n/10) }

func interval(header http.Header) time.Duration {
	ms, err := strconv.Atoi(header.Get("X-HubSpot-RateLimit-Interval-Milliseconds"))
	if err != nil || ms <= 0 {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// down is HubSpot's being out of reach: the message for people, when to return.
func down(message string, cause error, after time.Duration) error {
	return &fault.Error{Kind: fault.Unavailable, Message: message, Cause: cause, RetryAfter: max(after, time.Second)}
}
