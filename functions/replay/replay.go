// Package replay lists the messages that could not be handled and sends them
// again. It serves /api/dead-letters. A letter is sent again under its first
// key, and only once until it fails again, so repeating a request is safe.
package replay

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/deadletter"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.HTTP("replay", build) }

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
	serve.Get(api, "/api/dead-letters", auth.Admin, f.list,
		serve.Summary("Lists the messages that could not be handled, newest first."))
	serve.Post(api, "/api/dead-letters/replay", auth.Admin, f.replayAll,
		serve.Summary("Counts the open messages of a topic, reason or time, and sends them again, each once."))
	serve.Post(api, "/api/dead-letters/{id}/replay", auth.Admin, f.replay,
		serve.Summary("Sends a message that could not be handled again."))
	return api
}

type listInput struct {
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"200"`
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Topic  string `query:"topic" maxLength:"255" doc:"Only letters of this topic."`
	Open   bool   `query:"open" doc:"Only letters that wait for a replay."`
}

type listOutput struct {
	Body struct {
		DeadLetters []Letter `json:"dead_letters"`
		NextCursor  string   `json:"next_cursor,omitempty" doc:"Absent on the last page."`
	}
}

// Letter is a dead letter as it is shown.
type Letter struct {
	ID         string            `json:"id"`
	Topic      string            `json:"topic"`
	MessageID  string            `json:"message_id" doc:"The key under which it was and will be sent."`
	Reason     string            `json:"reason"`
	Attempts   int               `json:"attempts"`
	ReceivedAt time.Time         `json:"received_at"`
	ReplayedAt *time.Time        `json:"replayed_at,omitempty"`
	ReplayedBy string            `json:"replayed_by,omitempty"`
	IDs        map[string]string `json:"ids" doc:"What the message was about: the ids in it, and nothing else of it."`
}

func shown(l deadletter.Letter) Letter {
	out := Letter{
		ID: l.ID, Topic: l.Topic, MessageID: l.MessageID, Reason: l.Reason, Attempts: l.Attempts,
		ReceivedAt: l.ReceivedAt.UTC(), IDs: idsIn(l.Data),
	}
	if l.ReplayedAt != nil {
		at := l.ReplayedAt.UTC()
		out.ReplayedAt = &at
	}
	if l.ReplayedBy != nil {
		out.ReplayedBy = *l.ReplayedBy
	}
	return out
}

func (f *function) list(ctx context.Context, in *listInput) (*listOutput, error) {
	filter := deadletter.Filter{Open: in.Open, Topic: in.Topic, Limit: in.Limit + 1} // one more tells whether there is a next page
	if in.Cursor != "" {
		var ok bool
		if filter.AfterTime, filter.AfterID, ok = position(in.Cursor); !ok {
			return nil, fault.Field("query.cursor", "must be a next_cursor from an earlier answer")
		}
	}
	var letters []deadletter.Letter
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		letters, err = deadletter.NewStore(tx).List(ctx, filter)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &listOutput{}
	if len(letters) > in.Limit {
		letters = letters[:in.Limit]
		out.Body.NextCursor = cursor(letters[in.Limit-1])
	}
	out.Body.DeadLetters = make([]Letter, len(letters))
	for i, l := range letters {
		out.Body.DeadLetters[i] = shown(l)
	}
	return out, nil
}

// cursor names a letter's place in the list.
func cursor(l deadletter.Letter) string {
	return base64.RawURLEncoding.EncodeToString([]byte(l.ReceivedAt.UTC().Format(time.RFC3339Nano) + " " + l.ID))
}

func position(cursor string) (at time.Time, id string, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return at, "", false
	}
	when, id, _ := strings.Cut(string(text), " ")
	if at, err = time.Parse(time.RFC3339Nano, when); err != nil || at.Year() > 9999 {
		return at, "", false
	}
	return at, id, uuid.Validate(id) == nil
}

type replayInput struct {
	ID string `path:"id" format:"uuid"`
}

type replayOutput struct {
	Body struct {
		Status string `json:"status" enum:"replayed"`
		Letter
	}
}

// replay puts the message into the outbox in the transaction that marks its
// letter. Its key stays: a failed message has left nothing in the inbox, so its
// consumer will do the work, and one that took effect after all will not again.
func (f *function) replay(ctx context.Context, in *replayInput) (*replayOutput, error) {
	id := auth.From(ctx)
	out, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (*replayOutput, error) {
		l, err := deadletter.NewStore(tx).Replay(ctx, in.ID, id.Who())
		if err != nil {
			return nil, err
		}
		if err := outbox.Put(ctx, tx, l.Message()); err != nil {
			return nil, err
		}
		out := &replayOutput{}
		out.Body.Status, out.Body.Letter = "replayed", shown(l)
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	outbox.Flush(ctx, f.db, id.Tenant, f.queue)
	return out, nil
}
