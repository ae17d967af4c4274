// Package crmevent handles the messages of the topic crm-events: HubSpot's events,
// deals to be credited again because a click arrived late, and leads of Meta's forms.
// An event only names what has changed; shared/dealsync reads the CRM and records what
// it says, and a lead is read once by its id, so repeating a message, or taking them in
// another order, ends in the same ledger.
package crmevent

import (
	"context"
	"time"

	"github.com/geminivideo/geminivideo/shared/deadletter"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.PubSub("crmevent", build) }

type config struct {
	Postgres pg.Config
	Worker   pg.WorkerConfig
	Publish  publish.Config
	HubSpot  dealsync.Config
	Meta     meta.Config
}

func build(ctx context.Context) (serve.Consumer, error) {
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
	return New(db, worker, publish.New(cfg.Publish), secrets.Default(), cfg.HubSpot,
		meta.New(cfg.Meta, meta.Options{Timeout: 10 * time.Second, Budget: 40 * time.Second, Attempts: 3})), nil
}

type function struct {
	*dealsync.Processor
	db     *pg.DB
	worker *pg.Worker
	queue  outbox.Publisher
	vault  *secrets.Store
	meta   *meta.Client
}

// New returns the function's consumer.
func New(db *pg.DB, worker *pg.Worker, queue outbox.Publisher, vault *secrets.Store, api dealsync.Config,
	graph *meta.Client,
) serve.Consumer {
	return &function{dealsync.New(db, queue, vault, api), db, worker, queue, vault, graph}
}

// Health reports whether the database answers.
func (f *function) Health(ctx context.Context) error { return f.db.Ping(ctx) }

// Reject stores a message that can never succeed as a dead letter.
func (f *function) Reject(ctx context.Context, m message.Message, reason error) error {
	return deadletter.Reject(ctx, f.worker, dealsync.Topic, m, reason)
}
