package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Store reads and writes one portal's deals within a tenant's transaction.
type Store struct {
	tx     pgx.Tx
	portal int64
}

// NewStore returns the store of portal's deals on tx.
func NewStore(tx pgx.Tx, portal int64) Store { return Store{tx, portal} }

// Versions returns what is recorded of the deals now. A deal that is not
// recorded is missing from it. xmin changes with every write of a row.
func (s Store) Versions(ctx context.Context, ids []int64) (Versions, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT deal_id, xmin::text FROM gv.deals WHERE tenant_id = gv.tenant() AND portal_id = @portal AND deal_id = ANY (@ids)`,
		pgx.StrictNamedArgs{"portal": s.portal, "ids": ids})
	versions := Versions{}
	var id int64
	var version string
	if _, err := pgx.ForEachRow(rows, []any{&id, &version}, func() error { versions[id] = version; return nil }); err != nil {
		return nil, fmt.Errorf("read versions of deals %v: %w", ids, err)
	}
	return versions, nil
}

// Lock keeps others from writing the deals, recorded or not, until the
// transaction ends, and returns what is recorded of them.
func (s Store) Lock(ctx context.Context, ids []int64) (map[int64]Row, error) {
	if err := s.lock(ctx, "deal", ids); err != nil {
		return nil, err
	}
	rows, _ := s.tx.Query(ctx, `
		SELECT d.deal_id, d.xmin::text, d.state = 'live',
		       CASE WHEN d.split THEN ARRAY(SELECT c.ad_id FROM gv.deal_credits c
		                                    WHERE c.tenant_id = d.tenant_id AND c.portal_id = d.portal_id AND c.deal_id = d.deal_id)
		            ELSE array_remove(ARRAY[d.ad_id], NULL) END
		FROM   gv.deals d
		WHERE  d.tenant_id = gv.tenant() AND d.portal_id = @portal AND d.deal_id = ANY (@ids)
		ORDER  BY d.deal_id FOR UPDATE`,
		pgx.StrictNamedArgs{"portal": s.portal, "ids": ids})
	locked := map[int64]Row{}
	var id int64
	var row Row
	if _, err := pgx.ForEachRow(rows, []any{&id, &row.Version, &row.Live, &row.AdIDs}, func() error {
		row.AdIDs = slices.Clone(row.AdIDs) // the next row is scanned into the same array
		locked[id] = row
		return nil
	}); err != nil {
		return nil, fmt.Errorf("lock deals %v: %w", ids, err)
	}
	return locked, nil
}

// lock locks records by id, whether they are recorded or not, in one order, so that
// two transactions that want the same ones do not deadlock.
func (s Store) lock(ctx context.Context, kind string, ids []int64) error {
	_, err := s.tx.Exec(ctx, `
		SELECT pg_advisory_xact_lock(key)
		FROM  (SELECT DISTINCT hashtextextended(@kind || ' ' || gv.tenant()::text || ' ' || @portal::bigint::text || ' ' || id::text, 0) AS key
		       FROM unnest(@ids::bigint[]) AS id ORDER BY key) AS ordered`,
		pgx.StrictNamedArgs{"kind": kind, "portal": s.portal, "ids": ids})
	if err != nil {
		return fmt.Errorf("lock %ss %v: %w", kind, ids, err)
	}
	return nil
}

// AddStages records moves of a deal, each once, and returns the latest of all
// that are recorded. Of two in the same millisecond it is the one that the CRM
// shows, current. A move that is dated ahead of now counts as of now: otherwise
// nothing that happens until then could change the deal.
func (s Store) AddStages(ctx context.Context, deal int64, moves []StageAt, current string, now time.Time) (StageAt, error) {
	ids, ats := make([]string, len(moves)), make([]time.Time, len(moves))
	for i, m := range moves {
		ids[i], ats[i] = m.ID, m.At
	}
	var latest StageAt
	err := s.tx.QueryRow(ctx, `
		WITH moves AS (
			SELECT DISTINCT m.stage_id, least(m.said_at, @now) AS occurred_at, CASE WHEN m.said_at > @now THEN m.said_at END AS dated_at
			FROM   unnest(@ids::text[], @ats::timestamptz[]) AS m (stage_id, said_at)
			WHERE  NOT EXISTS ( -- heard of before, when its date lay ahead
				SELECT FROM gv.deal_stages k WHERE k.tenant_id = gv.tenant() AND k.portal_id = @portal AND k.deal_id = @deal
				AND    k.stage_id = m.stage_id AND k.dated_at = m.said_at)
		), added AS (
			INSERT INTO gv.deal_stages (tenant_id, portal_id, deal_id, stage_id, occurred_at, dated_at)
			SELECT gv.tenant(), @portal::bigint, @deal::bigint, stage_id, occurred_at, dated_at FROM moves
			ON CONFLICT DO NOTHING
		)
		SELECT stage_id, occurred_at FROM (
			SELECT stage_id, occurred_at FROM moves
			UNION ALL
			(SELECT stage_id, occurred_at FROM gv.deal_stages
			 WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND deal_id = @deal
			 ORDER  BY occurred_at DESC LIMIT 10) -- more than can fall into one millisecond
		) AS known
		ORDER BY occurred_at DESC, (stage_id = @current) DESC, stage_id DESC LIMIT 1`,
		pgx.StrictNamedArgs{
			"portal": s.portal, "deal": deal, "ids": ids, "ats": ats, "current": current,
			"now": now,
		}).Scan(&latest.ID, &latest.At)
	if err != nil {
		return latest, fmt.Errorf("record stages of deal %d: %w", deal, err)
	}
	return latest, nil
}

// Save records a live deal; what it is credited to is SetCredit's.
func (s Store) Save(ctx context.Context, d Deal) error {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.deals AS d (tenant_id, portal_id, deal_id, state, pipeline_id, stage_id, stage_at, stage_name,
		                           amount_minor, amount_issue, value_minor, stage_confidence, created_at)
		VALUES (gv.tenant(), @portal, @deal, 'live', @pipeline, @stage, @stage_at, @name, @amount, @issue, @value, @confidence, @created)
		ON CONFLICT (tenant_id, portal_id, deal_id) DO UPDATE
		SET state = 'live', merged_into = NULL, pipeline_id = excluded.pipeline_id, stage_id = excluded.stage_id,
		    stage_at = excluded.stage_at, stage_name = excluded.stage_name, amount_minor = excluded.amount_minor,
		    amount_issue = excluded.amount_issue, value_minor = excluded.value_minor,
		    stage_confidence = excluded.stage_confidence, created_at = excluded.created_at, processed_at = now()`,
		pgx.StrictNamedArgs{
			"portal": s.portal, "deal": d.ID, "pipeline": d.PipelineID, "stage": d.Stage.ID, "stage_at": d.Stage.At,
			"name": d.StageName, "amount": d.Amount, "issue": d.AmountIssue, "value": d.Value,
			"confidence": d.Confidence, "created": d.CreatedAt,
		})
	if err != nil {
		return fmt.Errorf("save deal %d: %w", d.ID, err)
	}
	return nil
}

