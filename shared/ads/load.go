package ads

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/geminivideo/geminivideo/shared/adreport"
	"github.com/geminivideo/geminivideo/shared/fault"
)

// Loaded is what loading a report did. Imported, Updated and Refused count rows.
type Loaded struct {
	Imported  int64 // rows whose ad, or whose ad's day, had no figures
	Updated   int64 // rows whose ad and day had figures
	Unchanged int64 // of the updated ones, those whose figures were the same
	Refused   int64
	// Refusals are the first of the refused rows, by line.
	Refusals []Refusal

	NewAds       int64
	NewCampaigns int64
	NewWinners   int64
}

// Refusal is a row that could be read but not be loaded.
type Refusal struct {
	Line   int
	Field  string // ad_id or campaign_id
	Reason string
}

// Load puts the rows of a report into the database, in the transaction that it
// was begun in: rows are copied in batches into a table of that transaction, and
// a handful of statements does the rest, whatever the number of rows.
//
// Figures of a day go to the day, and figures without a day are totals to date;
// each replaces what an earlier report said of the same. A name, status or
// budget that the report does not say stays what it was.
type Load struct {
	tx      pgx.Tx
	account Account
	batch   []adreport.Row
	bytes   int
}

// A batch is sent when it has that many rows, or creative DNA of that size.
const (
	batchRows  = 2_000
	batchBytes = 2 << 20
)

// NewLoad begins to load a report of account.
func NewLoad(ctx context.Context, tx pgx.Tx, account Account) (*Load, error) {
	if _, err := tx.Exec(ctx, createStage, pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, fmt.Errorf("prepare the load: %w", err)
	}
	return &Load{tx: tx, account: account}, nil
}

// Add loads a row.
func (l *Load) Add(ctx context.Context, row adreport.Row) error {
	l.batch = append(l.batch, row)
	l.bytes += len(row.CreativeDNA)
	if len(l.batch) < batchRows && l.bytes < batchBytes {
		return nil
	}
	return l.send(ctx)
}

func (l *Load) send(ctx context.Context) error {
	source := pgx.CopyFromSlice(len(l.batch), func(i int) ([]any, error) {
		r := &l.batch[i]
		return []any{
			r.Line, r.AdID, orNull(r.Day, r.Day.IsZero()), orNull(r.CampaignID, r.CampaignID == ""), orNull(r.CampaignName, r.CampaignName == ""),
			orNull(r.AdsetID, r.AdsetID == ""), orNull(r.Name, r.Name == ""), orNull(r.Status, r.Status == ""),
			r.DailyBudget, r.AdsetBudget, r.CampaignBudget, orNull(r.CreativeDNA, r.CreativeDNA == nil), r.CreatedAt,
			r.Impressions, r.Clicks, r.Spend, r.Reach, r.Frequency, r.Leads, r.Conversions, r.Pipeline, r.Revenue,
		}, nil
	})
	if _, err := l.tx.CopyFrom(ctx, pgx.Identifier{"import_rows"}, stageColumns, source); err != nil {
		return fmt.Errorf("copy rows: %w", err)
	}
	l.batch, l.bytes = l.batch[:0], 0
	return nil
}

func orNull(v any, null bool) any {
	if null {
		return nil
	}
	return v
}

// Finish makes the loaded rows the tenant's figures. It keeps up to maxRefusals
// of what it refused.
func (l *Load) Finish(ctx context.Context, maxRefusals int) (done Loaded, err error) {
	if err := l.send(ctx); err != nil {
		return done, err
	}
	args := pgx.NamedArgs{"account": l.account.AccountID, "n": maxRefusals}
	if _, err := l.tx.Exec(ctx, lockAccount, args); err != nil {
		return done, fmt.Errorf("lock account %s: %w", l.account.AccountID, err)
	}
	rows, _ := l.tx.Query(ctx, refuse, args)
	refused, err := pgx.CollectRows(rows, pgx.RowToStructByName[struct {
		Line    int
		Field   string
		Reason  string
		Refused int64
	}])
	if err != nil {
		return done, fmt.Errorf("refuse rows: %w", err)
	}
	for _, r := range refused {
		done.Refused = r.Refused
		done.Refusals = append(done.Refusals, Refusal{r.Line, r.Field, r.Reason})
	}
	for _, step := range []struct {
		doing, sql string
		into       []any
	}{
		{"look at the rows", `ANALYZE import_rows`, nil},
		{"gather ads", gatherAds, nil},
		{"look at the ads", `ANALYZE import_ads`, nil},
		{"write campaigns", putCampaigns, []any{&done.NewCampaigns}},
		{"lock ads", lockAds, nil},
		{"write new ads", newAds, []any{&done.NewAds}},
		{"write known ads", knownAds, nil},
		{"write budgets", putBudgets, nil},
		{"write daily figures", putDays, []any{&done.Imported, &done.Updated, &done.Unchanged}},
		{"write totals", putTotals, []any{&done.Imported, &done.Updated, &done.Unchanged}},
	} {
		if err := l.step(ctx, step.sql, args, step.into); err != nil {
			return done, tooMuch(fmt.Errorf("%s: %w", step.doing, err))
		}
	}
	done.NewWinners, err = l.settle(ctx)
	return done, tooMuch(err)
}

// step runs a statement and adds its counts to into.
func (l *Load) step(ctx context.Context, sql string, args pgx.NamedArgs, into []any) error {
	if len(into) == 0 {
		_, err := l.tx.Exec(ctx, sql, args)
		return err
	}
	counts := make([]any, len(into))
	for i := range counts {
		counts[i] = new(int64)
	}
	if err := l.tx.QueryRow(ctx, sql, args).Scan(counts...); err != nil {
		return err
	}
	for i := range counts {
		*into[i].(*int64) += *counts[i].(*int64)
	}
	return nil
}

// settleAtOnce bounds one statement; ads are settled in the order of their ids,
// which is how everybody locks them.
const settleAtOnce = 5_000

func (l *Load) settle(ctx context.Context) (winners int64, err error) {
	rows, _ := l.tx.Query(ctx, `SELECT ad_id FROM import_ads ORDER BY ad_id`)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, fmt.Errorf("list loaded ads: %w", err)
	}
	for chunk := range slices.Chunk(ids, settleAtOnce) {
		settled, err := Settle(ctx, l.tx, chunk)
		if err != nil {
			return 0, err
		}
		for _, s := range settled {
			if s.IsWinner && !s.WasWinner {
				winners++
			}
		}
	}
	return winners, nil
}

// tooMuch gives sums that no integer holds to the caller as the input's fault.
func tooMuch(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "22003" {
		return &fault.Error{Kind: fault.Invalid, Message: "the figures of one ad add up to more than can be counted", Cause: err}
	}
	return err
}
