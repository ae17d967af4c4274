// Package index stores winners: it handles the messages of the topic
// winner-found, reads what the ad is now, embeds it and stores it where searches
// find it. A message only says which ad, and is recorded with its work, so
// repeating one, or taking an old one late, changes nothing. When the embedding
// model changes it also embeds, bit by bit, all that is stored.
package index

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/deadletter"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	"github.com/geminivideo/geminivideo/shared/winners"
)

func init() { serve.PubSub("index", build) }

type config struct {
	Postgres pg.Config
	Worker   pg.WorkerConfig
	Gemini   gemini.Config
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
	client, err := gemini.Open(ctx, cfg.Gemini, db)
	if err != nil {
		return nil, err
	}
	return New(db, worker, gemini.Models(client)), nil
}

const consumer = "index"

type function struct {
	db     *pg.DB
	worker *pg.Worker
	models embed.Models
	begun  atomic.Bool
}

// New returns the function's consumer. worker stores the dead letters.
func New(db *pg.DB, worker *pg.Worker, models embed.Models) serve.Consumer {
	return &function{db: db, worker: worker, models: models}
}

// Health reports whether the database answers.
func (f *function) Health(ctx context.Context) error { return f.db.Ping(ctx) }

// Reject stores a message that can never succeed as a dead letter.
func (f *function) Reject(ctx context.Context, m message.Message, reason error) error {
	return deadletter.Reject(ctx, f.worker, ads.WinnerFound, m, reason)
}

// Handle does one message's work.
func (f *function) Handle(ctx context.Context, m message.Message) error {
	tenant, err := uuid.Parse(m.Tenant())
	if err != nil {
		return fault.Invalidf("the message does not say whose ad it is about")
	}
	f.begin(ctx)
	var about struct {
		ads.Winner
		winners.ChangeDue
	}
	if err := json.Unmarshal(m.Data, &about); err != nil || about.AdID == "" && about.Attempt == 0 {
		return fault.Invalidf("the message does not say which ad it is about")
	}
	if about.Attempt > 0 {
		serve.Note(ctx, "tenant", tenant.String(), "reembed", about.Attempt)
		return f.change(ctx, tenant.String(), about.Attempt)
	}
	serve.Note(ctx, "tenant", tenant.String(), "ad", about.AdID)
	return f.store(ctx, tenant.String(), about.AdID, m.Key())
}

// begin sees, once in a process's life, to tenants that are searched with another
// model than the configured one. A tenant that is searched sees to itself.
func (f *function) begin(ctx context.Context) {
	if f.begun.Swap(true) {
		return
	}
	err := pg.Across(ctx, f.worker, func(tx pgx.Tx) error {
		n, err := winners.Begin(ctx, tx, f.models.Configured())
		if n > 0 {
			slog.InfoContext(ctx, "the embedding model changes", "to", f.models.Configured(), "tenants", n)
		}
		return err
	})
	if err != nil {
		f.begun.Store(false)
		slog.WarnContext(ctx, "changes of the embedding model wait for another message", "error", err.Error())
	}
}

// maxReads bounds how often an ad is read for one message: each further time its
// DNA, or the model to embed it with, has changed while it was embedded.
const maxReads = 3

// store reads the ad, embeds it outside of any transaction, and writes it in
// one that finds the ad as it was read.
func (f *function) store(ctx context.Context, tenant, adID, key string) error {
	for range maxReads {
		r, done, err := f.read(ctx, tenant, adID, key)
		if err != nil || done {
			return err
		}
		if err := r.Embed(ctx); err != nil {
			return fmt.Errorf("embed ad %s: %w", adID, err)
		}
		if done, err = f.write(ctx, tenant, adID, key, r); err != nil || done {
			return err
		}
	}
	return fault.Down("the ad changes faster than it can be embedded", fmt.Errorf("ad %s read %d times", adID, maxReads))
}

// read returns what is to be embedded of the ad, with the vectors that are kept
// already; done where there is nothing to do.
func (f *function) read(ctx context.Context, tenant, adID, key string) (r winners.Vectors, done bool, err error) {
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		if done, err = inbox.Seen(ctx, tx, consumer, key); err != nil || done {
			return err
		}
		store := winners.NewStore(tx)
		ad, err := store.Ad(ctx, adID)
		if err != nil {
			return err
		}
		r, err = store.Vectors(ctx, f.models, tenant, adID, ad.Text())
		return err
	})
	return r, done, err
}

// write stores the ad with its figures of now. It is not done where the ad no
// longer says what was embedded, or is searched with another model by now. An ad
// that is no winner any more does not come into the memory by this; one that is
// there stays, out of the searches.
func (f *function) write(ctx context.Context, tenant, adID, key string, r winners.Vectors) (done bool, err error) {
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		done = false
		store := winners.NewStore(tx)
		ad, err := store.Ad(ctx, adID)
		if err != nil || ad.Text() != r.Text {
			return err
		}
		m := winners.Memory{AdID: adID, Text: r.Text, DNA: ad.DNA, ROAS: ad.ROAS, CTR: ad.CTR, Active: ad.IsWinner}
		known, err := store.Known(ctx, adID)
		if err != nil {
			return err
		}
		if ad.IsWinner || known {
			if _, done, err = store.PutAll(ctx, m, r); err != nil || !done {
				return err
			}
		}
		done = true
		_, err = inbox.First(ctx, tx, consumer, key, "")
		return err
	})
	return done, err
}
