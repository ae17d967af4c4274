package ads

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Day is an ad's figures of one day, as the ad platform reports them. Amounts are in
// minor units; a frequency or a reach of 0 is not known.
type Day struct {
	AdID        string
	Day         time.Time // midnight UTC
	Impressions int64
	Clicks      int64
	Spend       int64
	Frequency   float64
	Reach       int64
	Conversions int64
	Value       int64
}

// DayOf names an ad's day.
type DayOf struct {
	AdID string
	Day  time.Time
}

// reportedDays are a batch's days beside what is stored of them. Where the platform
// reports no conversions, those that an import knew of the day stay.
const reportedDays = `
	WITH reported AS (
		SELECT DISTINCT ON (t."AdID", t."Day") t."AdID" AS ad_id, (t."Day" AT TIME ZONE 'UTC')::date AS day, t."Impressions" AS impressions,
		       t."Clicks" AS clicks, t."Spend" AS spend,
		       nullif(t."Frequency", 0)::real AS frequency, nullif(t."Reach", 0) AS reach, t."Conversions" AS conversions, t."Value" AS value
		FROM   jsonb_to_recordset(@rows) AS t ("AdID" text, "Day" timestamptz, "Impressions" bigint, "Clicks" bigint, "Spend" bigint,
		                                       "Frequency" float8, "Reach" bigint, "Conversions" bigint, "Value" bigint)
		JOIN   gv.ads a ON a.tenant_id = gv.tenant() AND a.ad_id = t."AdID" AND a.account_id = @account
	), joined AS MATERIALIZED (
		SELECT t.ad_id, t.day, t.impressions, t.clicks, t.spend, t.frequency, t.reach, v.keeps,
		       CASE WHEN v.keeps THEN m.conversions ELSE t.conversions END AS conversions,
		       CASE WHEN v.keeps THEN m.value_minor ELSE t.value END AS value_minor,
		       CASE WHEN v.keeps THEN m.revenue_minor END AS revenue_minor,
		       m.ad_id IS NOT NULL AND (m.impressions, m.clicks, m.spend_minor, m.frequency, m.reach, m.from_meta, m.value_from_meta)
		           IS NOT DISTINCT FROM (t.impressions, t.clicks, t.spend, t.frequency, t.reach, true, NOT v.keeps)
		       AND (v.keeps OR (m.conversions, m.value_minor, m.revenue_minor) IS NOT DISTINCT FROM
		       (t.conversions, t.value, NULL::bigint)) AS same
		FROM   reported t
		LEFT   JOIN gv.ad_metrics m ON m.tenant_id = gv.tenant() AND m.ad_id = t.ad_id AND m.day = t.day
		CROSS  JOIN LATERAL (
			SELECT m.ad_id IS NOT NULL AND NOT m.value_from_meta AND (m.conversions > 0 OR m.value_minor > 0) AND t.conversions = 0 AND t.value = 0
		) AS v (keeps)
	)`

func dayArgs(account string, batch []Day) (pgx.StrictNamedArgs, error) {
	rows, err := json.Marshal(batch)
	return pgx.StrictNamedArgs{"rows": rows, "account": account}, err
}

// Differing returns the ads that have a day among batch that is not as it is stored.
func (s Store) Differing(ctx context.Context, account string, batch []Day) (map[string]bool, error) {
	with, err := dayArgs(account, batch)
	if err != nil {
		return nil, err
	}
	rows, _ := s.tx.Query(ctx, reportedDays+` SELECT DISTINCT ad_id FROM joined WHERE NOT same`, with)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("compare the days of account %s: %w", account, err)
	}
	differ := make(map[string]bool, len(found))
	for _, id := range found {
		differ[id] = true
	}
	return differ, nil
}

// PutDays writes the days that differ and returns how many that were.
func (s Store) PutDays(ctx context.Context, account string, batch []Day) (n int, err error) {
	with, err := dayArgs(account, batch)
	if err != nil {
		return 0, err
	}
	done, err := s.tx.Exec(ctx, reportedDays+`
		INSERT INTO gv.ad_metrics AS m (tenant_id, ad_id, day, impressions, clicks, spend_minor, frequency, reach, conversions, value_minor,
		       revenue_minor,
		                           from_meta, value_from_meta)
		SELECT gv.tenant(), ad_id, day, impressions, clicks, spend, frequency, reach, conversions, value_minor, revenue_minor, true, NOT keeps
		FROM   joined WHERE NOT same ORDER BY ad_id, day
		ON CONFLICT (tenant_id, ad_id, day) DO UPDATE
		SET    impressions = excluded.impressions, clicks = excluded.clicks, spend_minor = excluded.spend_minor, frequency = excluded.frequency,
		       reach = excluded.reach, conversions = excluded.conversions, value_minor = excluded.value_minor,
		       revenue_minor = excluded.revenue_minor,
		       from_meta = true, value_from_meta = excluded.value_from_meta,
		       conversion_value_minor = CASE WHEN NOT excluded.value_from_meta THEN m.conversion_value_minor END`, with)
	if err != nil {
		return 0, fmt.Errorf("write the days of account %s: %w", account, err)
	}
	return int(done.RowsAffected()), nil
}

// EachDay gives fn the stored days that came from the ad platform.
func (s Store) EachDay(ctx context.Context, account string, since, until time.Time, fn func(DayOf)) error {
	rows, _ := s.tx.Query(ctx, `
		SELECT m.ad_id, m.day FROM gv.ad_metrics m
		JOIN   gv.ads a ON a.tenant_id = m.tenant_id AND a.ad_id = m.ad_id
		WHERE  m.tenant_id = gv.tenant() AND a.account_id = @account AND m.day BETWEEN @since::date AND @until::date
		AND    m.from_meta AND (m.value_from_meta OR (m.conversions = 0 AND m.value_minor = 0))`,
		pgx.StrictNamedArgs{"account": account, "since": since, "until": until})
	var d DayOf
	if _, err := pgx.ForEachRow(rows, []any{&d.AdID, &d.Day}, func() error { fn(d); return nil }); err != nil {
		return fmt.Errorf("list the days of account %s: %w", account, err)
	}
	return nil
}

// RemoveDays deletes days that came from the ad platform.
func (s Store) RemoveDays(ctx context.Context, gone []DayOf) error {
	ids, days := make([]string, len(gone)), make([]time.Time, len(gone))
	for i, d := range gone {
		ids[i], days[i] = d.AdID, d.Day
	}
	_, err := s.tx.Exec(ctx, `
		DELETE FROM gv.ad_metrics m USING unnest(@ads::text[], @days::date[]) AS g (ad_id, day)
		WHERE  m.tenant_id = gv.tenant() AND m.ad_id = g.ad_id AND m.day = g.day AND m.from_meta`,
		pgx.StrictNamedArgs{"ads": ids, "days": days})
	if err != nil {
		return fmt.Errorf("take back days: %w", err)
	}
	return nil
}
