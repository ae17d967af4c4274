package learning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// Store reads and writes what learning knows, in a tenant's transaction.
type Store struct{ tx pgx.Tx }

// NewStore returns the store of tx.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

// start inserts a cycle with its steps unless the account has one that is running, or
// that began since o.Since.
func (s Store) start(ctx context.Context, account string, o Options) (c Cycle, began bool, err error) {
	var known bool
	err = s.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM gv.accounts WHERE tenant_id = gv.tenant() AND account_id = $1)`, account).Scan(&known)
	if err != nil {
		return c, false, fmt.Errorf("look up account %s: %w", account, err)
	}
	if !known {
		return c, false, fault.NotFoundf("there is no account with this account_id")
	}
	id := uuid.NewString()
	done, err := s.tx.Exec(ctx, `
		INSERT INTO gv.learning_cycles (tenant_id, cycle_id, account_id, requested_by, trigger_retrain, accuracy_threshold, started_at)
		SELECT gv.tenant(), @id, @account, @by, @retrain, @threshold, @now
		WHERE  @since::timestamptz IS NULL OR NOT EXISTS (
			SELECT FROM gv.learning_cycles WHERE tenant_id = gv.tenant() AND account_id = @account AND started_at >= @since)
		ON CONFLICT (tenant_id, account_id) WHERE status = 'running' DO NOTHING`,
		pgx.StrictNamedArgs{
			"id": id, "account": account, "by": o.By, "retrain": o.Retrain, "threshold": o.Threshold, "now": o.Now.UTC(),
			"since": sinceOf(o),
		})
	if err != nil {
		return c, false, fmt.Errorf("start a cycle of account %s: %w", account, err)
	}
	if began = done.RowsAffected() == 1; began {
		_, err = s.tx.Exec(ctx, `
			INSERT INTO gv.learning_steps (tenant_id, cycle_id, step, name)
			SELECT gv.tenant(), @id, n, name FROM unnest(@names::text[]) WITH ORDINALITY AS t (name, n)`,
			pgx.StrictNamedArgs{"id": id, "names": Names})
	} else {
		err = s.tx.QueryRow(ctx, `
			SELECT cycle_id::text FROM gv.learning_cycles
			WHERE  tenant_id = gv.tenant() AND account_id = $1 ORDER BY (status = 'running') DESC, started_at DESC LIMIT 1`, account).Scan(&id)
	}
	if err != nil {
		return c, false, fmt.Errorf("start a cycle of account %s: %w", account, err)
	}
	c, err = s.Get(ctx, id)
	return c, began, err
}

// sinceOf is o.Since as a parameter: nil where it is not set.
func sinceOf(o Options) *time.Time {
	if o.Since.IsZero() {
		return nil
	}
	return &o.Since
}

// Get returns a cycle, or a NotFound fault.
func (s Store) Get(ctx context.Context, id string) (Cycle, error) {
	if _, err := uuid.Parse(id); err != nil {
		return Cycle{}, fault.NotFoundf("there is no cycle with this id")
	}
	all, err := s.cycles(ctx, `c.cycle_id = @id::uuid`, pgx.StrictNamedArgs{"id": id, "limit": 1})
	if err != nil {
		return Cycle{}, err
	}
	if len(all) == 0 {
		return Cycle{}, fault.NotFoundf("there is no cycle with this id")
	}
	return all[0], nil
}

// History returns an account's cycles, the newest first.
func (s Store) History(ctx context.Context, account string, limit int) ([]Cycle, error) {
	return s.cycles(ctx, `c.account_id = @account`, pgx.StrictNamedArgs{"account": account, "limit": limit})
}

func (s Store) cycles(ctx context.Context, which string, args pgx.StrictNamedArgs) ([]Cycle, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   c.tenant_id::text, c.cycle_id::text, c.account_id, c.status, c.trigger_retrain, c.accuracy_threshold, c.requested_by,
		       c.started_at, c.completed_at,
		         p.step, p.name, p.status, p.attempts, p.reason, p.result, p.started_at, p.completed_at
		FROM     (SELECT * FROM gv.learning_cycles c WHERE c.tenant_id = gv.tenant() AND `+which+` ORDER BY c.started_at DESC, c.cycle_id LIMIT @limit) c
		JOIN     gv.learning_steps p ON p.tenant_id = gv.tenant() AND p.cycle_id = c.cycle_id
		ORDER BY c.started_at DESC, c.cycle_id, p.step`, args)
	var (
		all []Cycle
		c   Cycle
		p   StepState
	)
	_, err := pgx.ForEachRow(rows, []any{
		&c.Tenant, &c.ID, &c.Account, &c.Status, &c.Retrain, &c.Threshold, &c.By, &c.StartedAt, &c.CompletedAt,
		&p.Step, &p.Name, &p.Status, &p.Attempts, &p.Reason, &p.Result, &p.StartedAt, &p.CompletedAt,
	}, func() error {
		if len(all) == 0 || all[len(all)-1].ID != c.ID {
			next := c
			next.StartedAt = c.StartedAt.UTC()
			all = append(all, next)
		}
		last := &all[len(all)-1]
		step := p
		step.Result = append(json.RawMessage(nil), p.Result...)
		last.Steps = append(last.Steps, step)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read cycles: %w", err)
	}
	return all, nil
}

