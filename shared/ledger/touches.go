package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Touches returns deals' recorded clicks, each deal's latest first.
func (s Store) Touches(ctx context.Context, deals []int64) (map[int64][]Touch, error) {
	batch, all := &pgx.Batch{}, map[int64][]Touch{}
	s.queueTouches(batch, deals, all)
	if err := s.tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("read the clicks of deals %v: %w", deals, err)
	}
	return all, nil
}

// queueTouches reads deals' recorded clicks into all.
func (s Store) queueTouches(batch *pgx.Batch, deals []int64, all map[int64][]Touch) {
	batch.Queue(`
		SELECT   t.deal_id, t.click_id, t.contact_id, t.ad_id, t.campaign_id, t.clicked_at, t.method, t.layer::int, t.confidence::float8,
		       t.reason, t.eligible,
		         k.click_id IS NULL OR t.click_id LIKE 'erased%' OR t.method IN ('fingerprint', 'probabilistic')
		         AND k.cleared_at IS NOT NULL AS cleared,
		         a.ad_id IS NOT NULL AS known, coalesce(acc.attribution_model, 'last') AS model
		FROM     gv.deal_touches t
		LEFT     JOIN gv.clicks k ON k.tenant_id = t.tenant_id AND k.click_id = t.click_id
		LEFT     JOIN gv.ads a ON a.tenant_id = t.tenant_id AND a.ad_id = t.ad_id
		LEFT     JOIN gv.accounts acc ON acc.tenant_id = a.tenant_id AND acc.account_id = a.account_id
		WHERE    t.tenant_id = gv.tenant() AND t.portal_id = @portal AND t.deal_id `+among("deals", deals)+`
		ORDER BY t.clicked_at DESC, t.click_id`,
		pgx.StrictNamedArgs{"portal": s.portal, "deals": deals}).Query(func(rows pgx.Rows) error {
		found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[dealTouch])
		for _, t := range found {
			all[t.Deal] = append(all[t.Deal], t.Touch)
		}
		return err
	})
}

type dealTouch struct {
	Deal int64
	Touch
}

// SaveTouches makes found the deals' recorded clicks, and returns them as they are
// recorded. A deal of found that has none loses those that are recorded.
func (s Store) SaveTouches(ctx context.Context, found map[int64][]Touch) (map[int64][]Touch, error) {
	var (
		deals                                 = slices.Sorted(maps.Keys(found))
		of                                    []int64
		contacts                              []*int64
		ids, ads, campaigns, methods, reasons []string
		ats                                   []time.Time
		layers                                []int16
		confidences                           []float64
		eligible                              []bool
	)
	for _, deal := range deals {
		for _, t := range found[deal] {
			of, ids, contacts, ads, campaigns = append(of, deal), append(ids, t.ClickID), append(contacts, t.ContactID), append(ads, t.AdID),
				append(campaigns, t.CampaignID)
			ats, methods, layers = append(ats, t.ClickedAt), append(methods, t.Method), append(layers, int16(t.Layer))
			confidences, reasons, eligible = append(confidences, t.Confidence), append(reasons, t.Reason), append(eligible, t.Eligible)
		}
	}
	batch, recorded := &pgx.Batch{}, map[int64][]Touch{}
	batch.Queue(`
		WITH found AS MATERIALIZED (
			SELECT * FROM unnest(@of::bigint[], @ids::text[], @contacts::bigint[], @ads::text[], @campaigns::text[], @ats::timestamptz[],
				@methods::text[], @layers::smallint[], @confidences::float8[], @reasons::text[], @eligible::boolean[])
			       AS f (deal_id, click_id, contact_id, ad_id, campaign_id, clicked_at, method, layer, confidence, reason, eligible)
		), others AS (
			DELETE FROM gv.deal_touches t WHERE t.tenant_id = gv.tenant() AND t.portal_id = @portal AND t.deal_id `+among("deals", deals)+`
			AND    NOT EXISTS (SELECT FROM found f WHERE f.deal_id = t.deal_id AND f.click_id = t.click_id)
		)
		INSERT INTO gv.deal_touches AS t (tenant_id, portal_id, deal_id, click_id, contact_id, ad_id, campaign_id, clicked_at, method, layer,
		       confidence, reason, eligible)
		SELECT gv.tenant(), @portal, f.* FROM found f
		ON CONFLICT (tenant_id, portal_id, deal_id, click_id) DO UPDATE
		SET contact_id = excluded.contact_id, ad_id = excluded.ad_id, campaign_id = excluded.campaign_id, clicked_at = excluded.clicked_at,
		    method = excluded.method, layer = excluded.layer, confidence = excluded.confidence, reason = excluded.reason,
		    eligible = excluded.eligible
		WHERE (t.contact_id, t.method, t.layer, t.confidence, t.reason, t.eligible)
		      IS DISTINCT FROM (excluded.contact_id, excluded.method, excluded.layer, excluded.confidence, excluded.reason, excluded.eligible)`,
		pgx.StrictNamedArgs{
			"portal": s.portal, "deals": deals, "of": of, "ids": ids, "contacts": contacts, "ads": ads, "campaigns": campaigns, "ats": ats,
			"methods": methods, "layers": layers, "confidences": confidences, "reasons": reasons, "eligible": eligible,
		})
	s.queueTouches(batch, deals, recorded)
	if err := s.tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("record the clicks of deals %v: %w", deals, err)
	}
	return recorded, nil
}

