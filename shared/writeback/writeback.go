// Package writeback decides what is written to the CRM's deals: which ad brought
// each, and what it is worth. It compares what the ledger says with what was sent
// last, so that every attribution reaches the CRM however often it changes, and
// sending again changes nothing.
package writeback

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Group is the group of properties that the portal gets.
const Group = "geminivideo"

// Property is a property of deals that is written.
type Property struct{ Name, Label, Type, FieldType string }

// Properties lists what is written.
var Properties = []Property{
	{"gv_ad_id", "Ad id", "string", "text"},
	{"gv_ad_name", "Ad name", "string", "text"},
	{"gv_campaign_id", "Campaign id", "string", "text"},
	{"gv_attribution_method", "Attribution method", "string", "text"},
	{"gv_attribution_confidence", "Attribution confidence", "number", "number"},
	{"gv_pipeline_value", "Pipeline value", "number", "number"},
	{attributedAt, "Attributed at", "datetime", "date"},
}

const attributedAt = "gv_attributed_at"

// Update is a deal whose properties differ from what the ledger says.
type Update struct {
	DealID       int64
	Wanted       map[string]string
	Sent         map[string]string
	AttributedAt *time.Time
}

// At returns when the deal got its present attribution: now, unless only its value
// or the ad's name has changed.
func (u Update) At(now time.Time) *time.Time {
	if u.Wanted["gv_attribution_method"] == "" {
		return nil
	}
	for _, name := range []string{"gv_ad_id", "gv_campaign_id", "gv_attribution_method", "gv_attribution_confidence"} {
		if u.Wanted[name] != u.Sent[name] || u.AttributedAt == nil {
			at := now.UTC().Truncate(time.Millisecond)
			return &at
		}
	}
	return u.AttributedAt
}

// Values returns all properties as the CRM is to have them; "" empties one.
func (u Update) Values(now time.Time) map[string]string {
	values := make(map[string]string, len(Properties))
	for _, p := range Properties {
		values[p.Name] = ""
	}
	maps.Copy(values, u.Wanted)
	if at := u.At(now); at != nil {
		values[attributedAt] = at.Format("2006-01-02T15:04:05.000Z")
	}
	return values
}

// Store reads and writes a tenant's deals' properties in its transaction.
type Store struct{ tx pgx.Tx }

// NewStore returns the store of tx.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

// Portals returns, in a transaction across tenants, the connected portals of tenants
// that have switched write back on for an account, and those that still have
// something from us: it is emptied there after the switch is off.
func Portals(ctx context.Context, tx pgx.Tx) (map[int64]string, error) {
	rows, _ := tx.Query(ctx, `
		SELECT c.portal_id, c.tenant_id::text FROM gv.hubspot_connections c
		WHERE  c.disconnected_at IS NULL
		AND    (EXISTS (SELECT FROM gv.accounts a WHERE a.tenant_id = c.tenant_id AND a.write_back)
		     OR EXISTS (SELECT FROM gv.writebacks w WHERE w.tenant_id = c.tenant_id AND w.portal_id = c.portal_id AND w.sent <> '{}'))`)
	found := map[int64]string{}
	var portal int64
	var tenant string
	if _, err := pgx.ForEachRow(rows, []any{&portal, &tenant}, func() error { found[portal] = tenant; return nil }); err != nil {
		return nil, fmt.Errorf("find portals to write back to: %w", err)
	}
	return found, nil
}

