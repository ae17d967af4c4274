// Package leadads takes the leads that Meta's lead forms report: it verifies a batch,
// queues every lead of it and answers. It serves GET and POST /webhooks/meta; Meta's
// signature holds no time, so a batch that comes again is queued again, and each
// lead's id makes it take effect once.
package leadads

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/leads"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.HTTP("leadads", build) }

type config struct {
	Postgres pg.Config
	Publish  publish.Config
	App      App
}

// App is the deployment's app on Meta. Without a secret no lead is taken, and without
// a verify token the address cannot be subscribed.
type App struct {
	Secret      string `env:"META_APP_SECRET"`
	VerifyToken string `env:"META_VERIFY_TOKEN"`
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
	return New(db, publish.New(cfg.Publish), cfg.App), nil
}

const (
	maxBody         = 256 << 10
	signatureHeader = "X-Hub-Signature-256"
	// patience is how long a batch may take from its arrival.
	patience = 4 * time.Second
)

type function struct {
	db    *pg.DB
	queue outbox.Publisher
	app   App
}

// New returns the function's handler.
func New(db *pg.DB, queue outbox.Publisher, app App) http.Handler {
	f := &function{db: db, queue: queue, app: app}
	api := serve.NewAPI(serve.Access{})
	api.Check("postgres", db.Ping)
	serve.Raw(api, "GET /webhooks/meta", auth.Public, f.verify, serve.Summary("Answers Meta's challenge when the webhook is subscribed."),
		describeChallenge)
	serve.Raw(api, "POST /webhooks/meta", auth.Public, f.receive, serve.Summary("Takes the leads that Meta's lead forms report."),
		serve.MaxBody(maxBody), serve.Answers[answer]("Every lead of a connected page is queued."), describe)
	return api
}

type answer struct {
	Dropped int    `json:"dropped" doc:"Leads of pages that nobody has connected, and changes that are no leads."`
	Leads   int    `json:"leads"`
	Status  string `json:"status" enum:"queued"`
}

func describeChallenge(op *huma.Operation) {
	text := &huma.Schema{Type: huma.TypeString}
	op.Parameters = []*huma.Param{
		{Name: "hub.mode", In: "query", Required: true, Schema: text, Description: "subscribe"},
		{Name: "hub.verify_token", In: "query", Required: true, Schema: text, Description: "META_VERIFY_TOKEN of this deployment."},
		{Name: "hub.challenge", In: "query", Required: true, Schema: text, Description: "Comes back as the answer."},
	}
}

func describe(op *huma.Operation) {
	op.Parameters = []*huma.Param{{
		Name: signatureHeader, In: "header", Required: true, Schema: &huma.Schema{Type: huma.TypeString},
		Description: "sha256= and the HMAC-SHA256 over the raw body under the app's secret, in hex.",
	}}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: true,
		Description: "Meta's notification: {object: page, entry: [{id, changes: [{field: leadgen, value}]}]}.",
	}}}}
}

// maxChallenge is longer than any of Meta's, which are ten digits.
const maxChallenge = 200

// verify answers the challenge that Meta sends when somebody subscribes the address.
func (f *function) verify(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	given := q.Get("hub.verify_token")
	if f.app.VerifyToken == "" || q.Get("hub.mode") != "subscribe" ||
		subtle.ConstantTimeCompare([]byte(given), []byte(f.app.VerifyToken)) != 1 {
		return fault.Forbiddenf("the verify token is not this deployment's")
	}
	challenge := q.Get("hub.challenge")
	if challenge == "" || len(challenge) > maxChallenge {
		return fault.Field("query.hub.challenge", fmt.Sprintf("must have 1 to %d characters", maxChallenge))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, err := io.WriteString(w, challenge)
	return err
}

func refused() error {
	return serve.WithErrorText(&fault.Error{Kind: fault.Unauthorized, Message: "the signature is not valid"}, "Invalid signature")
}

// receive verifies and queues a batch. A signature of the wrong form costs no body.
func (f *function) receive(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	given, ok := strings.CutPrefix(r.Header.Get(signatureHeader), "sha256=")
	mac, err := hex.DecodeString(given)
	if !ok || err != nil || len(mac) != sha256.Size || f.app.Secret == "" { // an empty key would verify what anybody can sign
		return refused()
	}
	body, err := serve.ReadBody(w, r, maxBody)
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	own := hmac.New(sha256.New, []byte(f.app.Secret))
	own.Write(body)
	if !hmac.Equal(own.Sum(nil), mac) {
		return refused()
	}
	reported, dropped, err := parse(body)
	if err != nil {
		return serve.Problem(http.StatusBadRequest, err.Error())
	}
	messages, strangers, err := f.queued(ctx, reported)
	if err == nil && len(messages) > 0 {
		err = f.queue.Publish(ctx, messages...)
	}
	if err != nil {
		if ctx.Err() != nil && fault.Of(err) != fault.Unavailable {
			return fault.Down("the leads could not be queued in time", err)
		}
		return err
	}
	if len(strangers) > 0 {
		serve.Note(ctx, "unknown_pages", strangers)
	}
	a := answer{Dropped: dropped + len(reported) - len(messages), Leads: len(messages), Status: "queued"}
	serve.Note(ctx, "leads", a.Leads, "dropped", a.Dropped)
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(a)
}

// queued are the leads of connected pages as they travel, and the pages that nobody
// has connected: Meta sends what every page of the app reports.
func (f *function) queued(ctx context.Context, reported []leads.Lead) (messages []message.Message, strangers []string, err error) {
	if len(reported) == 0 {
		return nil, nil, nil
	}
	var pages []string
	seen := map[string]bool{}
	for _, l := range reported {
		if !seen[l.PageID] {
			seen[l.PageID] = true
			pages = append(pages, l.PageID)
		}
	}
	owners, err := leads.Owners(ctx, f.db, pages...)
	if err != nil {
		return nil, nil, err
	}
	for _, page := range pages {
		if owners[page] == "" {
			strangers = append(strangers, page)
		}
	}
	for _, l := range reported {
		tenant := owners[l.PageID]
		if tenant == "" {
			continue
		}
		data, err := l.Message()
		if err != nil {
			return nil, nil, fmt.Errorf("write lead %s: %w", l.LeadID, err)
		}
		messages = append(messages, message.Message{Topic: attribution.Topic, Data: data, Attributes: map[string]string{
			message.KeyAttribute: l.Key(), message.TenantAttribute: tenant,
		}})
	}
	return messages, strangers, nil
}
