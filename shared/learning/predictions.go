package learning

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/creative"
)

// HashOf names a creative: a prediction made before its ad exists is found by it.
func HashOf(dna creative.DNA) []byte {
	h := sha256.Sum256(dna.JSON())
	return h[:]
}

// SegmentOf is the part of an account's ads that a creative counts to: its hook type.
func SegmentOf(dna creative.DNA) string {
	for _, f := range dna.Features() {
		if f.Name == "hook_type" {
			return f.Value
		}
	}
	return ""
}

// Ad is an ad of the account as the cycle finds it. Money is in units.
type Ad struct {
	ID                  string
	DNA                 creative.DNA
	Active              bool
	Impressions, Clicks int64
	Spend, Value        float64
	CreatedAt           time.Time
	// Arrived is the share of its conversions that could have shown.
	Arrived   float64
	Predicted *time.Time // when it was last predicted
}

// arrivedSQL is the mean share of conversions that could have shown of clicks that
// came on or after a day, by the account's curve; of an ad without daily metrics, as
// if its clicks had come evenly since, or all where no day is known at all. It sums
// in the order of the days: a sum of floats depends on its order, and a plan promises none.
const arrivedSQL = `
	coalesce((SELECT sum(m.clicks * (@curve::float8[])[1 + least(greatest(@today::date - m.day, 0), @last::int)] ORDER BY m.day)
	                 / nullif(sum(m.clicks), 0)
	          FROM gv.ad_metrics m WHERE m.tenant_id = a.tenant_id AND m.ad_id = a.ad_id AND m.day >= since.day),
	         (@even::float8[])[1 + least(greatest(@today::date - since.day, 0), @last::int)], 1)`

// Curve is an account's delay curve: the share of conversions that could have shown
// by each whole day since the click.
type Curve []float64

// even returns, for each day, the mean share of clicks that came evenly since then.
func (c Curve) even() []float64 {
	all, sum := make([]float64, len(c)), 0.0
	for d, share := range c {
		sum += share
		all[d] = sum / float64(d+1)
	}
	return all
}

func (c Curve) args(now time.Time, more pgx.StrictNamedArgs) pgx.StrictNamedArgs {
	more["curve"], more["even"], more["last"], more["today"] = []float64(c), c.even(), len(c)-1, now
	return more
}

// Ads returns the account's ads, the newest first, at most n.
func (s Store) Ads(ctx context.Context, account string, curve Curve, now time.Time, n int) ([]Ad, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   a.ad_id, a.creative_dna, a.status = 'ACTIVE', a.impressions, a.clicks, a.spend_minor / 10 ^ gv.decimals(acc.currency)::float8,
		         a.pipeline_minor / 10 ^ gv.decimals(acc.currency)::float8, a.created_at, `+arrivedSQL+`,
		         (SELECT max(p.made_at) FROM gv.predictions p WHERE p.tenant_id = a.tenant_id AND p.ad_id = a.ad_id)
		FROM     gv.ads a
		JOIN     gv.accounts acc USING (tenant_id, account_id)
		CROSS    JOIN LATERAL (SELECT min(m.day) AS day FROM gv.ad_metrics m WHERE m.tenant_id = a.tenant_id AND m.ad_id = a.ad_id) AS since
		WHERE    a.tenant_id = gv.tenant() AND a.account_id = @account
		ORDER BY a.created_at DESC, a.ad_id
		LIMIT    @n`, curve.args(now, pgx.StrictNamedArgs{"account": account, "n": n}))
	var (
		all []Ad
		a   Ad
		dna []byte
	)
	_, err := pgx.ForEachRow(rows, []any{
		&a.ID, &dna, &a.Active, &a.Impressions, &a.Clicks, &a.Spend, &a.Value, &a.CreatedAt, &a.Arrived,
		&a.Predicted,
	}, func() error {
		next := a
		next.DNA = creative.DNA{}
		if err := next.DNA.UnmarshalJSON(dna); err != nil {
			next.DNA = creative.DNA{} // whatever it is, it is no DNA
		}
		all = append(all, next)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the ads of account %s: %w", account, err)
	}
	return all, nil
}

// Typical returns the account's typical deal in units of its currency: the median
// value of its live deals, or 0.
func (s Store) Typical(ctx context.Context, account string) (size float64, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY d.value_minor / 10 ^ gv.decimals(acc.currency)), 0)::float8
		FROM   gv.deals d
		JOIN   gv.ads a ON a.tenant_id = d.tenant_id AND a.ad_id = d.ad_id
		JOIN   gv.accounts acc ON acc.tenant_id = a.tenant_id AND acc.account_id = a.account_id
		WHERE  d.tenant_id = gv.tenant() AND a.account_id = $1 AND d.state = 'live' AND d.value_minor > 0`, account).Scan(&size)
	if err != nil {
		return 0, fmt.Errorf("find the typical deal of account %s: %w", account, err)
	}
	return size, nil
}

