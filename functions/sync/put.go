package sync

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/meta"
)

// putCampaigns writes what has changed of campaigns. One that is another
// account's here stays that.
func putCampaigns(ctx context.Context, tx pgx.Tx, account string, all []meta.Campaign) error {
	type row struct {
		ID, Name, Status string
		Budget           *int64
		Created          *time.Time
		Lifetime         bool
	}
	rows := make([]row, len(all))
	for i, c := range all {
		rows[i] = row{c.ID, c.Name, status(c.Status, c.Effective), c.DailyBudget, known(c.CreatedAt), c.LifetimeBudget != nil}
	}
	return put(ctx, tx, "campaigns", account, rows, nil, `
		INSERT INTO gv.campaigns AS c (tenant_id, campaign_id, account_id, name, status, daily_budget_minor, created_at, from_meta, lifetime_budget)
		SELECT gv.tenant(), t."ID", @account, t."Name", t."Status", t."Budget", coalesce(t."Created", now()), true, t."Lifetime"
		FROM   jsonb_to_recordset(@rows) AS t ("ID" text, "Name" text, "Status" text, "Budget" bigint, "Created" timestamptz, "Lifetime" boolean)
		ORDER  BY t."ID"
		ON CONFLICT (tenant_id, campaign_id) DO UPDATE
		SET    name = excluded.name, status = excluded.status, daily_budget_minor = excluded.daily_budget_minor, from_meta = true,
		       lifetime_budget = excluded.lifetime_budget
		WHERE  c.account_id = excluded.account_id
		AND    (c.name, c.status, c.daily_budget_minor, c.from_meta, c.lifetime_budget)
		       IS DISTINCT FROM (excluded.name, excluded.status, excluded.daily_budget_minor, true, excluded.lifetime_budget)`)
}

// putAdSets writes what has changed of ad sets.
func putAdSets(ctx context.Context, tx pgx.Tx, account string, all []meta.AdSet) error {
	type row struct {
		ID, Campaign, Name, Status string
		Budget                     *int64
		Learning, Lifetime         bool
	}
	rows := make([]row, len(all))
	for i, s := range all {
		rows[i] = row{s.ID, s.CampaignID, s.Name, status(s.Status, s.Effective), s.DailyBudget, s.Learning, s.LifetimeBudget != nil}
	}
	return put(ctx, tx, "ad sets", account, rows, nil, `
		INSERT INTO gv.ad_sets AS s (tenant_id, adset_id, account_id, campaign_id, name, status, daily_budget_minor, learning, lifetime_budget)
		SELECT gv.tenant(), t."ID", @account, t."Campaign", t."Name", t."Status", t."Budget", t."Learning", t."Lifetime"
		FROM   jsonb_to_recordset(@rows) AS t ("ID" text, "Campaign" text, "Name" text, "Status" text, "Budget" bigint, "Learning" boolean, "Lifetime" boolean)
		JOIN   gv.campaigns c ON c.tenant_id = gv.tenant() AND c.campaign_id = t."Campaign" AND c.account_id = @account
		ORDER  BY t."ID"
		ON CONFLICT (tenant_id, adset_id) DO UPDATE
		SET    campaign_id = excluded.campaign_id, name = excluded.name, status = excluded.status, daily_budget_minor = excluded.daily_budget_minor,
		       learning = excluded.learning, lifetime_budget = excluded.lifetime_budget
		WHERE  s.account_id = excluded.account_id
		AND    (s.campaign_id, s.name, s.status, s.daily_budget_minor, s.learning, s.lifetime_budget)
		       IS DISTINCT FROM (excluded.campaign_id, excluded.name, excluded.status, excluded.daily_budget_minor, excluded.learning, excluded.lifetime_budget)`)
}

