package digest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/datahealth"
	"github.com/geminivideo/geminivideo/shared/money"
)

// facts are what a summary says of a tenant.
type facts struct {
	Tenant     string
	Money      []moneyMoved
	NotApplied []outcomes
	Applied    int
	Changes    []change
	Winners    []winner
	Tiring     []tiring
	Wrong      []datahealth.Check
}

type moneyMoved struct {
	Currency money.Currency
	Changes  int
	Up, Down money.Amount
}

type outcomes struct {
	Outcome string
	Count   int
}

type change struct {
	Name, Action  string
	Before, After *int64
	Currency      money.Currency
	Reason        string
	At            time.Time
}

type winner struct {
	Name            string
	Pipeline, Spend int64
	Currency        money.Currency
	New             bool
}

type tiring struct {
	Name, Status string
	New          bool
}

// read collects the facts of the transaction's tenant from from until until.
func read(ctx context.Context, tx pgx.Tx, from, until time.Time) (f facts, err error) {
	args := pgx.NamedArgs{"from": from, "until": until}
	if err = tx.QueryRow(ctx, `SELECT name FROM gv.tenants WHERE tenant_id = gv.tenant()`).Scan(&f.Tenant); err != nil {
		return f, fmt.Errorf("read the tenant: %w", err)
	}
	f.Money = list[moneyMoved](ctx, tx, &err, "money that moved", `
		SELECT   coalesce(a.currency, t.currency), count(*)::int, coalesce(sum(greatest(h.after_minor - h.before_minor, 0)), 0)::bigint,
		         coalesce(sum(greatest(h.before_minor - h.after_minor, 0)), 0)::bigint
		FROM     gv.ad_change_history h
		JOIN     gv.tenants t USING (tenant_id)
		LEFT     JOIN gv.accounts a USING (tenant_id, account_id)
		WHERE    h.tenant_id = gv.tenant() AND h.at >= @from AND h.at < @until AND h.outcome = 'applied' AND h.after_minor IS NOT NULL
		AND    h.before_minor IS NOT NULL
		GROUP BY 1 ORDER BY 1`, args)
	f.NotApplied = list[outcomes](ctx, tx, &err, "changes that were not made", `
		SELECT   CASE outcome WHEN 'dry_run' THEN 'only planned, in dry run' WHEN 'held' THEN 'held back'
		                      WHEN 'unknown' THEN 'with an unknown outcome' ELSE outcome END, count(*)::int
		FROM     gv.ad_change_history
		WHERE    tenant_id = gv.tenant() AND at >= @from AND at < @until AND outcome IN ('dry_run', 'held', 'failed', 'unknown') GROUP BY 1
		ORDER BY 1`, args)
	f.Changes = list[change](ctx, tx, &err, "changes", `
		SELECT   coalesce(nullif(ad.name, ''), h.ad_id), h.action, h.before_minor, h.after_minor, coalesce(a.currency, t.currency), h.reason, h.at
		FROM     gv.ad_change_history h
		JOIN     gv.tenants t USING (tenant_id)
		LEFT     JOIN gv.accounts a USING (tenant_id, account_id)
		LEFT     JOIN gv.ads ad ON ad.tenant_id = h.tenant_id AND ad.ad_id = h.ad_id
		WHERE    h.tenant_id = gv.tenant() AND h.at >= @from AND h.at < @until AND h.outcome = 'applied'
		ORDER BY abs(coalesce(h.after_minor, 0) - coalesce(h.before_minor, 0)) DESC, h.at, h.history_id LIMIT 10`, args)
	f.Winners = list[winner](ctx, tx, &err, "winners", `
		SELECT   coalesce(nullif(ad.name, ''), ad.ad_id), ad.pipeline_minor, ad.spend_minor, a.currency,
		         EXISTS (SELECT FROM gv.winners w WHERE w.tenant_id = ad.tenant_id AND w.ad_id = ad.ad_id AND w.active AND w.indexed_at >= @from)
		FROM     gv.ads ad JOIN gv.accounts a USING (tenant_id, account_id)
		WHERE    ad.tenant_id = gv.tenant() AND ad.is_winner AND ad.status = 'ACTIVE'
		ORDER BY ad.pipeline_minor::float8 / greatest(ad.spend_minor, 1) DESC, ad.ad_id LIMIT 5`, args)
	f.Tiring = list[tiring](ctx, tx, &err, "tiring ads", `
		SELECT   coalesce(nullif(ad.name, ''), ad.ad_id), t.status, t.changed_at >= @from
		FROM     gv.ad_fatigue t JOIN gv.ads ad USING (tenant_id, ad_id)
		WHERE    t.tenant_id = gv.tenant() AND t.status IN ('FATIGUING', 'SATURATED', 'AUDIENCE_EXHAUSTED') AND ad.status = 'ACTIVE'
		ORDER BY t.changed_at DESC, ad.ad_id LIMIT 10`, args)
	if err != nil {
		return f, err
	}
	err = tx.QueryRow(ctx, `
		SELECT count(*)::int FROM gv.ad_change_history WHERE tenant_id = gv.tenant() AND at >= @from AND at < @until
		       AND outcome = 'applied'`, args).Scan(&f.Applied)
	if err != nil {
		return f, fmt.Errorf("count changes: %w", err)
	}
	accounts, err := datahealth.Read(ctx, tx)
	if err != nil {
		return f, err
	}
	for _, a := range accounts {
		for _, c := range a.Checks {
			// What concerns the whole tenant stands with each account.
			if c.State != "ok" && !slices.ContainsFunc(f.Wrong, func(o datahealth.Check) bool { return o.Detail == c.Detail }) {
				f.Wrong = append(f.Wrong, c)
			}
		}
	}
	return f, nil
}

// list reads rows, unless something before it has failed.
func list[T any](ctx context.Context, tx pgx.Tx, failed *error, what, sql string, args pgx.NamedArgs) []T {
	if *failed != nil {
		return nil
	}
	rows, _ := tx.Query(ctx, sql, args)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	if err != nil {
		*failed = fmt.Errorf("read %s: %w", what, err)
	}
	return all
}
