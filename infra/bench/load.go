package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	"github.com/geminivideo/geminivideo/functions/clicks"
	"github.com/geminivideo/geminivideo/functions/hubspot"
	"github.com/geminivideo/geminivideo/shared/attribution"
	crm "github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// The promises of the intake, beside a handler that reads the same bodies and nothing more.
const (
	leastIntake  = 0.6
	mostP95      = 8 * time.Millisecond
	mostP99      = 50 * time.Millisecond
	batchEvents  = 100
	portal       = 7
	intakeSecret = "the app's secret, of this run only"
	intakeURL    = "https://hooks.example.com"
)

// accepting takes every message at once, as Pub/Sub does in some milliseconds, and keeps
// which events came: a bit for each, which costs the load next to nothing.
type accepting struct {
	mu   sync.Mutex
	seen []uint64
	lost error // a message whose event nobody can tell
}

func (q *accepting) Publish(_ context.Context, messages ...message.Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range messages {
		// A key begins with portal, type and the object's id, which is the event's number here.
		_, rest, _ := strings.Cut(m.Key(), "|")
		_, rest, _ = strings.Cut(rest, "|")
		id, _, _ := strings.Cut(rest, "|")
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			q.lost = fmt.Errorf("the key %q: %w", m.Key(), err)
			continue
		}
		for int(n/64) >= len(q.seen) {
			q.seen = append(q.seen, make([]uint64, 1+len(q.seen))...)
		}
		q.seen[n/64] |= 1 << (n % 64)
	}
	return nil
}

// different returns how many different events came.
func (q *accepting) different() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, word := range q.seen {
		n += bits.OnesCount64(word)
	}
	return n
}

// loaded is what a closed loop of callers saw.
type loaded struct {
	took   []time.Duration
	failed int
	wall   time.Duration
}

func (l loaded) rate() float64 { return float64(len(l.took)) / l.wall.Seconds() }

func (l loaded) at(share float64) time.Duration {
	if len(l.took) == 0 {
		return 0
	}
	return l.took[min(int(share*float64(len(l.took))), len(l.took)-1)]
}

