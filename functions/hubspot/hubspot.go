// Package hubspot takes HubSpot's webhooks: it verifies a batch, queues every
// event of it and answers, well within the 5 s that HubSpot waits. It serves
// POST /webhooks/hubspot; a batch that comes again is queued again, and each
// event's key makes it take effect once.
package hubspot

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	crm "github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/hubspotconn"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.HTTP("hubspot", build) }

type config struct {
	Postgres pg.Config
	Publish  publish.Config
	// PublicURL is what HubSpot calls: the URL that it signs is not the one that
	// arrives here behind the load balancer.
	PublicURL string `env:"PUBLIC_BASE_URL, required"`
	// Secret verifies the portals that connected through the deployment's own app.
	Secret string `env:"HUBSPOT_CLIENT_SECRET"`
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
	return New(db, publish.New(cfg.Publish), secrets.Default(), cfg.PublicURL, cfg.Secret), nil
}

const (
	path  = "/webhooks/hubspot"
	topic = "crm-events"
	// maxBody is generous: HubSpot sends up to 100 events, and a changed value
	// may be a long text.
	maxBody = 10 << 20
)

type function struct {
	db        *pg.DB
	queue     outbox.Publisher
	vault     *secrets.Store
	uri       string
	ownSecret string
	looks     looks
}

// New returns the function's handler. publicURL is scheme://host[:port] as
// HubSpot calls; ownSecret is the deployment's own app's, or empty.
func New(db *pg.DB, queue outbox.Publisher, vault *secrets.Store, publicURL, ownSecret string) http.Handler {
	f := &function{db: db, queue: queue, vault: vault, uri: strings.TrimSuffix(publicURL, "/") + path, ownSecret: ownSecret}
	api := serve.NewAPI(serve.Access{})
	api.Check("postgres", db.Ping)
	serve.Raw(api, "POST /webhooks/hubspot", auth.Public, f.receive, serve.Summary("Takes a batch of HubSpot's events."),
		serve.Answers[answer]("Every event of the batch is queued."), describe)
	return api
}

type answer struct {
	Events int    `json:"events"`
	Status string `json:"status" enum:"queued"`
}

// describe tells the OpenAPI document what HubSpot sends.
func describe(op *huma.Operation) {
	text := &huma.Schema{Type: huma.TypeString}
	op.Parameters = []*huma.Param{
		{
			Name: "X-HubSpot-Signature-v3", In: "header", Required: true, Schema: text,
			Description: "HMAC-SHA256 over method, public URI, body and timestamp, in base64.",
		},
		{
			Name: "X-HubSpot-Request-Timestamp", In: "header", Required: true, Schema: text,
			Description: "Milliseconds; at most 5 minutes old or ahead.",
		},
	}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{
		Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true},
		Description: "HubSpot's batch of up to 100 events.",
	}}}}
}

// patience is how long a batch may take from its arrival: HubSpot waits 5 s for
// an answer, and counts none as a failure whose reason it never sees.
const patience = 4 * time.Second

func (f *function) receive(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	r = r.WithContext(ctx)
	if err := crm.Admissible(r.Header, time.Now()); err != nil {
		return serve.WithErrorText(err, "Invalid signature")
	}
	f.looks.enter()
	defer f.looks.leave()
	body, err := serve.ReadBody(w, r, maxBody)
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	messages, err := f.verified(r, body)
	if err != nil {
		if fault.Of(err) == fault.Unauthorized {
			return serve.WithErrorText(err, "Invalid signature")
		}
		return late(ctx, err)
	}
	if len(messages) > 0 {
		if err := late(ctx, f.queue.Publish(ctx, messages...)); err != nil {
			return err
		}
	}
	serve.Note(r.Context(), "events", len(messages))
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer{len(messages), "queued"})
}

// late makes an error that comes from a batch's deadline one that HubSpot
// answers by sending the batch again.
func late(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || fault.Of(err) == fault.Unavailable {
		return err
	}
	return fault.Down("the batch could not be queued in time", err)
}

