package idempotency

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// Stream is Run for a body that is too large to be read before it is worked on:
// fn reads it while it works, and hash reads what is left of it and returns the
// hash of all of it. Where the key is known, fn does not run, and the bodies are
// compared when the whole of this one has been read.
func Stream[O any](ctx context.Context, db *pg.DB, tenant string, fn func(tx pgx.Tx) (O, error),
	hash func() ([]byte, error),
) (answer O, err error) {
	request, keyed := From(ctx)
	reading := false
	err = pg.InTenant(ctx, db, tenant, func(tx pgx.Tx) error {
		if reading { // undone by a deadlock: the body cannot be read again
			return fault.Down("another write got in the way, and nothing was written: send it again", nil)
		}
		reading = true
		if !keyed {
			answer, err = fn(tx)
			return err
		}
		storedHash, stored, err := lock(ctx, tx, request)
		if err != nil {
			return err
		}
		if stored == nil {
			if answer, err = fn(tx); err != nil {
				return err
			}
		}
		if request.BodyHash, err = hash(); err != nil {
			return err
		}
		if stored == nil {
			return store(ctx, tx, request, answer)
		}
		if err := same(storedHash, request.BodyHash); err != nil {
			return err
		}
		return json.Unmarshal(stored, &answer)
	})
	return answer, err
}
