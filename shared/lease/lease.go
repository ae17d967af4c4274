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
func Run(ctx context.Context, db *pg.Worker, name string, ttl time.Duration, fn func(context.Context) error) error {
	return run(ctx, name, ttl, fn, func(ctx context.Context, fn func(tx pgx.Tx) error) error {
		return pg.Across(ctx, db, fn)
	})
}

// RunInTenant is Run for what a tenant may do once at a time: the lease is the
// tenant's own.
func RunInTenant(ctx context.Context, db *pg.DB, tenant, name string, ttl time.Duration, fn func(context.Context) error) error {
	return run(ctx, name+"/"+tenant, ttl, fn, func(ctx context.Context, fn func(tx pgx.Tx) error) error {
		return pg.InTenant(ctx, db, tenant, fn)
	})
}

type transact func(ctx context.Context, fn func(tx pgx.Tx) error) error

func run(ctx context.Context, name string, ttl time.Duration, fn func(context.Context) error, in transact) (err error) {
	token := uuid.NewString()
	began := time.Now()
	taken, err := take(ctx, in, name, token, ttl)
	if err != nil {
		// It may have been taken all the same, and only the answer lost.
		_ = give(context.WithoutCancel(ctx), in, name, token)
		return fmt.Errorf("take lease %s: %w", name, err)
	}
	if !taken {
		return ErrHeld
	}
	defer func() { // after a panic, too: the next run need not wait for the end
		if giveErr := give(context.WithoutCancel(ctx), in, name, token); giveErr != nil {
			err = errors.Join(err, fmt.Errorf("give back lease %s: %w", name, giveErr))
		}
	}()
	work, cancel := context.WithDeadline(ctx, began.Add(ttl))
	defer cancel()
	return fn(work)
}

func take(ctx context.Context, in transact, name, token string, ttl time.Duration) (taken bool, err error) {
	err = in(ctx, func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, `
			INSERT INTO gv.leases AS l (name, tenant_id, token, expires_at)
			VALUES (@name, gv.tenant(), @token, clock_timestamp() + @ttl::interval)
			ON CONFLICT (name) DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at
			WHERE l.expires_at < clock_timestamp()`,
			pgx.StrictNamedArgs{"name": name, "token": token, "ttl": ttl})
		taken = done.RowsAffected() == 1
		return err
	})
	return taken, err
}

func give(ctx context.Context, in transact, name, token string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return in(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM gv.leases WHERE name = @name AND token = @token`,
			pgx.StrictNamedArgs{"name": name, "token": token})
		return err
	})
}