// loop keeps so many requests in flight for a time. request returns the n-th one.
func loop(inFlight int, lasting time.Duration, request func(n int64) (*http.Request, error)) loaded {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}, Timeout: 30 * time.Second}
	var (
		next  atomic.Int64
		mu    sync.Mutex
		all   loaded
		group sync.WaitGroup
	)
	began := time.Now()
	for range inFlight {
		group.Go(func() {
			for time.Since(began) < lasting {
				r, err := request(next.Add(1))
				sent := time.Now()
				ok := false
				if err == nil {
					var answer *http.Response
					if answer, err = client.Do(r); err == nil {
						_, _ = io.Copy(io.Discard, answer.Body)
						_ = answer.Body.Close()
						ok = answer.StatusCode == http.StatusOK
					}
				}
				took := time.Since(sent)
				mu.Lock()
				all.took = append(all.took, took)
				if !ok {
					all.failed++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	all.wall = time.Since(began)
	slices.Sort(all.took)
	return all
}

// loading prints what strangers' doors carry beside their floors, and looks up what was
// sent afterwards. Everything is on loopback, and bounded by -seconds.
func loading(args []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	seconds := flags.Int("seconds", 10, "how long each load lasts")
	inFlight := flags.Int("inflight", 10, "requests in flight")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *seconds < 1 || *seconds > 600 || *inFlight < 1 || *inFlight > 200 {
		return fmt.Errorf("-seconds must be 1 to 600 and -inflight 1 to 200")
	}
	ctx := context.Background()
	db, err := private(ctx)
	if err != nil {
		return err
	}
	defer db.close()
	slog.SetDefault(slog.New(slog.NewJSONHandler(io.Discard, nil))) // its lines are written, and read by nobody
	app, err := pg.Open(ctx, pg.Config{URL: db.app, MaxConns: 2})
	if err != nil {
		return err
	}
	defer app.Close()
	key := "gv_pk_bench"
	for _, sql := range []string{
		`INSERT INTO gv.tenants (tenant_id, name) VALUES ('` + tenantID(0) + `', 'Bench')`,
		`INSERT INTO gv.hubspot_connections (tenant_id, portal_id, access_token, connected_by) VALUES ('` + tenantID(0) + `', ` + strconv.Itoa(portal) + `, 'x', 'bench')`,
	} {
		if _, err := db.admin.Exec(ctx, sql); err != nil {
			return err
		}
	}
	_, err = db.admin.Exec(ctx, `INSERT INTO gv.publishable_keys (tenant_id, key_hash, prefix, created_by) VALUES ($1, $2, 'gv_pk', 'bench')`,
		tenantID(0), attribution.KeyHash(key))
	if err != nil {
		return err
	}
	lasting := time.Duration(*seconds) * time.Second
	missed := loadIntake(ctx, db, app, lasting, *inFlight)
	return join(missed, loadClicks(ctx, db, app, key, lasting, *inFlight))
}

// join returns the errors that are some.
func join(errs ...error) error {
	var all []string
	for _, err := range errs {
		if err != nil {
			all = append(all, err.Error())
		}
	}
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(all, "; "))
}

// loadIntake sends batches of 100 events to the webhook and to a bare handler in turn, so
// that both have the same machine.
func loadIntake(ctx context.Context, db *database, app *pg.DB, lasting time.Duration, inFlight int) error {
	bare, err := bareHandler(ctx)
	if err != nil {
		return err
	}
	queue := &accepting{}
	ours := httptest.NewServer(serve.Wrap("hubspot", hubspot.New(app, queue, secrets.Default(), intakeURL, intakeSecret)))
	defer ours.Close()
	request := func(to string) func(int64) (*http.Request, error) {
		return func(n int64) (*http.Request, error) {
			body := eventBatch(n)
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, to+"/webhooks/hubspot", bytes.NewReader(body))
			if err == nil {
				r.Header = crm.Sign(intakeSecret, http.MethodPost, intakeURL+"/webhooks/hubspot", body, time.Now())
			}
			return r, err
		}
	}
	loop(inFlight, time.Second, request(bare)) // both are warm when it counts
	loop(inFlight, time.Second, request(ours.URL))
	queue.seen = nil
	floor := loop(inFlight, lasting, request(bare))
	cpu := db.cpu(ctx)
	got := loop(inFlight, lasting, request(ours.URL))
	cpu = db.cpu(ctx) - cpu
	printLoad("bare handler that reads the body", floor, "")
	share := got.rate() / floor.rate()
	printLoad("webhook intake, batches of 100", got, fmt.Sprintf("%.2f of the bare handler's, %s database CPU an event",
		share, (cpu/time.Duration(max(len(got.took)*batchEvents, 1))).Round(100*time.Nanosecond)))
	accepted := (len(got.took) - got.failed) * batchEvents
	queued := queue.different()
	fmt.Printf("    %d events were acknowledged and %d are queued\n", accepted, queued)
	switch {
	case queue.lost != nil:
		return queue.lost
	case queued < accepted:
		return fmt.Errorf("%d acknowledged events are not queued", accepted-queued)
	case got.failed > 0:
		return fmt.Errorf("%d batches were refused", got.failed)
	case share < leastIntake:
		return fmt.Errorf("intake is %.2f of the bare handler, below %.2f", share, leastIntake)
	case got.at(0.95) > mostP95 || got.at(0.99) > mostP99:
		return fmt.Errorf("intake takes %v at p95 and %v at p99, above %v and %v", got.at(0.95), got.at(0.99), mostP95, mostP99)
	}
	return nil
}

// bareHandler starts the Functions Framework's own server with a handler that reads the
// body, and returns its address. It ends with the process.
func bareHandler(ctx context.Context) (address string, err error) {
	err = funcframework.RegisterHTTPFunctionContext(ctx, "/webhooks/hubspot", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	if err != nil {
		return "", err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	at := free.Addr().String()
	_ = free.Close()
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- funcframework.StartHostPort(host, port) }()
	for range 1000 {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			return "http://" + at, conn.Close()
		}
		select {
		case err := <-ended:
			return "", fmt.Errorf("the bare handler's server: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return "", fmt.Errorf("the bare handler's server does not listen at %s", at)
}

// eventBatch is the n-th batch; no event is sent twice.
func eventBatch(n int64) []byte {
	var b bytes.Buffer
	at := time.Now().UnixMilli()
	b.WriteByte('[')
	for i := range batchEvents {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"eventId":%d,"subscriptionId":1,"portalId":%d,"appId":1,"occurredAt":%d,"subscriptionType":"deal.propertyChange",`+
			`"attemptNumber":0,"objectId":%d,"changeSource":"CRM_UI","propertyName":"dealstage","propertyValue":"closedwon"}`,
			n*batchEvents+int64(i), portal, at, n*batchEvents+int64(i))
	}
	b.WriteByte(']')
	return b.Bytes()
}

// loadClicks sends beacons and then looks every one of them up.
func loadClicks(ctx context.Context, db *database, app *pg.DB, key string, lasting time.Duration, inFlight int) error {
	const much = 1e9
	queue := &accepting{}
	server := httptest.NewServer(serve.Wrap("clicks", clicks.New(app, queue, clicks.Limits{PerIP: much, PerKey: much, PerDay: much})))
	defer server.Close()
	cpu := db.cpu(ctx)
	got := loop(inFlight, lasting, func(n int64) (*http.Request, error) {
		body, err := json.Marshal(map[string]any{
			"tenant_id": tenantID(0), "ad_id": "a" + strconv.FormatInt(n%500, 10), "campaign_id": "c1",
			"click_id": "bench-" + strconv.FormatInt(n, 10),
			"fbclid":   "fb-" + strconv.FormatInt(n, 10), "landing_page_url": "https://shop.example/?utm_source=meta", "utm_source": "meta",
		})
		if err != nil {
			return nil, err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/api/ml/attribution/track-click", bytes.NewReader(body))
		if err == nil {
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Publishable-Key", key)
		}
		return r, err
	})
	cpu = db.cpu(ctx) - cpu
	var stored, bytesEach int64
	if err := db.admin.QueryRow(ctx, `SELECT count(*), pg_total_relation_size('gv.clicks') / greatest(count(*), 1) FROM gv.clicks`).Scan(&stored, &bytesEach); err != nil {
		return err
	}
	printLoad("click beacon, 2 connections", got, fmt.Sprintf("%s database CPU and %d bytes a click, indexes included",
		(cpu/time.Duration(max(len(got.took), 1))).Round(time.Microsecond), bytesEach))
	fmt.Printf("    %d clicks were acknowledged and %d are stored\n", len(got.took)-got.failed, stored)
	if missing := int64(len(got.took)-got.failed) - stored; missing > 0 || got.failed > 0 {
		return fmt.Errorf("%d acknowledged clicks are not stored, %d were refused", max(missing, 0), got.failed)
	}
	return nil
}

func printLoad(what string, l loaded, more string) {
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	fmt.Printf("%-34s %8.0f a second   p50 %v  p95 %v  p99 %v  errors %d   %s\n",
		what, l.rate(), round(l.at(0.5)), round(l.at(0.95)), round(l.at(0.99)), l.failed, more)
}

// cpu is the processor time that the database's processes have used so far; 0 where the
// system does not say.
func (db *database) cpu(ctx context.Context) (total time.Duration) {
	rows, err := db.admin.Query(ctx, `SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()`)
	if err != nil || runtime.GOOS != "linux" {
		return 0
	}
	defer rows.Close()
	for rows.Next() {
		var pid int
		if rows.Scan(&pid) != nil {
			return 0
		}
		data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		const user, system, tick = 11, 12, 10 * time.Millisecond
		for _, at := range []int{user, system} {
			ticks, err := strconv.ParseInt(fields[at], 10, 64)
			if err == nil {
				total += time.Duration(ticks) * tick
			}
		}
	}
	return total
}
