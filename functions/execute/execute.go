// Package execute carries out queued ad changes on Meta, within its limits and
// ours. Cloud Scheduler runs it every minute; a run works for up to 50 s and
// waits for what falls due meanwhile. Each account is worked on under a lease of
// its own, so that a slow one stalls no other; each write is recorded before it is
// sent, and one whose outcome was not heard is resolved by reading. So a run that
// is cut short anywhere, or made twice, applies no change twice.
package execute

import (
	"context"
	"time"

	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.Schedule("execute", build) }

type config struct {
	Worker pg.WorkerConfig
	Meta   meta.Config
}

func build(ctx context.Context) (serve.Job, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	db, err := pg.OpenWorker(ctx, cfg.Worker)
	if err != nil {
		return nil, err
	}
	client := meta.New(cfg.Meta, meta.Options{Timeout: callTimeout, Budget: readBudget, Attempts: 3})
	return New(db, client, secrets.Default(), Options{}), nil
}

// A change has lease to be read, written, read back and recorded; whoever finds it
// unrecorded after that reads what became of it. The calls' own times fit inside
// with room for a write that Meta takes late.
const (
	callTimeout = 10 * time.Second
	readBudget  = 15 * time.Second
	changeTime  = 40 * time.Second
	recordTime  = 10 * time.Second
)

// Options tune the work; all of them may be left out.
type Options struct {
	// Tick is how long a run works, 50 s unless set.
	Tick time.Duration
	// Poll is how long a run waits at most before it looks for new work, 5 s unless set.
	Poll time.Duration
	// ChangeLease is how long a claim of a change holds, 90 s unless set.
	ChangeLease time.Duration
	// AccountLease is how long an account is one run's, 2 min unless set: longer
	// than a tick and its last change.
	AccountLease time.Duration
	// Settle is how long a write whose outcome is not known is left alone before it
	// is read, 20 s unless set, by the rules' clock.
	Settle time.Duration
	// Accounts is how many are worked on at once, 32 unless set.
	Accounts int
	// Warp turns the database's time into the rules' time, for tests; nil leaves it.
	Warp func(time.Time) time.Time
}

// Secrets reads the accounts' tokens by the names that the database holds.
type Secrets interface {
	Get(ctx context.Context, name string) (string, error)
	Forget(name string)
}

type function struct {
	db     *pg.Worker
	meta   *meta.Client
	tokens Secrets
	opts   Options
}

// New returns the function's job.
func New(db *pg.Worker, client *meta.Client, tokens Secrets, o Options) serve.Job {
	set := func(value *time.Duration, otherwise time.Duration) {
		if *value == 0 {
			*value = otherwise
		}
	}
	set(&o.Tick, 50*time.Second)
	set(&o.Poll, 5*time.Second)
	set(&o.ChangeLease, 90*time.Second)
	set(&o.AccountLease, 2*time.Minute)
	set(&o.Settle, 20*time.Second)
	if o.Accounts == 0 {
		o.Accounts = 32
	}
	return &function{db, client, tokens, o}
}

// Health reports whether the database answers.
func (f *function) Health(ctx context.Context) error { return f.db.Ping(ctx) }
