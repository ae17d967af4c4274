package ads

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Overlap is a period of an ad that does not count because others overlap it.
type Overlap struct {
	AdID        string
	First, Last time.Time
}

// period is an imported period of an ad, both days included.
type period struct {
	First, Last time.Time
	Counted     bool
}

func (p period) days() int { return int(p.Last.Sub(p.First).Hours()/24) + 1 }

// choose marks the periods that count: the shortest first, and of two of one
// length the later, each where it overlaps neither one chosen before nor one of
// days. The result depends on the periods and days alone, not on their order.
func choose(periods []period, days []time.Time) {
	order := make([]*period, len(periods))
	for i := range periods {
		order[i] = &periods[i]
	}
	slices.SortFunc(order, func(a, b *period) int {
		return cmp.Or(cmp.Compare(a.days(), b.days()), b.First.Compare(a.First))
	})
	var chosen []*period
	for _, p := range order {
		p.Counted = !slices.ContainsFunc(days, func(day time.Time) bool { return !day.Before(p.First) && !day.After(p.Last) }) &&
			!slices.ContainsFunc(chosen, func(c *period) bool { return !c.Last.Before(p.First) && !c.First.After(p.Last) })
		if p.Counted {
			chosen = append(chosen, p)
		}
	}
}

// adsAtOnce bounds the ads whose periods are compared in one go.
const adsAtOnce = 500

// countPeriods decides anew which periods of the loaded ads count, where any of
// them overlap, and returns the first hundred that do not.
func countPeriods(ctx context.Context, tx pgx.Tx) (overlaps []Overlap, err error) {
	var any bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM gv.ad_periods WHERE tenant_id = gv.tenant())`).Scan(&any); err != nil || !any {
		return nil, err
	}
	rows, _ := tx.Query(ctx, overlapping)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find overlapping periods: %w", err)
	}
	for chunk := range slices.Chunk(ids, adsAtOnce) {
		found, err := countPeriodsOf(ctx, tx, chunk)
		if err != nil {
			return nil, err
		}
		overlaps = append(overlaps, found[:min(len(found), 100-len(overlaps))]...)
	}
	return overlaps, nil
}

func countPeriodsOf(ctx context.Context, tx pgx.Tx, ads []string) (overlaps []Overlap, err error) {
	var (
		ad      string
		one     period
		day     time.Time
		periods = map[string][]period{}
		days    = map[string][]time.Time{}
	)
	rows, _ := tx.Query(ctx, `SELECT ad_id, first_day, last_day FROM gv.ad_periods WHERE tenant_id = gv.tenant() AND ad_id = ANY ($1)`, ads)
	if _, err = pgx.ForEachRow(rows, []any{&ad, &one.First, &one.Last},
		func() error { periods[ad] = append(periods[ad], one); return nil }); err != nil {
		return nil, fmt.Errorf("read periods: %w", err)
	}
	rows, _ = tx.Query(ctx, `SELECT ad_id, day FROM gv.ad_metrics WHERE tenant_id = gv.tenant() AND ad_id = ANY ($1) AND imported`, ads)
	if _, err = pgx.ForEachRow(rows, []any{&ad, &day}, func() error { days[ad] = append(days[ad], day); return nil }); err != nil {
		return nil, fmt.Errorf("read imported days: %w", err)
	}
	var (
		ids         []string
		first, last []time.Time
		counted     []bool
	)
	for _, id := range ads {
		choose(periods[id], days[id])
		for _, p := range periods[id] {
			ids, first, last, counted = append(ids, id), append(first, p.First), append(last, p.Last), append(counted, p.Counted)
			if !p.Counted {
				overlaps = append(overlaps, Overlap{id, p.First, p.Last})
			}
		}
	}
	_, err = tx.Exec(ctx, `
		UPDATE gv.ad_periods p SET counted = c.counted
		FROM   unnest(@ads::text[], @first::date[], @last::date[], @counted::boolean[]) AS c (ad_id, first_day, last_day, counted)
		WHERE  p.tenant_id = gv.tenant() AND p.ad_id = c.ad_id AND p.first_day = c.first_day AND p.last_day = c.last_day
		AND    p.counted <> c.counted`,
		pgx.StrictNamedArgs{"ads": ids, "first": first, "last": last, "counted": counted})
	if err != nil {
		return nil, fmt.Errorf("mark the periods that count: %w", err)
	}
	return overlaps, nil
}

// overlapping are the loaded ads that have two periods, or a period and an
// imported day, with a day in common, or a period that did not count.
const overlapping = `
	SELECT i.ad_id FROM import_ads i
	WHERE  EXISTS (
		SELECT FROM gv.ad_periods p
		WHERE  p.tenant_id = gv.tenant() AND p.ad_id = i.ad_id
		AND    (NOT p.counted
		        OR EXISTS (SELECT FROM gv.ad_periods q WHERE q.tenant_id = gv.tenant() AND q.ad_id = p.ad_id
		                   AND q.first_day <= p.last_day AND q.last_day >= p.first_day AND (q.first_day, q.last_day) <> (p.first_day, p.last_day))
		        OR EXISTS (SELECT FROM gv.ad_metrics m WHERE m.tenant_id = gv.tenant() AND m.ad_id = p.ad_id
		                   AND m.day BETWEEN p.first_day AND p.last_day AND m.imported)))
	ORDER  BY i.ad_id`
