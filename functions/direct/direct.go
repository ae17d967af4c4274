// Package direct writes plans: it serves /api/titan/director/. A creative is
// predicted first; where the gate rejects it the plan is a fix plan, otherwise a
// battle plan, and either is kept before it is answered. It also takes requests
// for the replacement of a tired ad, which functions/refresh writes. With an
// Idempotency-Key, repeating a request writes nothing again.
package direct

import (
	"context"
	"net/http"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/director"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/grounding"
	"github.com/geminivideo/geminivideo/shared/live"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.HTTP("direct", build) }

type config struct {
	Postgres pg.Config
	Access   serve.AccessConfig
	Publish  publish.Config
	Gemini   gemini.Config
	Director director.Config
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
	model, err := gemini.Open(ctx, cfg.Gemini, db)
	if err != nil {
		return nil, err
	}
	return New(db, serve.NewAccess(cfg.Access, db), publish.New(cfg.Publish), model, cfg.Director, live.Open(ctx, cfg.Live)), nil
}

type function struct {
	db       *pg.DB
	queue    outbox.Publisher
	director director.Director
	view     *live.View
}

// New returns the function's handler. Without a model (nil) the template writes
// the plans and the local embedder finds the winners. view shows the plans that are being
// written, nil for none.
func New(db *pg.DB, access serve.Access, queue outbox.Publisher, model *gemini.Client, cfg director.Config, view *live.View) http.Handler {
	f := &function{db: db, queue: queue, view: view, director: director.New(grounding.Sources(db, gemini.Models(model)), model, cfg)}
	api := serve.NewAPI(access)
	api.Check("postgres", db.Ping)
	serve.Post(api, "/api/titan/director/battle-plan", auth.Editor, f.write,
		serve.Summary("Writes the plan for a creative: a battle plan, or a fix plan where the gate rejects it."))
	serve.Get(api, "/api/titan/director/plans", auth.Viewer, f.list, serve.Summary("Lists plans, newest first."))
	serve.Get(api, "/api/titan/director/plans/{id}", auth.Viewer, f.show, serve.Summary("Shows a plan."))
	serve.Post(api, "/api/titan/director/refresh-creative", auth.Editor, f.refresh, serve.Status(http.StatusAccepted),
		serve.Summary("Asks for the replacement of a tired ad's creative."))
	serve.Get(api, "/api/titan/director/refreshes", auth.Viewer, f.refreshes, serve.Summary("Lists requested replacements, newest first."))
	serve.Get(api, "/api/titan/director/refreshes/{id}", auth.Viewer, f.refreshed, serve.Summary("Shows a requested replacement."))
	return api
}
