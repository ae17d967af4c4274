package sync_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/functions/sync"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const (
	tenant = "00000000-0000-4000-8000-00000000000a"
	other  = "00000000-0000-4000-8000-00000000000b"
)

// world is a database with two tenants, a fake Meta, and the function on both.
type world struct {
	t       *testing.T
	admin   *pgxpool.Pool
	app     *pg.DB
	worker  *pg.Worker
	vault   *vault.Server
	store   *secrets.Store
	fake    *fakemeta.Fake
	server  *httptest.Server
	handler http.Handler
	today   time.Time // a date in America/Chicago
}

type tuning struct {
	fake fakemeta.Options
	meta meta.Options
	sync sync.Options
}

func newWorld(t *testing.T, tune func(*tuning)) *world {
	t.Helper()
	db := pgtest.New(t)
	w := &world{t: t, admin: db.Admin(t)}
	var err error
	if w.app, err = pg.Open(t.Context(), pg.Config{URL: db.AppURL, MaxConns: 4}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.app.Close)
	if w.worker, err = pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: db.WorkerURL, MaxConns: 4}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.worker.Close)
	w.vault, w.store = vault.New(t)
	o := tuning{meta: meta.Options{FirstWait: time.Millisecond, ReportPoll: time.Millisecond, Attempts: 2}, sync: sync.Options{Conversions: []string{"omni_purchase", "purchase"}}}
	if tune != nil {
		tune(&o)
	}
	if w.fake, err = fakemeta.New(o.fake); err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(w.fake)
	t.Cleanup(w.server.Close)
	w.handler = w.function(w.app, o)
	w.exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'A'), ($2, 'B')`, tenant, other)
	chicago, err := time.LoadLocation("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	y, m, d := time.Now().In(chicago).Date()
	w.today = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	return w
}

// function is the function with a client of its own, as another instance has.
func (w *world) function(app *pg.DB, o tuning) http.Handler {
	client := meta.New(meta.Config{BaseURL: w.server.URL, Version: "v26.0"}, o.meta)
	return serve.Wrap("sync", serve.Tick(sync.New(app, w.worker, client, w.store, o.sync)))
}

// connect connects an account of who's, and returns it as Meta has it.
func (w *world) connect(who, id string) *fakemeta.Account {
	w.t.Helper()
	name := "projects/p/secrets/meta-" + id
	if err := w.vault.Set(name, "token-of-"+id); err != nil {
		w.t.Fatal(err)
	}
	w.exec(`INSERT INTO gv.accounts (tenant_id, account_id, time_zone) VALUES ($1, $2, 'America/Chicago')`, who, "act_"+id)
	w.exec(`INSERT INTO gv.meta_connections (tenant_id, account_id, access_token, connected_by) VALUES ($1, $2, $3, 'me')`, who, "act_"+id, name)
	return w.fake.Connect(fakemeta.AccountConfig{ID: id, Name: "Account " + id, TimeZone: "America/Chicago", Tokens: []string{"token-of-" + id}})
}

// fill gives an account a campaign with n ads, each alone in its ad set, and
// returns the ads' ids.
func fill(a *fakemeta.Account, n int) (ads []string) {
	campaign := a.PutCampaign(fakemeta.Campaign{Name: "Clubs"})
	for i := range n {
		set := a.PutAdSet(fakemeta.AdSet{CampaignID: campaign, Name: fmt.Sprint("Set ", i), DailyBudget: int64(1000 + i)})
		ads = append(ads, a.PutAd(fakemeta.Ad{AdSetID: set, Name: fmt.Sprint("Ad ", i), Title: "Join", Body: "Train with us"}))
	}
	return ads
}

// ago is the day that many days before today, as Meta writes it.
func (w *world) ago(days int) string { return w.today.AddDate(0, 0, -days).Format(time.DateOnly) }

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.admin.Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) text(sql string, args ...any) string {
	w.t.Helper()
	var v *string
	if err := w.admin.QueryRow(context.Background(), `SELECT (`+sql+`)::text`, args...).Scan(&v); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	if v == nil {
		return ""
	}
	return *v
}

// everything is all that a sync may write.
func (w *world) everything() string {
	return w.text(`concat(
		(SELECT jsonb_agg(to_jsonb(a) ORDER BY tenant_id, ad_id) FROM gv.ads a),
		(SELECT jsonb_agg(to_jsonb(s) ORDER BY tenant_id, adset_id) FROM gv.ad_sets s),
		(SELECT jsonb_agg(to_jsonb(c) ORDER BY tenant_id, campaign_id) FROM gv.campaigns c),
		(SELECT jsonb_agg(to_jsonb(m) ORDER BY tenant_id, ad_id, day) FROM gv.ad_metrics m),
		(SELECT jsonb_agg(to_jsonb(m) ORDER BY tenant_id, account_id) FROM gv.accounts m),
		(SELECT jsonb_agg(to_jsonb(o) ORDER BY message_id) FROM gv.outbox o))`)
}

func answer(ctx context.Context, h http.Handler) (int, map[string]any) {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil))
	got := map[string]any{}
	_ = json.Unmarshal(rec.Body.Bytes(), &got)
	return rec.Code, got
}

// run makes one run and returns its report.
func (w *world) run() map[string]any {
	w.t.Helper()
	status, got := answer(w.t.Context(), w.handler)
	if status != http.StatusOK {
		w.t.Errorf("answered %d %v", status, got)
	}
	return got
}

// want compares some members of a report.
func want(t *testing.T, got map[string]any, members map[string]any) {
	t.Helper()
	for name, value := range members {
		if fmt.Sprint(got[name]) != fmt.Sprint(value) {
			t.Errorf("%s is %v, want %v: %v", name, got[name], value, got)
		}
	}
}
