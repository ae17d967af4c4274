package allocate

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// store reads what the transaction's tenant knows of accounts and ads.
type store struct{ tx pgx.Tx }

// home returns the tenant's currency, which the CRM's deals are valued in, and
// false where there is no such tenant.
func (s store) home(ctx context.Context) (money.Currency, bool, error) {
	rows, _ := s.tx.Query(ctx, `SELECT currency FROM gv.tenants WHERE tenant_id = gv.tenant()`)
	found, err := pgx.CollectRows(rows, pgx.RowTo[money.Currency])
	if err != nil || len(found) == 0 {
		return "", false, err
	}
	return found[0], true, nil
}

type account struct {
	AccountID string
	Currency  money.Currency
	Settings  map[string]any
	BreakEven *float64
	Margin    *float64
}

// account returns the account with that id, or nil.
func (s store) account(ctx context.Context, id string) (*account, error) {
	return s.oneAccount(ctx, `
		SELECT account_id, currency, settings, break_even, margin FROM gv.accounts WHERE tenant_id = gv.tenant() AND account_id = $1`, id)
}

// onlyAccount returns the tenant's account where there is exactly one, or nil.
func (s store) onlyAccount(ctx context.Context) (*account, error) {
	return s.oneAccount(ctx, `
		SELECT account_id, currency, settings, break_even, margin FROM gv.accounts WHERE tenant_id = gv.tenant() LIMIT 2`)
}

func (s store) oneAccount(ctx context.Context, sql string, args ...any) (*account, error) {
	rows, _ := s.tx.Query(ctx, sql, args...)
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[account])
	if err != nil {
		return nil, fmt.Errorf("find account: %w", err)
	}
	if len(found) != 1 {
		return nil, nil
	}
	return found[0], nil
}

// ad is what is stored of an ad; money is in minor units of Currency.
type ad struct {
	AdID        string
	AccountID   string
	Currency    money.Currency
	DailyBudget *int64
	Pipeline    money.Amount
	Revenue     money.Amount
	Confidence  float64
	ValueSource string
}

func (s store) ads(ctx context.Context, ids []string) (map[string]ad, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT a.ad_id, a.account_id, acc.currency, a.daily_budget_minor AS daily_budget, a.pipeline_minor AS pipeline,
		       a.revenue_minor AS revenue, a.attribution_confidence AS confidence, a.value_source
		FROM   gv.ads a
		JOIN   gv.accounts acc USING (tenant_id, account_id)
		WHERE  a.tenant_id = gv.tenant() AND a.ad_id = ANY ($1)`, ids)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[ad])
	if err != nil {
		return nil, fmt.Errorf("find ads: %w", err)
	}
	byID := make(map[string]ad, len(found))
	for _, a := range found {
		byID[a.AdID] = a
	}
	return byID, nil
}

// days returns up to n days of each ad's daily metrics, oldest first. A day's
// age counts whole days from the ad's creation or its first metrics, so that it
// depends on what is stored and not on when it is asked.
func (s store) days(ctx context.Context, ids []string, n int) (map[string][]sampler.Day, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   a.ad_id, 24 * (d.day - least((a.created_at AT TIME ZONE 'UTC')::date, f.day) + 1)::float8,
		         d.impressions, d.clicks, d.spend_minor
		FROM     gv.ads a
		CROSS    JOIN LATERAL (SELECT min(m.day) AS day FROM gv.ad_metrics m WHERE m.tenant_id = gv.tenant() AND m.ad_id = a.ad_id) f
		CROSS    JOIN LATERAL (SELECT m.day, m.impressions, m.clicks, m.spend_minor FROM gv.ad_metrics m
		                       WHERE m.tenant_id = gv.tenant() AND m.ad_id = a.ad_id ORDER BY m.day DESC LIMIT @n) d
		WHERE    a.tenant_id = gv.tenant() AND a.ad_id = ANY (@ads)
		ORDER BY a.ad_id, d.day`,
		pgx.StrictNamedArgs{"ads": ids, "n": n})
	days := map[string][]sampler.Day{}
	var (
		id string
		d  sampler.Day
	)
	_, err := pgx.ForEachRow(rows, []any{&id, &d.AgeHours, &d.Impressions, &d.Clicks, &d.Spend}, func() error {
		days[id] = append(days[id], d)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read daily metrics: %w", err)
	}
	return days, nil
}

// credits are the ads that each deal is credited to, with their parts of it, which
// lie end to end from 0 to 1.
const credits = `(
	SELECT d.tenant_id, d.portal_id, d.deal_id, d.ad_id, 0::numeric AS share_from, 1::numeric AS share_to
	FROM   gv.deals d WHERE d.tenant_id = gv.tenant() AND d.ad_id IS NOT NULL AND NOT d.split
	UNION  ALL
	SELECT c.tenant_id, c.portal_id, c.deal_id, c.ad_id, c.share_from, c.share_to
	FROM   gv.deal_credits c JOIN gv.deals d USING (tenant_id, portal_id, deal_id)
	WHERE  c.tenant_id = gv.tenant() AND d.split)`

