// Package learn runs an account's self-learning cycle on request, and shows cycles
// and their trends. It serves /api/ml/self-learning-cycle. A second trigger answers
// with the cycle that is running, so repeating a request is safe; what is not done
// within a request's time functions/cycle goes on with.
package learn

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/learning"
	"github.com/geminivideo/geminivideo/shared/live"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/selflearning"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.HTTP("learn", build) }

type config struct {
	Postgres pg.Config
	Access   serve.AccessConfig
	Gemini   gemini.Config
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
	client, err := gemini.Open(ctx, cfg.Gemini, db)
	if err != nil {
		return nil, err
	}
	return New(db, serve.NewAccess(cfg.Access, db), gemini.Models(client), publish.New(cfg.Publish),
		Options{Live: live.Open(ctx, cfg.Live)}), nil
}

// Options tune the function; the zero Options are right.
type Options struct {
	// Patience is how long a request waits for its cycle, 50 s unless set.
	Patience time.Duration
	// Now is the clock, time.Now unless set.
	Now func() time.Time
	// Live is the live view that cycles are shown in, nil for none.
	Live *live.View
}

type function struct {
	db     *pg.DB
	runner *learning.Runner
	queue  outbox.Publisher
	opts   Options
}

// New returns the function's handler.
func New(db *pg.DB, access serve.Access, models embed.Models, queue outbox.Publisher, o Options) http.Handler {
	if o.Patience == 0 {
		o.Patience = 50 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	f := &function{db: db, runner: selflearning.NewRunner(db, models), queue: queue, opts: o}
	f.runner.Watch = selflearning.Show(o.Live)
	api := serve.NewAPI(access)
	api.Check("postgres", db.Ping)
	serve.Post(api, "/api/ml/self-learning-cycle", auth.Editor, f.start,
		serve.Summary("Runs an account's self-learning cycle of seven steps, or answers with the one that is running."))
	serve.Get(api, "/api/ml/self-learning-cycle", auth.Viewer, f.history,
		serve.Summary("Lists an account's cycles, newest first, with what changed over them."))
	serve.Get(api, "/api/ml/self-learning-cycle/{cycle_id}", auth.Viewer, f.get, serve.Summary("Shows a cycle."))
	return api
}

type startInput struct {
	Body struct {
		AccountID string   `json:"account_id" minLength:"1" maxLength:"200" doc:"One of your ad accounts."`
		Retrain   *bool    `json:"trigger_retrain,omitempty" default:"true" doc:"Whether step 3 may train a model."`
		Threshold *float64 `json:"accuracy_threshold,omitempty" minimum:"0" maximum:"1" default:"0.8" doc:"Below this accuracy step 3 trains."`
	}
}

// Resolve refuses what no account is called.
func (in *startInput) Resolve(huma.Context) []error {
	for _, r := range in.Body.AccountID {
		if r == 0 {
			return []error{&huma.ErrorDetail{Location: "body.account_id", Message: "must not hold the character U+0000"}}
		}
	}
	return nil
}

type cycleOutput struct {
	Status int
	Body   serve.Encoded[Cycle]
}

// receipt is what an idempotency key is kept with.
type receipt struct{ Cycle string }

func (f *function) start(ctx context.Context, in *startInput) (*cycleOutput, error) {
	who := auth.From(ctx)
	o := learning.Options{Retrain: true, Threshold: 0.80, By: who.Who(), Now: f.opts.Now()}
	if in.Body.Retrain != nil {
		o.Retrain = *in.Body.Retrain
	}
	if in.Body.Threshold != nil {
		o.Threshold = *in.Body.Threshold
	}
	var known receipt
	var repeat bool
	err := pg.InTenant(ctx, f.db, who.Tenant, func(tx pgx.Tx) (err error) {
		known, repeat, err = idempotency.Stored[receipt](ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	if repeat {
		return f.shown(ctx, known.Cycle)
	}
	c, began, err := f.runner.Start(ctx, who.Tenant, in.Body.AccountID, o)
	if err != nil {
		return nil, err
	}
	serve.Note(ctx, "account", in.Body.AccountID, "cycle", c.ID, "began", began)
	if known, err = idempotency.Run(ctx, f.db, who.Tenant, func(pgx.Tx) (receipt, error) { return receipt{c.ID}, nil }); err != nil {
		return nil, err
	}
	defer f.opts.Live.Flush(ctx)
	bounded, cancel := context.WithTimeout(ctx, f.opts.Patience)
	defer cancel()
	if c, err = f.runner.Run(bounded, who.Tenant, known.Cycle); err != nil {
		if bounded.Err() == nil || ctx.Err() != nil {
			return nil, err
		}
		return f.shown(ctx, known.Cycle)
	}
	outbox.Flush(ctx, f.db, who.Tenant, f.queue)
	return answered(&c)
}

func answered(c *learning.Cycle) (*cycleOutput, error) {
	body, err := shown(c)
	out := &cycleOutput{Status: http.StatusOK, Body: body}
	if c.Status == learning.Running {
		out.Status = http.StatusAccepted
	}
	return out, err
}

type getInput struct {
	ID string `path:"cycle_id" maxLength:"64"`
}

func (f *function) get(ctx context.Context, in *getInput) (*cycleOutput, error) {
	out, err := f.shown(ctx, in.ID)
	if err == nil {
		out.Status = http.StatusOK
	}
	return out, err
}

func (f *function) shown(ctx context.Context, id string) (*cycleOutput, error) {
	var c learning.Cycle
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		c, err = learning.NewStore(tx).Get(ctx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return answered(&c)
}

type historyInput struct {
	AccountID string `query:"account_id" required:"true" minLength:"1" maxLength:"200"`
	Limit     int    `query:"limit" minimum:"1" maximum:"200" default:"30"`
}

type historyOutput struct{ Body History }

func (f *function) history(ctx context.Context, in *historyInput) (*historyOutput, error) {
	var cycles []learning.Cycle
	var patterns []learning.Known
	var moved Money
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		var known bool
		if err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM gv.accounts WHERE tenant_id = gv.tenant() AND account_id = $1)`, in.AccountID).Scan(&known); err != nil {
			return err
		}
		if !known {
			return fault.NotFoundf("there is no account with this account_id")
		}
		store := learning.NewStore(tx)
		if cycles, err = store.History(ctx, in.AccountID, in.Limit); err != nil {
			return err
		}
		if patterns, err = store.Patterns(ctx, in.AccountID, false); err != nil {
			return err
		}
		moved, err = changed(ctx, tx, in.AccountID)
		return err
	})
	if err != nil {
		return nil, err
	}
	h, err := historyOf(in.AccountID, cycles, patterns, moved)
	return &historyOutput{h}, err
}
