// Package changes lists queued changes and the history of changes, queues a member's
// own changes, and takes approvals, rejections and undos. It serves
// /api/ads/changes and GET /api/ads/history. Only functions/execute writes to the
// platform; repeating any request is safe.
package changes

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

func init() { serve.HTTP("changes", build) }

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
	serve.Get(api, "/api/ads/changes", auth.Viewer, f.list,
		serve.Summary("Lists changes to budgets and ads, newest first, with the reason of each that was not carried out."))
	serve.Post(api, "/api/ads/changes", auth.Editor, f.queueOne,
		serve.Summary("Queues a change of an ad's budget or status."))
	serve.Post(api, "/api/ads/changes/{id}/approve", auth.Admin, f.approve,
		serve.Summary("Approves the plan whose digest the list shows, and no other."))
	serve.Post(api, "/api/ads/changes/{id}/reject", auth.Editor, f.reject,
		serve.Summary("Rejects a change that waits."))
	serve.Post(api, "/api/ads/changes/{id}/undo", auth.Admin, f.undo,
		serve.Summary("Undoes the latest change of a budget or status."))
	serve.Get(api, "/api/ads/history", auth.Viewer, f.history,
		serve.Summary("Lists the history of budgets and ads: what was written, tried or held, newest first."))
	return api
}