// OpenPredictions returns the account's predictions that wait for their outcome,
// each with what its ad did since.
func (s Store) OpenPredictions(ctx context.Context, account string, curve Curve, now time.Time) ([]Prediction, error) {
	return s.predictions(ctx, `
		SELECT   p.prediction_id::text, coalesce(p.ad_id, ''), p.source, p.model_version, p.segment, p.ctr, p.ctr_low, p.ctr_high, p.roas,
		       p.roas_low, p.roas_high,
		         p.made_at, p.state, coalesce(greatest(a.impressions - p.from_impressions, 0), 0),
		         coalesce(least(greatest(a.clicks - p.from_clicks, 0), greatest(a.impressions - p.from_impressions, 0)), 0),
		         coalesce(greatest(a.spend_minor - p.from_spend_minor, 0) / 10 ^ gv.decimals(acc.currency), 0)::float8,
		         coalesce(greatest(a.pipeline_minor - p.from_value_minor, 0) / 10 ^ gv.decimals(acc.currency), 0)::float8,
		         0::float8, coalesce(`+arrivedSQL+`, 0), p.judged_at
		FROM     gv.predictions p
		JOIN     gv.accounts acc ON acc.tenant_id = p.tenant_id AND acc.account_id = p.account_id
		LEFT     JOIN gv.ads a ON a.tenant_id = p.tenant_id AND a.ad_id = p.ad_id
		CROSS    JOIN LATERAL (SELECT p.made_at::date AS day) AS since
		WHERE    p.tenant_id = gv.tenant() AND p.account_id = @account AND p.state = 'open'
		ORDER BY p.made_at, p.prediction_id`, account, curve.args(now, pgx.StrictNamedArgs{"account": account}))
}

// JudgedPredictions returns the account's predictions that were judged since the
// given time.
func (s Store) JudgedPredictions(ctx context.Context, account string, since time.Time) ([]Prediction, error) {
	return s.predictions(ctx, `
		SELECT   prediction_id::text, coalesce(ad_id, ''), source, model_version, segment, ctr, ctr_low, ctr_high, roas, roas_low, roas_high,
		         made_at, state, coalesce(impressions, 0), coalesce(clicks, 0), coalesce(spend, 0), coalesce(value, 0), coalesce(deals, 0),
		         coalesce(arrived, 0), judged_at
		FROM     gv.predictions
		WHERE    tenant_id = gv.tenant() AND account_id = @account AND state IN ('successful', 'failed') AND judged_at >= @since
		ORDER BY made_at, prediction_id`, account, pgx.StrictNamedArgs{"account": account, "since": since})
}

func (s Store) predictions(ctx context.Context, sql, account string, args pgx.StrictNamedArgs) ([]Prediction, error) {
	rows, _ := s.tx.Query(ctx, sql, args)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Prediction, err error) {
		err = row.Scan(&p.ID, &p.AdID, &p.Source, &p.Version, &p.Segment, &p.CTR, &p.CTRLow, &p.CTRHigh, &p.ROAS, &p.ROASLow, &p.ROASHigh,
			&p.MadeAt, &p.State, &p.Impressions, &p.Clicks, &p.Spend, &p.Value, &p.Deals, &p.Arrived, &p.JudgedAt)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the predictions of account %s: %w", account, err)
	}
	return all, nil
}

// New is a prediction to be stored. AdID is "" where the ad does not exist yet.
type New struct {
	Prediction
	Account string
	Hash    []byte
}

