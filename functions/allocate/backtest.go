package allocate

import (
	"context"
	"fmt"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/backtest"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const (
	defaultDays = 30
	// enoughDays are the fewest that are worth telling of.
	enoughDays = 7
	// mostAds bounds the work: so many ads times 90 days take some seconds.
	mostAds = 250
)

type backtestInput struct {
	Body struct {
		AccountID string `json:"account_id" minLength:"1" maxLength:"256"`
		Days      *whole `json:"days,omitempty" nullable:"true" minimum:"7" maximum:"90" doc:"How many days up to the last finished one with spend are replayed. Left out: 30."`
	}
}

// Resolve checks what the types cannot say.
func (in *backtestInput) Resolve(huma.Context) []error {
	if in.Body.AccountID != "" && !printable(in.Body.AccountID) {
		return []error{&huma.ErrorDetail{Location: "body.account_id", Message: printableRule}}
	}
	return nil
}

type backtestOutput struct{ Body backtestBody }

type backtestBody struct {
	AccountID    string    `json:"account_id"`
	Currency     string    `json:"currency"`
	Days         int       `json:"days" doc:"As asked."`
	From         string    `json:"from,omitempty" format:"date" doc:"First of the days, in the account's time zone. Left out where no day has any spend."`
	To           string    `json:"to,omitempty" format:"date" doc:"Last of the days."`
	DaysReplayed int       `json:"days_replayed" doc:"Days on which at least two ads spent money: on others there was nothing to divide."`
	NumAds       int       `json:"num_ads" doc:"Ads that took part."`
	Spend        float64   `json:"spend" doc:"What was really spent on the replayed days, by these ads."`
	Outcomes     []outcome `json:"outcomes" nullable:"false" doc:"What was really done, first, and then each policy. Empty where there is a reason."`
	Reason       string    `json:"reason,omitempty" doc:"Why nothing could be compared."`
	Notes        []string  `json:"notes" nullable:"false" doc:"What these figures can tell and what not."`
	ModelVersion string    `json:"model_version"`
}

type outcome struct {
	Policy   string   `json:"policy"`
	Value    float64  `json:"estimated_value" doc:"Estimated final value of the money so divided, in units of the currency."`
	Interval interval `json:"interval" doc:"90% of what is believed of estimated_value."`
	Return   float64  `json:"return" doc:"estimated_value per unit of money."`
	Moved    float64  `json:"moved" doc:"Share of the money, 0 to 1, that went to other ads than it really did."`
}

// backtest says what each policy would have done with an account's own last days.
func (f *function) backtest(ctx context.Context, in *backtestInput) (*backtestOutput, error) {
	days := defaultDays
	if in.Body.Days != nil {
		days = int(*in.Body.Days)
	}
	var past pastDays
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		past, err = store{tx}.pastDays(ctx, in.Body.AccountID, days)
		return err
	})
	if err != nil {
		return nil, err
	}
	body := backtestBody{
		AccountID: past.account.AccountID, Currency: string(past.account.Currency), Days: days,
		Outcomes: []outcome{}, Notes: []string{}, ModelVersion: modelVersion,
	}
	if past.to.IsZero() {
		body.Reason = "No finished day of this account has any spend by ad and day. " +
			"Import a report that is broken down by day, or connect Meta and let it sync."
		return &backtestOutput{body}, nil
	}
	body.From, body.To = past.from.Format(dateOnly), past.to.Format(dateOnly)
	req, ago := past.request()
	body.NumAds = len(req.Arms)
	if !valued(&req) {
		body.Reason = "None of these ads has brought any value that is known by day: no deal is credited to them, and their daily figures hold none. " +
			"Without value no split of the budget does better than another."
		body.Notes = append(body.Notes, past.leftOut()...)
		return &backtestOutput{body}, nil
	}
	report := backtest.Run(req, ago)
	body.DaysReplayed, body.Spend = report.Days, report.Spend.Units(req.Currency)
	if report.Days < enoughDays {
		body.Reason = fmt.Sprintf("Of these %d days only %d had at least two ads that spent money and whose value is known by day. "+
			"Fewer than %d prove nothing.", days, report.Days, enoughDays)
		body.Notes = append(body.Notes, past.leftOut()...)
		return &backtestOutput{body}, nil
	}
	for _, o := range report.Outcomes {
		body.Outcomes = append(body.Outcomes, outcomeOf(o, req.Currency))
	}
	body.Notes = append(report.Notes, past.leftOut()...)
	serve.Note(ctx, "account", body.AccountID, "ads", body.NumAds, "days", report.Days)
	return &backtestOutput{body}, nil
}

func outcomeOf(o backtest.Outcome, c money.Currency) outcome {
	return outcome{
		Policy: o.Policy, Value: o.Value.Units(c), Interval: interval{o.Low.Units(c), o.High.Units(c)},
		Return: o.Return, Moved: o.Moved,
	}
}

var errNoAccount = fault.NotFoundf("account_id names no account of yours")
