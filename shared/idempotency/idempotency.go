// Package idempotency gives a write that is sent twice one effect and one
// answer. The answer is stored in the transaction of the effect itself, so that a
// crash leaves both or neither.
package idempotency

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// Request is a write that carries an Idempotency-Key.
type Request struct {
	Operation string // method and path
	Key       string
	BodyHash  []byte
}

type requestKey struct{}

// With returns ctx with the write's key; the edge calls it.
func With(ctx context.Context, r Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// From returns the write's key, and false where the caller sent none.
func From(ctx context.Context) (Request, bool) {
	r, ok := ctx.Value(requestKey{}).(Request)
	return r, ok
}

// Run runs fn in a transaction of tenant. Where the caller sent a key, fn's
// answer is stored with it for 24 hours: the same key and body get that answer and
// fn does not run; another body, or a twin that is still running, is a Conflict.
func Run[O any](ctx context.Context, db *pg.DB, tenant string, fn func(tx pgx.Tx) (O, error)) (answer O, err error) {
	request, keyed := From(ctx)
	err = pg.InTenant(ctx, db, tenant, func(tx pgx.Tx) (err error) {
		answer = *new(O) // what an attempt that was undone has left
		if keyed {
			stored, err := find(ctx, tx, request)
			if err != nil {
				return err
			}
			if stored != nil {
				return json.Unmarshal(stored, &answer)
			}
		}
		if answer, err = fn(tx); err != nil || !keyed {
			return err
		}
		return store(ctx, tx, request, answer)
	})
	return answer, err
}

// Stored returns the answer that is stored for the write of ctx; found is false where
// there is none, or no key. A function that works before its transaction asks
// this first, so that a repeat costs it nothing.
func Stored[O any](ctx context.Context, tx pgx.Tx) (answer O, found bool, err error) {
	request, keyed := From(ctx)
	if !keyed {
		return answer, false, nil
	}
	stored, err := find(ctx, tx, request)
	if err != nil || stored == nil {
		return answer, false, err
	}
	return answer, true, json.Unmarshal(stored, &answer)
}

// find returns the stored answer to the same body, or nil, holding the key until tx
// ends.
func find(ctx context.Context, tx pgx.Tx, r Request) ([]byte, error) {
	hash, answer, err := lock(ctx, tx, r)
	if err != nil || answer == nil {
		return nil, err
	}
	return answer, same(hash, r.BodyHash)
}

// same returns a Conflict where the two bodies are not the same.
func same(stored, sent []byte) error {
	if bytes.Equal(stored, sent) {
		return nil
	}
	return fault.Conflictf("this Idempotency-Key was used with another body in the last 24 hours")
}

// lock takes the key until tx ends and returns what is stored with it, if anything.
func lock(ctx context.Context, tx pgx.Tx, r Request) (hash, answer []byte, err error) {
	var free bool
	err = tx.QueryRow(ctx, `
		SELECT pg_try_advisory_xact_lock(hashtextextended(gv.tenant()::text || ' ' || @operation || ' ' || @key, 0))`,
		pgx.StrictNamedArgs{"operation": r.Operation, "key": r.Key}).Scan(&free)
	if err != nil {
		return nil, nil, fmt.Errorf("lock idempotency key: %w", err)
	}
	if !free {
		return nil, nil, &fault.Error{
			Kind: fault.Conflict, RetryAfter: time.Second,
			Message: "a request with this Idempotency-Key is still running",
		}
	}
	err = tx.QueryRow(ctx, `
		SELECT body_hash, answer FROM gv.idempotency_keys
		WHERE  tenant_id = gv.tenant() AND operation = @operation AND key = @key AND created_at > now() - interval '24 hours'`,
		pgx.StrictNamedArgs{"operation": r.Operation, "key": r.Key}).Scan(&hash, &answer)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("look up idempotency key: %w", err)
	}
	return hash, answer, nil
}

func store(ctx context.Context, tx pgx.Tx, r Request, answer any) error {
	data, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("store answer: %w", err)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO gv.idempotency_keys AS k (tenant_id, operation, key, body_hash, answer)
		VALUES (gv.tenant(), @operation, @key, @hash, @answer)
		ON CONFLICT (tenant_id, operation, key) DO UPDATE
		SET body_hash = excluded.body_hash, answer = excluded.answer, created_at = now()
		WHERE k.created_at <= now() - interval '24 hours'`,
		pgx.StrictNamedArgs{"operation": r.Operation, "key": r.Key, "hash": r.BodyHash, "answer": data})
	if err != nil {
		return fmt.Errorf("store answer: %w", err)
	}
	return nil
}

// EraseClicks deletes the answers of tx's tenant that name one of the clicks: what
// was answered of somebody whose data is erased does not outlive it. Such a write,
// sent again, runs again.
func EraseClicks(ctx context.Context, tx pgx.Tx, clicks []string) error {
	var named [][]byte
	for _, click := range clicks {
		id, err := json.Marshal(click)
		if err != nil {
			return fmt.Errorf("erase answers of click %s: %w", click, err)
		}
		for _, member := range []string{`"click_id":`, `"attributed_click_id":`} {
			named = append(named, append([]byte(member), id...))
		}
	}
	if len(named) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		DELETE FROM gv.idempotency_keys k
		WHERE  tenant_id = gv.tenant() AND EXISTS (SELECT FROM unnest(@named::bytea[]) AS n (part) WHERE position(n.part IN k.answer) > 0)`,
		pgx.StrictNamedArgs{"named": named})
	if err != nil {
		return fmt.Errorf("erase answers of clicks: %w", err)
	}
	return nil
}