// putAds writes what has changed of ads and returns those that are the account's
// here. An ad's own budget is its ad set's. That, and whether the ad runs, stay as
// they are where the executor has set them since Meta was asked, at asOf. Creative DNA comes from the ad's texts only where
// nothing better is known.
func putAds(ctx context.Context, tx pgx.Tx, account string, all []meta.Ad, own map[string]int64, asOf time.Time) (ours []string, changed int, err error) {
	type row struct {
		ID, AdSet, Campaign, Name, Status string
		Budget                            *int64
		Created                           *time.Time
		DNA                               map[string]any
	}
	rows := make([]row, len(all))
	for i, ad := range all {
		rows[i] = row{ad.ID, ad.AdSetID, ad.CampaignID, ad.Name, status(ad.Status, ad.Effective), nil, known(ad.CreatedAt), creative(ad)}
		if budget, ok := own[ad.ID]; ok {
			rows[i].Budget = &budget
		}
	}
	body, err := json.Marshal(rows)
	if err != nil {
		return nil, 0, err
	}
	listed := ids(all, func(a meta.Ad) string { return a.ID })
	if err := lockAds(ctx, tx, listed); err != nil {
		return nil, 0, err
	}
	var clicked []string
	err = tx.QueryRow(ctx, `
		WITH reported AS MATERIALIZED (
			SELECT t."ID" AS ad_id, t."AdSet" AS adset_id, t."Campaign" AS campaign_id, t."Name" AS name, t."Status" AS status,
			       t."Budget" AS budget, t."Created" AS created_at, coalesce(nullif(t."DNA", 'null'), '{}') AS dna,
			       EXISTS (SELECT FROM gv.budget_objects o WHERE o.tenant_id = gv.tenant() AND o.budget_object = 'adset/' || t."AdSet" AND o.known_at > @asof) AS newer,
			       EXISTS (SELECT FROM gv.budget_objects o WHERE o.tenant_id = gv.tenant() AND o.budget_object = 'ad/' || t."ID" AND o.known_at > @asof) AS set_since
			FROM   jsonb_to_recordset(@rows) AS t ("ID" text, "AdSet" text, "Campaign" text, "Name" text, "Status" text, "Budget" bigint, "Created" timestamptz, "DNA" jsonb)
			JOIN   gv.campaigns c ON c.tenant_id = gv.tenant() AND c.campaign_id = t."Campaign" AND c.account_id = @account
		), added AS (
			INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, adset_id, name, status, daily_budget_minor, creative_dna, created_at, from_meta)
			SELECT gv.tenant(), ad_id, @account, campaign_id, adset_id, name, status, budget, dna, coalesce(created_at, now()), true
			FROM   reported t
			WHERE  NOT EXISTS (SELECT FROM gv.ads a WHERE a.tenant_id = gv.tenant() AND a.ad_id = t.ad_id)
			ORDER  BY ad_id
			ON CONFLICT (tenant_id, ad_id) DO NOTHING
			RETURNING ad_id
		), fresh AS (
			SELECT a.ad_id, t.campaign_id, t.adset_id, t.name, CASE WHEN t.set_since THEN a.status ELSE t.status END AS status, CASE WHEN t.newer THEN a.daily_budget_minor ELSE t.budget END AS budget,
			       coalesce(t.created_at, a.created_at) AS created_at,
			       CASE WHEN a.creative_dna = '{}' OR a.creative_dna->>'dna_source' = 'meta' THEN t.dna ELSE a.creative_dna END AS dna
			FROM   reported t JOIN gv.ads a ON a.tenant_id = gv.tenant() AND a.ad_id = t.ad_id AND a.account_id = @account
		), altered AS (
			UPDATE gv.ads a
			SET    campaign_id = f.campaign_id, adset_id = f.adset_id, name = f.name, status = f.status, daily_budget_minor = f.budget,
			       created_at = f.created_at, creative_dna = f.dna, from_meta = true
			FROM   fresh f
			WHERE  a.tenant_id = gv.tenant() AND a.ad_id = f.ad_id
			AND    (a.campaign_id, a.adset_id, a.name, a.status, a.daily_budget_minor, a.created_at, a.creative_dna, a.from_meta)
			       IS DISTINCT FROM (f.campaign_id, f.adset_id, f.name, f.status, f.budget, f.created_at, f.dna, true)
			RETURNING a.ad_id
		)
		SELECT (SELECT coalesce(array_agg(ad_id), '{}') FROM (TABLE added UNION SELECT ad_id FROM fresh) AS o),
		       (SELECT count(*) FROM added) + (SELECT count(*) FROM altered), `+ads.AddedWithClicks("added"),
		pgx.StrictNamedArgs{"rows": body, "account": account, "asof": asOf}).Scan(&ours, &changed, &clicked)
	if err != nil {
		return nil, 0, fmt.Errorf("write the ads of account %s: %w", account, err)
	}
	return ours, changed, ads.PutAdded(ctx, tx, clicked)
}

// put runs a statement on rows as JSON.
func put(ctx context.Context, tx pgx.Tx, what, account string, rows any, more pgx.StrictNamedArgs, sql string) error {
	body, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	args := pgx.StrictNamedArgs{"rows": body, "account": account}
	for name, value := range more {
		args[name] = value
	}
	if _, err := tx.Exec(ctx, sql, args); err != nil {
		return fmt.Errorf("write the %s of account %s: %w", what, account, err)
	}
	return nil
}

// known is nil for a time that Meta did not say.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
