package oracle

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
)

// Outcome is an earlier prediction's 90% interval of a CTR, and what its ad then showed.
type Outcome struct {
	Low, High           float64
	Impressions, Clicks int64
}

const (
	// widenRate is by how much the logarithm of the intervals' width moves with an outcome.
	widenRate = 0.15
	// widenFades is the share of it that an outcome takes away: a new model's own intervals
	// follow a change, and the widening for it must end.
	widenFades = 0.02
	// leastWiden and mostWiden bound the width over the model's own.
	leastWiden, mostWiden = 0.9, 3
	// widenSaid is from where on a prediction names it.
	widenSaid = 1.1
	// widenDays and widenOutcomes are how far back outcomes count.
	widenDays, widenOutcomes = 30, 300
)

// Widening returns by how much the next intervals are to be wider than the model says, by
// the outcomes of the ones before, oldest first: each outcome outside widens them, each
// inside narrows them a ninth as much, so that over time about 90% hold whatever changes
// (adaptive conformal inference: Gibbs & Candes 2021; on the width in place of the
// level, as quantile tracking does: Angelopoulos, Candes & Tibshirani 2023). Outcomes
// that are too few clicks to say anything do not count.
func Widening(all []Outcome) float64 {
	at := 0.0
	for _, o := range all {
		outside, ok := o.outside()
		if !ok {
			continue
		}
		by := widenRate * (Level - 1)
		if outside {
			by = widenRate * Level
		}
		at = clamp((1-widenFades)*at+by, math.Log(leastWiden), math.Log(mostWiden))
	}
	return math.Exp(at)
}

// outside reports whether an ad's CTR lay outside its interval, chance in counting
// included; ok is false where its clicks are too few.
func (o Outcome) outside() (outside, ok bool) {
	low, high := math.Log(max(o.Low, 1e-12)), math.Log(max(o.High, 1e-12))
	mid, count := (low+high)/2, float64(o.Clicks)+0.5
	if max(math.Exp(mid)*float64(o.Impressions), float64(o.Clicks)) < leastExpects {
		return false, false
	}
	sd := math.Hypot((high-low)/(2*z90), math.Sqrt(1/count))
	return math.Abs(math.Log(count/(float64(o.Impressions)+0.5))-mid) > z90*sd, true
}

// widened returns the rate with its uncertainty times by; 0 is a model that nobody has
// seen predict.
func (r rate) widened(by, most float64) rate {
	if by <= 0 {
		return r
	}
	r.log.sd, r.beside.sd = r.log.sd*by, r.beside.sd*by
	r.interval = [2]float64{min(math.Exp(r.log.quantile(-z90)), most), min(math.Exp(r.log.quantile(z90)), most)}
	return r
}

// widening returns the widening of an account by its predictions of the last 30 days, of
// each ad the newest that ran for a day.
func (s Store) widening(ctx context.Context, account string) (float64, error) {
	if account == "" {
		return 1, nil
	}
	rows, _ := s.tx.Query(ctx, `
		SELECT ctr_low, ctr_high, shown, clicks FROM (
			SELECT DISTINCT ON (p.ad_id) p.made_at, p.prediction_id, p.ctr_low, p.ctr_high,
			       coalesce(p.impressions, greatest(a.impressions - p.from_impressions, 0)) AS shown,
			       coalesce(p.clicks, least(greatest(a.clicks - p.from_clicks, 0), greatest(a.impressions - p.from_impressions, 0))) AS clicks
			FROM   gv.predictions p JOIN gv.ads a ON a.tenant_id = p.tenant_id AND a.ad_id = p.ad_id
			WHERE  p.tenant_id = gv.tenant() AND p.account_id = @account AND p.state <> 'expired'
			AND    p.made_at BETWEEN now() - @days * interval '1 day' AND now() - interval '1 day'
			ORDER  BY p.ad_id, p.made_at DESC, p.prediction_id
			) AS newest
		ORDER BY made_at DESC, prediction_id LIMIT @n`, pgx.StrictNamedArgs{"account": account, "days": widenDays, "n": widenOutcomes})
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Outcome])
	if err != nil {
		return 1, fmt.Errorf("read the outcomes of account %s: %w", account, err)
	}
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return Widening(all), nil
}
