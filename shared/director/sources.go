package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/fault"
)

// MaxExamples is how many ads a plan goes by at most.
const MaxExamples = 5

// Ground chooses what a plan goes by: of winners, the ads of the tenant's memory
// that are most like the creative, and, where they leave nothing to borrow, of
// best, the account's ads by pipeline ROAS. A tired ad is no example, nor is one
// that opens as it does: that pattern is what has worn out.
func Ground(winners, best []Example, tired *Tired) (Grounding, []Example) {
	for _, from := range []struct {
		grounding Grounding
		ads       []Example
	}{{OnWinners, winners}, {OnAccount, best}} {
		usable := slices.DeleteFunc(slices.Clone(from.ads), func(e Example) bool {
			traits := traitsOf(e.DNA)
			return len(traits) == 0 || tired != nil && (e.AdID == tired.AdID || tired.Hook != "" && traits[hookType] == tired.Hook)
		})
		if len(usable) > 0 {
			usable = different(usable)
			return from.grounding, usable[:min(len(usable), MaxExamples)]
		}
	}
	return OnGeneral, []Example{}
}

// different puts those that repeat what one before them is made of last: five
// copies of a winner are one example.
func different(ads []Example) []Example {
	var first, copies []Example
	var seen []map[string]string
	for _, e := range ads {
		traits := traitsOf(e.DNA)
		if slices.ContainsFunc(seen, func(t map[string]string) bool { return maps.Equal(t, traits) }) {
			copies = append(copies, e)
			continue
		}
		seen, first = append(seen, traits), append(first, e)
	}
	return append(first, copies...)
}

// leastSpend is how much an ad must have spent, in units of its account's
// currency, for its ROAS to say anything: what a winner must have, too.
const leastSpend = 50

// Best returns up to n of the account's ads whose DNA is known, by pipeline ROAS,
// the best first.
func (s Store) Best(ctx context.Context, account string, n int) ([]Example, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   a.ad_id, 0::double precision AS similarity,
		         (a.pipeline_minor / greatest(a.spend_minor::numeric, 10 ^ gv.decimals(c.currency)))::double precision AS roas,
		         CASE WHEN a.impressions > 0 THEN a.clicks::double precision / a.impressions ELSE 0 END AS ctr, a.creative_dna AS dna
		FROM     gv.ads a JOIN gv.accounts c USING (tenant_id, account_id)
		WHERE    a.tenant_id = gv.tenant() AND a.account_id = @account AND a.creative_dna <> '{}'
		AND      a.pipeline_minor > 0 AND a.spend_minor >= @spend * 10 ^ gv.decimals(c.currency)
		ORDER BY roas DESC, a.ad_id
		LIMIT    @n`,
		pgx.StrictNamedArgs{"account": account, "spend": leastSpend, "n": n})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Example])
	if err != nil {
		return nil, fmt.Errorf("list the best ads of account %s: %w", account, err)
	}
	return found, nil
}

// Account returns nil where the tenant has the account, and NotFound elsewhere.
func (s Store) Account(ctx context.Context, id string) error {
	var known bool
	err := s.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM gv.accounts WHERE tenant_id = gv.tenant() AND account_id = $1)`, id).Scan(&known)
	switch {
	case err != nil:
		return fmt.Errorf("look up account %s: %w", id, err)
	case !known:
		return fault.NotFoundf("you have no ad account with this account_id")
	}
	return nil
}

// Video returns the DNA of an analysed video. One that is not there is NotFound,
// one without a DNA a Conflict.
func (s Store) Video(ctx context.Context, id string) (creative.DNA, error) {
	var (
		status string
		dna    *creative.DNA
	)
	err := s.tx.QueryRow(ctx, `
		SELECT status, creative_dna FROM gv.videos WHERE tenant_id = gv.tenant() AND video_id::text = lower($1)`, id).Scan(&status, &dna)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, fault.NotFoundf("you have no video with this video_id: upload it first, or send its creative_dna along")
	case err != nil:
		return nil, fmt.Errorf("read video %s: %w", id, err)
	case dna != nil: // whether or not it is being analysed again
		return *dna, nil
	case status == "failed":
		return nil, fault.Conflictf("the analysis of this video failed (GET /api/videos/{id} says why): have it analysed again, or send its creative_dna along")
	}
	return nil, &fault.Error{
		Kind: fault.Conflict, RetryAfter: videoRetry,
		Message: "this video is not analysed yet (GET /api/videos/{id} says how far it is): ask again in a little while, or send its creative_dna along",
	}
}

// Ad is a stored ad that is to be replaced.
type Ad struct {
	AdID, AccountID, Name string
	DNA                   creative.DNA
}

// Ad returns a stored ad.
func (s Store) Ad(ctx context.Context, id string) (Ad, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT ad_id, account_id, name, creative_dna AS dna FROM gv.ads WHERE tenant_id = gv.tenant() AND ad_id = $1`, id)
	ad, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Ad])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Ad{}, fault.NotFoundf("there is no ad with this ad_id any more")
	case err != nil:
		return Ad{}, fmt.Errorf("read ad %s: %w", id, err)
	}
	return ad, nil
}
