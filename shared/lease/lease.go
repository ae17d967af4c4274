// Package lease lets one run of a job at a time go on. A lease is a row with an
// end, not a session's lock: a holder that dies loses it when its time is up.
package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/pg"
)

// ErrHeld is returned where another run holds the lease.
var ErrHeld = errors.New("lease is held by another run")

// Run runs fn while holding the lease called name, and gives it back when fn
// returns. fn's context ends with the lease, after ttl, so that two holders
// never work at once. It returns ErrHeld where another run has it.
func Run(ctx context.Context, db *pg.Worker, name string, ttl time.Duration, fn func(context.Context) error) (err error) {
	token := uuid.NewString()
	began := time.Now()
	taken, err := take(ctx, db, name, token, ttl)
	if err != nil {
		// It may have been taken all the same, and only the answer lost.
		_ = give(context.WithoutCancel(ctx), db, name, token)
		return fmt.Errorf("take lease %s: %w", name, err)
	}
	if !taken {
		return ErrHeld
	}
	defer func() { // after a panic, too: the next run need not wait for the end
		if giveErr := give(context.WithoutCancel(ctx), db, name, token); giveErr != nil {
			err = errors.Join(err, fmt.Errorf("give back lease %s: %w", name, giveErr))
		}
	}()
	work, cancel := context.WithDeadline(ctx, began.Add(ttl))
	defer cancel()
	return fn(work)
}

func take(ctx context.Context, db *pg.Worker, name, token string, ttl time.Duration) (taken bool, err error) {
	err = pg.Across(ctx, db, func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, `
			INSERT INTO gv.leases AS l (name, token, expires_at)
			VALUES (@name, @token, clock_timestamp() + @ttl::interval)
			ON CONFLICT (name) DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at
			WHERE l.expires_at < clock_timestamp()`,
			pgx.StrictNamedArgs{"name": name, "token": token, "ttl": ttl})
		taken = done.RowsAffected() == 1
		return err
	})
	return taken, err
}

func give(ctx context.Context, db *pg.Worker, name, token string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return pg.Across(ctx, db, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM gv.leases WHERE name = @name AND token = @token`,
			pgx.StrictNamedArgs{"name": name, "token": token})
		return err
	})
}
