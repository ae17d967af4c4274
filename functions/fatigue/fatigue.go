// Package fatigue says whether an ad is tiring, from the days in the request and what
// is known beside them, in the request or of a stored ad; and it runs the sweep of a
// tenant's ads at once. It serves /api/ml/fatigue/; a check only reads, and a repeated
// sweep finds everything done.
package fatigue

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fatigue"
	"github.com/geminivideo/geminivideo/shared/live"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

func init() { serve.HTTP("fatigue", build) }

type config struct {
	Postgres pg.Config
	Access   serve.AccessConfig
	Publish  publish.Config
	Live     live.Config
}

func build(ctx context.Context) (http.Handler, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, cfg.Postgres)
	if err != nil {
		return nil, err
	}
	return New(db, serve.NewAccess(cfg.Access, db), publish.New(cfg.Publish), live.Open(ctx, cfg.Live)), nil
}

type function struct {
	db    *pg.DB
	queue outbox.Publisher
	view  *live.View
}

// New returns the function's handler, which shows the progress of sweeps in view, nil
// for none.
func New(db *pg.DB, access serve.Access, queue outbox.Publisher, view *live.View) http.Handler {
	f := &function{db: db, queue: queue, view: view}
	api := serve.NewAPI(access)
	api.Check("postgres", db.Ping)
	serve.Post(api, "/api/ml/fatigue/check", auth.Viewer, f.check,
		serve.Summary("Says whether an ad is tiring, and why."))
	serve.Post(api, "/api/ml/fatigue/sweep", auth.Editor, f.sweep,
		serve.Summary("Judges all active ads now, and queues a cut and a new creative for tired ones."))
	return api
}

type checkInput struct {
	Body struct {
		AdID     string         `json:"ad_id" minLength:"1" maxLength:"200" pattern:"^[^\\x00]*\\S[^\\x00]*$" patternDescription:"text that is not blank"`
		History  []dayIn        `json:"metrics_history" nullable:"false" maxItems:"400" doc:"One entry a day, oldest first."`
		Account  []accountDayIn `json:"account_history,omitempty" maxItems:"400" doc:"The account's other ads, by day: what they share with the ad is no fatigue of the ad. Left out, a stored ad is compared with the stored ads of its account."`
		Learning bool           `json:"learning_phase,omitempty" doc:"Meta is still learning how to deliver the ad set: CTR and CPM swing, and are not judged."`
		Budgets  []string       `json:"budget_changed_on,omitempty" maxItems:"400" doc:"Dates on which the ad's budget was changed. Within 3 days of the newest entry CTR and CPM are not judged."`
	}

	days    []fatigue.Day
	account map[time.Time]fatigue.Median
	changed []time.Time
}

type accountDayIn struct {
	Date string  `json:"date" format:"date" doc:"In the ad account's time zone."`
	CPM  float64 `json:"cpm" minimum:"0" maximum:"1000000000" doc:"Their usual price of a thousand impressions, such as the median; 0 where it is not known."`
	CTR  float64 `json:"ctr" minimum:"0" maximum:"1" doc:"Their usual rate, such as the median; 0 where it is not known."`
}

type dayIn struct {
	Date        string  `json:"date,omitempty" format:"date" doc:"In the ad account's time zone. Without dates, the days follow each other, and the ad is not compared with its account."`
	CTR         float64 `json:"ctr" minimum:"0" maximum:"1" doc:"A rate: 0.02 is 2%."`
	Frequency   float64 `json:"frequency" minimum:"0" maximum:"1000000000" doc:"Impressions per person, of the day or to date; 0 where it is not known."`
	CPM         float64 `json:"cpm" minimum:"0" maximum:"1000000000" doc:"Price of a thousand impressions, in units of the account's currency; 0 where it is not known."`
	Impressions int64   `json:"impressions" minimum:"0" maximum:"1000000000000"`
}

// Resolve checks what the tags cannot say: that the dates, where given, ascend.
func (in *checkInput) Resolve(huma.Context) []error {
	var errs []error
	var last time.Time
	in.days = make([]fatigue.Day, len(in.Body.History))
	for i, d := range in.Body.History {
		in.days[i] = fatigue.Day{Impressions: d.Impressions, CTR: d.CTR, CPM: d.CPM, Frequency: d.Frequency}
		if d.Date == "" {
			continue
		}
		date, err := time.Parse(time.DateOnly, d.Date)
		if err != nil {
			continue // the format says it
		}
		in.days[i].Date = date
		rule := ""
		switch {
		case date.Equal(last):
			rule = "must not be the same day as an entry before it"
		case date.Before(last):
			rule = "must be after the entries before it: the history is oldest first"
		}
		if rule != "" {
			errs = append(errs, &huma.ErrorDetail{Location: fmt.Sprintf("body.metrics_history[%d].date", i), Message: rule})
			continue
		}
		last = date
	}
	return append(errs, in.resolveContext(!last.IsZero())...)
}

