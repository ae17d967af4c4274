package faults

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/geminivideo/geminivideo/functions/clicks"
	"github.com/geminivideo/geminivideo/functions/crmevent"
	"github.com/geminivideo/geminivideo/functions/dealhook"
	"github.com/geminivideo/geminivideo/functions/hubspot"
	"github.com/geminivideo/geminivideo/functions/index"
	"github.com/geminivideo/geminivideo/functions/leadads"
	"github.com/geminivideo/geminivideo/functions/relay"
	"github.com/geminivideo/geminivideo/functions/replay"
	"github.com/geminivideo/geminivideo/infra/local/queue"
	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/infra/testkit/issuer"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/dealsource"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/standardwebhook"
)

const (
	tenant     = "6f1c0a52-6c1b-4d6e-9a51-0d1f0c8f6a01"
	portalID   = 4711
	pageID     = "700100"
	serverKey  = "gvs_of_the_shop"
	source     = "src_other_crm"
	hubToken   = "pat-portal-4711"
	pageToken  = "EAApage700100"
	appSecret  = vault.Marker + "the app's secret"
	hubSecret  = vault.Marker + "the client secret"
	secretsDir = "projects/test/secrets/"
)

// urls are how a database is reached: by the functions, through a proxy, and by the test.
type urls struct{ app, worker, admin string }

// flow is the main flow on this machine.
type flow struct {
	t      *testing.T
	begun  time.Time // the day on which the story begins
	crm    *fakehubspot.Fake
	portal *fakehubspot.Portal
	meta   *fakemeta.Fake
	gemini *fakegemini.Fake
	vault  *vault.Server
	proxy  *proxy // between the functions and Postgres
	clock  *clock // dealhook's
	quota  *clock // by which Meta's limits pass
	admin  *pgxpool.Pool
	queue  *queue.Queue
	doors  string // where the functions that strangers reach are served

	pools     []interface{ Close() }
	store     *secrets.Store
	publisher *publish.Client
	secret    string // of the other CRM's webhook
	delivery  func(http.Handler) http.Handler
	db        *pg.DB
	worker    *pg.Worker
	sync      *dealsync.Processor
	graph     string // Meta's address
	issuer    *issuer.Issuer
	senders   sync.WaitGroup
	expected  map[string]sum
	sent      int  // deals
	past      bool // the story is older than the beacon takes clicks: they are there already
}

// onPostgres is the flow on the tests' own server.
func onPostgres(t *testing.T, change ...func(*flow)) *flow {
	t.Helper()
	db := pgtest.New(t)
	return open(t, urls{db.AppURL, db.WorkerURL, db.AdminURL}, change...)
}

// open starts the functions on a migrated database. What the queue holds is in a
// database of its own: Pub/Sub does not fail with Postgres.
func open(t *testing.T, db urls, change ...func(*flow)) *flow {
	t.Helper()
	f := &flow{
		t: t, begun: time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -5), clock: &clock{}, quota: &clock{}, secret: standardwebhook.NewSecret(),
		delivery: func(h http.Handler) http.Handler { return h }, expected: map[string]sum{},
	}
	for _, do := range change {
		do(f)
	}
	f.proxy = newProxy(t, db.app)
	db.app, db.worker = f.proxy.through(t, db.app), f.proxy.through(t, db.worker)
	var err error
	if f.admin, err = pgxpool.New(context.Background(), db.admin); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.admin.Close)
	f.others()
	f.seed(db)
	f.serve(db)
	return f
}

// others starts what is not ours.
func (f *flow) others() {
	f.t.Helper()
	retries := make([]time.Duration, 2000)
	for i := range retries {
		retries[i] = 50 * time.Millisecond // HubSpot's 24 hours, in little
	}
	var err error
	if f.crm, err = fakehubspot.New(fakehubspot.Options{Retries: retries}); err != nil {
		f.t.Fatal(err)
	}
	if f.meta, err = fakemeta.New(fakemeta.Options{Now: f.today}); err != nil {
		f.t.Fatal(err)
	}
	f.meta.ConnectPage(fakemeta.PageConfig{ID: pageID, Tokens: []string{pageToken}})
	f.vault, f.store = vault.New(f.t)
	for name, value := range map[string]string{
		"hubspot-token": hubToken, "hubspot-secret": hubSecret, "page-token": pageToken, "deals-secret": f.secret,
		"lead-key": base64.StdEncoding.EncodeToString([]byte("the key of the tenant's leads")),
	} {
		if err := f.vault.Set(secretsDir+name, value); err != nil {
			f.t.Fatal(err)
		}
	}
}