// dealCount is how many of the deals that an ad has credit for have a value, and how
// many were won with an amount.
type dealCount struct {
	AdID       string
	Deals, Won int64
}

func (s store) dealCounts(ctx context.Context, ids []string) (map[string]dealCount, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   c.ad_id, count(*) FILTER (WHERE d.value_minor > 0) AS deals,
		         count(*) FILTER (WHERE d.value_minor > 0 AND d.stage_name = 'closed_won' AND d.amount_minor > 0) AS won
		FROM     `+credits+` c
		JOIN     gv.deals d USING (tenant_id, portal_id, deal_id)
		WHERE    c.ad_id = ANY ($1) AND d.state = 'live'
		GROUP BY c.ad_id`, ids)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[dealCount])
	if err != nil {
		return nil, fmt.Errorf("count deals: %w", err)
	}
	byAd := make(map[string]dealCount, len(found))
	for _, c := range found {
		byAd[c.AdID] = c
	}
	return byAd, nil
}

// attributed returns the share of the tenant's recent deals that have an ad, among
// those that ads may have brought: a deal whose contact carries no platform's click
// id is taken to have come another way. It is 1 where there are no such deals.
func (s store) attributed(ctx context.Context) (share float64, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT coalesce((5 + count(*) FILTER (WHERE d.ad_id IS NOT NULL))::float8 / (5 + count(*)), 1)
		FROM   gv.deals d
		WHERE  d.tenant_id = gv.tenant() AND d.state = 'live' AND d.created_at > now() - interval '180 days'
		AND    (d.ad_id IS NOT NULL OR EXISTS (
			SELECT FROM gv.contact_keys k
			WHERE  k.tenant_id = gv.tenant() AND k.portal_id = d.portal_id AND k.contact_id = d.contact_id
			AND    k.kind IN ('fbclid', 'gclid')))`).Scan(&share)
	if err != nil {
		return 0, fmt.Errorf("count attributed deals: %w", err)
	}
	return share, nil
}

// move is one change of a deal's stage, with what the deal was worth from then on.
type move struct {
	Deal  string
	Ad    string // that the largest part of the deal is credited to
	Began time.Time
	At    time.Time
	Stage string
	Value money.Amount
}

// moves returns the stage changes of the account's latest n deals, deal by deal,
// each oldest first: of all its ads' deals, or only of those of ids.
func (s store) moves(ctx context.Context, account string, whole bool, ids []string, n int) ([]move, error) {
	rows, _ := s.tx.Query(ctx, `
		WITH deal AS (
			SELECT d.portal_id, d.deal_id, d.pipeline_id, d.amount_minor,
			       coalesce(c.clicked_at, d.converted_at, d.created_at) AS began
			FROM   gv.deals d
			LEFT   JOIN gv.clicks c ON c.tenant_id = d.tenant_id AND c.click_id = d.click_id
			WHERE  d.tenant_id = gv.tenant() AND d.state = 'live'
			AND    (d.portal_id, d.deal_id) IN (
				SELECT p.portal_id, p.deal_id
				FROM   `+credits+` p JOIN gv.ads a ON a.tenant_id = p.tenant_id AND a.ad_id = p.ad_id
				WHERE  a.account_id = @account AND (@whole OR p.ad_id = ANY (@ads)))
			AND    coalesce(c.clicked_at, d.converted_at, d.created_at) IS NOT NULL
			ORDER  BY began DESC, d.portal_id, d.deal_id
			LIMIT  @n
		), credited AS (
			SELECT   DISTINCT ON (p.portal_id, p.deal_id) p.portal_id, p.deal_id, p.ad_id
			FROM     `+credits+` p JOIN deal d USING (portal_id, deal_id)
			ORDER BY p.portal_id, p.deal_id, p.share_to - p.share_from DESC, p.ad_id
		)
		SELECT   d.portal_id || '/' || d.deal_id AS deal, a.ad_id AS ad, d.began, s.occurred_at AS at, v.stage_name AS stage,
		         CASE v.stage_name WHEN 'closed_won' THEN coalesce(d.amount_minor, v.value_minor) ELSE v.value_minor END AS value
		FROM     deal d
		JOIN     credited a USING (portal_id, deal_id)
		JOIN     gv.deal_stages s ON s.tenant_id = gv.tenant() AND s.portal_id = d.portal_id AND s.deal_id = d.deal_id
		JOIN     gv.stage_maps m ON m.tenant_id = gv.tenant() AND m.portal_id = d.portal_id AND m.pipeline_id = d.pipeline_id
		       AND m.stage_id = s.stage_id
		JOIN     gv.stage_values v ON v.tenant_id = gv.tenant() AND v.stage_name = m.stage_name
		ORDER BY d.portal_id, d.deal_id, s.occurred_at, s.stage_id`,
		pgx.StrictNamedArgs{"account": account, "whole": whole, "ads": ids, "n": n})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[move])
	if err != nil {
		return nil, fmt.Errorf("read deals of account %s: %w", account, err)
	}
	return found, nil
}
