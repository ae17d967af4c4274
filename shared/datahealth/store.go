package datahealth

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// store reads the transaction's tenant.
type store struct{ tx pgx.Tx }

// crmFacts are what the checks need to know of the tenant's CRM and queues.
type crmFacts struct {
	Now     time.Time
	Portals int64

	Events    int64 // of the last seven days
	LastEvent *time.Time

	Reconciled       *time.Time
	Compared         int64
	Repaired         int64
	Refused          int64
	ReconcileError   *string
	ReconcileErrorAt *time.Time
	Deals            int64
	Unmatched        int64
	UnmatchedReason  string
	LastUnmatched    *time.Time
	Unmapped         int64
	Letters          int64
	FirstLetter      *time.Time
	LastLetter       *time.Time
}

// accountFacts are what they need to know of an ad account.
type accountFacts struct {
	AccountID string
	Now       time.Time

	LastClick     *time.Time
	Clicks        int64 // of the last seven days
	UnknownClicks int64 // of ads that are not known, of any account

	Connected   bool
	SyncedAt    *time.Time
	SyncError   *string
	SyncErrorAt *time.Time
	LastDay     *time.Time
	Ads         int64

	AssumedAds    int64
	AssumedMinor  int64
	PipelineMinor int64
	UnvaluedAds   int64
}

func (s store) read(ctx context.Context) (crm crmFacts, accounts []accountFacts, err error) {
	rows, _ := s.tx.Query(ctx, crmHealth)
	if crm, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[crmFacts]); err != nil {
		return crm, nil, fmt.Errorf("read the state of the CRM's data: %w", err)
	}
	rows, _ = s.tx.Query(ctx, accountsHealth)
	if accounts, err = pgx.CollectRows(rows, pgx.RowToStructByName[accountFacts]); err != nil {
		return crm, nil, fmt.Errorf("read the state of the accounts' data: %w", err)
	}
	return crm, accounts, nil
}

const crmHealth = `
	SELECT now() AS now,
	       (SELECT count(*) FROM gv.hubspot_connections c WHERE c.tenant_id = gv.tenant() AND c.disconnected_at IS NULL) AS portals,
	       e.events, greatest(e.last_event, d.last_deal) AS last_event,
	       r.reconciled, coalesce(r.compared, 0) AS compared, coalesce(r.repaired, 0) AS repaired,
	       (SELECT count(*) FROM gv.crm_refusals f WHERE f.tenant_id = gv.tenant()) AS refused, r.reconcile_error, r.reconcile_error_at,
	       d.deals, d.unmatched, coalesce(why.reason, '') AS unmatched_reason, d.last_unmatched, d.unmapped, l.letters, l.first_letter,
	       l.last_letter
	FROM  (SELECT count(*) FILTER (WHERE received_at > now() - interval '7 days') AS events, max(received_at) AS last_event
	       FROM   gv.inbox WHERE tenant_id = gv.tenant() AND consumer = 'crmevent') e,
	      (SELECT count(*) AS deals, count(*) FILTER (WHERE attribution_method = 'unattributed') AS unmatched,
	              max(processed_at) FILTER (WHERE attribution_method = 'unattributed') AS last_unmatched,
	              count(*) FILTER (WHERE stage_name IS NULL) AS unmapped, max(processed_at) AS last_deal
	       FROM   gv.deals WHERE tenant_id = gv.tenant() AND state = 'live') d,
	      (SELECT count(*) AS letters, min(received_at) AS first_letter, max(received_at) AS last_letter
	       FROM   gv.dead_letters WHERE tenant_id = gv.tenant() AND replayed_at IS NULL) l
	LEFT   JOIN LATERAL (
		SELECT coalesce(nullif(attribution_reason, ''), 'not attributed yet') AS reason
		FROM   gv.deals WHERE tenant_id = gv.tenant() AND state = 'live' AND attribution_method = 'unattributed'
		GROUP  BY 1 ORDER BY count(*) DESC, 1 LIMIT 1
	) why ON true
	LEFT   JOIN LATERAL ( -- of several portals, the one that was compared least recently
		SELECT y.last_finished_at AS reconciled, y.last_seen::bigint AS compared, y.last_repaired::bigint AS repaired,
		       y.last_error AS reconcile_error, y.last_error_at AS reconcile_error_at
		FROM   gv.crm_syncs y
		JOIN   gv.hubspot_connections c ON c.tenant_id = y.tenant_id AND c.portal_id = y.portal_id AND c.disconnected_at IS NULL
		WHERE  y.tenant_id = gv.tenant()
		ORDER  BY y.last_finished_at NULLS FIRST, y.portal_id LIMIT 1
	) r ON true`

