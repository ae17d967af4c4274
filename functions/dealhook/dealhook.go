// Package dealhook takes deals from any CRM or tool other than HubSpot: it verifies
// a batch by Standard Webhooks, queues every deal of it and answers. It serves
// POST /webhooks/deals/{source}; a batch that comes again under the same webhook-id
// is queued again, and each deal's key makes it take effect once.
package dealhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/dealsource"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/fair"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	"github.com/geminivideo/geminivideo/shared/standardwebhook"
)

func init() { serve.HTTP("dealhook", build) }

type config struct {
	Postgres pg.Config
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
	return New(db, publish.New(cfg.Publish), secrets.Default(), time.Now), nil
}

const maxBody = 256 << 10

type function struct {
	db    *pg.DB
	queue outbox.Publisher
	vault *secrets.Store
	now   func() time.Time
	// sent counts the requests that each source has signed, and refused the requests of an
	// address that no source has signed: a stranger who knows where a source sends to does
	// not use up the source's requests.
	sent, refused *limits
	finds         fair.Looks[string, *dealsource.Source]
}

// find returns the source that is open under this address, nil where none is. Who asks at
// once shares a look that begins afterwards.
func (f *function) find(ctx context.Context, source string) (*dealsource.Source, error) {
	return f.finds.Share(ctx, source, func(ctx context.Context, source string) (*dealsource.Source, error) {
		found, ok, err := dealsource.Find(ctx, f.db, source)
		if !ok {
			return nil, err
		}
		return &found, err
	})
}

// New returns the function's handler; now is the clock that ages are measured by.
func New(db *pg.DB, queue outbox.Publisher, vault *secrets.Store, now func() time.Time) http.Handler {
	f := &function{db: db, queue: queue, vault: vault, now: now, sent: newLimits(now, perSecond), refused: newLimits(now, refusedPerSecond)}
	api := serve.NewAPI(serve.Access{})
	api.Check("postgres", db.Ping)
	serve.Raw(api, "POST /webhooks/deals/{source}", auth.Public, f.receive,
		serve.Summary("Takes deals from any CRM or tool, signed by Standard Webhooks."), serve.MaxBody(maxBody),
		serve.Answers[answer]("Every deal of the batch is queued."), describe)
	return api
}

type answer struct {
	Deals  int    `json:"deals"`
	Status string `json:"status" enum:"queued"`
}

// describe tells the OpenAPI document what is sent.
func describe(op *huma.Operation) {
	text := &huma.Schema{Type: huma.TypeString}
	op.Parameters = []*huma.Param{
		{
			Name: "source", In: "path", Required: true, Schema: text,
			Description: "The source's id, as POST /api/connections/deals answered.",
		},
		{
			Name: standardwebhook.IDHeader, In: "header", Required: true, Schema: text,
			Description: "The sender's id of the batch; the same id takes effect once.",
		},
		{
			Name: standardwebhook.TimestampHeader, In: "header", Required: true, Schema: text,
			Description: "Seconds since 1970; at most 5 minutes old or ahead.",
		},
		{
			Name: standardwebhook.SignatureHeader, In: "header", Required: true, Schema: text,
			Description: "v1, and HMAC-SHA256 over id.timestamp.body in base64; several with a space between.",
		},
	}
	number, boolean := &huma.Schema{Type: huma.TypeNumber}, &huma.Schema{Type: huma.TypeBoolean}
	when := &huma.Schema{Type: huma.TypeString, Format: "date-time"}
	contact := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{
		"id": text, "fbclid": text, "gclid": text, "click_id": text, "lead_id": text,
	}}
	deal := &huma.Schema{Type: huma.TypeObject, Required: []string{"deal_id", "stage", "occurred_at"}, Properties: map[string]*huma.Schema{
		"deal_id": text, "stage": text, "amount": number, "currency": text, "occurred_at": when, "deleted": boolean, "contact": contact,
	}}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{
		Type: huma.TypeObject, Required: []string{"deals"}, Properties: map[string]*huma.Schema{
			"deals": {Type: huma.TypeArray, Items: deal, Description: "1 to 100."},
		},
	}}}}
}

// refused is the one answer to an unknown source, a bad signature and a message that
// is too old: it tells a stranger nothing about which sources there are.
func refused() error {
	return serve.WithErrorText(&fault.Error{Kind: fault.Unauthorized, Message: "the signature is not valid"}, "Invalid signature")
}

func (f *function) receive(w http.ResponseWriter, r *http.Request) error {
	if !standardwebhook.Admissible(r.Header, f.now()) {
		return refused()
	}
	from := network(serve.Visitor(r))
	if f.refused.spent(from) {
		return fault.Limited("too many requests come from this address that no source has signed", time.Second)
	}
	if r.ContentLength > maxBody {
		return &http.MaxBytesError{Limit: maxBody}
	}
	ctx := r.Context()
	source, err := f.find(ctx, r.PathValue("source"))
	if err != nil {
		return err
	}
	if source == nil {
		f.refused.take(from)
		return refused()
	}
	body, err := serve.ReadBody(w, r, maxBody)
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	var keys []string
	for _, name := range source.Secrets() {
		key, err := f.vault.Get(ctx, name)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	if !standardwebhook.Verify(keys, r.Header, body, f.now()) {
		f.refused.take(from)
		return refused()
	}
	if wait := f.sent.take(source.Source); wait > 0 {
		return fault.Limited("this source sends more than 50 requests a second", wait)
	}
	id := r.Header.Get(standardwebhook.IDHeader)
	serve.Note(ctx, "tenant", source.TenantID, "source", source.Source, "webhook", id)
	deals, err := parse(body, f.now())
	if err != nil {
		return err
	}
	messages, err := queued(*source, id, deals)
	if err != nil {
		return err
	}
	if err := f.queue.Publish(ctx, messages...); err != nil {
		return err
	}
	serve.Note(ctx, "deals", len(messages))
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer{len(messages), "queued"})
}

// queued are the deals as they travel: with hashes in place of contacts' ids.
func queued(source dealsource.Source, id string, deals []deal) ([]message.Message, error) {
	messages := make([]message.Message, len(deals))
	for i, d := range deals {
		key := fmt.Sprintf("deals/%s/%s/%d", source.Source, id, i)
		report := dealsource.Report{
			PortalID: source.PortalID, Key: key, DealID: d.DealID, Stage: d.Stage, Amount: d.Amount, Currency: strings.ToUpper(d.Currency),
			OccurredAt: d.at, Deleted: d.Deleted,
		}
		if d.Contact != nil {
			report.Contact, report.Keys = dealsource.HashContact(source.ContactSalt, d.Contact.identity()), d.Contact.keys()
		}
		data, err := report.Message()
		if err != nil {
			return nil, errors.New("a deal cannot be written as a message")
		}
		messages[i] = message.Message{Topic: dealsync.Topic, Data: data, Attributes: map[string]string{
			message.KeyAttribute: key, message.TenantAttribute: source.TenantID,
		}}
	}
	return messages, nil
}
