// Package execute carries out queued ad changes on Meta, within Meta's limits and
// ours. Cloud Scheduler runs it every minute; a run works for up to 50 s and waits
// for changes that become due meanwhile. Each account is worked on under its own
// lease, so that a slow one delays no other. Each write is recorded before it is
// sent, and a write whose outcome is unknown is resolved by reading: a run that is
// cut off anywhere, or made twice, applies no change twice.
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

// A change is claimed for long enough to be read, written, read back and recorded.
// After that another run may claim it and asks Meta what became of the write. The
// calls fit inside that time, with room for a write that Meta accepts late.
const (
	callTimeout = 10 * time.Second
	readBudget  = 15 * time.Second
	changeTime  = 40 * time.Second
	recordTime  = 10 * time.Second
)

// Options change the defaults; all of them may be left out.
type Options struct {
	// Tick is how long a run works, 50 s unless set.
	Tick time.Duration
	// Poll is the longest time between two looks for new work, 5 s unless set.
	Poll time.Duration
	// ChangeLease is how long a change stays claimed, 90 s unless set.
	ChangeLease time.Duration
	// AccountLease is how long a run has an account to itself, 2 min unless set:
	// longer than a tick and its last change.
	AccountLease time.Duration
	// ReadAfter is how long after a write with an unknown outcome Meta is asked what
	// became of it, 20 s unless set, by the rules' clock.
	ReadAfter time.Duration
	// Accounts is how many are worked on at once, 32 unless set.
	Accounts int
	// Clock turns the database's time into the rules' time, for tests; nil leaves it.
	Clock func(time.Time) time.Time
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
	set(&o.ReadAfter, 20*time.Second)
	if o.Accounts == 0 {
		o.Accounts = 32
	}
	return &function{db, client, tokens, o}
}

// Health reports whether the database answers.
func (f *function) Health(ctx context.Context) error { return f.db.Ping(ctx) }
