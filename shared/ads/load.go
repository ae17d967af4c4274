package ads

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/geminivideo/geminivideo/shared/adreport"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
)

// Report says how the rows of a report are to be read.
type Report struct {
	Account Account
	// View is the report's adreport.Reader.View.
	View int64
	// ConversionValue is what a conversion without a value is worth in this
	// report; nil: what the account says.
	ConversionValue *money.Amount
}

// Loaded is what loading a report did. Imported, Updated and Refused count rows.
type Loaded struct {
	Imported  int64 // rows whose key had no figures
	Updated   int64 // rows whose key had figures
	Unchanged int64 // of the updated ones, those whose figures were the same
	Refused   int64
	// Refusals are the first of the refused rows, by line.
	Refusals []Refusal

	// KeptDays are days that Meta has said, so that the report's figures of them
	// were not taken; KeptAd and KeptDay are one of them.
	KeptDays        int64
	KeptAd, KeptDay string
	// Overlapping are periods that do not count because shorter ones overlap them.
	Overlapping []Overlap
	// Unvalued are the conversions without a value of their own, on so many ads.
	Unvalued, UnvaluedAds int64
	// StaleBudgets are ads whose budget was not taken: the report ends before today.
	StaleBudgets int64

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
// A row's key is its ad, its first and last day, and its part of a breakdown; it
// replaces what an earlier report said of the same key. Parts add up. A period
// does not count where a shorter one or an imported day overlaps it. A day that
// Meta has said stays as it is. A name, status or budget that the report does not
// say stays what it was, and one of an earlier day does not replace a later one.
type Load struct {
	tx     pgx.Tx
	report Report
	batch  []adreport.Row
	bytes  int
}

// A batch is sent when it has that many rows, or creative DNA of that size.
const (
	batchRows  = 2_000
	batchBytes = 2 << 20
)

// NewLoad begins to load a report.
func NewLoad(ctx context.Context, tx pgx.Tx, report Report) (*Load, error) {
	if _, err := tx.Exec(ctx, createStage, pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, fmt.Errorf("prepare the load: %w", err)
	}
	return &Load{tx: tx, report: report}, nil
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
	split := l.report.View != 0
	source := pgx.CopyFromSlice(len(l.batch), func(i int) ([]any, error) {
		r := &l.batch[i]
		return []any{
			r.Line, r.AdID, orNull(r.First, r.First.IsZero()), orNull(r.Last, r.Last.IsZero()), orNull(r.Part, !split),
			orNull(r.CampaignID, r.CampaignID == ""), orNull(r.CampaignName, r.CampaignName == ""),
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

// Finish makes the loaded rows the tenant's figures. Ads in conflict are refused.
// It lists up to maxRefusals of the refused rows.
func (l *Load) Finish(ctx context.Context, conflicts []adreport.Conflict, maxRefusals int) (done Loaded, err error) {
	if err := l.send(ctx); err != nil {
		return done, err
	}
	account := l.report.Account.AccountID
	args := pgx.NamedArgs{"account": account, "n": maxRefusals, "view": l.report.View, "worth": l.report.ConversionValue}
	if _, err := l.tx.Exec(ctx, lockAccount, args); err != nil {
		return done, fmt.Errorf("lock account %s: %w", account, err)
	}
	if len(conflicts) > 0 {
		args["ads"], args["reasons"] = columnsOf(conflicts)
		if err := l.refuse(ctx, refuseConflicts, args, &done); err != nil {
			return done, err
		}
	}
	if err := l.refuse(ctx, refuse, args, &done); err != nil {
		return done, err
	}
	slices.SortFunc(done.Refusals, func(a, b Refusal) int { return a.Line - b.Line })
	keys := plainKeys
	if l.report.View != 0 {
		keys = splitKeys
	}
	with := strings.NewReplacer("/*keys*/", keys)
	steps := []step{
		{"look at the rows", `ANALYZE import_rows`, nil},
		{"gather ads", gatherAds, nil},
		{"look at the ads", `ANALYZE import_ads`, nil},
		{"write campaigns", putCampaigns, []any{&done.NewCampaigns}},
		{"lock ads", lockAds, nil},
		{"find clicks of new ads", clickedAds, nil},
		{"write new ads", newAds, []any{&done.NewAds}},
		{"write known ads", knownAds, nil},
		{"write budgets", putBudgets, nil},
		{"count stale budgets", staleBudgets, []any{&done.StaleBudgets}},
		{"remove parts", removeParts, nil},
	}
	if l.report.View != 0 {
		steps = append(steps, step{"write parts", putParts, []any{&done.Imported, &done.Updated, &done.Unchanged}},
			step{"sum parts", sumParts, nil})
	}
	steps = append(steps,
		step{"write days", with.Replace(putDays), []any{&done.Imported, &done.Updated, &done.Unchanged, &done.KeptDays}},
		step{"write periods", with.Replace(putPeriods), []any{&done.Imported, &done.Updated, &done.Unchanged}},
		step{"write totals", with.Replace(putTotals), []any{&done.Imported, &done.Updated, &done.Unchanged}},
		step{"count conversions without a value", countUnvalued, []any{&done.Unvalued, &done.UnvaluedAds}})
	for _, s := range steps {
		if err := l.step(ctx, s, args); err != nil {
			return done, tooMuch(fmt.Errorf("%s: %w", s.doing, err))
		}
	}
	if err := l.askForCredit(ctx); err != nil {
		return done, err
	}
	if err := l.explain(ctx, &done); err != nil {
		return done, err
	}
	done.NewWinners, err = l.recompute(ctx)
	return done, tooMuch(err)
}

// askForCredit has what the clicks of new ads may change credited again.
func (l *Load) askForCredit(ctx context.Context) error {
	rows, _ := l.tx.Query(ctx, `SELECT ad_id FROM import_clicked`)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("read which new ads have clicks: %w", err)
	}
	return PutAdded(ctx, l.tx, ids)
}

// explain finds what the notes of the answer name.
func (l *Load) explain(ctx context.Context, done *Loaded) (err error) {
	if done.KeptDays > 0 {
		if err := l.tx.QueryRow(ctx, oneKept).Scan(&done.KeptAd, &done.KeptDay); err != nil {
			return fmt.Errorf("find a day that stays: %w", err)
		}
	}
	done.Overlapping, err = countPeriods(ctx, l.tx)
	return err
}

func columnsOf(conflicts []adreport.Conflict) (ads, reasons []string) {
	for _, c := range conflicts {
		ads, reasons = append(ads, c.AdID), append(reasons, c.Reason)
	}
	return ads, reasons
}

// refuse takes rows out and adds them to done.
func (l *Load) refuse(ctx context.Context, sql string, args pgx.NamedArgs, done *Loaded) error {
	rows, _ := l.tx.Query(ctx, sql, args)
	refused, err := pgx.CollectRows(rows, pgx.RowToStructByName[struct {
		Line    int
		Field   string
		Reason  string
		Refused int64
	}])
	if err != nil {
		return fmt.Errorf("refuse rows: %w", err)
	}
	for i, r := range refused {
		if i == 0 {
			done.Refused += r.Refused
		}
		done.Refusals = append(done.Refusals, Refusal{r.Line, r.Field, r.Reason})
	}
	return nil
}

// step is a statement of a load and where its counts are added.
type step struct {
	doing, sql string
	into       []any
}

func (l *Load) step(ctx context.Context, s step, args pgx.NamedArgs) error {
	if len(s.into) == 0 {
		_, err := l.tx.Exec(ctx, s.sql, args)
		return err
	}
	counts := make([]any, len(s.into))
	for i := range counts {
		counts[i] = new(int64)
	}
	if err := l.tx.QueryRow(ctx, s.sql, args).Scan(counts...); err != nil {
		return err
	}
	for i := range counts {
		*s.into[i].(*int64) += *counts[i].(*int64)
	}
	return nil
}

// atOnce bounds how many ads one statement recomputes; they are taken in the
// order of their ids, which is how everybody locks them.
const atOnce = 5_000

func (l *Load) recompute(ctx context.Context) (winners int64, err error) {
	rows, _ := l.tx.Query(ctx, `SELECT ad_id FROM import_ads ORDER BY ad_id`)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, fmt.Errorf("list loaded ads: %w", err)
	}
	for chunk := range slices.Chunk(ids, atOnce) {
		all, err := Recompute(ctx, l.tx, chunk)
		if err != nil {
			return 0, err
		}
		for _, t := range all {
			if t.NewWinner() {
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