// resolveContext checks what the request knows beside the days. It can be matched
// with them only where they are dated.
func (in *checkInput) resolveContext(dated bool) (errs []error) {
	refuse := func(rule, format string, args ...any) {
		errs = append(errs, &huma.ErrorDetail{Location: fmt.Sprintf(format, args...), Message: rule})
	}
	if len(in.Body.Account) > 0 && !dated {
		refuse("needs dates in metrics_history, to be matched with it", "body.account_history")
	}
	if len(in.Body.Budgets) > 0 && !dated {
		refuse("needs dates in metrics_history, to be matched with it", "body.budget_changed_on")
	}
	in.account = map[time.Time]fatigue.Median{}
	for i, d := range in.Body.Account {
		date, err := time.Parse(time.DateOnly, d.Date)
		if err != nil {
			continue // the format says it
		}
		if _, twice := in.account[date]; twice {
			refuse("must not be the same day as an entry before it", "body.account_history[%d].date", i)
		}
		in.account[date] = fatigue.Median{CTR: d.CTR, CPM: d.CPM}
	}
	for i, text := range in.Body.Budgets {
		date, err := time.Parse(time.DateOnly, text)
		if err != nil {
			refuse("must be a date such as 2026-11-20", "body.budget_changed_on[%d]", i)
			continue
		}
		in.changed = append(in.changed, date)
	}
	slices.SortFunc(in.changed, time.Time.Compare)
	return errs
}

type checkOutput struct{ Body answer }

type answer struct {
	AdID              string   `json:"ad_id"`
	Status            string   `json:"status" enum:"HEALTHY,FATIGUING,SATURATED,AUDIENCE_EXHAUSTED,INSUFFICIENT_DATA"`
	Confidence        float64  `json:"confidence" doc:"The probability of what the status says, 0 to 1; 0 where the days say nothing."`
	Reason            string   `json:"reason"`
	DaysUntilCritical *float64 `json:"days_until_critical" nullable:"true" doc:"Until the first rule holds, if the trend goes on; 0 where one holds, null where no trend leads there."`
	CriticalRange     *span    `json:"critical_range,omitempty" doc:"Holds the days until critical with a probability of 80%; only where there is a trend."`
	Signals           []signal `json:"signals" nullable:"false" doc:"What each rule found that could be decided."`
	Confounders       []string `json:"confounders" nullable:"false" doc:"What else may be behind a rule that holds."`
	Account           bool     `json:"compared_with_account" doc:"The account's figures of the same days are known, from account_history or, for a stored ad, from its account's ads."`
}

type span struct {
	Soonest float64 `json:"soonest"`
	Longest float64 `json:"longest"`
}

type signal struct {
	Rule        string  `json:"rule" enum:"ctr_down,frequency,cpm_up,delivery_saturated"`
	Holds       bool    `json:"holds"`
	Probability float64 `json:"probability" doc:"That the rule holds, 0 to 1; from about two thirds it does."`
	Observed    float64 `json:"observed" doc:"The change of CTR or CPM as a share (-0.3 is down 30%), the frequency, or by how much spend outgrew impressions in 7 days."`
	Limit       float64 `json:"limit" doc:"What the rule compares it with."`
	ExplainedBy string  `json:"explained_by,omitempty" enum:"account,weekday,promotion,learning,budget" doc:"What else accounts for it; then the rule does not hold."`
}

func (f *function) check(ctx context.Context, in *checkInput) (*checkOutput, error) {
	beside := fatigue.Context{Account: align(in.days, in.account), BudgetChanged: in.changed, Learning: in.Body.Learning}
	if dates := known(in.days); len(dates) > 0 {
		err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
			if len(in.account) == 0 {
				medians, err := store{tx}.medians(ctx, in.Body.AdID, dates)
				if err != nil {
					return err
				}
				beside.Account = align(in.days, medians)
			}
			stored, err := store{tx}.known(ctx, in.Body.AdID, dates[0])
			beside.BudgetChanged = slices.SortedFunc(slices.Values(append(slices.Clone(in.changed), stored.Changed...)), time.Time.Compare)
			beside.Learning = in.Body.Learning || stored.Learning
			beside.Currency = stored.Currency
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	v := fatigue.Judge(in.days, beside)
	telemetry.FatigueVerdicts.Add(ctx, 1, string(v.Status))
	serve.Note(ctx, "ad", in.Body.AdID, "status", string(v.Status))
	return &checkOutput{shown(in.Body.AdID, v, len(beside.Account) > 0)}, nil
}

// known returns the dates in the request.
func known(days []fatigue.Day) []time.Time {
	var dates []time.Time
	for _, d := range days {
		if !d.Date.IsZero() {
			dates = append(dates, d.Date)
		}
	}
	return dates
}

// align puts the medians beside the days; nil where there are none.
func align(days []fatigue.Day, medians map[time.Time]fatigue.Median) []fatigue.Median {
	if len(medians) == 0 {
		return nil
	}
	all := make([]fatigue.Median, len(days))
	for i, d := range days {
		all[i] = medians[d.Date]
	}
	return all
}

func shown(ad string, v fatigue.Verdict, account bool) answer {
	a := answer{
		AdID: ad, Status: string(v.Status), Confidence: round(v.Confidence, 4), Reason: v.Reason,
		Signals: make([]signal, len(v.Signals)), Confounders: append([]string{}, v.Confounders...), Account: account,
	}
	for i, s := range v.Signals {
		a.Signals[i] = signal{string(s.Rule), s.Holds(), round(s.Probability, 4), round(s.Observed, 4), s.Limit, string(s.Explained)}
	}
	if c := v.Critical; c != nil {
		days := round(c.Days, 1)
		a.DaysUntilCritical = &days
		if c.Days > 0 {
			a.CriticalRange = &span{round(c.Soonest, 1), round(c.Longest, 1)}
		}
	}
	return a
}

func round(v float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(v*scale) / scale
}
