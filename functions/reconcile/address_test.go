package reconcile_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/functions/crmevent"
	"github.com/geminivideo/geminivideo/functions/dealhook"
	"github.com/geminivideo/geminivideo/functions/leadads"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/dealsource"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/standardwebhook"
)

// logged is every line that the tests of this package log.
var logged lines

type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	os.Exit(m.Run())
}

const (
	pageID    = "700100"
	appSecret = "app-secret-of-the-tests"
)

// people are the addresses that go through every flow, as they are written.
var people = []string{"Lea.Lead@one.example", "otto.outside@two.example", "bea.backfill@three.example", "+1 312 555 0188"}

// in returns every way in which the tables may hold a text: as it is, in lower case,
// and as the hexadecimal digits of bytes.
func in(texts []string) (ways []string) {
	for _, text := range texts {
		for _, way := range []string{text, strings.ToLower(text), strings.ReplaceAll(text, " ", "")} {
			ways = append(ways, way, fmt.Sprintf("%x", way))
		}
	}
	return ways
}

func TestNoAddressIsInPlainInAnyTableMessageOrLogLineAfterEveryFlow(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.PortalConfig{})
	graph, err := fakemeta.New(fakemeta.Options{Now: c.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(graph)
	t.Cleanup(api.Close)
	graph.ConnectPage(fakemeta.PageConfig{ID: pageID, Tokens: []string{"EAApage"}})
	secret := standardwebhook.NewSecret()
	for name, value := range map[string]string{"page-token": "EAApage", "lead-key": "c2VjcmV0LWtleQ", "door": secret} {
		if err := c.keys.Set("projects/test/secrets/"+name, value); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, c)
	w.events = crmevent.New(w.app, w.worker, w.queue, c.vault, w.api(), meta.New(meta.Config{BaseURL: api.URL}, meta.Options{Attempts: 1}))
	w.exec(`INSERT INTO gv.meta_pages (tenant_id, page_id, access_token, connected_by) VALUES ($1, $2, 'projects/test/secrets/page-token', 'test')`, tenant, pageID)
	w.exec(`INSERT INTO gv.lead_keys (tenant_id, secret) VALUES ($1, 'projects/test/secrets/lead-key')`, tenant)
	w.exec(`INSERT INTO gv.webhooks (tenant_id, url, secret, updated_by) VALUES ($1, 'https://example.com', 's', 'test')`, tenant)
	w.exec(`UPDATE gv.accounts SET write_back = true`)

	// A lead form at an ad.
	now := c.clock.now()
	lead, err := graph.SubmitLead(pageID, fakemeta.Lead{AdID: "a1", Email: people[0], Phone: people[3], Created: c.clock.now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	body := graph.Notification(lead)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/meta", bytes.NewReader(body))
	r.Header.Set("X-Hub-Signature-256", fakemeta.SignBody(appSecret, body))
	rec := httptest.NewRecorder()
	serve.Wrap("leadads", leadads.New(w.app, w.queue, leadads.App{Secret: appSecret})).ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Fatalf("Meta's webhook is answered %d %s", rec.Code, rec.Body)
	}
	// Another CRM, whose contacts are named by their addresses.
	err = pg.InTenant(t.Context(), w.app, tenant, func(tx pgx.Tx) error {
		_, err := dealsource.NewStore(tx).Create(t.Context(), "src_one", "Pipedrive", "projects/test/secrets/door", "salt", "test")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	door := serve.Wrap("dealhook", dealhook.New(w.app, w.queue, c.vault, c.clock.now))
	for i, text := range []string{
		`{"deals":[{"deal_id":"D-1","stage":"closed_won","amount":10,"occurred_at":"2026-11-19T12:00:00Z","contact":{"id":"` + people[1] + `","fbclid":"fb-a0"}}]}`,
		`{"deals":[{"deal_id":"","stage":"` + people[1] + `","occurred_at":"2026-11-19T12:00:00Z"}]}`, // refused
	} {
		id := "msg-" + strconv.Itoa(i)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/deals/src_one", strings.NewReader(text))
		r.Header.Set(standardwebhook.IDHeader, id)
		r.Header.Set(standardwebhook.TimestampHeader, strconv.FormatInt(now.Unix(), 10))
		r.Header.Set(standardwebhook.SignatureHeader, standardwebhook.Sign(secret, id, now, []byte(text)))
		rec := httptest.NewRecorder()
		door.ServeHTTP(rec, r)
		if want := []int{http.StatusOK, http.StatusUnprocessableEntity}[i]; rec.Code != want {
			t.Fatalf("the door answers %d %s", rec.Code, rec.Body)
		}
	}
	w.handleQueued()
	// A portal that has people's addresses, is read by a backfill, written back to, and loses an erasure.
	var deals []int64
	for i, who := range []string{people[0], people[2]} {
		contact, _, err := c.UpsertContact(0, map[string]string{
			"email": who, "phone": people[3], "hs_facebook_click_id": fmt.Sprintf("fb-a%d", i), "first_conversion_date": now.Format(time.RFC3339),
			"hs_analytics_first_url": "https://example.com/?email=" + who,
		}, now)
		if err != nil {
			t.Fatal(err)
		}
		deal, _, err := c.CreateDeal(fakehubspot.NewDeal{Stage: "closedwon", Amount: "500", Contacts: []int64{contact}, Primary: true, At: now, Name: who})
		if err != nil {
			t.Fatal(err)
		}
		deals = append(deals, deal)
	}
	c.Refuse("deals", 1, people[2]) // of no deal here
	if report := w.run(); report.Completed != 1 || report.Written != 2 {
		t.Fatalf("the backfill reports %+v, want both deals read and written back", report)
	}
	c.fake.Inject(fakehubspot.Fault{Path: "/crm/", Status: http.StatusBadRequest, Times: 3})
	events, err := c.MoveStage(deals[0], "closedlost", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		w.deliver(e, 1) // becomes a dead letter
	}
	c.fake.Heal()
	if _, err := c.EraseContact(one[int64](w, `SELECT contact_id FROM gv.deal_contacts WHERE deal_id = $1`, deals[1])); err != nil {
		t.Fatal(err)
	}
	c.clock.pass(2 * time.Hour)
	if report := w.run(); report.Erased != 1 || report.Repaired == 0 {
		t.Fatalf("the next run reports %+v, want the erasure and the lost move", report)
	}
	w.handleQueued()
	if methods := one[string](w, `SELECT string_agg(DISTINCT attribution_method, ' ' ORDER BY attribution_method) FROM gv.deals`); !strings.Contains(methods, "lead_id") {
		t.Errorf("deals are credited by %s, want one by its lead form", methods)
	}
	w.nowhere(in(people))
}

// handleQueued has crmevent handle what the doors have queued.
func (w *world) handleQueued() {
	w.t.Helper()
	for done := 0; done < len(w.queue.sent); done++ {
		m := w.queue.sent[done]
		if m.Topic != dealsync.Topic {
			continue
		}
		if err := w.events.Handle(context.Background(), m); err != nil {
			if err := w.events.Reject(context.Background(), m, err); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// nowhere looks for texts in every column of every table, in every message and in the log.
func (w *world) nowhere(texts []string) {
	w.t.Helper()
	rows, _ := w.admin.Query(context.Background(), `
		SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'gv'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1`)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 40 {
		w.t.Fatalf("%d tables, %v", len(tables), err)
	}
	for _, table := range tables {
		if n := one[int](w, `SELECT count(*)::int FROM `+table+` x WHERE EXISTS (SELECT FROM unnest($1::text[]) AS s WHERE position(s IN to_jsonb(x)::text) > 0)`, texts); n > 0 {
			w.t.Errorf("%d rows of %s hold an address", n, table)
		}
	}
	search := func(what, text string) {
		for _, one := range texts {
			if at := strings.Index(text, one); at >= 0 {
				w.t.Errorf("%s holds %q: ...%s", what, one, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
	for _, m := range w.queue.sent {
		search("a message of "+m.Topic, string(m.Data)+fmt.Sprint(m.Attributes))
	}
	if log := logged.String(); log == "" {
		w.t.Error("nothing was logged: the search proves nothing")
	} else {
		search("the log", log)
	}
}
