// Package outbox sends messages about data that has committed: a message is
// written beside the data, in its transaction, and published afterwards, at once
// by the function that wrote it or, where that did not happen, by the relay.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// Publisher sends messages to topics. It returns once every message is stored by
// the queue, or an error if any is not.
type Publisher interface {
	Publish(ctx context.Context, messages ...message.Message) error
}

// Put writes m beside the data of tx. Its key attribute becomes the outbox row's
// id, so that consumers know it again if it is sent twice.
func Put(ctx context.Context, tx pgx.Tx, m message.Message) error {
	attributes := m.Attributes
	if attributes == nil {
		attributes = map[string]string{}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO gv.outbox (tenant_id, topic, data, attributes, subject)
		VALUES (gv.tenant(), @topic, @data, @attributes, nullif(@subject, ''))`,
		pgx.StrictNamedArgs{"topic": m.Topic, "data": m.Data, "attributes": attributes, "subject": m.Subject()})
	if err != nil {
		return fmt.Errorf("write message for %s: %w", m.Topic, err)
	}
	return nil
}

// claimFor is how long a claim holds: a sender that dies frees its messages then.
const claimFor = 30 * time.Second

const batch = 100

// Flush publishes what tenant has waiting. It is called after a commit; what it
// cannot send the relay will, so its failure is logged and not returned.
func Flush(ctx context.Context, db *pg.DB, tenant string, to Publisher) {
	_, err := drain(ctx, to, func(fn func(tx pgx.Tx) error) error { return pg.InTenant(ctx, db, tenant, fn) })
	if err != nil {
		slog.WarnContext(ctx, "outbox: left for the relay", "tenant", tenant, "error", err.Error())
	}
}

// Relay publishes what any tenant has waiting and returns how many it sent.
func Relay(ctx context.Context, db *pg.Worker, to Publisher) (int, error) {
	return drain(ctx, to, func(fn func(tx pgx.Tx) error) error { return pg.Across(ctx, db, fn) })
}

type transact func(fn func(tx pgx.Tx) error) error

func drain(ctx context.Context, to Publisher, in transact) (sent int, err error) {
	for {
		var claimed []row
		if err := in(func(tx pgx.Tx) (err error) { claimed, err = claim(ctx, tx); return err }); err != nil {
			return sent, err
		}
		if len(claimed) == 0 {
			return sent, nil
		}
		messages := make([]message.Message, len(claimed))
		ids := make([]string, len(claimed))
		for i, r := range claimed {
			messages[i], ids[i] = r.message(), r.MessageID
		}
		if err := to.Publish(ctx, messages...); err != nil {
			keep := context.WithoutCancel(ctx)
			return sent, errors.Join(err, in(func(tx pgx.Tx) error { return postpone(keep, tx, ids, err) }))
		}
		if err := in(func(tx pgx.Tx) error { return remove(ctx, tx, ids) }); err != nil {
			return sent, err
		}
		sent += len(claimed)
	}
}

type row struct {
	MessageID  string
	TenantID   string
	Topic      string
	Data       []byte
	Attributes map[string]string
}

func (r row) message() message.Message {
	attributes := map[string]string{message.KeyAttribute: r.MessageID, message.TenantAttribute: r.TenantID}
	for k, v := range r.Attributes {
		attributes[k] = v
	}
	return message.Message{Topic: r.Topic, Data: r.Data, Attributes: attributes}
}

func claim(ctx context.Context, tx pgx.Tx) ([]row, error) {
	rows, _ := tx.Query(ctx, `
		UPDATE gv.outbox SET attempt = attempt + 1, due_at = now() + @ttl::interval
		WHERE  message_id IN (SELECT message_id FROM gv.outbox WHERE due_at <= now()
		                      ORDER BY due_at LIMIT @n FOR UPDATE SKIP LOCKED)
		RETURNING message_id, tenant_id, topic, data, attributes`,
		pgx.StrictNamedArgs{"ttl": claimFor, "n": batch})
	claimed, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err != nil {
		return nil, fmt.Errorf("claim messages: %w", err)
	}
	return claimed, nil
}

// postpone doubles the wait with each attempt, from 2 s to 10 minutes.
func postpone(ctx context.Context, tx pgx.Tx, ids []string, cause error) error {
	_, err := tx.Exec(ctx, `
		UPDATE gv.outbox SET last_error = @cause,
		       due_at = now() + least(interval '10 minutes', interval '1 second' * 2 ^ least(attempt, 10))
		WHERE  message_id = ANY (@ids::uuid[])`,
		pgx.StrictNamedArgs{"ids": ids, "cause": cause.Error()})
	if err != nil {
		return fmt.Errorf("postpone messages: %w", err)
	}
	return nil
}

func remove(ctx context.Context, tx pgx.Tx, ids []string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM gv.outbox WHERE message_id = ANY ($1::uuid[])`, ids); err != nil {
		return fmt.Errorf("remove sent messages: %w", err)
	}
	return nil
}
