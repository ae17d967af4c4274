package campaigns

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/accounts"
	"github.com/geminivideo/geminivideo/shared/adreport"
	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/live"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const importPath = "/api/ads/import"

// maxErrors is how many rejected rows an answer lists.
const maxErrors = 1_000

// importAnswer says what became of every row: Rows is Imported, Updated and
// Rejected together. A row is imported where its ad, days and breakdown had no
// figures from a report before, and updated where they had; Unchanged counts the
// updated ones whose figures were the same, repeated rows among them.
type importAnswer struct {
	AccountID string `json:"account_id"`
	Currency  string `json:"currency"`
	DryRun    bool   `json:"dry_run"`

	Rows      int64 `json:"rows"`
	Imported  int64 `json:"imported"`
	Updated   int64 `json:"updated"`
	Unchanged int64 `json:"unchanged"`
	Rejected  int64 `json:"rejected"`

	Errors          []rowError `json:"errors"`
	ErrorsTruncated bool       `json:"errors_truncated"`

	NewAds       int64 `json:"new_ads"`
	NewCampaigns int64 `json:"new_campaigns"`
	NewWinners   int64 `json:"new_winners"`

	// ConversionsWithoutValue are worth ConversionValue each, and nothing where
	// that is not there.
	ConversionsWithoutValue int64    `json:"conversions_without_value"`
	ConversionValue         *float64 `json:"conversion_value,omitempty"`

	Columns          map[string]string `json:"columns"` // our name -> the header's
	BreakdownColumns []string          `json:"breakdown_columns"`
	IgnoredColumns   []string          `json:"ignored_columns"`
	Notes            []string          `json:"notes"`
}

type rowError struct {
	Line   int    `json:"line"`
	Column string `json:"column,omitempty"`
	Reason string `json:"reason"`
}

// flushFor bounds how long an import's caller waits for the winners' messages;
// the relay sends the rest.
const flushFor = 5 * time.Second

// importReport loads the report as it arrives, in one transaction. A dry run
// does the same and takes it back.
func (f *function) importReport(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	up, err := receive(w, r, f.limits)
	if err != nil {
		return err
	}
	tenant := auth.From(ctx).Tenant
	up.show = f.progress(ctx, tenant, up)
	answer, err := idempotency.Stream(ctx, f.db, tenant, func(tx pgx.Tx) (answer importAnswer, err error) {
		if !up.dryRun {
			return load(ctx, tx, up)
		}
		err = pgx.BeginFunc(ctx, tx, func(trial pgx.Tx) (err error) {
			if answer, err = load(ctx, trial, up); err == nil {
				err = errTakeBack
			}
			return err
		})
		if errors.Is(err, errTakeBack) {
			err = nil
		}
		return answer, err
	}, up.hash)
	up.show(&answer, err, true)
	defer f.view.Flush(ctx)
	if err != nil {
		return err
	}
	if answer.NewWinners > 0 && !answer.DryRun {
		within, cancel := context.WithTimeout(ctx, flushFor)
		defer cancel()
		outbox.Flush(within, f.db, tenant, f.queue)
	}
	serve.Note(ctx, "account", answer.AccountID, "dry_run", answer.DryRun, "rows", answer.Rows, "imported", answer.Imported,
		"updated", answer.Updated, "rejected", answer.Rejected)
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(answer)
}

// shows shows an import in the live view: its answer so far, and how it ended.
type shows func(a *importAnswer, err error, ended bool)

// showEvery is how many rows are read between two updates of the live view.
const showEvery = 5_000

// progress returns what shows an import in the live view. Its document is named by the
// Idempotency-Key, so that whoever sends one can listen before the answer comes.
func (f *function) progress(ctx context.Context, tenant string, up *upload) shows {
	started, id := time.Now().UTC(), uuid.NewString()
	if r, keyed := idempotency.From(ctx); keyed {
		id = r.Key
	}
	return func(a *importAnswer, err error, ended bool) {
		p := live.Progress{Kind: live.Import, ID: id, Status: "running", Ended: ended, Data: map[string]any{
			"account_id": a.AccountID, "dry_run": up.dryRun, "started_at": started, "rows": a.Rows, "rejected": a.Rejected,
		}}
		switch {
		case err != nil:
			p.Status = "failed"
		case ended:
			p.Status, p.Data["imported"], p.Data["updated"], p.Data["new_winners"] = "completed", a.Imported, a.Updated, a.NewWinners
		}
		f.view.Put(tenant, p)
	}
}

var errTakeBack = errors.New("a dry run is taken back")

