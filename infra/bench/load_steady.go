package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/functions/crmevent"
	"github.com/geminivideo/geminivideo/functions/hubspot"
	"github.com/geminivideo/geminivideo/infra/local/queue"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	crm "github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const (
	mostLag     = 5 * time.Second // from the webhook's answer to the ledger, p99
	burstTimes  = 10              // the burst's rate, in steady rates
	burstFor    = 10              // seconds
	steadyDeals = 2000
)

// flow is the way of an event from HubSpot to the ledger: the webhook, a queue that is
// durable, and the ledger's function, which takes four messages at once as a small
// instance does.
type flow struct {
	portal *fakehubspot.Portal
	db     *database
	door   *httptest.Server
	deals  []int64
	closed []func()

	mu    sync.Mutex
	acked map[string]time.Time // by the event's key
}

// loadSteady sends so many events a second for a time, and then a burst, and looks every
// one of them up in the ledger's inbox.
func loadSteady(ctx context.Context, rate int, lasting time.Duration, named bool) error {
	f, err := openFlow(ctx, named)
	defer f.close()
	if err != nil {
		return err
	}
	if err := f.send(ctx, rate, lasting); err != nil {
		return err
	}
	steady, err := f.drained(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%-34s %8d events, lag to the ledger p50 %v  p95 %v  p99 %v\n", fmt.Sprintf("%d events a second for %v", rate, lasting),
		len(steady), steady.at(0.5), steady.at(0.95), steady.at(0.99))
	f.acked = map[string]time.Time{}
	began := time.Now()
	if err := f.send(ctx, rate*burstTimes, burstFor*time.Second); err != nil {
		return err
	}
	burst, err := f.drained(ctx)
	if err != nil {
		return err
	}
	took := time.Since(began)
	fmt.Printf("%-34s %8d events, all in the ledger after %v (%.0f a second), the last %v after its answer\n",
		fmt.Sprintf("%d events a second for %d s", rate*burstTimes, burstFor), len(burst), took.Round(100*time.Millisecond),
		float64(len(burst))/took.Seconds(), burst.at(1))
	if err := f.agree(ctx); err != nil {
		return err
	}
	if p99 := steady.at(0.99); p99 > mostLag {
		return fmt.Errorf("an event takes %v to the ledger at p99, above %v", p99, mostLag)
	}
	return nil
}

func openFlow(ctx context.Context, named bool) (f *flow, err error) {
	f = &flow{acked: map[string]time.Time{}}
	if f.db, err = private(ctx); err != nil {
		return f, err
	}
	f.closed = append(f.closed, f.db.close)
	if err := ledgerWorld(ctx, f.db, steadyDeals); err != nil {
		return f, err
	}
	hub, err := fakehubspot.New(fakehubspot.Options{})
	if err != nil {
		return f, err
	}
	f.portal = hub.Connect(fakehubspot.PortalConfig{ID: portal, Tokens: []string{"pat"}, Limit: 1_000_000})
	api := httptest.NewServer(hub)
	keys, err := vault.Start("")
	if err != nil {
		return f, err
	}
	f.closed = append(f.closed, api.Close, keys.Close)
	if err := errors.Join(keys.Set(ledgerToken, "pat"), f.makeDeals()); err != nil {
		return f, err
	}
	var pools []*pg.DB
	for _, conns := range []int32{2, 4} { // the webhook's and the ledger's
		app, err := pg.Open(ctx, pg.Config{URL: f.db.app, MaxConns: conns, Named: named})
		if err != nil {
			return f, err
		}
		pools, f.closed = append(pools, app), append(f.closed, app.Close)
	}
	worker, err := pg.OpenWorker(ctx, pg.WorkerConfig{URL: f.db.worker, MaxConns: 1, Named: named})
	if err != nil {
		return f, err
	}
	f.closed = append(f.closed, worker.Close)
	store := secrets.New(secrets.Insecure(keys.Addr())...)
	consumer := crmevent.New(pools[1], worker, &accepting{}, store, dealsync.Config{URL: api.URL, PerTenSeconds: 1_000_000},
		meta.New(meta.Config{}, meta.Options{}))
	q, err := queue.Open(ctx, f.db.cluster.URL("bench"), queue.Options{
		Project: "bench", DeadLetterTopic: "dead", Log: slog.Default(),
		Subscriptions: []queue.Subscription{{
			Name: "crmevent", Topic: dealsync.Topic, Handler: serve.Wrap("crmevent", serve.Consume("crmevent", consumer)),
			MinBackoff: time.Second, MaxBackoff: time.Minute, Concurrency: 4,
		}},
	})
	if err != nil {
		return f, err
	}
	f.closed = append(f.closed, q.Close)
	running, stop := context.WithCancel(ctx)
	f.closed = append(f.closed, stop)
	go q.Run(running)
	if err := os.Setenv("PUBSUB_EMULATOR_HOST", q.Addr()); err != nil {
		return f, err
	}
	f.door = httptest.NewServer(serve.Wrap("hubspot",
		hubspot.New(pools[0], publish.New(publish.Config{Project: "bench"}), store, intakeURL, intakeSecret)))
	f.closed = append(f.closed, f.door.Close)
	return f, nil
}

