package ads

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/winners/figures"
)

// WinnerFound is the topic of ads that have just become winners.
const WinnerFound = "winner-found"

// An ad is a winner while its pipeline ROAS is above WinnerROAS with at least
// WinnerSpend units of money spent; an account's settings may say otherwise
// (winner_roas, winner_spend). A value that is only assumed does not count.
const (
	WinnerROAS  = 3.0
	WinnerSpend = 50
)

// Winner is the body of a winner-found message: which ad. The handler reads all
// else, so that an old message cannot bring back old figures.
type Winner struct {
	AdID string `json:"ad_id"`
}

// Totals are an ad's figures after Recompute.
type Totals struct {
	AdID      string
	Currency  money.Currency
	Pipeline  money.Amount
	Revenue   money.Amount
	Spend     money.Amount
	IsWinner  bool
	WasWinner bool
}

// NewWinner reports whether the ad has just become a winner: a message of it
// waits in the outbox.
func (t Totals) NewWinner() bool { return t.IsWinner && !t.WasWinner }

// ROAS returns pipeline value over spend, spend counted as at least 1 unit.
func (t Totals) ROAS() float64 {
	return t.Pipeline.Units(t.Currency) / max(t.Spend.Units(t.Currency), 1)
}

// Recompute sums the figures of ads anew, in the transaction that changed what
// they are made of. Nothing is incremented, so any order and any number of calls
// end the same. Delivery comes from the source that has more impressions: days
// and imported periods, totals to date, or feedback. Value comes from the deal
// ledger where it has ever credited a deal to the ad, else from feedback, else
// from reports; a conversion without a value counts at the assumed one, which is
// never revenue and makes no winner. An ad that has just become a winner gets a
// winner-found message; one in the winner memory gets its figures there
// corrected, and leaves the search while it is no winner.
//
// It locks the ads' rows in ad_id order first, so that two deals of one ad cannot
// lose each other. Unknown ids are passed over.
func Recompute(ctx context.Context, tx pgx.Tx, adIDs []string) ([]Totals, error) {
	if len(adIDs) == 0 {
		return nil, nil
	}
	if err := lock(ctx, tx, adIDs); err != nil {
		return nil, err
	}
	all, err := sum(ctx, tx, `SELECT * FROM gv.recompute_ads($1, $2, $3)`, adIDs)
	if err != nil {
		return nil, err
	}
	return follow(ctx, tx, all)
}

// RecomputeCredited does what Recompute does where nothing but deals has changed since the
// ads were last summed, in a third of the time.
func RecomputeCredited(ctx context.Context, tx pgx.Tx, adIDs []string) ([]Totals, error) {
	if len(adIDs) == 0 {
		return nil, nil
	}
	if err := lock(ctx, tx, adIDs); err != nil {
		return nil, err
	}
	all, err := sum(ctx, tx, `SELECT * FROM gv.recompute_credited_ads($1, $2, $3)`, adIDs)
	if err != nil {
		return nil, err
	}
	var rest []string
	for _, id := range adIDs {
		if !slices.ContainsFunc(all, func(s summed) bool { return s.AdID == id }) {
			rest = append(rest, id)
		}
	}
	if len(rest) > 0 {
		more, err := sum(ctx, tx, `SELECT * FROM gv.recompute_ads($1, $2, $3)`, rest)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return follow(ctx, tx, all)
}

func lock(ctx context.Context, tx pgx.Tx, adIDs []string) error {
	if _, err := tx.Exec(ctx, `
		SELECT ad_id FROM gv.ads WHERE tenant_id = gv.tenant() AND ad_id = ANY ($1) ORDER BY ad_id FOR UPDATE`, adIDs); err != nil {
		return fmt.Errorf("lock ads: %w", err)
	}
	return nil
}

// summed are an ad's totals, and its figures in the winner memory.
type summed struct {
	Totals
	KnownROAS float64 `db:"known_roas"`
	CTR       *float64
}

func sum(ctx context.Context, tx pgx.Tx, sql string, adIDs []string) ([]summed, error) {
	rows, _ := tx.Query(ctx, sql, adIDs, WinnerROAS, WinnerSpend)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[summed])
	if err != nil {
		return nil, fmt.Errorf("recompute the totals of ads: %w", err)
	}
	return all, nil
}

// follow puts a message of each new winner into the outbox and corrects the winner memory.
func follow(ctx context.Context, tx pgx.Tx, results []summed) ([]Totals, error) {
	all := make([]Totals, len(results))
	var (
		found   []message.Message
		winners []figures.Ad
	)
	for i, r := range results {
		t := r.Totals
		all[i] = t
		if t.IsWinner || t.WasWinner {
			winners = append(winners, figures.Ad{AdID: t.AdID, IsWinner: t.IsWinner, ROAS: r.KnownROAS, CTR: r.CTR})
		}
		if !t.NewWinner() {
			continue
		}
		data, err := json.Marshal(Winner{AdID: t.AdID})
		if err != nil {
			return nil, err
		}
		found = append(found, message.Message{Topic: WinnerFound, Data: data})
	}
	if err := figures.Correct(ctx, tx, winners); err != nil {
		return nil, err
	}
	if err := outbox.Put(ctx, tx, found...); err != nil {
		return nil, err
	}
	return all, nil
}