// Predicted stores predictions. One that the gate made before, of the same creative
// by the same model, stays as it is. The ads' figures of now are where their
// outcomes begin.
func (s Store) Predicted(ctx context.Context, all []New) error {
	b := &pgx.Batch{}
	for i := range all {
		n := &all[i]
		b.Queue(`
			INSERT INTO gv.predictions (tenant_id, account_id, ad_id, dna_hash, source, model_version, segment, ctr, ctr_low, ctr_high, roas,
			       roas_low, roas_high, made_at,
			                            from_impressions, from_clicks, from_spend_minor, from_value_minor)
			SELECT gv.tenant(), @account, nullif(@ad, ''), @hash, @source, @version, @segment, @ctr, @ctr_low, @ctr_high, @roas, @roas_low,
			       @roas_high, @made,
			       coalesce(a.impressions, 0), coalesce(a.clicks, 0), coalesce(a.spend_minor, 0), coalesce(a.pipeline_minor, 0)
			FROM   (SELECT 1) AS one LEFT JOIN gv.ads a ON a.tenant_id = gv.tenant() AND a.ad_id = @ad
			ON     CONFLICT (tenant_id, account_id, dna_hash, model_version) WHERE source = 'gate' DO NOTHING`,
			pgx.StrictNamedArgs{
				"account": n.Account, "ad": n.AdID, "hash": n.Hash, "source": n.Source, "version": n.Version, "segment": n.Segment,
				"ctr": n.CTR, "ctr_low": n.CTRLow, "ctr_high": max(n.CTRHigh, n.CTRLow), "roas": n.ROAS, "roas_low": n.ROASLow,
				"roas_high": max(n.ROASHigh, n.ROASLow), "made": n.MadeAt,
			})
	}
	if err := s.tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("store predictions: %w", err)
	}
	return nil
}

// Bind gives the gate's predictions of a creative to the ad that it became. What
// the ad did from its first day on is their outcome.
func (s Store) Bind(ctx context.Context, account string, ads map[string][]byte) (bound int64, err error) {
	ids, hashes := make([]string, 0, len(ads)), make([][]byte, 0, len(ads))
	for id, h := range ads {
		ids, hashes = append(ids, id), append(hashes, h)
	}
	done, err := s.tx.Exec(ctx, `
		UPDATE gv.predictions p SET ad_id = t.ad_id
		FROM   (SELECT DISTINCT ON (hash) hash, ad_id FROM unnest(@ids::text[], @hashes::bytea[]) AS t (ad_id, hash) ORDER BY hash, ad_id) AS t
		WHERE  p.tenant_id = gv.tenant() AND p.account_id = @account AND p.source = 'gate' AND p.state = 'open' AND p.ad_id IS NULL
		AND    p.dna_hash = t.hash`,
		pgx.StrictNamedArgs{"ids": ids, "hashes": hashes, "account": account})
	if err != nil {
		return 0, fmt.Errorf("give predictions of account %s to their ads: %w", account, err)
	}
	return done.RowsAffected(), nil
}

// keptFor is how long a prediction is kept after it was made.
const keptFor = 400 * day

// Judged stores what became of predictions, and deletes those of long ago.
func (s Store) Judged(ctx context.Context, account string, all []Prediction, now time.Time) error {
	b := &pgx.Batch{}
	b.Queue(`DELETE FROM gv.predictions WHERE tenant_id = gv.tenant() AND account_id = @account AND made_at < @old`,
		pgx.StrictNamedArgs{"account": account, "old": now.Add(-keptFor)})
	for i := range all {
		p := &all[i]
		b.Queue(`
			UPDATE gv.predictions SET state = @state, impressions = @impressions, clicks = @clicks, spend = @spend, value = @value, deals = @deals,
			       arrived = @arrived, judged_at = @now
			WHERE  tenant_id = gv.tenant() AND prediction_id = @id`,
			pgx.StrictNamedArgs{
				"id": p.ID, "state": p.State, "impressions": p.Impressions, "clicks": p.Clicks, "spend": p.Spend, "value": p.Value,
				"deals": p.Deals, "arrived": min(max(p.Arrived, 0), 1), "now": now,
			})
	}
	if err := s.tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("store what became of predictions: %w", err)
	}
	return nil
}
