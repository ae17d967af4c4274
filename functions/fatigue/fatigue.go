// Package fatigue says whether an ad is tiring, from the days that the request
// tells and, for a stored ad, beside its account's medians of the same days, and
// runs the two-hourly sweep of a tenant's ads at once. It serves
// /api/ml/fatigue/; a check only reads, and a repeated sweep finds all done.
package fatigue

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fatigue"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.HTTP("fatigue", build) }

type config struct {
	Postgres pg.Config
	Access   serve.AccessConfig
	Publish  publish.Config
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
	return New(db, serve.NewAccess(cfg.Access, db), publish.New(cfg.Publish)), nil
}

type function struct {
	db    *pg.DB
	queue outbox.Publisher
}

// New returns the function's handler.
func New(db *pg.DB, access serve.Access, queue outbox.Publisher) http.Handler {
	f := &function{db: db, queue: queue}
	api := serve.NewAPI(access)
	api.Check("postgres", db.Ping)
	serve.Post(api, "/api/ml/fatigue/check", auth.Viewer, f.check,
		serve.Summary("Says whether an ad is tiring, and why."))
	serve.Post(api, "/api/ml/fatigue/sweep", auth.Editor, f.sweep,
		serve.Summary("Judges all active ads now, and has tired ones cut and refreshed."))
	return api
}

type checkInput struct {
	Body struct {
		AdID    string  `json:"ad_id" minLength:"1" maxLength:"200" pattern:"^[^\\x00]*\\S[^\\x00]*$" patternDescription:"text that is not blank"`
		History []dayIn `json:"metrics_history" nullable:"false" maxItems:"400" doc:"One entry a day, oldest first."`
	}

	days []fatigue.Day
}

type dayIn struct {
	Date        string  `json:"date,omitempty" format:"date" doc:"In the ad account's time zone. Without dates, the days follow each other and a stored ad is not compared with its account."`
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
	Confounders       []string `json:"confounders" nullable:"false" doc:"What else may be behind it."`
	Account           bool     `json:"compared_with_account" doc:"The ad is stored and its account's medians of the same days are known."`
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
}

func (f *function) check(ctx context.Context, in *checkInput) (*checkOutput, error) {
	var beside fatigue.Context
	if dates := known(in.days); len(dates) > 0 {
		err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
			medians, err := store{tx}.medians(ctx, in.Body.AdID, dates)
			if err != nil {
				return err
			}
			beside.Account = align(in.days, medians)
			beside.BudgetChanged, beside.Learning, err = store{tx}.known(ctx, in.Body.AdID, dates[0])
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	v := fatigue.Judge(in.days, beside)
	serve.Note(ctx, "ad", in.Body.AdID, "status", string(v.Status))
	return &checkOutput{shown(in.Body.AdID, v, len(beside.Account) > 0)}, nil
}

// known returns the dates that were given.
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
		a.Signals[i] = signal{string(s.Rule), s.Holds(), round(s.Probability, 4), round(s.Observed, 4), s.Limit}
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
