package allocate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// lastDay returns the account's last finished day with spend, or the zero time.
func (s store) lastDay(ctx context.Context, account string) (time.Time, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT max(m.day)
		FROM   gv.accounts acc
		JOIN   gv.ads a USING (tenant_id, account_id)
		JOIN   gv.ad_metrics m USING (tenant_id, ad_id)
		WHERE  acc.tenant_id = gv.tenant() AND acc.account_id = $1 AND m.spend_minor > 0
		AND    m.day < (now() AT TIME ZONE acc.time_zone)::date`, account)
	day, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[*time.Time])
	if err != nil {
		return time.Time{}, fmt.Errorf("find the last day of account %s: %w", account, err)
	}
	if day == nil {
		return time.Time{}, nil
	}
	return *day, nil
}

// morning returns when a date begins in the account's time zone.
func (s store) morning(ctx context.Context, account string, day time.Time) (time.Time, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT @day::date::timestamp AT TIME ZONE time_zone FROM gv.accounts WHERE tenant_id = gv.tenant() AND account_id = @account`,
		pgx.StrictNamedArgs{"day": day, "account": account})
	at, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[time.Time])
	if err != nil {
		return at, fmt.Errorf("find the time zone of account %s: %w", account, err)
	}
	return at, nil
}

// pastAds returns the account's ads that spent money between two days, those
// that spent most first, at most mostAds.
func (s store) pastAds(ctx context.Context, account string, from, to time.Time) ([]pastAd, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   a.ad_id, a.value_source AS source, a.attribution_confidence AS confidence, a.pipeline_minor AS pipeline,
		         m.first, m.valued, m.converted, coalesce(acc.conversion_value_minor, 0) AS won, count(*) OVER () AS of
		FROM     gv.accounts acc
		JOIN     gv.ads a USING (tenant_id, account_id)
		CROSS    JOIN LATERAL (
			SELECT min(d.day) FILTER (WHERE d.spend_minor > 0) AS first, bool_or(d.value_minor > 0) AS valued,
			       bool_or(d.conversions > 0) AND coalesce(acc.conversion_value_minor, 0) > 0 AS converted,
			       sum(d.spend_minor) FILTER (WHERE d.day BETWEEN @from AND @to) AS spend
			FROM   gv.ad_metrics d WHERE d.tenant_id = gv.tenant() AND d.ad_id = a.ad_id
		) m
		WHERE    acc.tenant_id = gv.tenant() AND acc.account_id = @account AND m.spend > 0
		ORDER BY m.spend DESC, a.ad_id
		LIMIT    @n`,
		pgx.StrictNamedArgs{"account": account, "from": from, "to": to, "n": mostAds})
	ads, err := pgx.CollectRows(rows, pgx.RowToStructByName[pastAd])
	if err != nil {
		return nil, fmt.Errorf("find the past ads of account %s: %w", account, err)
	}
	return ads, nil
}

// pastMetrics returns the ads' days; those up to horizon are summed on it.
func (s store) pastMetrics(ctx context.Context, ids []string, horizon, to time.Time) ([]pastDay, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   m.ad_id, greatest(m.day, @horizon::date) AS day, sum(m.impressions)::bigint AS impressions, sum(m.clicks)::bigint AS clicks,
		         sum(m.spend_minor)::bigint AS spend, sum(m.value_minor)::bigint AS value,
		         sum(least(coalesce(m.revenue_minor, m.value_minor), m.value_minor))::bigint AS cash, sum(m.conversions)::bigint AS conversions
		FROM     gv.ad_metrics m
		WHERE    m.tenant_id = gv.tenant() AND m.ad_id = ANY (@ads) AND m.day <= @to
		GROUP BY 1, 2`,
		pgx.StrictNamedArgs{"ads": ids, "horizon": horizon, "to": to})
	days, err := pgx.CollectRows(rows, pgx.RowToStructByName[pastDay])
	if err != nil {
		return nil, fmt.Errorf("read past metrics: %w", err)
	}
	return days, nil
}