// MarkGone records that the CRM has no such deal any more: it was deleted, or
// merged into another. Its value and credit go; the clicks that were found for it
// wait in gv.deal_touches for its return, when its contacts may be gone.
func (s Store) MarkGone(ctx context.Context, deal int64, mergedInto *int64) error {
	if err := s.unlink(ctx, deal, nil); err != nil {
		return fmt.Errorf("mark deal %d gone: %w", deal, err)
	}
	_, err := s.tx.Exec(ctx, `
		WITH stages AS (
			DELETE FROM gv.deal_stages WHERE tenant_id = gv.tenant() AND portal_id = @portal AND deal_id = @deal
		), credits AS (
			DELETE FROM gv.deal_credits WHERE tenant_id = gv.tenant() AND portal_id = @portal AND deal_id = @deal
		)
		INSERT INTO gv.deals AS d (tenant_id, portal_id, deal_id, state, merged_into)
		VALUES (gv.tenant(), @portal, @deal, 'gone', @into)
		ON CONFLICT (tenant_id, portal_id, deal_id) DO UPDATE
		SET state = 'gone', merged_into = excluded.merged_into, pipeline_id = '', stage_id = '', stage_name = NULL, stage_at = NULL,
		    amount_minor = NULL, amount_issue = NULL, value_minor = 0, stage_confidence = 0, contact_id = NULL, created_at = NULL,
		    converted_at = NULL, click_id = NULL, ad_id = NULL, campaign_id = NULL, attribution_method = 'unattributed',
		    attribution_confidence = 0, attribution_reason = '', split = false, processed_at = now()`,
		pgx.StrictNamedArgs{"portal": s.portal, "deal": deal, "into": mergedInto})
	if err != nil {
		return fmt.Errorf("mark deal %d gone: %w", deal, err)
	}
	return nil
}

// SetCredit records what a live deal is credited to.
func (s Store) SetCredit(ctx context.Context, deal int64, c Credit) error {
	ads, from, to := make([]string, len(c.Shares)), make([]float64, len(c.Shares)), make([]float64, len(c.Shares))
	for i, share := range c.Shares {
		ads[i], from[i], to[i] = share.AdID, share.From, share.To
	}
	batch := &pgx.Batch{}
	batch.Queue(`
		UPDATE gv.deals
		SET    contact_id = @contact, converted_at = @converted, click_id = @click, ad_id = @ad, campaign_id = @campaign,
		       attribution_method = @method, attribution_confidence = @confidence, attribution_reason = @reason, split = @split, processed_at = now()
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND deal_id = @deal AND state = 'live'`,
		pgx.StrictNamedArgs{
			"portal": s.portal, "deal": deal, "contact": c.ContactID, "converted": c.ConvertedAt, "click": c.ClickID,
			"ad": c.AdID, "campaign": c.CampaignID, "method": c.Method, "confidence": c.Confidence, "reason": c.Reason,
			"split": len(ads) > 0,
		})
	batch.Queue(`DELETE FROM gv.deal_credits WHERE tenant_id = gv.tenant() AND portal_id = @portal AND deal_id = @deal`,
		pgx.StrictNamedArgs{"portal": s.portal, "deal": deal})
	if len(ads) > 0 {
		batch.Queue(`
			INSERT INTO gv.deal_credits (tenant_id, portal_id, deal_id, ad_id, share_from, share_to)
			SELECT gv.tenant(), @portal, @deal, ad, a::numeric, b::numeric FROM unnest(@ads::text[], @from::float8[], @to::float8[]) AS s (ad, a, b)`,
			pgx.StrictNamedArgs{"portal": s.portal, "deal": deal, "ads": ads, "from": from, "to": to})
	}
	if err := s.tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("credit deal %d: %w", deal, err)
	}
	return nil
}
