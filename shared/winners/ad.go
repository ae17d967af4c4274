package winners

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/fault"
)

// Ad is a stored ad as the memory sees it.
type Ad struct {
	AdID     string
	Name     string
	DNA      creative.DNA `db:"creative_dna"`
	ROAS     float64
	CTR      float64
	IsWinner bool
	// The account's own bar for winners; nil where it has none.
	WinnerROAS  *float64
	WinnerSpend *float64
}

// Text returns what is embedded of the ad; it is never empty.
func (a Ad) Text() string { return TextOf(a.DNA, cmp.Or(a.Name, a.AdID)) }

// Ad returns the stored ad and keeps it as it is until the transaction ends:
// who recomputes its figures waits, so that the memory cannot miss a fall below
// the bar.
func (s Store) Ad(ctx context.Context, adID string) (Ad, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT a.ad_id, a.name, a.creative_dna, a.is_winner,
		       (a.pipeline_minor / greatest(a.spend_minor::numeric, 10 ^ gv.decimals(c.currency)))::double precision AS roas,
		       CASE WHEN a.impressions > 0 THEN a.clicks::double precision / a.impressions ELSE 0 END AS ctr,
		       (c.settings->>'winner_roas')::double precision AS winner_roas,
		       (c.settings->>'winner_spend')::double precision AS winner_spend
		FROM   gv.ads a JOIN gv.accounts c USING (tenant_id, account_id)
		WHERE  a.tenant_id = gv.tenant() AND a.ad_id = $1
		FOR    SHARE OF a`, adID)
	ad, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Ad])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Ad{}, fault.NotFoundf("there is no ad with this ad_id")
	case err != nil:
		return Ad{}, fmt.Errorf("read ad %s: %w", adID, err)
	}
	return ad, nil
}

// ROAS returns the pipeline value over spend that is stored of a winner, 0 where
// nothing is.
func (s Store) ROAS(ctx context.Context, adID string) (roas float64, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT coalesce((SELECT pipeline_roas FROM gv.winners WHERE tenant_id = gv.tenant() AND ad_id = $1 ORDER BY updated_at DESC,
		       model LIMIT 1), 0)`, adID).Scan(&roas)
	if err != nil {
		return 0, fmt.Errorf("read the stored ROAS of %s: %w", adID, err)
	}
	return roas, nil
}