// pastValues returns what each day added to the ads' value by the deal ledger:
// of deals whose click came on a stored day, since what others cost is not
// known. Of a deal that several ads share it is the ad's part. A deal's last change brings it to what the ledger values it at now.
func (s store) pastValues(ctx context.Context, account string, first map[string]time.Time, horizon time.Time) ([]pastDay, error) {
	ids := slices.Sorted(maps.Keys(first))
	since := make([]time.Time, len(ids))
	for i, id := range ids {
		since[i] = first[id]
	}
	rows, _ := s.tx.Query(ctx, `
		WITH zone AS (
			SELECT time_zone AS z FROM gv.accounts WHERE tenant_id = gv.tenant() AND account_id = @account
		), deal AS (
			SELECT d.portal_id, d.deal_id, d.pipeline_id, p.ad_id, p.share_from, p.share_to, d.stage_name, d.value_minor, d.amount_minor,
			       d.amount_issue
			FROM   unnest(@ads::text[], @since::date[]) AS asked (ad_id, since)
			CROSS  JOIN zone
			JOIN   `+credits+` p ON p.ad_id = asked.ad_id
			JOIN   gv.deals d ON d.tenant_id = gv.tenant() AND d.portal_id = p.portal_id AND d.deal_id = p.deal_id AND d.state = 'live'
			LEFT   JOIN gv.clicks c ON c.tenant_id = d.tenant_id AND c.click_id = d.click_id
			WHERE  (coalesce(c.clicked_at, d.converted_at, d.created_at) AT TIME ZONE zone.z)::date >= asked.since
		), staged AS (
			SELECT d.*, s.stage_id, s.occurred_at, v.stage_name AS then_stage, v.value_minor AS then_value,
			       lead(s.stage_id) OVER (PARTITION BY d.ad_id, d.portal_id, d.deal_id ORDER BY s.occurred_at, s.stage_id) IS NULL AS last
			FROM   deal d
			JOIN   gv.deal_stages s ON s.tenant_id = gv.tenant() AND s.portal_id = d.portal_id AND s.deal_id = d.deal_id AND s.occurred_at <= now()
			LEFT   JOIN gv.stage_maps m ON m.tenant_id = gv.tenant() AND m.portal_id = d.portal_id AND m.pipeline_id = d.pipeline_id
			       AND m.stage_id = s.stage_id
			LEFT   JOIN gv.stage_values v ON v.tenant_id = gv.tenant() AND v.stage_name = m.stage_name
		), whole AS (
			SELECT ad_id, portal_id, deal_id, share_from, share_to, stage_id, occurred_at,
			       CASE WHEN last THEN value_minor WHEN amount_issue IS NOT NULL THEN 0
			            WHEN then_stage = 'closed_won' THEN coalesce(amount_minor, then_value) ELSE coalesce(then_value, 0) END AS value,
			       amount_minor IS NOT NULL AND CASE WHEN last THEN stage_name ELSE then_stage END IS NOT DISTINCT FROM 'closed_won' AS won
			FROM   staged
		), worth AS (
			SELECT ad_id, portal_id, deal_id, stage_id, occurred_at, round(value * share_to) - round(value * share_from) AS value, won
			FROM   whole
		), moved AS (
			SELECT ad_id, occurred_at, value - coalesce(lag(value) OVER deal, 0) AS value,
			       CASE WHEN won THEN value ELSE 0 END - coalesce(lag(CASE WHEN won THEN value ELSE 0 END) OVER deal, 0) AS cash
			FROM   worth
			WINDOW deal AS (PARTITION BY ad_id, portal_id, deal_id ORDER BY occurred_at, stage_id)
		)
		SELECT   ad_id, greatest((occurred_at AT TIME ZONE zone.z)::date, @horizon::date) AS day, 0::bigint AS impressions, 0::bigint AS clicks,
		         0::bigint AS spend, sum(value)::bigint AS value, sum(cash)::bigint AS cash, 0::bigint AS conversions
		FROM     moved, zone
		GROUP BY 1, 2`,
		pgx.StrictNamedArgs{"account": account, "ads": ids, "since": since, "horizon": horizon})
	values, err := pgx.CollectRows(rows, pgx.RowToStructByName[pastDay])
	if err != nil {
		return nil, fmt.Errorf("read the past value of account %s: %w", account, err)
	}
	return values, nil
}