func load(ctx context.Context, tx pgx.Tx, up *upload) (importAnswer, error) {
	reader, err := adreport.Open(fileReader{up.file})
	if err != nil {
		return importAnswer{}, err
	}
	account, made, err := accountOf(ctx, tx, up.accountID, reader)
	if err != nil {
		return importAnswer{}, err
	}
	if err := reader.Start(adreport.Terms{Account: account.AccountID, Currency: account.Currency, Now: time.Now()}); err != nil {
		return importAnswer{}, err
	}
	answer := importAnswer{
		AccountID: account.AccountID, Currency: string(account.Currency), DryRun: up.dryRun, Errors: []rowError{},
		Columns: reader.Columns(), BreakdownColumns: reader.Breakdowns(), IgnoredColumns: append([]string{}, reader.Ignored()...),
		Notes: []string{},
	}
	report := ads.Report{Account: account, View: reader.View()}
	if report.ConversionValue, err = up.worth(account.Currency); err != nil {
		return importAnswer{}, err
	}
	if made {
		answer.note("your organisation had no ad account: %s was made, in %s", account.AccountID, account.Currency)
	}
	if err := answer.read(ctx, tx, reader, report, up.show); err != nil {
		return importAnswer{}, err
	}
	return answer, up.finish()
}

// read loads every row and counts what became of it.
func (a *importAnswer) read(ctx context.Context, tx pgx.Tx, reader *adreport.Reader, report ads.Report, show shows) error {
	into, err := ads.NewLoad(ctx, tx, report)
	if err != nil {
		return err
	}
	undated := 0
	for {
		if a.Rows%showEvery == 0 {
			show(a, nil, false)
		}
		a.Rows++
		row, err := reader.Next()
		var rejected *adreport.Rejected
		switch {
		case errors.Is(err, io.EOF):
			done, err := into.Finish(ctx, reader.Conflicts(), maxErrors)
			if err != nil {
				return err
			}
			a.count(done, reader.Repeats())
			a.remark(reader, report, done, undated)
			return nil
		case errors.As(err, &rejected):
			a.Rejected++
			if len(a.Errors) < maxErrors {
				a.Errors = append(a.Errors, rowError{rejected.Line, rejected.Column, rejected.Reason})
			}
			continue
		case err != nil:
			return err
		}
		if row.First.IsZero() {
			undated++
		}
		if err := into.Add(ctx, row); err != nil {
			return err
		}
	}
}

func (a *importAnswer) count(done ads.Loaded, repeats int) {
	a.Imported, a.Updated, a.Unchanged = done.Imported, done.Updated+int64(repeats), done.Unchanged+int64(repeats)
	a.Rejected += done.Refused
	a.Rows = a.Imported + a.Updated + a.Rejected
	a.NewAds, a.NewCampaigns, a.NewWinners = done.NewAds, done.NewCampaigns, done.NewWinners
	for _, r := range done.Refusals {
		a.Errors = append(a.Errors, rowError{r.Line, a.Columns[r.Field], r.Reason})
	}
	slices.SortStableFunc(a.Errors, func(x, y rowError) int { return cmp.Compare(x.Line, y.Line) })
	a.Errors = a.Errors[:min(len(a.Errors), maxErrors)]
	a.ErrorsTruncated = a.Rejected > int64(len(a.Errors))
}

// remark says what a reader of the counts would not guess.
func (a *importAnswer) remark(reader *adreport.Reader, report ads.Report, done ads.Loaded, undated int) {
	for _, line := range reader.Skipped() {
		a.note("line %d is a summary row and was passed over", line)
	}
	a.Notes = append(a.Notes, reader.Notes()...)
	if len(a.BreakdownColumns) > 0 {
		a.note("rows of one ad and time that differ in %s are parts of a whole and add up", strings.Join(a.BreakdownColumns, ", "))
	}
	switch {
	case a.Rows == 0:
		a.note("the file has a header and no rows")
	case undated > 0:
		a.note("%d rows have no day of their own: their figures were taken as the ads' totals to date", undated)
	}
	if done.KeptDays > 0 {
		a.note("%d days stay as Meta has them, for example ad %s on %s: the report's figures of them were not taken", done.KeptDays,
			done.KeptAd, done.KeptDay)
	}
	if n := len(done.Overlapping); n > 0 {
		o := done.Overlapping[0]
		a.note("%d periods do not count because shorter ones or days overlap them, for example ad %s from %s to %s: export the report by day to have all days",
			n, o.AdID, o.First.Format(time.DateOnly), o.Last.Format(time.DateOnly))
	}
	if done.StaleBudgets > 0 {
		a.note("the budgets of %d ads were not taken: the report ends before today", done.StaleBudgets)
	}
	a.value(report, done)
}

