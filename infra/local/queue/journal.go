package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// journal is the queue's table: one row for each message and subscription, gone
// when it is acknowledged.
type journal struct{ pool *pgxpool.Pool }

// The schema is the local system's own, not a migration: production has none of it.
const schema = `
	CREATE SCHEMA IF NOT EXISTS local_queue;
	REVOKE ALL ON SCHEMA local_queue FROM PUBLIC;
	CREATE SEQUENCE IF NOT EXISTS local_queue.message_id;
	CREATE TABLE IF NOT EXISTS local_queue.deliveries (
		subscription text        NOT NULL,
		message_id   bigint      NOT NULL,
		topic        text        NOT NULL,
		data         bytea       NOT NULL,
		attributes   json        NOT NULL,
		ordering_key text        NOT NULL,
		published_at timestamptz NOT NULL,
		attempt      integer     NOT NULL DEFAULT 0,
		due_at       timestamptz NOT NULL,
		leased       boolean     NOT NULL DEFAULT false,
		last_error   text        NOT NULL DEFAULT '',
		PRIMARY KEY (subscription, message_id)
	);
	COMMENT ON COLUMN local_queue.deliveries.due_at IS 'When it may be delivered (again): a lease moves it ahead.';
	CREATE INDEX IF NOT EXISTS deliveries_due ON local_queue.deliveries (subscription, due_at, message_id);`

// prepare makes the table, frees the leases of the last process and returns how
// many there were.
func (j journal) prepare(ctx context.Context) (int, error) {
	if _, err := j.pool.Exec(ctx, schema, pgx.QueryExecModeSimpleProtocol); err != nil {
		return 0, fmt.Errorf("make the journal: %w", err)
	}
	freed, err := j.pool.Exec(ctx, `UPDATE local_queue.deliveries SET leased = false, due_at = now() WHERE leased`)
	if err != nil {
		return 0, fmt.Errorf("free the last run's messages: %w", err)
	}
	return int(freed.RowsAffected()), nil
}

// message is what a publisher sent.
type message struct {
	Data        []byte
	Attributes  map[string]string
	OrderingKey string
}

// publish commits the messages for every subscription and returns their ids.
func (j journal) publish(ctx context.Context, topic string, subscriptions []string, messages []message) ([]int64, error) {
	var ids []int64
	err := pgx.BeginFunc(ctx, j.pool, func(tx pgx.Tx) error {
		var err error
		ids, err = put(ctx, tx, topic, subscriptions, messages)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("write %d messages of %s: %w", len(messages), topic, err)
	}
	return ids, nil
}

func put(ctx context.Context, tx pgx.Tx, topic string, subscriptions []string, messages []message) ([]int64, error) {
	n := len(messages)
	data, attributes, keys := make([][]byte, n), make([]map[string]string, n), make([]string, n)
	for i, m := range messages {
		data[i], attributes[i], keys[i] = m.Data, m.Attributes, m.OrderingKey
		if data[i] == nil {
			data[i] = []byte{}
		}
		if attributes[i] == nil {
			attributes[i] = map[string]string{}
		}
	}
	rows, _ := tx.Query(ctx, `
		WITH sent AS MATERIALIZED (
			SELECT nextval('local_queue.message_id') AS message_id, n, data, attributes, ordering_key
			FROM   unnest(@data::bytea[], @attributes::json[], @keys::text[]) WITH ORDINALITY AS m (data, attributes, ordering_key, n)
			ORDER BY n
		), written AS (
			INSERT INTO local_queue.deliveries (subscription, message_id, topic, data, attributes, ordering_key, published_at, due_at)
			SELECT s, message_id, @topic, data, attributes, ordering_key, clock_timestamp(), clock_timestamp()
			FROM   sent CROSS JOIN unnest(@subscriptions::text[]) AS s
		)
		SELECT message_id FROM sent ORDER BY n`,
		pgx.StrictNamedArgs{"topic": topic, "subscriptions": subscriptions, "data": data, "attributes": attributes, "keys": keys})
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// delivery is one attempt at one message.
type delivery struct {
	MessageID   int64
	Topic       string
	Data        []byte
	Attributes  map[string]string
	OrderingKey string
	PublishedAt time.Time
	Attempt     int
}

// lazily is for what may be lost in a crash: then a message comes once more.
const lazily = `SET LOCAL synchronous_commit = off`

// leaseSlack lets an attempt that took its whole time be put down before its
// lease runs out: leases are for a dispatcher that is gone.
const leaseSlack = 30 * time.Second

// claim leases up to n due messages of a subscription, the longest due first.
func (j journal) claim(ctx context.Context, s Subscription, n int) ([]delivery, error) {
	var claimed []delivery
	err := pgx.BeginFunc(ctx, j.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lazily); err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, `
			WITH due AS (
				SELECT   message_id FROM local_queue.deliveries
				WHERE    subscription = @subscription AND due_at <= clock_timestamp()
				ORDER BY due_at, message_id LIMIT @n FOR UPDATE SKIP LOCKED
			), claimed AS (
				UPDATE local_queue.deliveries AS d SET attempt = attempt + 1, leased = true, due_at = clock_timestamp() + @lease::interval
				FROM   due WHERE d.subscription = @subscription AND d.message_id = due.message_id
				RETURNING d.message_id, topic, data, attributes, ordering_key, published_at, attempt
			)
			SELECT * FROM claimed ORDER BY message_id`,
			pgx.StrictNamedArgs{"subscription": s.Name, "n": n, "lease": s.AckDeadline + leaseSlack})
		var err error
		claimed, err = pgx.CollectRows(rows, pgx.RowToStructByName[delivery])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim messages of %s: %w", s.Name, err)
	}
	return claimed, nil
}

