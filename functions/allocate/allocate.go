// Package allocate splits a budget across ads by Thompson sampling, keeps every
// decision so that it can be computed again, queues what one recommended, takes
// feedback on how ads did, and replays an account's past days. It serves POST
// /api/ml/battle-hardened/ and /api/decisions; repeating a request is safe: a split
// is a suggestion and changes no budget, a decision is queued once, feedback tells
// totals, a backtest only reads.
package allocate

import (
	"context"
	"net/http"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.HTTP("allocate", build) }

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

// maxBody holds 10,000 ads with every field, indented.
const (
	selectPath = "/api/ml/battle-hardened/select"
	maxBody    = 8 << 20
)

type function struct {
	db    *pg.DB
	queue outbox.Publisher
}

// New returns the function's handler.
func New(db *pg.DB, access serve.Access, queue outbox.Publisher) http.Handler {
	f := &function{db: db, queue: queue}
	api := serve.NewAPI(access)
	api.Check("postgres", db.Ping)
	serve.Post(api, selectPath, auth.Editor, f.selectBudgets, serve.MaxBody(maxBody),
		serve.Summary("Splits a day's budget across ads."))
	serve.Post(api, "/api/ml/battle-hardened/feedback", auth.Editor, f.feedback,
		serve.Summary("Takes an ad's totals to date."))
	serve.Post(api, "/api/ml/battle-hardened/backtest", auth.Viewer, f.backtest,
		serve.Summary("Says what each policy would have done with an account's own last days."))
	serve.Post(api, "/api/ml/battle-hardened/apply", auth.Editor, f.apply, serve.MaxBody(maxApply),
		serve.Summary("Queues what a decision recommended, and says why not where it does not."))
	serve.Get(api, "/api/decisions", auth.Viewer, f.list, serve.Summary("Lists the allocations made, newest first."))
	serve.Get(api, "/api/decisions/{id}", auth.Viewer, f.show, serve.Summary("Shows one allocation: answer, inputs and posterior."))
	serve.Post(api, "/api/decisions/{id}/replay", auth.Admin, f.replay,
		serve.Summary("Computes an allocation again from what it was given and answers the same bytes."))
	return api
}
