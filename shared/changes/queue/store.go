// Package queue keeps the changes of package changes in Postgres: it queues them,
// hands them to one executor at a time, loads what the rules take into account, and
// saves what the rules decide. Locks are taken in one order: ads, objects, change,
// campaign.
package queue

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/changes"
)

// Store is the queue in a transaction.
type Store struct {
	tx    pgx.Tx
	clock func(time.Time) time.Time
	// reviewed is called where a review changes something; nil for nobody.
	reviewed func()
}

// Reviewed returns the queue with reviewed called once Approve, Reject or Undo has
// changed something, and not where the request is a repeated one.
func (s Store) Reviewed(reviewed func()) Store {
	s.reviewed = reviewed
	return s
}

// NewStore returns the queue in tx. Its clock is the database's, which all
// instances share, so that a machine whose own clock is wrong breaks no limit.
func NewStore(tx pgx.Tx) Store { return Store{tx: tx} }

// WithClock returns the store with a clock of a test, which turns the database's
// time into the rules' time; nil leaves it.
func (s Store) WithClock(clock func(time.Time) time.Time) Store {
	s.clock = clock
	return s
}

// Now is the time that the rules use.
func (s Store) Now(ctx context.Context) (now time.Time, err error) {
	if err = s.tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return now, fmt.Errorf("read the clock: %w", err)
	}
	if s.clock != nil {
		now = s.clock(now)
	}
	return now.UTC().Truncate(time.Microsecond), nil
}

// changeColumns are those of a Change, from gv.pending_ad_changes p and its
// account a.
var changeColumns = nameOf("p") + ` AS object_name, a.name AS account_name,
	coalesce((SELECT x.name FROM gv.ads x WHERE x.tenant_id = p.tenant_id AND x.ad_id = p.ad_id), '') AS ad_name,
	coalesce((SELECT x.name FROM gv.campaigns x WHERE x.tenant_id = p.tenant_id AND x.campaign_id = p.campaign_id), '') AS campaign_name,
	p.change_id, p.tenant_id, p.account_id, p.campaign_id, p.ad_id, p.budget_object, p.kind, a.currency, p.before_minor, p.target_minor,
	p.before_status, coalesce(p.target_status, '') AS target_status, p.splits, p.step_minor, p.step_before, p.floor_minor, p.steps, p.sends,
	p.reason, p.source, p.decision_id, p.requested_by, p.mode, p.status, p.plan_digest, coalesce(p.approved_by, '') AS approved_by,
	coalesce(p.held_reason, '') AS held_reason, p.due_at, p.sent_at, p.attempt, p.decided_at, p.created_at, p.approved_at, p.progress_at,
	p.finished_at, p.undo_of, p.superseded_by, p.forced`

// nameOf is what the ad or the ad set is called that a row's budget_object names;
// an empty text where nobody named it.
func nameOf(row string) string {
	return strings.ReplaceAll(`coalesce(CASE WHEN r.budget_object LIKE 'ad/%'
		THEN (SELECT x.name FROM gv.ads x WHERE x.tenant_id = r.tenant_id AND x.ad_id = substr(r.budget_object, 4))
		ELSE (SELECT x.name FROM gv.ad_sets x WHERE x.tenant_id = r.tenant_id AND x.adset_id = substr(r.budget_object, 7)) END,
		'')`, "r.", row+".")
}

// objectColumns are those of an Object, from gv.budget_objects o.
const objectColumns = `
	budget_object, account_id, campaign_id, known_minor, known_status, known_at, foreign_at, foreign_was_minor, foreign_minor,
	no_raise_until, no_raise_by, no_raise_above, paused_by, decided_at, decided_by,
	coalesce((SELECT p.status = 'dry_run' FROM gv.pending_ad_changes p WHERE p.change_id = o.no_raise_by), false) AS no_raise_tried`