// close ends what was opened, the last first.
func (f *flow) close() {
	for _, end := range slices.Backward(f.closed) {
		end()
	}
}

// makeDeals makes the deals in the CRM, which says nothing of them yet.
func (f *flow) makeDeals() error {
	at := time.Now().Add(-48 * time.Hour)
	for i := range steadyDeals {
		contact, _, err := f.portal.UpsertContact(0, map[string]string{
			"hs_facebook_click_id": fmt.Sprint("fb", i), "first_conversion_date": at.Format(time.RFC3339),
		}, at)
		if err != nil {
			return err
		}
		deal, _, err := f.portal.CreateDeal(fakehubspot.NewDeal{Contacts: []int64{contact}, Primary: true, At: at})
		if err != nil {
			return err
		}
		f.deals = append(f.deals, deal)
	}
	return nil
}

// send moves deals, so many a second, and sends what HubSpot says of it in batches.
func (f *flow) send(ctx context.Context, rate int, lasting time.Duration) error {
	stages := []string{"appointmentscheduled", "closedwon", "closedlost"}
	tick := time.NewTicker(time.Second * batchEvents / time.Duration(max(rate, batchEvents)))
	defer tick.Stop()
	var moved int
	var sending sync.WaitGroup
	failed := make(chan error, 1)
	for began := time.Now(); time.Since(began) < lasting; <-tick.C {
		var events []fakehubspot.Event
		for range min(rate, batchEvents) {
			n := moved
			moved++
			more, err := f.portal.MoveStage(f.deals[n%len(f.deals)], stages[n/len(f.deals)%len(stages)], time.Now())
			if err != nil {
				return err
			}
			events = append(events, more...)
		}
		for batch := range slices.Chunk(events, batchEvents) {
			sending.Go(func() {
				if err := f.post(ctx, batch); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			})
		}
	}
	sending.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// post sends one batch, and keeps when each of its events was acknowledged.
func (f *flow) post(ctx context.Context, events []fakehubspot.Event) error {
	body, err := json.Marshal(events)
	if err != nil {
		return err
	}
	parsed, err := crm.ParseBatch(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.door.URL+"/webhooks/hubspot", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = crm.Sign(intakeSecret, http.MethodPost, intakeURL+"/webhooks/hubspot", body, time.Now())
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("a batch of %d events was answered %d", len(events), answer.StatusCode)
	}
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range parsed {
		f.acked[e.Key()] = now
	}
	return nil
}

// lags are how long events took from their webhook's answer to the ledger, ascending.
type lags []time.Duration

func (l lags) at(share float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[min(int(share*float64(len(l))), len(l)-1)].Round(time.Millisecond)
}

// drained waits until every acknowledged event is in the ledger's inbox. Nothing that comes
// in for two minutes is a loss.
func (f *flow) drained(ctx context.Context) (lags, error) {
	keys := make([]string, 0, len(f.acked))
	for key := range f.acked {
		keys = append(keys, key)
	}
	for last, since := 0, time.Now(); ; time.Sleep(200 * time.Millisecond) {
		rows, _ := f.db.admin.Query(ctx, `SELECT event_key, received_at FROM gv.inbox WHERE consumer = 'crmevent' AND event_key = ANY ($1)`, keys)
		var (
			all lags
			key string
			at  time.Time
		)
		if _, err := pgx.ForEachRow(rows, []any{&key, &at}, func() error {
			all = append(all, max(0, at.Sub(f.acked[key])))
			return nil
		}); err != nil {
			return nil, err
		}
		switch {
		case len(all) == len(keys):
			slices.Sort(all)
			return all, nil
		case len(all) > last:
			last, since = len(all), time.Now()
		case time.Since(since) > 2*time.Minute:
			return nil, fmt.Errorf("%d of %d acknowledged events are not in the ledger", len(keys)-len(all), len(keys))
		}
	}
}

// agree reports where the ledger says another stage than the CRM, and where the ads' totals
// are others than their deals'.
func (f *flow) agree(ctx context.Context) error {
	var deals, wrong int
	rows, _ := f.db.admin.Query(ctx, `SELECT deal_id, stage_id FROM gv.deals WHERE state = 'live'`)
	var id int64
	var stage string
	if _, err := pgx.ForEachRow(rows, []any{&id, &stage}, func() error {
		deals++
		if f.portal.Property(id, "dealstage") != stage {
			wrong++
		}
		return nil
	}); err != nil {
		return err
	}
	var ads, sum int64
	err := f.db.admin.QueryRow(ctx, `SELECT (SELECT sum(pipeline_minor)::bigint FROM gv.ads), (SELECT sum(value_minor)::bigint FROM gv.deals)`).
		Scan(&ads, &sum)
	if err != nil {
		return err
	}
	fmt.Printf("    %d deals are in the ledger, %d of them in another stage than in the CRM; the ads are worth %d, their deals %d\n", deals, wrong, ads, sum)
	if wrong > 0 || ads != sum {
		return errors.New("the ledger is not what the CRM says")
	}
	return nil
}
