package dealhook_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/functions/dealhook"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/dealsource"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/standardwebhook"
)

type world struct {
	*apitest.World
	t         *testing.T
	handler   http.Handler
	processor *dealsync.Processor
	secret    string
	now       time.Time
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{World: apitest.New(t), t: t, secret: standardwebhook.NewSecret(), now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	server, store := vault.New(t)
	if err := server.Set("projects/p/secrets/one", w.secret); err != nil {
		t.Fatal(err)
	}
	w.handler = serve.Wrap("dealhook", dealhook.New(w.App, w.Queue, store, func() time.Time { return w.now }))
	w.processor = dealsync.New(w.App, w.Queue, store, dealsync.Config{})
	err := pg.InTenant(t.Context(), w.App, apitest.Tenant, func(tx pgx.Tx) error {
		_, err := dealsource.NewStore(tx).Create(t.Context(), "src_one", "Pipedrive", "projects/p/secrets/one", "salt", "test")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// post sends a body as a source does and returns the answer.
func (w *world) post(source, secret, id, body string, at time.Time) (int, string) {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/webhooks/deals/"+source, strings.NewReader(body))
	r.Header.Set(standardwebhook.IDHeader, id)
	r.Header.Set(standardwebhook.TimestampHeader, strconv.FormatInt(at.Unix(), 10))
	r.Header.Set(standardwebhook.SignatureHeader, standardwebhook.Sign(secret, id, at, []byte(body)))
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

// handle has what is queued recorded, in the given order.
func (w *world) handle(all []message.Message) {
	w.t.Helper()
	for _, m := range all {
		if err := w.processor.Handle(context.Background(), m); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) ledger() string {
	return w.Text(`SELECT coalesce(string_agg(concat_ws(' ', state, stage_id, stage_name, amount_minor, value_minor, amount_issue, ad_id, attribution_method, converted_at), E'\n'
		ORDER BY (SELECT external_id FROM gv.source_ids i WHERE i.id = deal_id AND i.kind = 'deal')), '') FROM gv.deals`)
}

func TestASignedDealIsValuedAndCreditedOnceUnderItsSource(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.Exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid) VALUES ($1, 'k1', 'ad-1', 'c1', '2026-11-18T12:00Z', 'fb-1')`, apitest.Tenant)
	body := `{"deals":[{"deal_id":"D-1","stage":"closed_won","amount":1200.5,"currency":"usd","occurred_at":"2026-11-19T12:00:00Z",
		"contact":{"id":"ann@example.com","fbclid":"fb-1"}},{"deal_id":"D-2","stage":"negotiation","amount":7,"occurred_at":"2026-11-19T12:00:00Z"}]}`
	for range 2 { // the sender did not hear the first answer
		if status, answer := w.post("src_one", w.secret, "msg-1", body, w.now); status != 200 || answer != `{"deals":2,"status":"queued"}`+"\n" {
			t.Fatalf("answered %d %s", status, answer)
		}
	}
	w.handle(w.Queue.Messages(dealsync.Topic))
	const want = "live closed_won closed_won 120050 120050 ad-1 url_param 2026-11-19 12:00:00+00\nlive negotiation 700 0 unattributed"
	if got := strings.ReplaceAll(w.ledger(), "  ", " "); got != want {
		t.Errorf("the ledger says\n%s\nwant\n%s", got, want)
	}
	if n := w.Text(`SELECT count(*) FROM gv.deals`); n != "2" {
		t.Errorf("%s deals are recorded, want 2", n)
	}
	w.noAddress()
}

// noAddress looks for an e-mail address in every table and message.
func (w *world) noAddress() {
	w.t.Helper()
	for _, table := range strings.Fields(w.Text(`SELECT string_agg(c.oid::regclass::text, ' ') FROM pg_class c WHERE relnamespace = 'gv'::regnamespace AND relkind IN ('r', 'p')`)) {
		if n := w.Text(`SELECT count(*) FROM ` + table + ` t WHERE t::text LIKE '%ann@example.com%' OR t::text LIKE '%' || encode('ann@example.com', 'hex') || '%'`); n != "0" {
			w.t.Errorf("%s rows of %s hold the address", n, table)
		}
	}
	for _, m := range w.Queue.Messages(dealsync.Topic) {
		if strings.Contains(string(m.Data), "ann@") {
			w.t.Errorf("a message holds the address: %s", m.Data)
		}
	}
}

func TestAnyOrderOfReportsLeavesTheSameLedger(t *testing.T) {
	t.Parallel()
	reports := []string{
		`{"deal_id":"D-1","stage":"lead","occurred_at":"2026-11-10T10:00:00Z","contact":{"id":"c1","fbclid":"fb-1"}}`,
		`{"deal_id":"D-1","stage":"closed_won","amount":500,"occurred_at":"2026-11-15T10:00:00Z"}`,
		`{"deal_id":"D-1","stage":"closed_won","amount":700,"occurred_at":"2026-11-16T10:00:00Z","contact":{"id":"c2"}}`,
		`{"deal_id":"D-2","stage":"closed_won","amount":900,"occurred_at":"2026-11-12T10:00:00Z","contact":{"id":"c1"}}`,
		`{"deal_id":"D-3","stage":"closed_won","amount":900,"occurred_at":"2026-11-12T10:00:00Z"}`,
		`{"deal_id":"D-3","stage":"closed_won","deleted":true,"occurred_at":"2026-11-13T10:00:00Z"}`,
		`{"deal_id":"D-4","stage":"show_up","amount":3,"currency":"EUR","occurred_at":"2026-11-13T10:00:00Z"}`,
	}
	w := open(t)
	w.Exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid) VALUES ($1, 'k1', 'ad-1', 'c1', '2026-11-09T12:00Z', 'fb-1')`, apitest.Tenant)
	for i, r := range reports {
		if status, answer := w.post("src_one", w.secret, fmt.Sprint("m", i), `{"deals":[`+r+`]}`, w.now); status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
	}
	all := w.Queue.Messages(dealsync.Topic)
	w.handle(all)
	want := w.ledger()
	if !strings.Contains(want, "closed_won closed_won 70000 70000") || !strings.Contains(want, "gone") || !strings.Contains(want, "EUR") {
		t.Fatalf("the ledger says\n%s", want)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 6 {
		for _, table := range []string{"deal_contacts", "contact_keys", "contacts", "deal_stages", "deals", "source_reports", "source_ids", "inbox"} {
			w.Exec(`DELETE FROM gv.` + table)
		}
		shuffled := append(append([]message.Message{}, all...), all[random.IntN(len(all))])
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		w.handle(shuffled)
		if diff := cmp.Diff(want, w.ledger()); diff != "" {
			t.Fatalf("round %d: in order (-), in another order (+):\n%s", round, diff)
		}
	}
}

func TestForgedOldAndUnknownAreRefusedAlikeAndNothingIsQueued(t *testing.T) {
	t.Parallel()
	w := open(t)
	good := `{"deals":[{"deal_id":"D-1","stage":"lead","occurred_at":"2026-11-19T12:00:00Z"}]}`
	answers := map[string]bool{}
	for name, try := range map[string]func() (int, string){
		"another secret": func() (int, string) { return w.post("src_one", standardwebhook.NewSecret(), "m", good, w.now) },
		"unknown source": func() (int, string) { return w.post("src_two", w.secret, "m", good, w.now) },
		"six minutes":    func() (int, string) { return w.post("src_one", w.secret, "m", good, w.now.Add(-6*time.Minute)) },
		"ahead":          func() (int, string) { return w.post("src_one", w.secret, "m", good, w.now.Add(6*time.Minute)) },
		"no id":          func() (int, string) { return w.post("src_one", w.secret, "", good, w.now) },
	} {
		status, answer := try()
		if status != 401 {
			t.Errorf("%s: %d %s", name, status, answer)
		}
		answers[answer] = true
	}
	if len(answers) != 1 {
		t.Errorf("the refusals differ: %v", answers)
	}
	w.Exec(`UPDATE gv.deal_sources SET revoked_at = now()`)
	if status, _ := w.post("src_one", w.secret, "m", good, w.now); status != 401 {
		t.Errorf("a revoked source is answered %d", status)
	}
	if n := len(w.Queue.Messages(dealsync.Topic)); n != 0 {
		t.Errorf("%d messages are queued", n)
	}
}

func TestOneBadDealRefusesTheWholeBatchAndIsNamed(t *testing.T) {
	t.Parallel()
	w := open(t)
	for bad, field := range map[string]string{
		`{"stage":"s","occurred_at":"2026-11-19T12:00:00Z"}`:                                             "body.deals[1].deal_id",
		`{"deal_id":"ann@example.com","stage":"s","occurred_at":"2026-11-19T12:00:00Z"}`:                 "body.deals[1].deal_id",
		`{"deal_id":"D","occurred_at":"2026-11-19T12:00:00Z"}`:                                           "body.deals[1].stage",
		`{"deal_id":"D","stage":"s","occurred_at":"yesterday"}`:                                          "body.deals[1].occurred_at",
		`{"deal_id":"D","stage":"s","occurred_at":"2026-11-19T12:00:00Z","amount":-1}`:                   "body.deals[1].amount",
		`{"deal_id":"D","stage":"s","occurred_at":"2026-11-19T12:00:00Z","currency":"dollars"}`:          "body.deals[1].currency",
		`{"deal_id":"D","stage":"s","occurred_at":"2026-11-19T12:00:00Z","contact":{}}`:                  "body.deals[1].contact",
		`{"deal_id":"D","stage":"s","occurred_at":"2026-11-19T12:00:00Z","contact":{"fbclid":"a@b.de"}}`: "body.deals[1].contact.fbclid",
		`{"deal_id":7,"stage":"s","occurred_at":"2026-11-19T12:00:00Z"}`:                                 "body.deals",
		`{"deal_id":"D","stage":"s","occurred_at":"2026-11-19T12:00:00Z","name":"Ann"}`:                  "body",
	} {
		body := `{"deals":[{"deal_id":"D-1","stage":"lead","occurred_at":"2026-11-19T12:00:00Z"},` + bad + `]}`
		if status, answer := w.post("src_one", w.secret, "m", body, w.now); status != 422 || !strings.Contains(answer, `"`+field) {
			t.Errorf("%s: %d %s, want 422 naming %s", bad, status, answer, field)
		}
	}
	for body, want := range map[string]int{`{"deals":[]}`: 422, `[`: 400, `{"deals":[]} {}`: 400, strings.Repeat(" ", 257<<10): 413} {
		if status, answer := w.post("src_one", w.secret, "m", body, w.now); status != want {
			t.Errorf("%.20s: %d %s, want %d", body, status, answer, want)
		}
	}
	if n := len(w.Queue.Messages(dealsync.Topic)); n != 0 {
		t.Errorf("%d messages are queued", n)
	}
}

func TestASourceIsLimitedToFiftyRequestsASecond(t *testing.T) {
	t.Parallel()
	w := open(t)
	body := `{"deals":[{"deal_id":"D-1","stage":"lead","occurred_at":"2026-11-19T12:00:00Z"}]}`
	statuses := map[int]int{}
	for i := range 60 { // the clock stands still
		status, _ := w.post("src_one", w.secret, fmt.Sprint(i), body, w.now)
		statuses[status]++
	}
	if statuses[200] != 50 || statuses[429] != 10 {
		t.Errorf("%v, want 50 taken and 10 refused", statuses)
	}
}
