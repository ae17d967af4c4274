package campaigns

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
)

// detailStore reads single ads of the transaction's tenant: their days, and the
// deals that the ledger credits to them.
type detailStore struct{ tx pgx.Tx }

func (s detailStore) find(ctx context.Context, ids []string, text string, limit int) ([]foundAd, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   a.ad_id AS id, coalesce(nullif(a.name, ''), a.ad_id) AS name, a.status, a.campaign_id, a.account_id,
		         coalesce(nullif(c.name, ''), c.campaign_id) AS campaign_name
		FROM     gv.ads a JOIN gv.campaigns c USING (tenant_id, campaign_id)
		WHERE    a.tenant_id = gv.tenant() AND (cardinality(@ids::text[]) = 0 OR a.ad_id = ANY (@ids::text[]))
		AND      (@text = '' OR strpos(lower(a.name), lower(@text)) > 0 OR strpos(lower(a.ad_id), lower(@text)) > 0)
		ORDER BY a.ad_id
		LIMIT    @limit`, pgx.StrictNamedArgs{"ids": ids, "text": text, "limit": limit})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[foundAd])
	if err != nil {
		return nil, fmt.Errorf("find ads: %w", err)
	}
	return found, nil
}

type detailRow struct {
	ads.Ad
	CampaignName string
	AccountID    string
	FatigueSince *time.Time
	LastDay      *time.Time
	CreativeDNA  []byte
}

func (s detailStore) one(ctx context.Context, id string) (detailRow, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT a.ad_id, a.name, a.campaign_id, acc.currency, a.status, a.daily_budget_minor AS daily_budget, a.impressions, a.clicks,
		       a.spend_minor AS spend, a.pipeline_minor AS pipeline, a.revenue_minor AS revenue, a.created_at,
		       coalesce(f.status, 'INSUFFICIENT_DATA') AS fatigue_status, f.changed_at AS fatigue_since,
		       c.name AS campaign_name, a.account_id, a.creative_dna,
		       (SELECT max(m.day) FROM gv.ad_metrics m WHERE m.tenant_id = a.tenant_id AND m.ad_id = a.ad_id) AS last_day
		FROM   gv.ads a
		JOIN   gv.accounts acc USING (tenant_id, account_id)
		JOIN   gv.campaigns c USING (tenant_id, campaign_id)
		LEFT   JOIN gv.ad_fatigue f USING (tenant_id, ad_id)
		WHERE  a.tenant_id = gv.tenant() AND a.ad_id = $1`, id)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[detailRow])
	if err != nil {
		return detailRow{}, fmt.Errorf("read ad %s: %w", id, err)
	}
	if len(found) == 0 {
		return detailRow{}, fault.NotFoundf("there is no ad with this id")
	}
	return found[0], nil
}