// verified returns the batch's messages once every portal in it has a connection whose
// secret signed the batch.
func (f *function) verified(r *http.Request, body []byte) ([]message.Message, error) {
	give, err := serve.Turn(r.Context(), len(body))
	if err != nil {
		return nil, err
	}
	events, malformed := crm.ParseBatch(body)
	give()
	if malformed != nil || len(events) == 0 {
		// Nothing in it says whose it is: only the deployment's own app counts.
		if err := f.signed(r, body, f.ownSecret); err != nil {
			return nil, err
		}
		if malformed != nil {
			return nil, serve.Problem(http.StatusBadRequest, malformed.Error())
		}
		return nil, nil
	}
	var portals []int64
	for _, e := range events {
		if !slices.Contains(portals, e.PortalID) {
			portals = append(portals, e.PortalID)
		}
	}
	came := time.Now()
	connections, err := f.connected(r, body, portals, came.Add(-freshFor))
	if fault.Of(err) == fault.Unauthorized {
		connections, err = f.connected(r, body, portals, came)
	}
	if err != nil {
		return nil, err
	}
	return queued(events, connections), nil
}

// connected returns the portals' connections, each of which has a secret that signed the
// body. It goes by a look at the database that began after notBefore.
func (f *function) connected(r *http.Request, body []byte, portals []int64, notBefore time.Time) (map[int64]hubspotconn.Connection, error) {
	connections, err := f.looks.find(r.Context(), f.db, portals, notBefore)
	if err != nil {
		return nil, err
	}
	for _, id := range portals {
		c, ok := connections[id]
		if !ok {
			return nil, &fault.Error{
				Kind: fault.Unauthorized, Message: "the signature is not valid",
				Cause: fmt.Errorf("portal %d is not connected", id),
			}
		}
		if err := f.signedFor(r, body, c); err != nil {
			return nil, err
		}
	}
	return connections, nil
}

func (f *function) signedFor(r *http.Request, body []byte, c hubspotconn.Connection) error {
	names := c.Secrets(time.Now())
	candidates := make([]string, 0, len(names))
	for _, name := range names {
		secret := f.ownSecret
		if name != "" {
			var err error
			if secret, err = f.vault.Get(r.Context(), name); err != nil {
				return err
			}
		}
		candidates = append(candidates, secret)
	}
	if err := f.signed(r, body, candidates...); err != nil {
		return fmt.Errorf("portal %d: %w", c.PortalID, err)
	}
	return nil
}

func (f *function) signed(r *http.Request, body []byte, candidates ...string) error {
	valid := candidates[:0:0]
	for _, s := range candidates {
		if s != "" { // an empty key would verify what anybody can sign
			valid = append(valid, s)
		}
	}
	give, err := serve.Turn(r.Context(), len(body))
	if err != nil {
		return err
	}
	defer give()
	_, err = crm.Verify(valid, r.Method, f.uri, body, r.Header, time.Now())
	return err
}

// queued are events as they travel: ids, times and what is no personal data. All data of
// a batch are parts of one piece of memory, and so are all keys.
func queued(events []crm.Event, connections map[int64]hubspotconn.Connection) []message.Message {
	const usualMessage, usualKey = 256, 96
	data, keys := make([]byte, 0, len(events)*usualMessage), make([]byte, 0, len(events)*usualKey)
	ends := make([]struct{ data, key int }, len(events))
	for i, e := range events {
		data, keys = e.AppendMessage(data), e.AppendKey(keys)
		ends[i].data, ends[i].key = len(data), len(keys)
	}
	messages, allKeys := make([]message.Message, len(events)), string(keys)
	var begin struct{ data, key int }
	for i, e := range events {
		attributes := map[string]string{
			message.KeyAttribute: allKeys[begin.key:ends[i].key], message.TenantAttribute: connections[e.PortalID].TenantID,
		}
		if subject := e.Subject(); subject != "" {
			attributes[message.SubjectAttribute] = subject
		}
		messages[i] = message.Message{Topic: topic, Data: data[begin.data:ends[i].data:ends[i].data], Attributes: attributes}
		begin = ends[i]
	}
	return messages
}