func (s Store) read(ctx context.Context, sql string, args pgx.StrictNamedArgs) ([]*changes.Change, error) {
	rows, _ := s.tx.Query(ctx, sql, args)
	return pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[changes.Change])
}

// createObjects locks the rows of objects, and creates those that are missing.
func (s Store) createObjects(ctx context.Context, tenant string, names, accounts, campaigns []string) (map[string]*changes.Object, error) {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.budget_objects (tenant_id, budget_object, account_id, campaign_id)
		SELECT @tenant, o.* FROM unnest(@names::text[], @accounts::text[], @campaigns::text[]) AS o ORDER BY 2
		ON CONFLICT DO NOTHING`,
		pgx.StrictNamedArgs{"tenant": tenant, "names": names, "accounts": accounts, "campaigns": campaigns})
	if err != nil {
		return nil, fmt.Errorf("create the objects: %w", err)
	}
	return s.lockObjects(ctx, tenant, names)
}

// lockObjects locks the rows of objects, in one order.
func (s Store) lockObjects(ctx context.Context, tenant string, names []string) (map[string]*changes.Object, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT `+objectColumns+` FROM gv.budget_objects o
		WHERE  tenant_id = @tenant AND budget_object = ANY (@names::text[])
		ORDER  BY budget_object FOR UPDATE OF o`,
		pgx.StrictNamedArgs{"tenant": tenant, "names": names})
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[changes.Object])
	if err != nil {
		return nil, fmt.Errorf("lock the objects: %w", err)
	}
	byName := make(map[string]*changes.Object, len(found))
	for _, o := range found {
		byName[o.BudgetObject] = o
	}
	return byName, nil
}

// saveObjects writes back what is known of objects.
func (s Store) saveObjects(ctx context.Context, tenant string, objects []*changes.Object) error {
	if len(objects) == 0 {
		return nil
	}
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.budget_objects o
		SET    known_minor = n.known_minor, known_status = n.known_status, known_at = n.known_at,
		       foreign_at = n.foreign_at, foreign_was_minor = n.foreign_was_minor, foreign_minor = n.foreign_minor,
		       no_raise_until = n.no_raise_until, no_raise_by = n.no_raise_by, no_raise_above = n.no_raise_above, paused_by = n.paused_by,
		       decided_at = n.decided_at, decided_by = n.decided_by
		FROM   jsonb_to_recordset(@objects::jsonb) AS n (
			budget_object text, known_minor bigint, known_status text, known_at timestamptz, foreign_at timestamptz, foreign_was_minor bigint,
			foreign_minor bigint,
			no_raise_until timestamptz, no_raise_by uuid, no_raise_above bigint, paused_by uuid, decided_at timestamptz, decided_by uuid)
		WHERE  o.tenant_id = @tenant AND o.budget_object = n.budget_object`,
		pgx.StrictNamedArgs{"tenant": tenant, "objects": rowsOf(objects, objectRow)})
	if err != nil {
		return fmt.Errorf("save the objects: %w", err)
	}
	return nil
}

func objectRow(o *changes.Object) map[string]any {
	return map[string]any{
		"budget_object": o.BudgetObject, "known_minor": o.KnownMinor, "known_status": o.KnownStatus, "known_at": o.KnownAt,
		"foreign_at": o.ForeignAt, "foreign_was_minor": o.ForeignWasMinor, "foreign_minor": o.ForeignMinor,
		"no_raise_until": o.NoRaiseUntil, "no_raise_by": o.NoRaiseBy, "no_raise_above": o.NoRaiseAbove, "paused_by": o.PausedBy,
		"decided_at": o.DecidedAt, "decided_by": o.DecidedBy,
	}
}

// rowsOf makes the argument of jsonb_to_recordset; pgx writes it as JSON.
func rowsOf[T any](all []T, row func(T) map[string]any) []map[string]any {
	rows := make([]map[string]any, len(all))
	for i, one := range all {
		rows[i] = row(one)
	}
	return rows
}