// claim takes the cycle's lease where it is free, and reports whether it did.
func (s Store) claim(ctx context.Context, id, token string, life time.Duration) (bool, error) {
	done, err := s.tx.Exec(ctx, `
		UPDATE gv.learning_cycles SET lease_token = @token, lease_until = clock_timestamp() + @life::interval
		WHERE  tenant_id = gv.tenant() AND cycle_id = @id AND status = 'running'
		AND    (lease_until IS NULL OR lease_until < clock_timestamp())`,
		pgx.StrictNamedArgs{"id": id, "token": token, "life": life})
	if err != nil {
		return false, fmt.Errorf("claim cycle %s: %w", id, err)
	}
	return done.RowsAffected() == 1, nil
}

// extend lengthens the lease and reports whether it is still token's.
func (s Store) extend(ctx context.Context, id, token string, life time.Duration) (bool, error) {
	done, err := s.tx.Exec(ctx, `
		UPDATE gv.learning_cycles SET lease_until = clock_timestamp() + @life::interval
		WHERE  tenant_id = gv.tenant() AND cycle_id = @id AND lease_token = @token AND status = 'running'`,
		pgx.StrictNamedArgs{"id": id, "token": token, "life": life})
	if err != nil {
		return false, fmt.Errorf("extend the lease of cycle %s: %w", id, err)
	}
	return done.RowsAffected() == 1, nil
}

func (s Store) release(ctx context.Context, id, token string) error {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.learning_cycles SET lease_token = NULL, lease_until = NULL
		WHERE  tenant_id = gv.tenant() AND cycle_id = @id AND lease_token = @token`, pgx.StrictNamedArgs{"id": id, "token": token})
	return err
}

// begin makes a step active.
func (s Store) begin(ctx context.Context, id string, p *StepState) error {
	err := s.tx.QueryRow(ctx, `
		UPDATE gv.learning_steps SET status = 'active', attempts = attempts + 1, started_at = coalesce(started_at, clock_timestamp())
		WHERE  tenant_id = gv.tenant() AND cycle_id = @id AND step = @step
		RETURNING status, attempts, started_at`,
		pgx.StrictNamedArgs{"id": id, "step": p.Step}).Scan(&p.Status, &p.Attempts, &p.StartedAt)
	if err != nil {
		return fmt.Errorf("begin step %s of cycle %s: %w", p.Name, id, err)
	}
	return nil
}

// end writes how a step ended.
func (s Store) end(ctx context.Context, id string, p *StepState, status Status, reason string, found any) error {
	result := []byte("{}")
	if found != nil {
		var err error
		if result, err = json.Marshal(found); err != nil {
			return fmt.Errorf("encode the result of step %s: %w", p.Name, err)
		}
	}
	err := s.tx.QueryRow(ctx, `
		UPDATE gv.learning_steps SET status = @status, reason = @reason, result = @result, completed_at = clock_timestamp()
		WHERE  tenant_id = gv.tenant() AND cycle_id = @id AND step = @step
		RETURNING completed_at, result`,
		pgx.StrictNamedArgs{"id": id, "step": p.Step, "status": status, "reason": reason, "result": result}).Scan(&p.CompletedAt, &p.Result)
	if err != nil {
		return fmt.Errorf("end step %s of cycle %s: %w", p.Name, id, err)
	}
	p.Status, p.Reason = status, reason
	return nil
}

// handOn takes back that a step was begun.
func (s Store) handOn(ctx context.Context, id string, p *StepState) error {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.learning_steps SET attempts = greatest(attempts - 1, 0)
		WHERE  tenant_id = gv.tenant() AND cycle_id = @id AND step = @step AND status = 'active'`,
		pgx.StrictNamedArgs{"id": id, "step": p.Step})
	if err != nil {
		return fmt.Errorf("hand on step %s of cycle %s: %w", p.Name, id, err)
	}
	return nil
}

