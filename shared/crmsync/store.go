package crmsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrLost means that another run has claimed the portal, or that its backfill was
// cancelled or begun again: the caller stops and writes nothing.
var ErrLost = errors.New("the claim on the portal is lost")

const columns = `s.tenant_id::text, s.portal_id, s.due_at, s.requested_by, s.claim::text, s.claimed_until, s.phase, s.deals_at, s.deals_after,
	s.contacts_at, s.contacts_after, s.compare_after, s.erasures_after, s.backfill_state, s.backfill_days, s.backfill_since, s.backfill_total,
	s.backfill_read,
	s.backfill_started_at, s.backfill_finished_at, s.run_started_at, s.run_seen, s.run_repaired, s.run_gone, s.run_erased,
	s.last_started_at, s.last_finished_at, s.last_seen, s.last_repaired, s.last_gone, s.last_erased, s.repaired_total, s.last_error,
	s.last_error_at, s.write_back_error, now() AS now`

// Store reads and writes portals' states in a transaction.
type Store struct{ tx pgx.Tx }

// NewStore returns the store of tx.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

// List returns the states of the tenant's portals, by portal.
func (s Store) List(ctx context.Context) (map[int64]Sync, error) {
	rows, _ := s.tx.Query(ctx, `SELECT `+columns+` FROM gv.crm_syncs s WHERE tenant_id = gv.tenant()`)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Sync])
	if err != nil {
		return nil, fmt.Errorf("list the states of portals: %w", err)
	}
	found := make(map[int64]Sync, len(all))
	for _, one := range all {
		found[one.PortalID] = one
	}
	return found, nil
}

// Connected makes a portal due at once after it was connected, or connected again:
// a new one for its backfill, where days is not 0; one that was read before for a
// reconcile from where it had got to.
func (s Store) Connected(ctx context.Context, portal int64, days int) error {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.crm_syncs AS s (tenant_id, portal_id, backfill_days) VALUES (gv.tenant(), @portal, coalesce(nullif(@days, 0), @standard))
		ON CONFLICT (tenant_id, portal_id) DO UPDATE
		SET due_at = least(s.due_at, now()), requested_by = 'connected', last_error = NULL, last_error_at = NULL`,
		pgx.StrictNamedArgs{"portal": portal, "days": days, "standard": BackfillDays})
	if err != nil {
		return fmt.Errorf("make portal %d due: %w", portal, err)
	}
	if days == 0 {
		return nil
	}
	return s.StartBackfill(ctx, portal, days, false)
}

// Request makes a portal due at once. It reports false where there is none.
func (s Store) Request(ctx context.Context, portal int64, who string) (bool, error) {
	done, err := s.tx.Exec(ctx, `
		UPDATE gv.crm_syncs SET due_at = least(due_at, now()), requested_by = @who WHERE tenant_id = gv.tenant() AND portal_id = @portal`,
		pgx.StrictNamedArgs{"portal": portal, "who": who})
	if err != nil {
		return false, fmt.Errorf("make portal %d due: %w", portal, err)
	}
	return done.RowsAffected() == 1, nil
}

// StartBackfill has the deals of the last days read from the beginning. Without
// again only a portal that has read fewer days begins again. A run under way loses
// its claim.
func (s Store) StartBackfill(ctx context.Context, portal int64, days int, again bool) error {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.crm_syncs
		SET    due_at = least(due_at, now()), claim = NULL, claimed_until = NULL, phase = 'deals', deals_at = NULL, deals_after = 0,
		       backfill_state = 'waiting', backfill_days = @days, backfill_since = NULL, backfill_total = NULL, backfill_read = 0,
		       backfill_started_at = NULL, backfill_finished_at = NULL, run_started_at = NULL
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND (@again OR backfill_days < @days)`,
		pgx.StrictNamedArgs{"portal": portal, "days": days, "again": again})
	if err != nil {
		return fmt.Errorf("begin the backfill of portal %d: %w", portal, err)
	}
	return nil
}

// CancelBackfill ends a backfill; what it has read stays, and the reconcile goes on
// with what changes from now on. It reports false where none is waiting or running.
func (s Store) CancelBackfill(ctx context.Context, portal int64) (bool, error) {
	done, err := s.tx.Exec(ctx, `
		UPDATE gv.crm_syncs
		SET    backfill_state = 'cancelled', backfill_finished_at = now(), claim = NULL, claimed_until = NULL, phase = 'deals',
		       deals_at = now(), deals_after = 0, contacts_at = coalesce(contacts_at, now()), run_started_at = NULL,
		       due_at = now() + @every::interval
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND backfill_state IN ('waiting', 'running')`,
		pgx.StrictNamedArgs{"portal": portal, "every": Every})
	if err != nil {
		return false, fmt.Errorf("cancel the backfill of portal %d: %w", portal, err)
	}
	return done.RowsAffected() == 1, nil
}