// SameTouches reports whether saving found would leave what is recorded as it is.
func SameTouches(found, recorded []Touch) bool {
	if len(found) != len(recorded) {
		return false
	}
	for _, t := range found {
		i := slices.IndexFunc(recorded, func(o Touch) bool { return o.ClickID == t.ClickID })
		if i < 0 || !t.same(recorded[i]) {
			return false
		}
	}
	return true
}

// same compares what SaveTouches would write; Postgres keeps a confidence as a real.
func (t Touch) same(o Touch) bool {
	contact := t.ContactID == o.ContactID || t.ContactID != nil && o.ContactID != nil && *t.ContactID == *o.ContactID
	return contact && t.Method == o.Method && t.Layer == o.Layer && float32(t.Confidence) == float32(o.Confidence) &&
		t.Reason == o.Reason && t.Eligible == o.Eligible
}

// DropTouches deletes the recorded clicks of contacts that somebody took from the
// deal while the contacts live on: their clicks led elsewhere.
func (s Store) DropTouches(ctx context.Context, deal int64, contacts []int64) error {
	_, err := s.tx.Exec(ctx, `
		DELETE FROM gv.deal_touches
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND deal_id = @deal AND contact_id = ANY (@contacts)`,
		pgx.StrictNamedArgs{"portal": s.portal, "deal": deal, "contacts": contacts})
	if err != nil {
		return fmt.Errorf("take contacts from deal %d: %w", deal, err)
	}
	return nil
}

// RecordedContacts returns, by deal, the contacts that are recorded for it, and those
// whose clicks are.
func (s Store) RecordedContacts(ctx context.Context, deals []int64) (map[int64][]int64, error) {
	batch, linked := &pgx.Batch{}, map[int64][]int64{}
	s.QueueRecordedContacts(batch, deals, linked)
	if err := s.tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("read contacts of deals %v: %w", deals, err)
	}
	return linked, nil
}

// QueueRecordedContacts reads what RecordedContacts returns into linked.
func (s Store) QueueRecordedContacts(batch *pgx.Batch, deals []int64, linked map[int64][]int64) {
	these := among("deals", deals)
	batch.Queue(`
		SELECT deal_id, contact_id FROM gv.deal_contacts
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND deal_id `+these+`
		UNION
		SELECT deal_id, contact_id FROM gv.deal_touches
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND deal_id `+these+` AND contact_id IS NOT NULL
		ORDER  BY deal_id, contact_id`,
		pgx.StrictNamedArgs{"portal": s.portal, "deals": deals}).Query(func(rows pgx.Rows) error {
		var deal, contact int64
		_, err := pgx.ForEachRow(rows, []any{&deal, &contact}, func() error { linked[deal] = append(linked[deal], contact); return nil })
		return err
	})
}

// Shared returns, after a deal, the next n deals of the tenant that clicks on an
// account's ads led to and that more than one click led to: those whose credit
// depends on the account's attribution model.
func Shared(ctx context.Context, tx pgx.Tx, account string, afterPortal, afterDeal int64, n int) (portals, deals []int64, err error) {
	rows, _ := tx.Query(ctx, `
		SELECT   t.portal_id, t.deal_id
		FROM     gv.deal_touches t
		WHERE    t.tenant_id = gv.tenant() AND t.eligible AND (t.portal_id, t.deal_id) > (@portal, @deal)
		AND      EXISTS (SELECT FROM gv.deals d WHERE d.tenant_id = t.tenant_id AND d.portal_id = t.portal_id AND d.deal_id = t.deal_id
		       AND d.state = 'live')
		GROUP BY t.portal_id, t.deal_id
		HAVING   count(*) > 1 AND bool_or(EXISTS (SELECT FROM gv.ads a WHERE a.tenant_id = gv.tenant() AND a.ad_id = t.ad_id
		AND a.account_id = @account))
		ORDER BY t.portal_id, t.deal_id LIMIT @n`,
		pgx.StrictNamedArgs{"account": account, "portal": afterPortal, "deal": afterDeal, "n": n})
	var portal, deal int64
	_, err = pgx.ForEachRow(rows, []any{&portal, &deal}, func() error {
		portals, deals = append(portals, portal), append(deals, deal)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list deals of account %s that several clicks led to: %w", account, err)
	}
	return portals, deals, nil
}
