package connections_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/connections"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/slack"
	"github.com/geminivideo/geminivideo/shared/webhook"
)

// Every credential of these tests holds the canary, which must be found nowhere.
const (
	canary   = "CANARY7f3a"
	token    = "pat-" + canary + "-one"
	second   = "pat-" + canary + "-two"
	appKey   = "app-" + canary + "-one"
	appKey2  = "app-" + canary + "-two"
	metaKey  = "EAA" + canary + "one"
	metaKey2 = "EAA" + canary + "two"
	portal   = 62515
)

// journal is everything that this test's process logs.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

var logged = &journal{}

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewJSONHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	os.Exit(m.Run())
}

type world struct {
	*apitest.World
	t       *testing.T
	handler http.Handler
	outside connections.Outside
	vault   *vault.Server
	store   *secrets.Store
	hubspot *fakehubspot.Fake
	portal  *fakehubspot.Portal
	meta    *fakemeta.Fake
	graph   string
}

// waits sets how long the function waits for HubSpot and for Meta.
func (w *world) waits(most time.Duration) {
	w.outside.HubSpot.Patience = most
	w.outside.Meta = meta.New(meta.Config{BaseURL: w.graph}, meta.Options{Timeout: most, Budget: most, Attempts: 1})
	w.handler = serve.Wrap("connections", connections.New(w.App, w.Access(), w.outside))
}

// newWorld has a portal with two good tokens and an ad account, none connected.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: apitest.New(t), t: t}
	w.vault, w.store = vault.New(t)
	var err error
	if w.hubspot, err = fakehubspot.New(fakehubspot.Options{}); err != nil {
		t.Fatal(err)
	}
	w.portal = w.hubspot.Connect(fakehubspot.PortalConfig{ID: portal, Tokens: []string{token, second}})
	if w.meta, err = fakemeta.New(fakemeta.Options{}); err != nil {
		t.Fatal(err)
	}
	w.meta.Connect(fakemeta.AccountConfig{ID: "act_77", Name: "Seventy-seven", Currency: "JPY", TimeZone: "Asia/Tokyo", Tokens: []string{metaKey, metaKey2}})
	hub, graph := httptest.NewServer(w.hubspot), httptest.NewServer(w.meta)
	t.Cleanup(hub.Close)
	t.Cleanup(graph.Close)
	w.outside = connections.Outside{
		Project: "p", Vault: w.store, Queue: w.Queue,
		HubSpot: connections.HubSpotConfig{URL: hub.URL},
		Webhook: webhook.New(webhook.Config{AllowLocal: true}),
		Slack:   slack.New(slack.Config{AllowLocal: true}),
	}
	w.graph = graph.URL
	w.waits(time.Minute)
	t.Cleanup(w.noCanary)
	return w
}

func (w *world) put(path string, body any, headers ...string) apitest.Answer {
	w.t.Helper()
	return w.as(w.Token(auth.Admin), http.MethodPut, path, body, headers...)
}

func (w *world) get(path string) apitest.Answer {
	w.t.Helper()
	return w.as(w.Token(auth.Admin), http.MethodGet, path, nil)
}

func (w *world) as(token, method, path string, body any, headers ...string) apitest.Answer {
	w.t.Helper()
	a := w.Call(w.handler, method, "/api/connections/"+path, token, body, headers...)
	if strings.Contains(a.Body, canary) {
		w.t.Errorf("%s %s answers with a credential: %s", method, path, a.Body)
	}
	return a
}

// want puts and returns the answer, which must have the status.
func (w *world) want(status int, path string, body any, headers ...string) apitest.Answer {
	w.t.Helper()
	a := w.put(path, body, headers...)
	if a.Status != status {
		w.t.Fatalf("PUT %s: %d %s, want %d", path, a.Status, a.Body, status)
	}
	return a
}

// connect connects the portal with the deployment's own app.
func (w *world) connect() {
	w.t.Helper()
	w.want(200, "hubspot", map[string]any{"portal_id": portal, "access_token": token})
}

func secretOf(tenant, what string) string { return "projects/p/secrets/gv-" + tenant + "-" + what }

// noCanary looks for a credential in every table and in the log.
func (w *world) noCanary() {
	for _, table := range strings.Split(w.Text(`SELECT string_agg(format('%I.%I', n.nspname, c.relname), ' ') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'gv' AND c.relkind IN ('r', 'p')`), " ") {
		found := w.Text(fmt.Sprintf(`SELECT count(*) FROM %s t WHERE t::text LIKE '%%%s%%' OR t::text LIKE '%%' || encode('%s', 'hex') || '%%'`, table, canary, canary))
		if found != "0" {
			w.t.Errorf("%s holds a credential in %s rows", table, found)
		}
	}
	if strings.Contains(logged.String(), canary) {
		w.t.Error("the log holds a credential")
	}
}
