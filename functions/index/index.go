// Package index remembers winners: it handles the messages of the topic
// winner-found, reads what the ad is now, embeds it and keeps it where searches
// find it. A message only says which ad, and is recorded with its work, so
// repeating one, or taking an old one late, changes nothing.
package index

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/deadletter"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/fault"
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
	return New(db, worker, embed.Local{}), nil
}

const consumer = "index"

type function struct {
	db       *pg.DB
	worker   *pg.Worker
	embedder embed.Embedder
}

// New returns the function's consumer. worker keeps what can never be indexed.
func New(db *pg.DB, worker *pg.Worker, embedder embed.Embedder) serve.Consumer {
	return &function{db: db, worker: worker, embedder: embedder}
}

// Health reports whether the database answers.
func (f *function) Health(ctx context.Context) error { return f.db.Ping(ctx) }

// Bury keeps a message that can never succeed.
func (f *function) Bury(ctx context.Context, m message.Message, reason error) error {
	return deadletter.Bury(ctx, f.worker, ads.WinnerFound, m, reason)
}

// Handle does one message's work.
func (f *function) Handle(ctx context.Context, m message.Message) error {
	tenant, err := uuid.Parse(m.Tenant())
	if err != nil {
		return fault.Invalidf("the message does not say whose ad it is about")
	}
	var found ads.Winner
	if err := json.Unmarshal(m.Data, &found); err != nil || found.AdID == "" {
		return fault.Invalidf("the message does not say which ad it is about")
	}
	serve.Note(ctx, "tenant", tenant.String(), "ad", found.AdID)
	return f.remember(ctx, tenant.String(), found.AdID, m.Key())
}

// maxReads bounds how often an ad is read for one message: each further time its
// DNA has changed while it was embedded.
const maxReads = 3

// remember reads the ad, embeds it outside of any transaction, and keeps it in
// one that finds the ad as it was read.
func (f *function) remember(ctx context.Context, tenant, adID, key string) error {
	for range maxReads {
		text, vector, done, err := f.read(ctx, tenant, adID, key)
		if err != nil || done {
			return err
		}
		if vector == nil {
			if vector, err = f.embed(ctx, text); err != nil {
				return err
			}
		}
		if done, err = f.keep(ctx, tenant, adID, key, text, vector); err != nil || done {
			return err
		}
	}
	return fault.Down("the ad changes faster than it can be embedded", fmt.Errorf("ad %s read %d times", adID, maxReads))
}

// read returns what is to be embedded of the ad, and the vector where it is kept
// already; done where there is nothing to do.
func (f *function) read(ctx context.Context, tenant, adID, key string) (text string, vector embed.Vector, done bool, err error) {
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		if done, err = inbox.Seen(ctx, tx, consumer, key); err != nil || done {
			return err
		}
		store := winners.NewStore(tx)
		ad, err := store.Ad(ctx, adID)
		if err != nil {
			return err
		}
		text = ad.Text()
		vector, _, err = store.Vector(ctx, adID, f.embedder.Model(), text)
		return err
	})
	return text, vector, done, err
}

func (f *function) embed(ctx context.Context, text string) (embed.Vector, error) {
	vectors, err := f.embedder.Documents(ctx, []string{text})
	if err != nil {
		return nil, fmt.Errorf("embed an ad: %w", err)
	}
	if len(vectors) != 1 {
		return nil, fault.Down("the embedding model answered in an unknown way", fmt.Errorf("%d vectors for one text", len(vectors)))
	}
	return vectors[0], nil
}

// keep remembers the ad with its figures of now. It is not done where the ad no
// longer says text. An ad that is no winner any more does not come into the
// memory by this; one that is there stays, out of the searches.
func (f *function) keep(ctx context.Context, tenant, adID, key, text string, vector embed.Vector) (done bool, err error) {
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		done = false
		store := winners.NewStore(tx)
		ad, err := store.Ad(ctx, adID)
		if err != nil || ad.Text() != text {
			return err
		}
		done = true
		if first, err := inbox.First(ctx, tx, consumer, key, ""); err != nil || !first {
			return err
		}
		if !ad.IsWinner {
			if _, err := store.Get(ctx, adID, f.embedder.Model()); fault.Of(err) == fault.NotFound {
				return nil
			} else if err != nil {
				return err
			}
		}
		_, err = store.Remember(ctx, winners.Memory{
			AdID: adID, Model: f.embedder.Model(), Vector: vector, Text: text, DNA: ad.DNA,
			ROAS: ad.ROAS, CTR: ad.CTR, Active: ad.IsWinner,
		})
		return err
	})
	return done, err
}