// today is Meta's time: it has leads of the last 90 days.
func (f *flow) today() time.Time {
	if f.past {
		return f.begun.AddDate(0, 0, 2)
	}
	return time.Now()
}

// seed gives the tenant its ads and its connections, as the connecting calls leave them.
func (f *flow) seed(db urls) {
	f.t.Helper()
	f.exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'Northside')`, tenant)
	f.exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'act_1')`, tenant)
	f.exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c1', 'act_1')`, tenant)
	for _, ad := range adsOfTheStory {
		f.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, spend_minor, impressions, clicks, creative_dna)
			VALUES ($1, $2, 'act_1', 'c1', 10000, 1000, 20, '{"hook_type": "question"}')`, tenant, ad)
		f.exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor) VALUES ($1, $2, $3, 1000, 20, 10000)`,
			tenant, ad, f.begun)
	}
	f.exec(`INSERT INTO gv.hubspot_connections (tenant_id, portal_id, client_secret, access_token, connected_by) VALUES ($1, $2, $3, $4, 'test')`,
		tenant, portalID, secretsDir+"hubspot-secret", secretsDir+"hubspot-token")
	f.exec(`INSERT INTO gv.meta_pages (tenant_id, page_id, access_token, connected_by) VALUES ($1, $2, $3, 'test')`,
		tenant, pageID, secretsDir+"page-token")
	f.exec(`INSERT INTO gv.lead_keys (tenant_id, secret) VALUES ($1, $2)`, tenant, secretsDir+"lead-key")
	f.exec(`INSERT INTO gv.publishable_keys (tenant_id, kind, key_hash, prefix, created_by) VALUES ($1, 'server', $2, 'gvs_', 'test')`,
		tenant, attribution.KeyHash(serverKey))
	seeding, err := pg.Open(f.t.Context(), pg.Config{URL: db.app, MaxConns: 1})
	if err != nil {
		f.t.Fatal(err)
	}
	defer seeding.Close()
	err = pg.InTenant(f.t.Context(), seeding, tenant, func(tx pgx.Tx) error {
		_, err := dealsource.NewStore(tx).Create(f.t.Context(), source, "Other CRM", secretsDir+"deals-secret", "salt", "test")
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// serve starts the functions, each with a pool of its own, as in production.
func (f *flow) serve(db urls) {
	f.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	handlers := map[string]*http.ServeMux{"crmevent": http.NewServeMux(), "index": http.NewServeMux()}
	subscription := func(name, topic string) queue.Subscription {
		return queue.Subscription{
			Name: name, Topic: topic, Concurrency: 4, AckDeadline: time.Minute,
			MinBackoff: 20 * time.Millisecond, MaxBackoff: 300 * time.Millisecond,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.delivery(handlers[name]).ServeHTTP(w, r) }),
		}
	}
	var err error
	f.queue, err = queue.Open(ctx, pgtest.Empty(f.t).AdminURL, queue.Options{
		Project: "test", DeadLetterTopic: "dead-letter",
		Subscriptions: []queue.Subscription{subscription("crmevent", "crm-events"), subscription("index", "winner-found")},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.publisher = publish.New(publish.Config{Project: "test"}, option.WithEndpoint(f.queue.Addr()), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))

	hub, graph := httptest.NewServer(f.crm), httptest.NewServer(f.meta)
	fake, models := fakegemini.Start(f.t)
	f.gemini = fake
	f.graph = graph.URL
	doors := http.NewServeMux()
	public := httptest.NewServer(doors)
	f.doors = public.URL
	f.portal = f.crm.Connect(fakehubspot.PortalConfig{
		ID: portalID, Tokens: []string{hubToken}, Secret: hubSecret, Target: public.URL + "/webhooks/hubspot", Limit: 1_000_000,
		Subscriptions: []string{
			"deal.creation", "deal.propertyChange:dealstage", "deal.associationChange", "contact.creation", "contact.propertyChange:hs_facebook_click_id",
		},
	})
	f.db, f.worker = f.pool(db.app), f.workers(db.worker)
	api := dealsync.Config{URL: hub.URL, PerTenSeconds: 1_000_000}
	f.sync = dealsync.New(f.db, f.publisher, f.store, api)
	client, err := gemini.Open(f.t.Context(), gemini.Config{
		APIKey: fakegemini.Key, BaseURL: models, Model: "gemini-3.8-flash", EmbeddingModel: "gemini-embedding-2",
		Timeout: 2 * time.Second, DailyCap: 100, DailyTokens: 1e9,
	}, f.db)
	if err != nil {
		f.t.Fatal(err)
	}
	doors.Handle("/webhooks/hubspot", serve.Wrap("hubspot", hubspot.New(f.pool(db.app), f.publisher, f.store, public.URL, "")))
	doors.Handle("/webhooks/meta", serve.Wrap("leadads", leadads.New(f.pool(db.app), f.publisher, leadads.App{Secret: appSecret})))
	doors.Handle("/webhooks/deals/", serve.Wrap("dealhook", dealhook.New(f.pool(db.app), f.publisher, f.store, f.clock.now)))
	doors.Handle("/api/ml/attribution/track-click", serve.Wrap("clicks", clicks.New(f.pool(db.app), f.publisher,
		clicks.Limits{Proxies: 1, PerIP: 1_000_000, PerKey: 1_000_000, PerDay: 1_000_000})))
	f.issuer = issuer.New(f.t)
	doors.Handle("/api/dead-letters/", serve.Wrap("replay", replay.New(f.db, serve.Access{Verifier: f.issuer.Verifier()}, f.publisher)))
	handlers["crmevent"].Handle("/", serve.Wrap("crmevent", serve.Consume("crmevent", crmevent.New(f.pool(db.app), f.workers(db.worker),
		f.publisher, f.store, api, meta.New(meta.Config{BaseURL: graph.URL},
			meta.Options{Timeout: 2 * time.Second, Budget: 20 * time.Second, Attempts: 3, Now: f.quota.now})))))
	handlers["index"].Handle("/", serve.Wrap("index", serve.Consume("index", index.New(f.db, f.worker, gemini.Models(client)))))

	running.Go(func() { f.queue.Run(ctx) })
	running.Go(func() { f.crm.Run(ctx) })
	running.Go(func() { f.relay(ctx) })
	f.t.Cleanup(func() {
		f.proxy.set(0, 0)
		stop()
		running.Wait()
		f.queue.Close()
		_ = f.publisher.Close()
		for _, server := range []*httptest.Server{public, hub, graph} {
			server.CloseClientConnections()
			server.Close()
		}
		for _, one := range f.pools {
			one.Close()
		}
	})
}

// relay is the scheduled function, more often than each minute.
func (f *flow) relay(ctx context.Context) {
	job := relay.New(f.worker, f.publisher, nil)
	for ctx.Err() == nil {
		_, _ = job.Run(ctx) // what it could not do, the next run does
		select {
		case <-ctx.Done():
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func (f *flow) pool(url string) *pg.DB {
	f.t.Helper()
	db, err := pg.Open(f.t.Context(), pg.Config{URL: url, MaxConns: 2})
	if err != nil {
		f.t.Fatal(err)
	}
	f.pools = append(f.pools, db)
	return db
}

func (f *flow) workers(url string) *pg.Worker {
	f.t.Helper()
	db, err := pg.OpenWorker(f.t.Context(), pg.WorkerConfig{URL: url, MaxConns: 2})
	if err != nil {
		f.t.Fatal(err)
	}
	f.pools = append(f.pools, db)
	return db
}
