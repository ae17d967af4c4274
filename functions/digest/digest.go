// Package digest posts to tenants' Slack channels: notices within a minute, and a daily
// and a weekly summary by the channel's clock. It runs every minute and claims the
// channels that are due, one at a time in each of a few lanes, so that a channel that
// hangs keeps no other waiting. A notice is marked once Slack has taken it: a run that
// ends between the two posts it again, and nothing is lost.
package digest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/clock"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	"github.com/geminivideo/geminivideo/shared/slack"
	"github.com/geminivideo/geminivideo/shared/slackconn"
)

func init() { serve.Schedule("digest", build) }

type config struct {
	Postgres pg.Config
	Worker   pg.WorkerConfig
	Slack    slack.Config
}

func build(ctx context.Context) (serve.Job, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, cfg.Postgres)
	if err != nil {
		return nil, err
	}
	worker, err := pg.OpenWorker(ctx, cfg.Worker)
	if err != nil {
		return nil, err
	}
	return New(db, worker, secrets.Default(), slack.New(cfg.Slack), Options{}), nil
}

const (
	// budget is how long a run claims channels: the next one begins after a minute.
	budget = 50 * time.Second
	// claimFor is longer than a channel is worked on.
	claimFor = 4 * time.Minute
	parallel = 4
	// spacing is Slack's one message a second of each channel.
	spacing = time.Second
	// atMost is how many messages one channel gets in a run.
	atMost = 30
)

// Options are for tests.
type Options struct {
	Now  func() time.Time
	Wait func(context.Context, time.Duration) error
}

type function struct {
	db     *pg.DB
	worker *pg.Worker
	vault  *secrets.Store
	slack  *slack.Client
	now    func() time.Time
	wait   func(context.Context, time.Duration) error
}

// New returns the function's job.
func New(db *pg.DB, worker *pg.Worker, vault *secrets.Store, client *slack.Client, o Options) serve.Job {
	f := &function{db: db, worker: worker, vault: vault, slack: client, now: o.Now, wait: o.Wait}
	if f.now == nil {
		f.now = time.Now
	}
	if f.wait == nil {
		f.wait = clock.Sleep
	}
	return f
}

// Health reports whether the database answers.
func (f *function) Health(ctx context.Context) error { return f.worker.Ping(ctx) }

// Report says what a run did.
type Report struct {
	Channels int `json:"channels"`
	Messages int `json:"messages"`
	Failed   int `json:"failed"`
}

// Run posts to the channels that are due.
func (f *function) Run(ctx context.Context) (any, error) {
	end := f.now().Add(budget)
	var (
		report Report
		errs   []error
		mu     sync.Mutex
		lanes  sync.WaitGroup
	)
	for range parallel {
		lanes.Go(func() {
			for f.now().Before(end) && ctx.Err() == nil {
				now := f.now()
				c, found, err := slackconn.Claim(ctx, f.worker, now, now.Add(claimFor))
				if err != nil || !found {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
					return
				}
				sent, err := f.serve(ctx, c, end)
				mu.Lock()
				report.Channels, report.Messages = report.Channels+1, report.Messages+sent
				var failure *slack.Failure
				switch {
				case errors.As(err, &failure):
					report.Failed++
				case err != nil:
					report.Failed++
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	lanes.Wait()
	return report, errors.Join(errs...)
}

// serve posts what the channel waits for, and gives it back. It returns how many
// messages Slack took.
func (f *function) serve(ctx context.Context, c slackconn.Claimed, end time.Time) (sent int, err error) {
	post := &poster{function: f, Claimed: c}
	if post.url, err = f.vault.Get(ctx, c.URL); err == nil {
		err = f.due(ctx, post, end)
	}
	sent = post.sent
	var failure *slack.Failure
	if err != nil && !errors.As(err, &failure) {
		failure = &slack.Failure{Reason: "the channel's address or what is to be said cannot be read"}
	}
	outcome := outcomeOf(c, failure, f.now())
	if outcome.Off != "" {
		slog.WarnContext(ctx, "a tenant's Slack channel is switched off", "tenant", c.TenantID, "reason", outcome.Off)
	} else if failure != nil && failure.RetryAfter == 0 && c.Failures == 0 {
		slog.WarnContext(ctx, "a tenant's Slack channel takes no message", "tenant", c.TenantID, "reason", failure.Reason)
	}
	// What came of it must be recorded even if the run's time is up.
	recording, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	gaveBack := pg.InTenant(recording, f.db, c.TenantID, func(tx pgx.Tx) error { return c.Release(recording, tx, outcome, sent > 0) })
	return sent, errors.Join(err, gaveBack)
}

// due posts the summaries that are due, then the notices that wait.
func (f *function) due(ctx context.Context, p *poster, end time.Time) error {
	now := f.now()
	for _, s := range summaries(p.Claimed, now) {
		if err := f.summarise(ctx, p, s); err != nil {
			return err
		}
	}
	if !p.AtOnce {
		return nil
	}
	for p.sent < atMost && f.now().Before(end) {
		done, err := f.notices(ctx, p)
		if err != nil || done {
			return err
		}
	}
	return nil
}

// poster posts to one channel, a message a second.
type poster struct {
	*function
	slackconn.Claimed
	url  string
	sent int
}

func (p *poster) post(ctx context.Context, m slack.Message) error {
	if p.sent > 0 {
		if err := p.wait(ctx, spacing); err != nil {
			return err
		}
	}
	if err := p.slack.Post(ctx, p.url, m); err != nil {
		return err
	}
	p.sent++
	return nil
}
