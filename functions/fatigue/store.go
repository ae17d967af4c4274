package fatigue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fatigue"
	"github.com/geminivideo/geminivideo/shared/money"
)

// store reads the tenant of its transaction.
type store struct{ tx pgx.Tx }

// A median is of at least leastAds other ads of the account that had enough
// impressions on the day for a rate, and of at most the largest mostAds: more would
// not move it. The sweep has the same numbers.
const (
	leastAds         = 1
	mostAds          = 200
	leastImpressions = 100
)

// stored is what is known of a stored ad beside its days.
type stored struct {
	Changed  []time.Time // when its budget was changed, other than by a fatigue cut
	Learning bool
	Currency money.Currency
}

// known returns what is known of a stored ad since a day; nothing for an ad that the
// tenant does not have.
func (s store) known(ctx context.Context, ad string, since time.Time) (k stored, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT coalesce((SELECT array_agg(DISTINCT h.at ORDER BY h.at) FROM gv.ad_change_history h
		                 WHERE  h.tenant_id = gv.tenant() AND (h.ad_id = own.ad_id OR own.adset_id <> ''
		                        AND h.budget_object = 'adset/' || own.adset_id)
		                 AND    h.at > @since AND h.outcome = 'applied' AND h.after_minor IS NOT NULL
		                 AND    NOT EXISTS (SELECT FROM gv.pending_ad_changes p WHERE p.change_id = h.change_id AND p.source = 'fatigue')), '{}'),
		       coalesce(s.learning, false), a.currency
		FROM   gv.ads own
		JOIN   gv.accounts a USING (tenant_id, account_id)
		LEFT   JOIN gv.ad_sets s ON s.tenant_id = own.tenant_id AND s.adset_id = own.adset_id
		WHERE  own.tenant_id = gv.tenant() AND own.ad_id = @ad`, pgx.StrictNamedArgs{"ad": ad, "since": since}).Scan(&k.Changed, &k.Learning, &k.Currency)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return stored{}, fmt.Errorf("read what is known of ad %s: %w", ad, err)
	}
	return k, nil
}

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