// accountsHealth looks at the newest clicks only: 50,000 say enough of a week.
const accountsHealth = `
	WITH clicks AS MATERIALIZED (
		SELECT a.account_id, max(c.clicked_at) AS last, count(*) FILTER (WHERE c.clicked_at > now() - interval '7 days') AS week
		FROM  (SELECT ad_id, clicked_at FROM gv.clicks WHERE tenant_id = gv.tenant() ORDER BY clicked_at DESC LIMIT 50000) c
		LEFT   JOIN gv.ads a ON a.tenant_id = gv.tenant() AND a.ad_id = c.ad_id
		GROUP  BY a.account_id
	), totals AS MATERIALIZED (
		SELECT a.account_id, count(*) AS ads, count(*) FILTER (WHERE a.assumed_minor > 0) AS assumed_ads,
		       sum(a.assumed_minor)::bigint AS assumed_minor,
		       sum(a.pipeline_minor)::bigint AS pipeline_minor, count(*) FILTER (WHERE a.value_source = 'import' AND a.pipeline_minor = 0 AND (
		           EXISTS (SELECT FROM gv.ad_metrics m WHERE m.tenant_id = a.tenant_id AND m.ad_id = a.ad_id AND m.conversions > 0)
		           OR EXISTS (SELECT FROM gv.ad_periods p WHERE p.tenant_id = a.tenant_id AND p.ad_id = a.ad_id AND p.conversions > 0)
		           OR EXISTS (SELECT FROM gv.ad_figures f WHERE f.tenant_id = a.tenant_id AND f.ad_id = a.ad_id AND f.source = 'import'
		                  AND f.conversions > 0))) AS unvalued_ads
		FROM   gv.ads a WHERE a.tenant_id = gv.tenant() GROUP BY a.account_id
	)
	SELECT acc.account_id, now() AS now, c.last AS last_click, coalesce(c.week, 0) AS clicks,
	       coalesce((SELECT week FROM clicks WHERE account_id IS NULL), 0) AS unknown_clicks,
	       m.account_id IS NOT NULL AS connected, m.synced_at, m.last_error AS sync_error, m.last_error_at AS sync_error_at,
	       coalesce(t.ads, 0) AS ads, coalesce(t.assumed_ads, 0) AS assumed_ads, coalesce(t.assumed_minor, 0) AS assumed_minor,
	       coalesce(t.pipeline_minor, 0) AS pipeline_minor, coalesce(t.unvalued_ads, 0) AS unvalued_ads,
	       (SELECT max(d.day)::timestamp AT TIME ZONE acc.time_zone FROM gv.ads a JOIN gv.ad_metrics d USING (tenant_id, ad_id)
	        WHERE a.tenant_id = gv.tenant() AND a.account_id = acc.account_id AND m.account_id IS NULL) AS last_day
	FROM   gv.accounts acc
	LEFT   JOIN clicks c ON c.account_id = acc.account_id
	LEFT   JOIN totals t ON t.account_id = acc.account_id
	LEFT   JOIN gv.meta_connections m ON m.tenant_id = acc.tenant_id AND m.account_id = acc.account_id AND m.disconnected_at IS NULL
	WHERE  acc.tenant_id = gv.tenant()
	ORDER  BY acc.account_id COLLATE "C"`
