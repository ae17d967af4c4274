package fatigue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fatigue"
)

// store reads the tenant of its transaction.
type store struct{ tx pgx.Tx }

// A median is of at least leastAds other ads of the account that had enough
// impressions on the day for a rate, and of no more than the largest mostAds: more
// would not move it.
const (
	leastAds         = 2
	mostAds          = 200
	leastImpressions = 100
)

// medians returns what the other ads of a stored ad's account had on those days;
// nothing for an ad that the tenant does not have. Prices are in minor units: they
// are only compared with each other.
func (s store) medians(ctx context.Context, ad string, days []time.Time) (map[time.Time]fatigue.Median, error) {
	rows, _ := s.tx.Query(ctx, `
		WITH others AS (
			SELECT   a.ad_id
			FROM     gv.ads own
			JOIN     gv.ads a ON a.tenant_id = own.tenant_id AND a.account_id = own.account_id AND a.ad_id <> own.ad_id
			WHERE    own.tenant_id = gv.tenant() AND own.ad_id = @ad
			ORDER BY a.impressions DESC, a.ad_id
			LIMIT    @most
		)
		SELECT   m.day,
		         percentile_cont(0.5) WITHIN GROUP (ORDER BY m.clicks::float8 / m.impressions) AS ctr,
		         percentile_cont(0.5) WITHIN GROUP (ORDER BY 1000 * m.spend_minor::float8 / m.impressions) AS cpm
		FROM     others
		JOIN     gv.ad_metrics m ON m.tenant_id = gv.tenant() AND m.ad_id = others.ad_id
		WHERE    m.day = ANY (@days::date[]) AND m.impressions >= @impressions
		GROUP BY m.day
		HAVING   count(*) >= @least`,
		pgx.StrictNamedArgs{"ad": ad, "days": days, "most": mostAds, "least": leastAds, "impressions": leastImpressions})
	found := map[time.Time]fatigue.Median{}
	var day time.Time
	var m fatigue.Median
	_, err := pgx.ForEachRow(rows, []any{&day, &m.CTR, &m.CPM}, func() error {
		found[day.UTC()] = m
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the medians of ad %s's account: %w", ad, err)
	}
	return found, nil
}
