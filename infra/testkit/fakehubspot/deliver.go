package fakehubspot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/geminivideo/geminivideo/shared/hubspot"
)

// batchSize and inFlight are HubSpot's: events of one request, requests at once.
const (
	batchSize = 100
	inFlight  = 10
)

// Deliver sends events to target as HubSpot does: signed, in batches of up to
// 100, and again after each of Options.Retries where the target does not answer
// 2xx in time. It returns the errors of the batches that never got through.
func (f *Fake) Deliver(ctx context.Context, target, secret string, events ...Event) error {
	var failed []error
	for part := range slices.Chunk(events, batchSize) {
		err := f.post(ctx, target, secret, part, 0)
		for i := 0; err != nil && i < len(f.opts.Retries) && ctx.Err() == nil; i++ {
			select {
			case <-ctx.Done():
			case <-time.After(f.opts.Retries[i]):
				err = f.post(ctx, target, secret, part, i+1)
			}
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// post sends one batch once. Besides the v3 signature it carries the older ones,
// as HubSpot's requests do.
func (f *Fake) post(ctx context.Context, target, secret string, events []Event, attempt int) error {
	events = slices.Clone(events)
	for i := range events {
		events[i].AttemptNumber = attempt
	}
	body, err := json.Marshal(events)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.opts.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	// The time is the real one, whatever clock stamps the changes: it is what
	// the receiver compares with its own.
	req.Header = hubspot.Sign(secret, http.MethodPost, target, body, time.Now())
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "HubSpot Connect 2.0 (http://dev.hubspot.com/) (namespace: webhooks-nodered) - WebhooksExecutorDaemon-executor")
	req.Header.Set("X-HubSpot-Signature", signV1(secret, body))
	req.Header.Set("X-HubSpot-Signature-Version", "v1")
	resp, err := f.opts.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("deliver %d events: %w", len(events), err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("deliver %d events: the target answered %d", len(events), resp.StatusCode)
	}
	return nil
}

func signV1(secret string, body []byte) string { return hash(secret, string(body)) }

func signV2(secret, method, uri string, body []byte) string {
	return hash(secret, method, uri, string(body))
}

func hash(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		_, _ = io.WriteString(sum, p)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// pending is a batch that waits for Run.
type pending struct {
	ID      int64     `json:"id"`
	Portal  int64     `json:"portal"`
	Events  []Event   `json:"events"`
	Attempt int       `json:"attempt"`
	Due     time.Time `json:"due"`
	// LastError is what the target last answered.
	LastError string `json:"last_error,omitempty"`
}

// Enqueue hands events of the portal to Run, which sends them to its target.
func (p *Portal) Enqueue(events ...Event) {
	p.fake.mu.Lock()
	defer p.fake.mu.Unlock()
	for part := range slices.Chunk(events, batchSize) {
		p.fake.state.Pending = append(p.fake.state.Pending,
			&pending{ID: p.fake.id(), Portal: p.config.ID, Events: slices.Clone(part), Due: time.Now()})
	}
	select {
	case p.fake.wake <- struct{}{}:
	default:
	}
}

// Run delivers what was enqueued, until ctx ends; what is then still to be
// delivered stays in the file. It saves after every delivery, so that a restart
// repeats at most what was on its way, as HubSpot may.
func (f *Fake) Run(ctx context.Context) {
	for ctx.Err() == nil {
		due, next := f.due()
		var flights sync.WaitGroup
		for _, one := range due {
			flights.Go(func() { f.fly(ctx, one) })
		}
		flights.Wait()
		if len(due) > 0 {
			_ = f.Save() // the next Save reports what is wrong with the file
			continue
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-f.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// due returns what is to be sent now, and how long the rest can wait.
func (f *Fake) due() ([]pending, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var now []pending
	next := time.Minute
	for _, one := range f.state.Pending {
		wait := time.Until(one.Due)
		if p := f.portals[one.Portal]; p == nil || p.config.Target == "" {
			continue
		}
		if wait <= 0 && len(now) < inFlight {
			now = append(now, *one)
		}
		next = max(min(next, wait), time.Millisecond)
	}
	return now, next
}

// fly sends one batch and puts down how it went.
func (f *Fake) fly(ctx context.Context, one pending) {
	f.mu.Lock()
	p := f.portals[one.Portal]
	target, secret := p.config.Target, p.config.Secret
	f.mu.Unlock()
	err := f.post(ctx, target, secret, one.Events, one.Attempt)
	if ctx.Err() != nil {
		return // it counts as not sent
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.state.Pending, func(other *pending) bool { return other.ID == one.ID })
	switch {
	case i < 0:
	case err == nil || one.Attempt >= len(f.opts.Retries):
		f.state.Pending = slices.Delete(f.state.Pending, i, i+1)
	default:
		entry := f.state.Pending[i]
		entry.Due, entry.LastError = time.Now().Add(f.opts.Retries[one.Attempt]), err.Error()
		entry.Attempt++
	}
}
