package ads

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Store reads the tenant of its transaction.
type Store struct{ tx pgx.Tx }

// NewStore returns a store on tx.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

// Accounts returns up to limit of the tenant's ad accounts.
func (s Store) Accounts(ctx context.Context, limit int) ([]Account, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT account_id, currency, conversion_value_minor AS conversion_value FROM gv.accounts WHERE tenant_id = gv.tenant()
		ORDER BY account_id LIMIT $1`, limit)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Account])
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return found, nil
}

// LockTenant holds the tenant until the transaction ends, so that two callers do
// not both make its first account, and returns its currency, "" where there is
// no such tenant.
func (s Store) LockTenant(ctx context.Context) (money.Currency, error) {
	rows, _ := s.tx.Query(ctx, `SELECT currency FROM gv.tenants WHERE tenant_id = gv.tenant() FOR NO KEY UPDATE`)
	found, err := pgx.CollectRows(rows, pgx.RowTo[money.Currency])
	if err != nil {
		return "", fmt.Errorf("lock tenant: %w", err)
	}
	return append(found, "")[0], nil
}

// Campaigns lists campaigns: of one account where account is not empty, the one
// called id where id is not empty. A campaign's budget is its own where it holds
// one, and else that of its ads that are neither archived nor deleted, and of the
// ad sets that several of those share.
func (s Store) Campaigns(ctx context.Context, account, id string, page Page) ([]Campaign, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   c.campaign_id, c.name, c.account_id, acc.currency, c.status,
		         coalesce(c.daily_budget_minor, coalesce(sum(a.daily_budget_minor) FILTER (WHERE a.status IN ('ACTIVE', 'PAUSED')),
		         0) + coalesce((
		             SELECT sum(s.daily_budget_minor) FROM gv.ad_sets s
		             WHERE  s.tenant_id = c.tenant_id AND s.campaign_id = c.campaign_id AND 1 < (
		                 SELECT count(*) FROM gv.ads o WHERE o.tenant_id = s.tenant_id AND o.adset_id = s.adset_id
		                        AND o.status IN ('ACTIVE', 'PAUSED')
		                 HAVING count(o.daily_budget_minor) = 0)), 0))::bigint AS total_budget,
		         count(a.ad_id) AS num_ads, coalesce(sum(a.impressions), 0)::bigint AS impressions, coalesce(sum(a.clicks), 0)::bigint AS clicks,
		         coalesce(sum(a.spend_minor), 0)::bigint AS spend, coalesce(sum(a.pipeline_minor), 0)::bigint AS pipeline,
		         coalesce(sum(a.revenue_minor), 0)::bigint AS revenue
		FROM     (SELECT * FROM gv.campaigns
		          WHERE tenant_id = gv.tenant() AND campaign_id > @after
		          AND (@account = '' OR account_id = @account) AND (@id = '' OR campaign_id = @id)
		          ORDER BY campaign_id LIMIT @limit) c
		JOIN     gv.accounts acc USING (tenant_id, account_id)
		LEFT     JOIN gv.ads a USING (tenant_id, campaign_id)
		GROUP BY c.tenant_id, c.campaign_id, c.name, c.account_id, acc.currency, c.status, c.daily_budget_minor
		ORDER BY c.campaign_id`,
		pgx.StrictNamedArgs{"account": account, "id": id, "after": page.After, "limit": page.Limit})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Campaign])
	if err != nil {
		return nil, fmt.Errorf("list campaigns: %w", err)
	}
	return found, nil
}

// Of lists a campaign's ads.
func (s Store) Of(ctx context.Context, campaign string, page Page) ([]Ad, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   a.ad_id, a.name, a.campaign_id, acc.currency, a.status, a.daily_budget_minor AS daily_budget, a.impressions, a.clicks,
		         a.spend_minor AS spend, a.pipeline_minor AS pipeline, a.revenue_minor AS revenue, a.created_at,
		         coalesce(f.status, 'INSUFFICIENT_DATA') AS fatigue_status
		FROM     gv.ads a
		JOIN     gv.accounts acc USING (tenant_id, account_id)
		LEFT     JOIN gv.ad_fatigue f USING (tenant_id, ad_id)
		WHERE    a.tenant_id = gv.tenant() AND a.campaign_id = @campaign AND a.ad_id > @after
		ORDER BY a.ad_id
		LIMIT    @limit`,
		pgx.StrictNamedArgs{"campaign": campaign, "after": page.After, "limit": page.Limit})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Ad])
	if err != nil {
		return nil, fmt.Errorf("list ads of campaign %s: %w", campaign, err)
	}
	return found, nil
}