// finish ends a cycle.
func (s Store) finish(ctx context.Context, id string, status Status) (Status, *time.Time, error) {
	var at time.Time
	err := s.tx.QueryRow(ctx, `
		UPDATE gv.learning_cycles SET status = @status, completed_at = clock_timestamp(), lease_token = NULL, lease_until = NULL
		WHERE  tenant_id = gv.tenant() AND cycle_id = @id RETURNING completed_at`,
		pgx.StrictNamedArgs{"id": id, "status": status}).Scan(&at)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", nil, fmt.Errorf("end cycle %s: %w", id, err)
	}
	return status, &at, err
}

// Due is an account whose turn it is: a cycle to go on with, or "" for a new one.
type Due struct{ Tenant, Account, Cycle string }

// Waiting returns, across tenants, up to n accounts whose cycle waits to be gone on
// with, or that have had none since the given time: those that waited longest
// first. Tenants with a schedule of their own are passed over, but for cycles that
// have begun; only, where not "", is the one tenant that is asked about.
func Waiting(ctx context.Context, tx pgx.Tx, since time.Time, only string, n int) ([]Due, error) {
	rows, _ := tx.Query(ctx, `
		SELECT   a.tenant_id::text AS tenant, a.account_id AS account, coalesce(running.cycle_id::text, '') AS cycle
		FROM     gv.accounts a
		LEFT     JOIN LATERAL (
			SELECT cycle_id, lease_until FROM gv.learning_cycles c
			WHERE  c.tenant_id = a.tenant_id AND c.account_id = a.account_id AND c.status = 'running'
		) AS running ON true
		LEFT     JOIN LATERAL (
			SELECT max(started_at) AS at FROM gv.learning_cycles c WHERE c.tenant_id = a.tenant_id AND c.account_id = a.account_id
		) AS newest ON true
		WHERE    (@only = '' OR a.tenant_id::text = @only)
		AND      CASE WHEN running.cycle_id IS NOT NULL THEN running.lease_until IS NULL OR running.lease_until < clock_timestamp()
		         ELSE (newest.at IS NULL OR newest.at < @since)
		              AND (@only <> '' OR NOT EXISTS (SELECT FROM gv.schedules s WHERE s.tenant_id = a.tenant_id AND s.name = @schedule))
		              AND EXISTS (SELECT FROM gv.ads d WHERE d.tenant_id = a.tenant_id AND d.account_id = a.account_id)
		         END
		ORDER BY (running.cycle_id IS NULL), newest.at NULLS FIRST, a.tenant_id, a.account_id
		LIMIT    @n`,
		pgx.StrictNamedArgs{"since": since, "only": only, "schedule": ScheduleName, "n": n})
	due, err := pgx.CollectRows(rows, pgx.RowToStructByName[Due])
	if err != nil {
		return nil, fmt.Errorf("find accounts whose cycle is due: %w", err)
	}
	return due, nil
}
