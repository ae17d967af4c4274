// Package refresh writes the plan of a tired ad's replacement: it handles the
// messages of the topic creative-refresh, reads what the ad is and why it tired,
// and stores a plan that opens differently. A refresh has one plan, whose key is
// unique, so repeating a message, or taking two at once, writes no second.
package refresh

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/deadletter"
	"github.com/geminivideo/geminivideo/shared/director"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/grounding"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/live"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	"github.com/geminivideo/geminivideo/shared/winners"
)

func init() { serve.PubSub("refresh", build) }

type config struct {
	Postgres pg.Config
	Worker   pg.WorkerConfig
	Gemini   gemini.Config
	Director director.Config
	Live     live.Config
}

func build(ctx context.Context) (serve.Consumer, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, cfg.Postgres)
	if err != nil {
		return nil, err
	}
	worker, err := pg.OpenWorker(ctx, cfg.Worker)
	if err != nil {
		return nil, err
	}
	model, err := gemini.Open(ctx, cfg.Gemini, db)
	if err != nil {
		return nil, err
	}
	return New(db, worker, model, cfg.Director, live.Open(ctx, cfg.Live)), nil
}

const consumer = "refresh"

type function struct {
	db       *pg.DB
	worker   *pg.Worker
	director director.Director
	view     *live.View
}

// New returns the function's consumer. worker stores the dead letters.
// Without a model (nil) the template writes the plans. view shows them, nil for none.
func New(db *pg.DB, worker *pg.Worker, model *gemini.Client, cfg director.Config, view *live.View) serve.Consumer {
	return &function{db: db, worker: worker, view: view, director: director.New(grounding.Sources(db, gemini.Models(model)), model, cfg)}
}

// Health reports whether the database answers.
func (f *function) Health(ctx context.Context) error { return f.db.Ping(ctx) }

// Reject stores a message that can never succeed as a dead letter.
func (f *function) Reject(ctx context.Context, m message.Message, reason error) error {
	return deadletter.Reject(ctx, f.worker, director.RefreshTopic, m, reason)
}

// Handle does one message's work. Why it failed is written to the refresh, too,
// where whoever asked for it looks.
func (f *function) Handle(ctx context.Context, m message.Message) error {
	tenant, err := uuid.Parse(m.Tenant())
	if err != nil {
		return fault.Invalidf("the message does not say whose ad it is about")
	}
	var asked director.Refresh
	if err := json.Unmarshal(m.Data, &asked); err != nil || uuid.Validate(asked.RefreshID) != nil {
		return fault.Invalidf("the message does not say which refresh it is about")
	}
	serve.Note(ctx, "tenant", tenant.String(), "refresh", asked.RefreshID, "ad", asked.AdID)
	defer f.view.Flush(ctx)
	err = f.plan(ctx, tenant.String(), asked.RefreshID, m.Key())
	if err != nil {
		f.recordFailure(ctx, tenant.String(), asked.RefreshID, m.Attempt, err)
	}
	return err
}

// subject is what a refresh is about.
type subject struct {
	request director.Request
	ad      director.Ad
	done    bool
}

// plan writes the replacement's plan outside of any transaction and keeps it in
// one, together with what becomes of the refresh.
func (f *function) plan(ctx context.Context, tenant, id, key string) error {
	s, err := f.read(ctx, tenant, id, key)
	if err != nil || s.done {
		return err
	}
	question := director.Question{
		Tenant: tenant, AccountID: s.ad.AccountID, DNA: s.ad.DNA, Text: winners.TextOf(s.ad.DNA, s.ad.Name),
		Tired: &director.Tired{AdID: s.ad.AdID, Reason: s.request.Reason, Hook: director.HookOf(s.ad.DNA)},
	}
	f.show(tenant, id, "writing", false, map[string]any{"ad_id": s.ad.AdID, "account_id": s.ad.AccountID})
	brief, err := f.director.Brief(ctx, f.db, question)
	if err != nil {
		return err
	}
	content, by, err := f.director.Write(ctx, tenant, brief)
	if err != nil {
		return err
	}
	if err := f.director.Foresee(ctx, question, brief, &content); err != nil {
		return err
	}
	about := director.Subject{AccountID: s.ad.AccountID, AdID: s.ad.AdID, RefreshID: id, RequestedBy: s.request.RequestedBy}
	planned := ""
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		if first, err := inbox.First(ctx, tx, consumer, key, ""); err != nil || !first {
			return err
		}
		store := director.NewStore(tx)
		plan, err := store.Add(ctx, about, brief.Kind, by, content)
		if err != nil {
			return err
		}
		serve.Note(ctx, "plan", plan.PlanID, "generated_by", plan.GeneratedBy)
		planned = plan.PlanID
		return store.Planned(ctx, id)
	})
	if err == nil && planned != "" {
		f.show(tenant, id, "planned", true, map[string]any{"ad_id": s.ad.AdID, "account_id": s.ad.AccountID, "plan_id": planned})
	}
	return err
}

// show shows in the live view how far a replacement's plan is.
func (f *function) show(tenant, id, status string, ended bool, data map[string]any) {
	data["refresh_id"] = id
	f.view.Put(tenant, live.Progress{Kind: live.Plan, ID: id, Status: status, Ended: ended, Data: data})
}

// read returns what the refresh is about; done where it has its plan.
func (f *function) read(ctx context.Context, tenant, id, key string) (s subject, err error) {
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		if s.done, err = inbox.Seen(ctx, tx, consumer, key); err != nil || s.done {
			return err
		}
		store := director.NewStore(tx)
		if s.request, err = store.Request(ctx, id); err != nil {
			return err
		}
		if s.done = s.request.Status == "planned"; s.done {
			return nil
		}
		s.ad, err = store.Ad(ctx, s.request.AdID)
		return err
	})
	return s, err
}

// lastAttempt is how often a message is delivered, as functions.yaml has it.
const lastAttempt = 20

// tellFor bounds how long it takes to say that something failed; that must be
// done even if the message's own time is up.
const tellFor = 5 * time.Second

// recordFailure writes to the refresh why it failed: for good where no further attempt
// will be made. It is the reason that counts, so a failure of its own is only
// logged.
func (f *function) recordFailure(ctx context.Context, tenant, id string, attempt int, cause error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellFor)
	defer cancel()
	final := fault.Permanent(cause) || attempt >= lastAttempt
	status := "waiting"
	if final {
		status = "failed"
	}
	f.show(tenant, id, status, final, map[string]any{"reason": director.Why(cause)})
	err := pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		store := director.NewStore(tx)
		if final {
			return store.Failed(ctx, id, director.Why(cause))
		}
		return store.Waits(ctx, id, director.Why(cause))
	})
	if err != nil {
		slog.WarnContext(ctx, "refresh: what failed could not be noted", "tenant", tenant, "refresh", id, "error", err.Error())
	}
}