func (s detailStore) campaignCurrency(ctx context.Context, id string) (money.Currency, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT acc.currency FROM gv.campaigns c JOIN gv.accounts acc USING (tenant_id, account_id)
		WHERE  c.tenant_id = gv.tenant() AND c.campaign_id = $1`, id)
	found, err := pgx.CollectRows(rows, pgx.RowTo[money.Currency])
	if err != nil {
		return "", fmt.Errorf("read campaign %s: %w", id, err)
	}
	if len(found) == 0 {
		return "", fault.NotFoundf("there is no campaign with this id")
	}
	return found[0], nil
}

// tenantCurrency is the currency of the deals' values.
func (s detailStore) tenantCurrency(ctx context.Context) (currency string, err error) {
	if err = s.tx.QueryRow(ctx, `SELECT currency FROM gv.tenants WHERE tenant_id = gv.tenant()`).Scan(&currency); err != nil {
		err = fmt.Errorf("read the tenant's currency: %w", err)
	}
	return currency, err
}

type dayRow struct {
	Day         time.Time
	Impressions int64
	Clicks      int64
	Spend       money.Amount
	Frequency   *float64
	Pipeline    money.Amount
	Won         money.Amount
}

// days returns the days of one ad, or of a campaign's ads together. A deal counts
// on the day of its click, in the account's time zone; one without a click (its
// personal data was erased, or a lead form brought it) on the day of its
// conversion or creation. Deals are in the tenant's currency and count only where
// the account has the same, as in the ads' totals.
func (s detailStore) days(ctx context.Context, campaign, ad string, back int) ([]dayRow, error) {
	rows, _ := s.tx.Query(ctx, `
		WITH chosen AS (
		    SELECT a.tenant_id, a.ad_id, acc.time_zone, acc.currency = t.currency AS same_currency
		    FROM   gv.ads a
		    JOIN   gv.accounts acc USING (tenant_id, account_id)
		    JOIN   gv.tenants t ON t.tenant_id = a.tenant_id
		    WHERE  a.tenant_id = gv.tenant() AND (a.ad_id = @ad OR a.campaign_id = @campaign)
		), metrics AS (
		    SELECT   m.day, sum(m.impressions)::bigint AS impressions, sum(m.clicks)::bigint AS clicks, sum(m.spend_minor)::bigint AS spend,
		             CASE WHEN @ad <> '' THEN max(m.frequency)::float8 END AS frequency
		    FROM     chosen JOIN gv.ad_metrics m USING (tenant_id, ad_id)
		    WHERE    m.day > current_date - @back::int
		    GROUP BY m.day
		), values AS (
		    SELECT   (coalesce(k.clicked_at, d.converted_at, d.created_at, d.processed_at) AT TIME ZONE chosen.time_zone)::date AS day,
		             sum(d.value_minor)::bigint AS pipeline,
		             coalesce(sum(d.value_minor) FILTER (WHERE d.stage_name = 'closed_won'), 0)::bigint AS won
		    FROM     chosen JOIN gv.deals d USING (tenant_id, ad_id)
		    LEFT     JOIN gv.clicks k ON k.tenant_id = d.tenant_id AND k.click_id = d.click_id
		    WHERE    d.state = 'live' AND chosen.same_currency
		    GROUP BY 1
		)
		SELECT   coalesce(m.day, v.day) AS day, coalesce(m.impressions, 0) AS impressions, coalesce(m.clicks, 0) AS clicks,
		       coalesce(m.spend, 0) AS spend,
		         m.frequency, coalesce(v.pipeline, 0) AS pipeline, coalesce(v.won, 0) AS won
		FROM     metrics m FULL JOIN values v ON v.day = m.day
		WHERE    coalesce(m.day, v.day) > current_date - @back::int
		ORDER BY 1`, pgx.StrictNamedArgs{"campaign": campaign, "ad": ad, "back": back})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[dayRow])
	if err != nil {
		return nil, fmt.Errorf("read the days of ad %q, campaign %q: %w", ad, campaign, err)
	}
	return found, nil
}

type dealRow struct {
	AdID       string
	AdName     string
	Source     string
	DealID     string
	Stage      string
	Outcome    string
	Currency   money.Currency
	Value      money.Amount
	Method     string
	Confidence float64
	Reason     string
	ClickedAt  *time.Time
	CreatedAt  *time.Time
}

func (r dealRow) shown() creditedDeal {
	return creditedDeal{
		AdID: r.AdID, AdName: r.AdName, Source: r.Source, DealID: r.DealID, Stage: r.Stage, Outcome: r.Outcome, Value: r.Value.Units(r.Currency),
		Method: r.Method, Confidence: r.Confidence, Reason: r.Reason, ClickedAt: r.ClickedAt, CreatedAt: r.CreatedAt,
	}
}

const maxDeals = 100

// deals returns the deals credited to one ad, or to a campaign's ads, and how many
// there are in all. A deal of another CRM goes by that CRM's name and its own id.
func (s detailStore) deals(ctx context.Context, campaign, ad string) (found []dealRow, count int64, err error) {
	args := pgx.StrictNamedArgs{"campaign": campaign, "ad": ad}
	const credited = `
		FROM     gv.deals d
		JOIN     gv.ads a ON a.tenant_id = d.tenant_id AND a.ad_id = d.ad_id
		WHERE    d.tenant_id = gv.tenant() AND d.state = 'live' AND (a.ad_id = @ad OR a.campaign_id = @campaign)`
	if err = s.tx.QueryRow(ctx, `SELECT count(*)`+credited, args).Scan(&count); err != nil {
		return nil, 0, fmt.Errorf("count the deals of ad %q, campaign %q: %w", ad, campaign, err)
	}
	args["most"] = maxDeals
	rows, _ := s.tx.Query(ctx, `
		WITH most AS (
			SELECT   d.*, coalesce(nullif(a.name, ''), a.ad_id) AS ad_name`+credited+`
			ORDER BY d.value_minor DESC, d.portal_id, d.deal_id
			LIMIT    @most
		)
		SELECT   d.ad_id, d.ad_name, coalesce(s.name, 'HubSpot portal ' || d.portal_id) AS source,
		         coalesce(i.external_id, d.deal_id::text) AS deal_id, coalesce(d.stage_name, '') AS stage,
		         CASE d.stage_name WHEN 'closed_won' THEN 'won' WHEN 'closed_lost' THEN 'lost' ELSE 'open' END AS outcome,
		         t.currency, d.value_minor AS value, d.attribution_method AS method, d.attribution_confidence::float8 AS confidence,
		         d.attribution_reason AS reason, k.clicked_at, d.created_at
		FROM     most d
		JOIN     gv.tenants t USING (tenant_id)
		LEFT     JOIN gv.clicks k ON k.tenant_id = d.tenant_id AND k.click_id = d.click_id
		LEFT     JOIN gv.deal_sources s ON s.tenant_id = d.tenant_id AND s.portal_id = d.portal_id
		LEFT     JOIN gv.source_ids i ON i.tenant_id = d.tenant_id AND i.portal_id = d.portal_id AND i.kind = 'deal' AND i.id = d.deal_id
		ORDER BY d.value_minor DESC, d.portal_id, d.deal_id`, args)
	if found, err = pgx.CollectRows(rows, pgx.RowToStructByName[dealRow]); err != nil {
		return nil, 0, fmt.Errorf("read the deals of ad %q, campaign %q: %w", ad, campaign, err)
	}
	return found, count, nil
}

type attributionRow struct {
	Week     time.Time
	Currency money.Currency
	Method   string
	Deals    int64
	Value    money.Amount
}

func (s detailStore) attribution(ctx context.Context, weeks int) ([]attributionRow, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   date_trunc('week', coalesce(d.converted_at, d.created_at, d.processed_at) AT TIME ZONE 'UTC')::date AS week, t.currency,
		         d.attribution_method AS method, count(*) AS deals, sum(d.value_minor)::bigint AS value
		FROM     gv.deals d JOIN gv.tenants t USING (tenant_id)
		WHERE    d.tenant_id = gv.tenant() AND d.state = 'live'
		AND      coalesce(d.converted_at, d.created_at, d.processed_at) > now() - make_interval(weeks => $1)
		GROUP BY 1, 2, 3
		ORDER BY 1, 3`, weeks)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[attributionRow])
	if err != nil {
		return nil, fmt.Errorf("count deals by week and layer: %w", err)
	}
	return found, nil
}
