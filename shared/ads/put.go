package ads

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// PlatformCampaign is a campaign as the ad platform reports it. A budget that is nil
// is not the campaign's, or not one per day; Created is nil where nobody said.
type PlatformCampaign struct {
	ID, Name, Status string
	Budget           *int64 // minor units per day
	Created          *time.Time
	Lifetime         bool // has a lifetime budget
}

// PlatformAdSet is an ad set as the ad platform reports it.
type PlatformAdSet struct {
	ID, Campaign, Name, Status string
	Budget                     *int64 // minor units per day
	Learning, Lifetime         bool
}

// PlatformAd is an ad as the ad platform reports it; Budget is its ad set's, where it
// is alone in it.
type PlatformAd struct {
	ID, AdSet, Campaign, Name, Status string
	Budget                            *int64 // minor units per day
	Created                           *time.Time
	DNA                               map[string]any // what its texts say of the creative
}

// PutCampaigns writes what has changed of the account's campaigns. One that is
// another account's here stays that.
func (s Store) PutCampaigns(ctx context.Context, account string, all []PlatformCampaign) error {
	return s.put(ctx, "campaigns", account, all, `
		INSERT INTO gv.campaigns AS c (tenant_id, campaign_id, account_id, name, status, daily_budget_minor, created_at, from_meta,
		       lifetime_budget)
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

// PutAdSets writes what has changed of the account's ad sets.
func (s Store) PutAdSets(ctx context.Context, account string, all []PlatformAdSet) error {
	return s.put(ctx, "ad sets", account, all, `
		INSERT INTO gv.ad_sets AS s (tenant_id, adset_id, account_id, campaign_id, name, status, daily_budget_minor, learning, lifetime_budget)
		SELECT gv.tenant(), t."ID", @account, t."Campaign", t."Name", t."Status", t."Budget", t."Learning", t."Lifetime"
		FROM   jsonb_to_recordset(@rows) AS t ("ID" text, "Campaign" text, "Name" text, "Status" text, "Budget" bigint, "Learning" boolean,
		       "Lifetime" boolean)
		JOIN   gv.campaigns c ON c.tenant_id = gv.tenant() AND c.campaign_id = t."Campaign" AND c.account_id = @account
		ORDER  BY t."ID"
		ON CONFLICT (tenant_id, adset_id) DO UPDATE
		SET    campaign_id = excluded.campaign_id, name = excluded.name, status = excluded.status,
		       daily_budget_minor = excluded.daily_budget_minor,
		       learning = excluded.learning, lifetime_budget = excluded.lifetime_budget
		WHERE  s.account_id = excluded.account_id
		AND    (s.campaign_id, s.name, s.status, s.daily_budget_minor, s.learning, s.lifetime_budget)
		       IS DISTINCT FROM (excluded.campaign_id, excluded.name, excluded.status, excluded.daily_budget_minor, excluded.learning,
		       excluded.lifetime_budget)`)
}

// PutAds writes what has changed of ads and returns those that are the account's
// here. The budget, and whether the ad runs, stay as they are where the executor has
// set them since the platform was asked, at asOf. Creative DNA comes from the ad's
// texts only where nothing better is known.
func (s Store) PutAds(ctx context.Context, account string, all []PlatformAd, asOf time.Time) (ours []string, changed int, err error) {
	body, err := json.Marshal(all)
	if err != nil {
		return nil, 0, err
	}
	listed := make([]string, len(all))
	for i := range all {
		listed[i] = all[i].ID
	}
	if err := s.Lock(ctx, listed); err != nil {
		return nil, 0, err
	}
	var clicked []string
	err = s.tx.QueryRow(ctx, `
		WITH reported AS MATERIALIZED (
			SELECT t."ID" AS ad_id, t."AdSet" AS adset_id, t."Campaign" AS campaign_id, t."Name" AS name, t."Status" AS status,
			       t."Budget" AS budget, t."Created" AS created_at, coalesce(nullif(t."DNA", 'null'), '{}') AS dna,
			       EXISTS (SELECT FROM gv.budget_objects o WHERE o.tenant_id = gv.tenant() AND o.budget_object = 'adset/' || t."AdSet"
			       AND o.known_at > @asof) AS newer,
			       EXISTS (SELECT FROM gv.budget_objects o WHERE o.tenant_id = gv.tenant() AND o.budget_object = 'ad/' || t."ID"
			       AND o.known_at > @asof) AS set_since
			FROM   jsonb_to_recordset(@rows) AS t ("ID" text, "AdSet" text, "Campaign" text, "Name" text, "Status" text, "Budget" bigint,
			       "Created" timestamptz, "DNA" jsonb)
			JOIN   gv.campaigns c ON c.tenant_id = gv.tenant() AND c.campaign_id = t."Campaign" AND c.account_id = @account
		), added AS (
			INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, adset_id, name, status, daily_budget_minor, creative_dna, created_at,
			       from_meta)
			SELECT gv.tenant(), ad_id, @account, campaign_id, adset_id, name, status, budget, dna, coalesce(created_at, now()), true
			FROM   reported t
			WHERE  NOT EXISTS (SELECT FROM gv.ads a WHERE a.tenant_id = gv.tenant() AND a.ad_id = t.ad_id)
			ORDER  BY ad_id
			ON CONFLICT (tenant_id, ad_id) DO NOTHING
			RETURNING ad_id
		), fresh AS (
			SELECT a.ad_id, t.campaign_id, t.adset_id, t.name, CASE WHEN t.set_since THEN a.status ELSE t.status END AS status,
			       CASE WHEN t.newer THEN a.daily_budget_minor ELSE t.budget END AS budget,
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
		       (SELECT count(*) FROM added) + (SELECT count(*) FROM altered), `+AddedWithClicks("added"),
		pgx.StrictNamedArgs{"rows": body, "account": account, "asof": asOf}).Scan(&ours, &changed, &clicked)
	if err != nil {
		return nil, 0, fmt.Errorf("write the ads of account %s: %w", account, err)
	}
	return ours, changed, PutAdded(ctx, s.tx, clicked)
}

// put runs a statement on rows as JSON.
func (s Store) put(ctx context.Context, what, account string, rows any, sql string) error {
	body, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	if _, err := s.tx.Exec(ctx, sql, pgx.StrictNamedArgs{"rows": body, "account": account}); err != nil {
		return fmt.Errorf("write the %s of account %s: %w", what, account, err)
	}
	return nil
}

// Lock takes the ads in the order in which everybody does, before anything of
// theirs is written.
func (s Store) Lock(ctx context.Context, ids []string) error {
	if _, err := s.tx.Exec(ctx, `
		SELECT ad_id FROM gv.ads WHERE tenant_id = gv.tenant() AND ad_id = ANY ($1) ORDER BY ad_id FOR UPDATE`, ids); err != nil {
		return fmt.Errorf("lock ads: %w", err)
	}
	return nil
}

// Kind is what a platform lists: Ads or Campaigns.
type Kind struct{ table, key string }

// The kinds of which Missing and MarkGone speak.
var (
	Ads       = Kind{"ads", "ad_id"}
	Campaigns = Kind{"campaigns", "campaign_id"}
)

func (k Kind) String() string { return k.table }

// Missing returns those that the platform listed once, that run or wait here, and
// are not among listed.
func (s Store) Missing(ctx context.Context, kind Kind, account string, listed []string) ([]string, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT `+kind.key+` FROM gv.`+kind.table+`
		WHERE  tenant_id = gv.tenant() AND account_id = @account AND from_meta AND status IN ('ACTIVE', 'PAUSED')
		EXCEPT SELECT unnest(@listed::text[]) ORDER BY 1`, pgx.StrictNamedArgs{"account": account, "listed": listed})
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for %s of account %s that are gone: %w", kind, account, err)
	}
	return found, nil
}

// MarkGone sets the missing to ARCHIVED where the platform has them among its
// archived ones, and to DELETED where it has not.
func (s Store) MarkGone(ctx context.Context, kind Kind, missing, archived []string) error {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.`+kind.table+` SET status = CASE WHEN `+kind.key+` = ANY (@archived) THEN 'ARCHIVED' ELSE 'DELETED' END
		WHERE  tenant_id = gv.tenant() AND `+kind.key+` = ANY (@missing)`, pgx.StrictNamedArgs{"missing": missing, "archived": archived})
	if err != nil {
		return fmt.Errorf("mark %s that are gone: %w", kind, err)
	}
	return nil
}
