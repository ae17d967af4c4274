// Package notify posts notices to the webhooks of tenants: it handles the
// messages of the topic tenant-notices. A notice carries the same id however
// often it is posted, and one that was taken is recorded and not posted again.
// A receiver that does not answer 2xx gets it again for a day, then it is a dead
// letter; a webhook that answers 410, or has failed for a week, is switched off.
package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/deadletter"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	"github.com/geminivideo/geminivideo/shared/webhook"
	"github.com/geminivideo/geminivideo/shared/webhookconn"
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
		return &fault.Error{
			Kind: fault.Unavailable, RetryAfter: 10 * time.Second,
			Message: fmt.Sprintf("%d notices are being posted to this tenant's webhook, the most at a time: this one is tried again in 10 s", atOnce),
		}
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
	began := time.Now()
	sent := f.sender.Send(ctx, webhook.Delivery{ID: m.Key(), URL: target.URL, Secrets: signing, Body: body})
	return f.put(ctx, tenant.String(), m, target, n.Kind, sent, time.Since(began))
}

// target returns where the notice goes; it is not wanted where it was taken
// already, or the tenant has changed its mind since it was written.
func (f *function) target(ctx context.Context, tenant, key, kind string) (t webhookconn.Webhook, wanted bool, err error) {
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		wanted = false
		if seen, err := inbox.Seen(ctx, tx, consumer, key); err != nil || seen {
			return err
		}
		t, err = webhookconn.Read(ctx, tx)
		wanted = t.Secret != "" && t.DisabledAt == nil && (len(t.Kinds) == 0 || slices.Contains(t.Kinds, kind))
		return err
	})
	return t, wanted, err
}

func (f *function) signing(ctx context.Context, t webhookconn.Webhook) ([]string, error) {
	var all []string
	for _, name := range t.Signing() {
		secret, err := f.vault.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, secret)
	}
	return all, nil
}

// retries are the waits after each attempt that failed: a day in all.
var retries = []time.Duration{
	10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour,
	11 * time.Hour,
}

// attemptAttribute counts the attempts of a notice that is sent again.
const attemptAttribute = "gv-attempt"

// attemptOf returns which attempt the message is, from 1.
func attemptOf(m message.Message) int {
	n, err := strconv.Atoi(m.Attributes[attemptAttribute])
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// recordWithin bounds how long it takes to record a delivery's outcome, which must
// be done even if the request's time is up: a notice taken would be posted again.
const recordWithin = 5 * time.Second

// put records the delivery's outcome. A notice that failed is sent again by the
// outbox, for a day; then it is a dead letter. A webhook that has failed for a week
// is switched off.
func (f *function) put(ctx context.Context, tenant string, m message.Message, t webhookconn.Webhook, kind string, sent error, took time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	var failure *webhook.Failure
	if sent != nil && !errors.As(sent, &failure) {
		return fmt.Errorf("deliver notice %s: %w", m.Key(), sent)
	}
	var off string
	givenUp := failure != nil && (failure.Final || attemptOf(m) > len(retries))
	err := pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) (err error) {
		off = ""
		a := webhookconn.Attempt{Key: m.Key(), Kind: kind, Number: attemptOf(m), Took: took, Failure: failure}
		if failure != nil && !failure.Gone() && !givenUp {
			a.Next = retries[a.Number-1]
		}
		first, err := a.Record(ctx, tx)
		if err != nil || !first { // a twin of this delivery has recorded it
			return err
		}
		if failure == nil || failure.Gone() {
			if _, err := inbox.First(ctx, tx, consumer, m.Key(), ""); err != nil {
				return err
			}
		}
		if failure == nil {
			return t.Delivered(ctx, tx)
		}
		if off, err = t.Failed(ctx, tx, failure); err != nil || off != "" || givenUp {
			return err
		}
		return f.again(ctx, tx, m, a.Next)
	})
	switch {
	case err != nil:
		return err
	case off != "":
		slog.WarnContext(ctx, "a tenant's webhook is switched off", "tenant", tenant, "notice", m.Key(), "reason", off)
		return nil
	case failure == nil:
		return nil
	case givenUp:
		return &fault.Error{Kind: fault.Conflict, Message: failure.Reason, Cause: failure.Cause}
	}
	serve.Note(ctx, "attempt", attemptOf(m), "failed", failure.Reason, "again_in", retries[attemptOf(m)-1].String())
	return nil
}

// again has the outbox send the notice once more, under its key.
func (f *function) again(ctx context.Context, tx pgx.Tx, m message.Message, wait time.Duration) error {
	attributes := maps.Clone(m.Attributes)
	attributes[message.KeyAttribute], attributes[attemptAttribute] = m.Key(), strconv.Itoa(attemptOf(m)+1)
	return outbox.PutAt(ctx, tx, time.Now().Add(wait), message.Message{Topic: notice.Topic, Data: m.Data, Attributes: attributes})
}
