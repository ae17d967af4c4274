package campaigns

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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

// flushFor bounds how long an import's caller waits for the winners' messages;
// the relay sends the rest.
const flushFor = 5 * time.Second

// importReport takes the report in and then loads it in one transaction. A dry run does
// the same and takes it back. As many load at once as leave a connection for others,
// and tenants take turns.
func (f *function) importReport(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	tenant := auth.From(ctx).Tenant
	up, err := f.receive(w, r)
	if err != nil {
		return err
	}
	defer up.file.Close()
	leave, err := f.loads.Enter(ctx, tenant)
	if err != nil {
		return err
	}
	defer leave()
	if request, keyed := idempotency.From(ctx); keyed {
		request.BodyHash = up.hash
		ctx = idempotency.With(ctx, request)
	}
	up.show = f.progress(ctx, tenant, up)
	answer, err := idempotency.Run(ctx, f.db, tenant, func(tx pgx.Tx) (answer importAnswer, err error) {
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
	})
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
	reader, err := adreport.Open(up.file.Open())
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
	return answer, nil
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