// Due returns up to n live deals of the portal whose properties are to change. A deal
// has properties while it is credited to an account that is switched on, and none of
// its contacts was erased.
func (s Store) Due(ctx context.Context, portal int64, n int) ([]Update, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT deal_id, wanted, sent, attributed_at FROM (
			SELECT d.deal_id, coalesce(w.sent, '{}') AS sent, w.attributed_at,
			       CASE WHEN acc.write_back AND NOT coalesce(w.erased, false) THEN jsonb_strip_nulls(jsonb_build_object(
			           'gv_ad_id', d.ad_id, 'gv_ad_name', nullif(a.name, ''), 'gv_campaign_id', nullif(d.campaign_id, ''),
			           'gv_attribution_method', d.attribution_method,
			           'gv_attribution_confidence', round(d.attribution_confidence::numeric, 2)::text,
			           'gv_pipeline_value', round(d.value_minor / 10::numeric ^ gv.decimals(t.currency), gv.decimals(t.currency))::text))
			       ELSE '{}'::jsonb END AS wanted
			FROM   gv.deals d
			JOIN   gv.tenants t ON t.tenant_id = d.tenant_id
			LEFT   JOIN gv.ads a ON a.tenant_id = d.tenant_id AND a.ad_id = d.ad_id
			LEFT   JOIN gv.campaigns c ON c.tenant_id = d.tenant_id AND c.campaign_id = d.campaign_id
			LEFT   JOIN gv.accounts acc ON acc.tenant_id = d.tenant_id AND acc.account_id = coalesce(a.account_id, c.account_id)
			LEFT   JOIN gv.writebacks w ON w.tenant_id = d.tenant_id AND w.portal_id = d.portal_id AND w.deal_id = d.deal_id
			WHERE  d.tenant_id = gv.tenant() AND d.portal_id = @portal AND d.state = 'live'
			AND    coalesce(w.refused_until, '-infinity') <= now()) AS x
		WHERE  wanted <> sent ORDER BY deal_id LIMIT @n`,
		pgx.StrictNamedArgs{"portal": portal, "n": n})
	due, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Update])
	if err != nil {
		return nil, fmt.Errorf("find deals of portal %d to write back: %w", portal, err)
	}
	return due, nil
}

// Sent records that the CRM has the deals' properties now.
func (s Store) Sent(ctx context.Context, portal int64, updates []Update, now time.Time) error {
	for _, u := range updates {
		_, err := s.tx.Exec(ctx, `
			INSERT INTO gv.writebacks (tenant_id, portal_id, deal_id, sent, attributed_at, sent_at) VALUES (gv.tenant(), @portal, @deal, @sent, @at,
			       now())
			ON CONFLICT (tenant_id, portal_id, deal_id) DO UPDATE SET sent = excluded.sent, attributed_at = excluded.attributed_at, sent_at = now(),
			              refused_reason = NULL, refused_until = NULL`,
			pgx.StrictNamedArgs{"portal": portal, "deal": u.DealID, "sent": u.Wanted, "at": u.At(now)})
		if err != nil {
			return fmt.Errorf("record what deal %d was given: %w", u.DealID, err)
		}
	}
	return nil
}

// refusedFor is how long a deal that the CRM refuses is not sent again.
const refusedFor = time.Hour

// Refused records which deals' properties the CRM does not take, and why.
func (s Store) Refused(ctx context.Context, portal int64, reasons map[int64]string) error {
	for _, id := range slices.Sorted(maps.Keys(reasons)) {
		_, err := s.tx.Exec(ctx, `
			INSERT INTO gv.writebacks (tenant_id, portal_id, deal_id, refused_reason, refused_until) VALUES (gv.tenant(), @portal, @deal, @reason,
			       now() + @wait::interval)
			ON CONFLICT (tenant_id, portal_id, deal_id) DO UPDATE SET refused_reason = excluded.refused_reason,
			       refused_until = excluded.refused_until`,
			pgx.StrictNamedArgs{"portal": portal, "deal": id, "reason": reasons[id], "wait": refusedFor})
		if err != nil {
			return fmt.Errorf("record that deal %d is refused: %w", id, err)
		}
	}
	return nil
}

// RefusedNow returns how many deals' properties the CRM does not take, and the first
// of them with its reason.
func (s Store) RefusedNow(ctx context.Context, portal int64) (n int, first int64, reason string, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT count(*)::int, coalesce(min(deal_id), 0), coalesce((array_agg(refused_reason ORDER BY deal_id))[1], '')
		FROM   gv.writebacks WHERE tenant_id = gv.tenant() AND portal_id = $1 AND refused_until > now()`, portal).Scan(&n, &first, &reason)
	if err != nil {
		return 0, 0, "", fmt.Errorf("count refused deals of portal %d: %w", portal, err)
	}
	return n, first, reason, nil
}

// Erase has the properties of an erased contact's deals emptied.
func (s Store) Erase(ctx context.Context, portal int64, deals []int64) error {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.writebacks (tenant_id, portal_id, deal_id, erased) SELECT DISTINCT gv.tenant(), @portal::bigint, id, true
		FROM unnest(@deals::bigint[]) AS id
		ON CONFLICT (tenant_id, portal_id, deal_id) DO UPDATE SET erased = true`,
		pgx.StrictNamedArgs{"portal": portal, "deals": deals})
	if err != nil {
		return fmt.Errorf("empty what deals of an erased contact were given: %w", err)
	}
	return nil
}

// Ready reports whether the portal was found to have the properties.
func (s Store) Ready(ctx context.Context, portal int64) (ready bool, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT coalesce((SELECT write_back_ready_at IS NOT NULL FROM gv.crm_syncs WHERE tenant_id = gv.tenant() AND portal_id = $1), false)`,
		portal).Scan(&ready)
	if err != nil {
		return false, fmt.Errorf("read whether portal %d has our properties: %w", portal, err)
	}
	return ready, nil
}