// free ends the leases of a subscription but for those of the messages in hand.
func (j journal) free(ctx context.Context, subscription string, inHand []int64) error {
	_, err := j.pool.Exec(ctx, `
		UPDATE local_queue.deliveries SET leased = false, due_at = clock_timestamp()
		WHERE  subscription = $1 AND leased AND message_id <> ALL ($2::bigint[])`, subscription, inHand)
	if err != nil {
		return fmt.Errorf("free messages of %s: %w", subscription, err)
	}
	return nil
}

// next returns how long until a message of the subscription is due, at most most.
func (j journal) next(ctx context.Context, subscription string, most time.Duration) (time.Duration, error) {
	var wait *time.Duration
	err := j.pool.QueryRow(ctx, `
		SELECT min(due_at) - clock_timestamp() FROM local_queue.deliveries WHERE subscription = $1`, subscription).Scan(&wait)
	if err != nil {
		return 0, fmt.Errorf("look for messages of %s: %w", subscription, err)
	}
	if wait == nil {
		return most, nil
	}
	return min(max(*wait, 0), most), nil
}

// ack removes a message, unless its lease ran out and it was delivered again.
func (j journal) ack(ctx context.Context, subscription string, d delivery) error {
	return j.finish(ctx, "acknowledge", subscription, d, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			DELETE FROM local_queue.deliveries WHERE subscription = $1 AND message_id = $2 AND attempt = $3`,
			subscription, d.MessageID, d.Attempt)
		return err
	})
}

// nack offers a message again after a while.
func (j journal) nack(ctx context.Context, subscription string, d delivery, after time.Duration, reason string) error {
	return j.finish(ctx, "postpone", subscription, d, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE local_queue.deliveries SET leased = false, due_at = clock_timestamp() + @after::interval, last_error = @reason
			WHERE  subscription = @subscription AND message_id = @message AND attempt = @attempt`,
			pgx.StrictNamedArgs{"after": after, "reason": reason, "subscription": subscription, "message": d.MessageID, "attempt": d.Attempt})
		return err
	})
}

// deadLetter moves a message to the subscriptions of the dead-letter topic.
func (j journal) deadLetter(ctx context.Context, subscription string, d delivery, topic string, to []string, m message) error {
	return j.finish(ctx, "deadLetter", subscription, d, func(tx pgx.Tx) error {
		gone, err := tx.Exec(ctx, `
			DELETE FROM local_queue.deliveries WHERE subscription = $1 AND message_id = $2 AND attempt = $3`,
			subscription, d.MessageID, d.Attempt)
		if err != nil || gone.RowsAffected() == 0 {
			return err
		}
		_, err = put(ctx, tx, topic, to, []message{m})
		return err
	})
}

func (j journal) finish(ctx context.Context, what, subscription string, d delivery, change func(pgx.Tx) error) error {
	err := pgx.BeginFunc(ctx, j.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lazily); err != nil {
			return err
		}
		return change(tx)
	})
	if err != nil {
		return fmt.Errorf("%s message %d of %s: %w", what, d.MessageID, subscription, err)
	}
	return nil
}

func (j journal) states(ctx context.Context) (map[string]State, error) {
	rows, _ := j.pool.Query(ctx, `
		SELECT   subscription, count(*) FILTER (WHERE NOT leased AND due_at <= clock_timestamp()) AS due,
		         count(*) FILTER (WHERE leased) AS handling,
		         count(*) FILTER (WHERE NOT leased AND due_at > clock_timestamp()) AS backing_off,
		         extract(epoch FROM clock_timestamp() - min(published_at))::float8 AS oldest
		FROM     local_queue.deliveries
		GROUP BY subscription`)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[State])
	if err != nil {
		return nil, fmt.Errorf("count messages: %w", err)
	}
	found := map[string]State{}
	for _, s := range all {
		found[s.Subscription] = s
	}
	return found, nil
}