// Save stores the position of s and the counts of its run, and extends the claim. It is
// ErrLost where s's claim no longer holds.
func (s Store) Save(ctx context.Context, at Sync, claimFor time.Duration) error {
	return s.write(ctx, at, `
		UPDATE gv.crm_syncs
		SET    claimed_until = now() + @ttl::interval, phase = @phase, deals_at = @deals_at, deals_after = @deals_after,
		       contacts_at = @contacts_at, contacts_after = @contacts_after, compare_after = @compare_after, erasures_after = @erasures_after,
		       backfill_state = @state, backfill_since = @since, backfill_total = @total, backfill_read = @read,
		       backfill_started_at = @started, backfill_finished_at = @finished,
		       run_started_at = @run_started, run_seen = @seen, run_repaired = @repaired, run_gone = @gone, run_erased = @erased
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND claim = @claim::uuid`,
		pgx.StrictNamedArgs{
			"ttl": claimFor, "phase": at.Phase, "deals_at": at.DealsAt, "deals_after": at.DealsAfter, "contacts_at": at.ContactsAt,
			"contacts_after": at.ContactsAfter, "compare_after": at.CompareAfter, "erasures_after": at.ErasuresAfter, "state": at.BackfillState,
			"since": at.BackfillSince,
			"total": at.BackfillTotal, "read": at.BackfillRead, "started": at.BackfillStartedAt, "finished": at.BackfillFinishedAt,
			"run_started": at.RunStartedAt, "seen": at.RunSeen, "repaired": at.RunRepaired, "gone": at.RunGone, "erased": at.RunErased,
		})
}

// Finish records the run's results and frees the portal. Claim has set when the next
// run is due; whoever has asked for one meanwhile has set it earlier.
func (s Store) Finish(ctx context.Context, at Sync) error {
	return s.write(ctx, at, `
		UPDATE gv.crm_syncs
		SET    claim = NULL, claimed_until = NULL, phase = 'deals', last_started_at = run_started_at, last_finished_at = now(),
		       last_seen = run_seen, last_repaired = run_repaired, last_gone = run_gone, last_erased = run_erased,
		       repaired_total = repaired_total + run_repaired,
		       run_started_at = NULL, last_error = NULL, last_error_at = NULL,
		       requested_by = CASE WHEN due_at > now() THEN 'schedule' ELSE requested_by END
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND claim = @claim::uuid`, pgx.StrictNamedArgs{})
}

// Release frees the portal for the next run, after wait; reason says what went wrong, "" nothing.
func (s Store) Release(ctx context.Context, at Sync, wait time.Duration, reason string) error {
	return s.write(ctx, at, `
		UPDATE gv.crm_syncs
		SET    claim = NULL, claimed_until = NULL, due_at = now() + @wait::interval,
		       last_error = nullif(@reason, ''), last_error_at = CASE WHEN @reason <> '' THEN now() END
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND claim = @claim::uuid`,
		pgx.StrictNamedArgs{"wait": wait, "reason": reason})
}

func (s Store) write(ctx context.Context, at Sync, sql string, args pgx.StrictNamedArgs) error {
	args["portal"], args["claim"] = at.PortalID, at.Claim
	done, err := s.tx.Exec(ctx, sql, args)
	if err != nil {
		return fmt.Errorf("save the position of portal %d: %w", at.PortalID, err)
	}
	if done.RowsAffected() == 0 {
		return ErrLost
	}
	return nil
}

// WroteBack records whether the portal takes what is written back; reason says why
// not, "" that it does. It reports whether that is another reason than before. After a
// failure the portal's properties are looked at again.
func (s Store) WroteBack(ctx context.Context, portal int64, reason string) (changed bool, err error) {
	done, err := s.tx.Exec(ctx, `
		UPDATE gv.crm_syncs
		SET    write_back_error = nullif(@reason::text, ''), write_back_ready_at = CASE WHEN @reason = '' THEN now() END
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal
		AND    (write_back_error IS DISTINCT FROM nullif(@reason, '') OR @reason = '' AND write_back_ready_at IS NULL)`,
		pgx.StrictNamedArgs{"portal": portal, "reason": reason})
	if err != nil {
		return false, fmt.Errorf("record the write back to portal %d: %w", portal, err)
	}
	return done.RowsAffected() == 1, nil
}
