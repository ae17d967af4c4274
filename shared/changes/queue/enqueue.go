package queue

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/meta"
)

// Enqueue queues what intents want of tenant's ads, in a constant number of
// statements, and answers each, in their order. A key that was queued before keeps
// its change. It works in pg.InTenant and in pg.Across. It locks the rows of the
// objects until the transaction ends, so a transaction that also writes gv.ads
// locks those rows first.
func (s Store) Enqueue(ctx context.Context, tenant string, intents []changes.Intent) ([]changes.Enqueued, error) {
	if err := changes.Check(intents); err != nil || len(intents) == 0 {
		return nil, err
	}
	known, err := s.known(ctx, tenant, intents)
	if err != nil {
		return nil, err
	}
	planned := changes.Plan(known, intents)
	return planned.Answers, s.savePlanned(ctx, tenant, planned)
}

// known loads what a plan for the intents takes into account.
func (s Store) known(ctx context.Context, tenant string, intents []changes.Intent) (k changes.Known, err error) {
	k.Tenant = tenant
	if k.Now, err = s.Now(ctx); err != nil {
		return k, err
	}
	if k.Ads, err = s.ads(ctx, tenant, intents); err != nil {
		return k, err
	}
	names, accounts, campaigns := changes.ObjectsOf(k.Ads, intents)
	if k.Objects, err = s.createObjects(ctx, tenant, names, accounts, campaigns); err != nil {
		return k, err
	}
	if k.Answered, err = s.answered(ctx, tenant, intents); err != nil {
		return k, err
	}
	if k.Open, err = s.open(ctx, tenant, k.Objects); err != nil {
		return k, err
	}
	k.Cuts, err = s.cuts(ctx, tenant, k.Now, intents)
	return k, err
}

// savePlanned writes what was planned.
func (s Store) savePlanned(ctx context.Context, tenant string, p changes.Planned) error {
	if err := s.supersede(ctx, tenant, p.Replaced); err != nil {
		return err
	}
	if err := s.insert(ctx, tenant, p.Fresh, p.Requests); err != nil {
		return err
	}
	if err := s.addHistory(ctx, tenant, p.Entries); err != nil {
		return err
	}
	if err := s.saveObjects(ctx, tenant, p.Objects); err != nil {
		return err
	}
	return s.notify(ctx, tenant, p.Notices)
}

// ads reads the ads of the intents and all others of their ad sets.
func (s Store) ads(ctx context.Context, tenant string, intents []changes.Intent) ([]changes.Ad, error) {
	ids := make([]string, len(intents))
	for i, in := range intents {
		ids[i] = in.AdID
	}
	rows, _ := s.tx.Query(ctx, `
		WITH asked AS (
			SELECT ad_id, adset_id FROM gv.ads WHERE tenant_id = @tenant AND ad_id = ANY (@ids::text[])
		), wanted AS (
			SELECT ad_id FROM asked
			UNION
			SELECT b.ad_id FROM gv.ads b WHERE b.tenant_id = @tenant AND b.adset_id <> '' AND b.adset_id IN (SELECT adset_id FROM asked)
		)
		SELECT b.ad_id, b.name, b.account_id, b.campaign_id, b.adset_id, coalesce(s.name, '') AS adset_name, b.status,
		       b.daily_budget_minor AS daily_budget, s.daily_budget_minor AS adset_budget,
		       c.daily_budget_minor IS NOT NULL AS campaign_budget, coalesce(s.lifetime_budget, false) OR c.lifetime_budget AS lifetime_budget,
		       EXISTS (SELECT FROM gv.meta_connections m
		               WHERE m.tenant_id = a.tenant_id AND m.account_id = a.account_id AND m.disconnected_at IS NULL) AS connected,
		       spent.per_day AS spend_per_day, a.currency, 1::bigint AS grain, a.mode
		FROM   wanted
		JOIN   gv.ads b       ON b.tenant_id = @tenant AND b.ad_id = wanted.ad_id
		JOIN   gv.campaigns c ON c.tenant_id = @tenant AND c.campaign_id = b.campaign_id
		JOIN   gv.accounts a  ON a.tenant_id = @tenant AND a.account_id = b.account_id
		LEFT   JOIN gv.ad_sets s ON s.tenant_id = @tenant AND s.adset_id = b.adset_id
		LEFT   JOIN LATERAL (
			SELECT round(avg(m.spend_minor))::bigint AS per_day FROM gv.ad_metrics m
			WHERE  c.daily_budget_minor IS NOT NULL AND m.tenant_id = @tenant AND m.ad_id = b.ad_id AND m.day > current_date - 8
			AND    m.day < current_date
		) AS spent ON true`,
		pgx.StrictNamedArgs{"tenant": tenant, "ids": ids})
	ads, err := pgx.CollectRows(rows, pgx.RowToStructByName[changes.Ad])
	if err != nil {
		return nil, fmt.Errorf("read the ads to change: %w", err)
	}
	for i := range ads {
		ads[i].Grain = meta.Step(ads[i].Currency)
	}
	return ads, nil
}
