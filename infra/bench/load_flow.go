package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/geminivideo/geminivideo/functions/crmevent"
	"github.com/geminivideo/geminivideo/functions/hubspot"
	"github.com/geminivideo/geminivideo/infra/local/queue"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
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