// value says what the conversions without a value are worth.
func (a *importAnswer) value(report ads.Report, done ads.Loaded) {
	a.ConversionsWithoutValue = done.Unvalued
	worth := cmp.Or(report.ConversionValue, report.Account.ConversionValue)
	if worth != nil {
		units := worth.Units(report.Account.Currency)
		a.ConversionValue = &units
	}
	switch {
	case done.Unvalued == 0:
	case worth == nil:
		a.note("%d conversions of %d ads have no value: they are counted and worth 0. Send conversion_value, or set it for the account",
			done.Unvalued, done.UnvaluedAds)
	default:
		a.note("%d conversions of %d ads have no value: each is taken to be worth %s. That is an estimate, no revenue, and makes no winner",
			done.Unvalued, done.UnvaluedAds, worth.Format(report.Account.Currency))
	}
}

func (a *importAnswer) note(format string, args ...any) {
	a.Notes = append(a.Notes, fmt.Sprintf(format, args...))
}

// accountOf returns the account that the report is for: the given one, else the
// tenant's only one, else the one that the file names. A tenant without any gets
// its first one here.
func accountOf(ctx context.Context, tx pgx.Tx, given string, reader *adreport.Reader) (account ads.Account, made bool, err error) {
	const most = 1_000
	store := ads.NewStore(tx)
	all, err := store.Accounts(ctx, most)
	if err != nil {
		return account, false, err
	}
	if len(all) == 0 {
		home, err := store.LockTenant(ctx)
		if err != nil {
			return account, false, err
		}
		if all, err = store.Accounts(ctx, most); err != nil { // somebody may have been faster
			return account, false, err
		}
		if home == "" {
			return account, false, fault.NotFoundf("your tenant does not exist here")
		}
		if len(all) == 0 {
			account = ads.Account{AccountID: cmp.Or(given, reader.Account(), "default"), Currency: cmp.Or(reader.Currency(), home)}
			return account, true, accounts.NewStore(tx).Save(ctx, accounts.New(account.AccountID, account.Currency))
		}
	}
	named := cmp.Or(given, reader.Account())
	known := slices.IndexFunc(all, func(a ads.Account) bool { return bare(a.AccountID) == bare(named) })
	switch {
	case given == "" && len(all) == 1:
		return all[0], false, nil
	case known >= 0:
		return all[known], false, nil
	case given != "":
		return account, false, fault.NotFoundf("there is no ad account with this account_id; yours: %s", list(all))
	}
	return account, false, fault.Field("query.account_id", "is needed, for you have several ad all: "+list(all))
}

// bare drops Meta's prefix: act_123 and 123 are one account.
func bare(account string) string { return strings.TrimPrefix(account, "act_") }

func list(accounts []ads.Account) string {
	ids := each(accounts, func(a ads.Account) string { return a.AccountID })
	if len(ids) > 20 {
		ids = append(ids[:20], "...")
	}
	return strings.Join(ids, ", ")
}

// describeImport tells the OpenAPI document what a raw handler takes.
func describeImport(op *huma.Operation) {
	text := &huma.Schema{Type: huma.TypeString}
	op.Parameters = append(op.Parameters,
		&huma.Param{
			Name: "dry_run", In: "query", Description: "Does all and takes it back: the answer says what would happen.",
			Schema: &huma.Schema{Type: huma.TypeBoolean},
		},
		&huma.Param{
			Name: "conversion_value", In: "query",
			Description: "What a conversion without a value is worth in this report, in units of the account's currency; otherwise the account's own conversion_value counts.", Schema: &huma.Schema{Type: huma.TypeNumber, Minimum: new(float64)},
		},
		&huma.Param{Name: "account_id", In: "query", Description: "Needed where the tenant has several ad accounts.", Schema: text})
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"multipart/form-data": {Schema: &huma.Schema{
		Type: huma.TypeObject, Required: []string{"file"},
		Properties: map[string]*huma.Schema{
			"account_id": text, "conversion_value": {Type: huma.TypeNumber, Minimum: new(float64)}, "dry_run": {Type: huma.TypeBoolean},
			"file": {
				Type: huma.TypeString, Format: "binary",
				Description: "CSV, behind the other parts: an Ads Manager export, or columns ad_id, impressions, clicks, spend and more.",
			},
		},
	}}}}
}
