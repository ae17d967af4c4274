// Package revenue says what a stage of the pipeline is worth and what a change
// of stage is worth, and lets an editor change the first. It serves
// /api/ml/synthetic-revenue/; repeating a request is safe: three of the five only
// calculate, and a stage set twice to one value is set once.
package revenue

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

func init() { serve.HTTP("revenue", build) }

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
	serve.Post(api, "/api/ml/synthetic-revenue/calculate", auth.Viewer, f.calculate,
		serve.Summary("Says what a deal's change of stage is worth."))
	serve.Post(api, "/api/ml/synthetic-revenue/ad-roas", auth.Viewer, f.adROAS,
		serve.Summary("Says what an ad's stage changes are worth for the money spent."))
	serve.Post(api, "/api/ml/synthetic-revenue/get-stages", auth.Viewer, f.listStages,
		serve.Summary("Lists the stages and what they are worth."))
	serve.Get(api, "/api/ml/synthetic-revenue/stages", auth.Viewer, f.queryStages,
		serve.Summary("Lists the stages and what they are worth."))
	serve.Put(api, "/api/ml/synthetic-revenue/stages/{stage_name}", auth.Editor, f.putStage,
		serve.Summary("Sets what a stage is worth, and revalues its deals and their ads at once."))
	return api
}
