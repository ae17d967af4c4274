package queue

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/changes"
)

// answered returns the answers of keys that were queued before.
func (s Store) answered(ctx context.Context, tenant string, intents []changes.Intent) (map[string]changes.Enqueued, error) {
	keys := make([]string, len(intents))
	for i, in := range intents {
		keys[i] = in.Key
	}
	rows, _ := s.tx.Query(ctx, `
		SELECT r.request_key, r.ad_id, p.change_id, p.status, coalesce(p.held_reason, '') AS reason
		FROM   gv.change_requests r
		JOIN   gv.pending_ad_changes p ON p.change_id = r.change_id
		WHERE  r.tenant_id = @tenant AND r.request_key = ANY (@keys::text[])`,
		pgx.StrictNamedArgs{"tenant": tenant, "keys": keys})
	answers := map[string]changes.Enqueued{}
	var key string
	var e changes.Enqueued
	_, err := pgx.ForEachRow(rows, []any{&key, &e.AdID, &e.ChangeID, &e.Status, &e.Reason}, func() error {
		answers[key] = e
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up the requests: %w", err)
	}
	return answers, nil
}

// open returns the open changes of objects, whose rows are locked.
func (s Store) open(ctx context.Context, tenant string, objects map[string]*changes.Object) ([]*changes.Change, error) {
	found, err := s.read(ctx, `
		SELECT `+changeColumns+`
		FROM   gv.pending_ad_changes p
		JOIN   gv.accounts a USING (tenant_id, account_id)
		WHERE  p.tenant_id = @tenant AND p.budget_object = ANY (@names::text[])
		AND    p.status IN ('pending', 'awaiting_approval', 'applying', 'unknown')`,
		pgx.StrictNamedArgs{"tenant": tenant, "names": slices.Collect(maps.Keys(objects))})
	if err != nil {
		return nil, fmt.Errorf("read open changes: %w", err)
	}
	return found, nil
}

// cuts returns each ad's last fatigue cut within RaiseBan. A cut that failed does
// not count, nor one that was a dry run where the account writes by now.
func (s Store) cuts(ctx context.Context, tenant string, now time.Time, intents []changes.Intent) (map[string]changes.Cut, error) {
	var ads []string
	for _, in := range intents {
		if in.Source == changes.Fatigue {
			ads = append(ads, in.AdID)
		}
	}
	if len(ads) == 0 {
		return nil, nil
	}
	rows, _ := s.tx.Query(ctx, `
		SELECT DISTINCT ON (r.ad_id) r.ad_id, p.change_id, p.status, r.created_at
		FROM   gv.change_requests r
		JOIN   gv.pending_ad_changes p ON p.change_id = r.change_id
		JOIN   gv.accounts a ON a.tenant_id = p.tenant_id AND a.account_id = p.account_id
		WHERE  r.tenant_id = @tenant AND r.ad_id = ANY (@ads::text[]) AND r.source = 'fatigue'
		AND    r.created_at > @since AND p.status <> 'failed' AND (p.status <> 'dry_run' OR a.mode = 'dry_run')
		ORDER  BY r.ad_id, r.created_at DESC`,
		pgx.StrictNamedArgs{"tenant": tenant, "ads": ads, "since": now.Add(-changes.RaiseBan)})
	all := map[string]changes.Cut{}
	var ad string
	var c changes.Cut
	_, err := pgx.ForEachRow(rows, []any{&ad, &c.ChangeID, &c.Status, &c.At}, func() error {
		all[ad] = c
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up fatigue cuts: %w", err)
	}
	return all, nil
}

func (s Store) supersede(ctx context.Context, tenant string, replaced []*changes.Change) error {
	if len(replaced) == 0 {
		return nil
	}
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.pending_ad_changes p
		SET    status = 'superseded', held_reason = n.held_reason, superseded_by = n.superseded_by, finished_at = n.finished_at
		FROM   jsonb_to_recordset(@rows::jsonb) AS n (change_id uuid, held_reason text, superseded_by uuid, finished_at timestamptz)
		WHERE  p.tenant_id = @tenant AND p.change_id = n.change_id`,
		pgx.StrictNamedArgs{"tenant": tenant, "rows": rowsOf(replaced, func(c *changes.Change) map[string]any {
			return map[string]any{
				"change_id": c.ChangeID, "held_reason": c.HeldReason, "superseded_by": c.SupersededBy, "finished_at": c.FinishedAt,
			}
		})})
	if err != nil {
		return fmt.Errorf("supersede %d changes: %w", len(replaced), err)
	}
	return nil
}

// insert writes new changes, and which requests became them.
func (s Store) insert(ctx context.Context, tenant string, fresh []*changes.Change, asked []changes.Request) error {
	key := map[string]string{}
	for _, a := range asked {
		if key[a.ChangeID] == "" {
			key[a.ChangeID] = a.Key
		}
	}
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.pending_ad_changes (
			change_id, tenant_id, request_key, account_id, campaign_id, ad_id, budget_object, kind, before_minor, target_minor, before_status,
			target_status, splits, reason, source, decision_id, requested_by, mode, status, held_reason, due_at, decided_at, created_at,
			progress_at, finished_at, undo_of, forced)
		SELECT change_id, @tenant, request_key, account_id, campaign_id, ad_id, budget_object, kind, before_minor, target_minor, before_status,
		       nullif(target_status, ''), splits, reason, source, decision_id, requested_by, mode, status, nullif(held_reason, ''), due_at,
		       decided_at,
		       created_at, created_at, finished_at, undo_of, forced
		FROM   jsonb_to_recordset(@rows::jsonb) AS n (
			change_id uuid, request_key text, account_id text, campaign_id text, ad_id text, budget_object text, kind text, before_minor bigint,
			target_minor bigint, before_status text, target_status text, splits jsonb, reason text, source text, decision_id uuid,
			requested_by text, mode text, status text, held_reason text, due_at timestamptz, decided_at timestamptz, created_at timestamptz,
			finished_at timestamptz, undo_of uuid, forced boolean)`,
		pgx.StrictNamedArgs{"tenant": tenant, "rows": rowsOf(fresh, func(c *changes.Change) map[string]any {
			return row(c, key[c.ChangeID])
		})})
	if err != nil {
		return fmt.Errorf("queue %d changes: %w", len(fresh), err)
	}
	_, err = s.tx.Exec(ctx, `
		INSERT INTO gv.change_requests (tenant_id, request_key, ad_id, change_id, source, created_at)
		SELECT @tenant, n.* FROM jsonb_to_recordset(@rows::jsonb) AS n (request_key text, ad_id text, change_id uuid, source text,
		       created_at timestamptz)
		ON CONFLICT DO NOTHING`,
		pgx.StrictNamedArgs{"tenant": tenant, "rows": rowsOf(asked, func(a changes.Request) map[string]any {
			return map[string]any{"request_key": a.Key, "ad_id": a.AdID, "change_id": a.ChangeID, "source": a.Source, "created_at": a.At}
		})})
	if err != nil {
		return fmt.Errorf("write the requests: %w", err)
	}
	return nil
}

// row is the change as insert writes it. One without a request of its own, such as
// an ad's pause beside its set's budget, gets a key of its id.
func row(c *changes.Change, key string) map[string]any {
	if key == "" {
		key = "change/" + c.ChangeID
	}
	return map[string]any{
		"change_id": c.ChangeID, "request_key": key, "account_id": c.AccountID, "campaign_id": c.CampaignID, "ad_id": c.AdID,
		"budget_object": c.BudgetObject, "kind": c.Kind, "before_minor": c.BeforeMinor, "target_minor": c.TargetMinor,
		"before_status": c.BeforeStatus, "target_status": c.TargetStatus, "splits": c.Splits, "reason": c.Reason, "source": c.Source,
		"decision_id": c.DecisionID, "requested_by": c.RequestedBy, "mode": c.Mode, "status": c.Status, "held_reason": c.HeldReason,
		"due_at": c.DueAt, "decided_at": c.DecidedAt, "created_at": c.CreatedAt, "finished_at": c.FinishedAt, "undo_of": c.UndoOf,
		"forced": c.Forced,
	}
}
