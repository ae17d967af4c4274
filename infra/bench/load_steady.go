package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	crm "github.com/geminivideo/geminivideo/shared/hubspot"
)

const (
	mostLag     = 5 * time.Second // from the webhook's answer to the ledger, p99
	burstTimes  = 10              // the burst's rate, in steady rates
	burstFor    = 10              // seconds
	steadyDeals = 2000
)

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

func (l lags) at(share float64) time.Duration { return quantile(l, share).Round(time.Millisecond) }

// drained waits until every acknowledged event is in the ledger's inbox. Nothing that comes
// in for two minutes is a loss.
func (f *flow) drained(ctx context.Context) (lags, error) {
	keys := make([]string, 0, len(f.acked))
	for key := range f.acked {
		keys = append(keys, key)
	}
	for last, since := 0, time.Now(); ; time.Sleep(200 * time.Millisecond) {
		rows, _ := f.db.admin.Query(ctx, `SELECT event_key, received_at FROM gv.inbox
			WHERE tenant_id = $1 AND consumer = 'crmevent' AND event_key = ANY ($2)`, tenantID(0), keys)
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
