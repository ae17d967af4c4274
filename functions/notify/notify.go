// Package notify posts notices to the webhooks of tenants: it handles the
// messages of the topic tenant-notices. A notice carries the same id however
// often it is posted, and one that was taken is recorded and not posted again.
// A receiver that does not answer 2xx gets it again with the queue's back-off
// until its last attempt, then it is a dead letter; one that answers 410 gets
// nothing any more.
package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/deadletter"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	"github.com/geminivideo/geminivideo/shared/webhook"
)

func init() { serve.PubSub("notify", build) }

type config struct {
	Postgres pg.Config
	Worker   pg.WorkerConfig
	Webhook  webhook.Config
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
	return New(db, worker, secrets.Default(), webhook.New(cfg.Webhook)), nil
}

const consumer = "notify"

type function struct {
	db     *pg.DB
	worker *pg.Worker
	vault  *secrets.Store
	sender *webhook.Sender
	busy   turnstile
}

// New returns the function's consumer. worker stores the dead letters.
func New(db *pg.DB, worker *pg.Worker, vault *secrets.Store, sender *webhook.Sender) serve.Consumer {
	return &function{db: db, worker: worker, vault: vault, sender: sender, busy: turnstile{inside: map[string]int{}}}
}

// Health reports whether the database answers.
func (f *function) Health(ctx context.Context) error { return f.db.Ping(ctx) }

// Reject stores a message that can never succeed as a dead letter.
func (f *function) Reject(ctx context.Context, m message.Message, reason error) error {
	return deadletter.Reject(ctx, f.worker, notice.Topic, m, reason)
}

// Handle delivers one notice.
func (f *function) Handle(ctx context.Context, m message.Message) error {
	tenant, err := uuid.Parse(m.Tenant())
	if err != nil {
		return fault.Invalidf("the message names no tenant")
	}
	var n notice.Notice
	if err := json.Unmarshal(m.Data, &n); err != nil || n.Kind == "" {
		return fault.Invalidf("the message is no notice")
	}
	serve.Note(ctx, "tenant", tenant.String(), "kind", n.Kind)
	target, wanted, err := f.target(ctx, tenant.String(), m.Key(), n.Kind)
	if err != nil || !wanted {
		serve.Note(ctx, "skipped", err == nil)
		return err
	}
	if !f.busy.enter(tenant.String()) {
		return &fault.Error{Kind: fault.Unavailable, RetryAfter: 10 * time.Second,
			Message: fmt.Sprintf("%d notices are being posted to this tenant's webhook, the most at a time: this one is tried again in 10 s", atOnce)}
	}
	defer f.busy.leave(tenant.String())
	body, err := json.Marshal(notice.Posted{ID: m.Key(), TenantID: tenant.String(), Notice: n})
	if err != nil {
		return fmt.Errorf("write notice %s: %w", m.Key(), err)
	}
	signing, err := f.signing(ctx, target)
	if err != nil {
		return err
	}
	sent := f.sender.Send(ctx, webhook.Delivery{ID: m.Key(), URL: target.URL, Secrets: signing, Body: body})
	return f.put(ctx, tenant.String(), m.Key(), target, sent)
}

// target returns where the notice goes; it is not wanted where it was taken
// already, or the tenant has changed its mind since it was written.
func (f *function) target(ctx context.Context, tenant, key, kind string) (t target, wanted bool, err error) {
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		wanted = false
		if seen, err := inbox.Seen(ctx, tx, consumer, key); err != nil || seen {
			return err
		}
		var found bool
		t, found, err = find(ctx, tx)
		wanted = found && (len(t.Kinds) == 0 || slices.Contains(t.Kinds, kind))
		return err
	})
	return t, wanted, err
}

func (f *function) signing(ctx context.Context, t target) ([]string, error) {
	var all []string
	for _, name := range t.secrets() {
		secret, err := f.vault.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, secret)
	}
	return all, nil
}

// putDown bounds how long it takes to record what came of a delivery, which must
// be done even if the request's time is up: a notice taken would be posted again.
const putDown = 5 * time.Second

// put records what came of the delivery and says what happens next.
func (f *function) put(ctx context.Context, tenant, key string, t target, sent error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putDown)
	defer cancel()
	var failure *webhook.Failure
	if sent != nil && !errors.As(sent, &failure) {
		return fmt.Errorf("deliver notice %s: %w", key, sent)
	}
	err := pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		if failure != nil && !failure.Gone() {
			return failed(ctx, tx, t, failure.Reason)
		}
		if _, err := inbox.First(ctx, tx, consumer, key, ""); err != nil {
			return err
		}
		if failure != nil {
			return switchOff(ctx, tx, t, "the receiver answered 410 Gone")
		}
		return delivered(ctx, tx, t)
	})
	switch {
	case err != nil:
		return err
	case failure == nil:
		return nil
	case failure.Gone():
		slog.WarnContext(ctx, "webhook switched off: its receiver answered 410", "tenant", tenant, "notice", key)
		return nil
	case failure.Final:
		return &fault.Error{Kind: fault.Conflict, Message: failure.Reason, Cause: failure.Cause}
	}
	return fault.Down(failure.Reason, failure.Cause)
}
