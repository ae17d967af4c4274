package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/functions/crmevent"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	crm "github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// leastLedger is the share of the events a second that Postgres alone could take.
const leastLedger = 0.5

const (
	ledgerAds   = 100
	ledgerToken = "projects/bench/secrets/portal"
)

// loadLedger has deals made and moved in a HubSpot that stands on this machine, and
// functions/crmevent handle every event. Its floor is pgbench with the same statements,
// which were logged in a run before: each run has a copy of one database.
func loadLedger(ctx context.Context, deals int, named bool) error {
	db, err := private(ctx, map[string]string{
		"logging_collector": "on", "log_destination": "csvlog", "log_directory": "log", "log_filename": "bench.log",
		"log_rotation_age": "0", "log_rotation_size": "0", "log_min_messages": "log",
	})
	if err != nil {
		return err
	}
	defer db.close()
	if err := ledgerWorld(ctx, db, deals); err != nil {
		return err
	}
	capture, err := db.copy(ctx, "capture")
	if err != nil {
		return err
	}
	if _, err := db.admin.Exec(ctx, `ALTER DATABASE capture SET log_statement = 'all'`); err != nil {
		return err
	}
	logged, err := capture.handle(ctx, deals, 1, false)
	if err != nil {
		return err
	}
	scripts, statements, err := capture.scripts(ctx)
	if err != nil {
		return err
	}
	floor, err := db.pgbench(ctx, scripts)
	if err != nil {
		return err
	}
	one, err := db.measured(ctx, "one", deals, 1, named)
	if err != nil {
		return err
	}
	four, err := db.measured(ctx, "four", deals, 4, named)
	if err != nil {
		return err
	}
	rate := func(took time.Duration) float64 { return float64(logged.events) / took.Seconds() }
	share := rate(one.took) / rate(floor)
	each := func(d time.Duration) time.Duration {
		return (d / time.Duration(logged.events)).Round(10 * time.Microsecond)
	}
	fmt.Printf("pgbench, the ledger's statements   %8.0f events a second, 1 connection\n", rate(floor))
	fmt.Printf("events to the ledger, one by one   %8.0f events a second   %.2f of pgbench's; %.1f statements and %s database CPU an event\n",
		rate(one.took), share, float64(statements)/float64(logged.events), each(one.cpu))
	fmt.Printf("events to the ledger, 4 at once    %8.0f events a second   %s database CPU an event\n", rate(four.took), each(four.cpu))
	for _, r := range []ledgerRun{one, four} {
		fmt.Printf("    %d events were handled; %d of %d deals are in the ledger and worth %d of %d\n", r.events, r.deals, deals, r.value, r.want)
		if r.deals != deals || r.value != r.want {
			return fmt.Errorf("the ledger holds %d of %d deals, worth %d of %d", r.deals, deals, r.value, r.want)
		}
	}
	if share < leastLedger {
		return fmt.Errorf("events to the ledger are %.2f of pgbench's, below %.2f", share, leastLedger)
	}
	return nil
}

// ledgerWorld is an account of ads with a month of days each, and a click for every deal
// to come.
func ledgerWorld(ctx context.Context, db *database, deals int) error {
	for _, sql := range []string{
		`INSERT INTO gv.tenants (tenant_id, name) VALUES (@tenant, 'Bench')`,
		`INSERT INTO gv.accounts (tenant_id, account_id, mode) VALUES (@tenant, 'act_1', 'dry_run')`,
		`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES (@tenant, 'c1', 'act_1')`,
		`INSERT INTO gv.hubspot_connections (tenant_id, portal_id, access_token, connected_by) VALUES (@tenant, @portal, @token, 'bench')`,
		`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) SELECT @tenant, 'a' || i, 'act_1', 'c1' FROM generate_series(0, @ads::int - 1) i`,
		`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
		SELECT @tenant, 'a' || i, current_date - d, 1000, 20, 100000 FROM generate_series(0, @ads::int - 1) i, generate_series(1, 30) d`,
		`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid)
		SELECT @tenant, 'click' || i, 'a' || i % @ads::int, 'c1', now() - interval '3 days', 'fb' || i
		FROM   generate_series(0, @deals::int - 1) i`,
		`VACUUM (ANALYZE)`,
	} {
		var args []any
		if sql[:6] == "INSERT" {
			args = append(args, pgx.NamedArgs{"tenant": tenantID(0), "portal": portal, "token": ledgerToken, "ads": ledgerAds, "deals": deals})
		}
		if _, err := db.admin.Exec(ctx, sql, args...); err != nil {
			return err
		}
	}
	return nil
}

// ledgerRun is what became of the events of so many deals.
type ledgerRun struct {
	events, deals int
	value, want   int64
	took, cpu     time.Duration
}

// measured handles the deals' events in a copy of the database.
func (db *database) measured(ctx context.Context, name string, deals, workers int, named bool) (r ledgerRun, err error) {
	c, err := db.copy(ctx, name)
	if err != nil {
		return r, err
	}
	return c.handle(ctx, deals, workers, named)
}

// handle makes the deals and moves them, and hands over each event as Pub/Sub would.
func (c *databaseCopy) handle(ctx context.Context, deals, workers int, named bool) (r ledgerRun, err error) {
	hub, err := fakehubspot.New(fakehubspot.Options{})
	if err != nil {
		return r, err
	}
	p := hub.Connect(fakehubspot.PortalConfig{ID: portal, Tokens: []string{"pat"}, Limit: 1_000_000})
	api := httptest.NewServer(hub)
	defer api.Close()
	keys, err := vault.Start("")
	if err != nil {
		return r, err
	}
	defer keys.Close()
	if err := keys.Set(ledgerToken, "pat"); err != nil {
		return r, err
	}
	app, err := pg.Open(ctx, pg.Config{URL: c.app, MaxConns: int32(workers), Named: named})
	if err != nil {
		return r, err
	}
	defer app.Close()
	worker, err := pg.OpenWorker(ctx, pg.WorkerConfig{URL: c.worker, MaxConns: 1, Named: named})
	if err != nil {
		return r, err
	}
	defer worker.Close()
	consumer := crmevent.New(app, worker, &accepting{}, secrets.New(secrets.Insecure(keys.Addr())...),
		dealsync.Config{URL: api.URL, PerTenSeconds: 1_000_000}, meta.New(meta.Config{}, meta.Options{}))

	before, began := c.cpu(ctx), time.Now()
	var (
		group sync.WaitGroup
		mu    sync.Mutex
	)
	for w := range workers {
		group.Go(func() {
			for i := w; i < deals; i += workers {
				n, failed := playDeal(ctx, p, consumer, i, began)
				mu.Lock()
				r.events += n
				if failed != nil && err == nil {
					err = failed
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	r.took, r.cpu = time.Since(began), c.cpu(ctx)-before
	if err != nil {
		return r, err
	}
	r.want = int64(deals) * wonAmount * 100
	return r, c.admin.QueryRow(ctx, `SELECT (SELECT count(*) FROM gv.deals WHERE attribution_method IS NOT NULL), (SELECT sum(pipeline_minor)::bigint FROM gv.ads)`).
		Scan(&r.deals, &r.value)
}

const wonAmount = 1200

// playDeal makes a contact with a click and a deal, moves it to an appointment, gives it an
// amount and wins it; it returns how many events that was.
func playDeal(ctx context.Context, p *fakehubspot.Portal, consumer serve.Consumer, i int, began time.Time) (n int, err error) {
	var deal int64
	at := began.Add(-48 * time.Hour)
	for _, step := range []func() ([]fakehubspot.Event, error){
		func() ([]fakehubspot.Event, error) {
			contact, events, err := p.UpsertContact(0, map[string]string{
				"hs_facebook_click_id": "fb" + strconv.Itoa(i), "first_conversion_date": at.Format(time.RFC3339),
			}, at)
			if err != nil {
				return nil, err
			}
			var more []fakehubspot.Event
			deal, more, err = p.CreateDeal(fakehubspot.NewDeal{Contacts: []int64{contact}, Primary: true, At: at})
			return append(events, more...), err
		},
		func() ([]fakehubspot.Event, error) {
			return p.MoveStage(deal, "appointmentscheduled", at.Add(time.Hour))
		},
		func() ([]fakehubspot.Event, error) { return p.SetAmount(deal, strconv.Itoa(wonAmount)) },
		func() ([]fakehubspot.Event, error) { return p.MoveStage(deal, "closedwon", at.Add(24*time.Hour)) },
	} {
		events, err := step()
		if err != nil {
			return n, err
		}
		body, err := json.Marshal(events)
		if err != nil {
			return n, err
		}
		parsed, err := crm.ParseBatch(body)
		if err != nil {
			return n, err
		}
		for _, e := range parsed {
			n++
			m := message.Message{ID: strconv.Itoa(n), Data: e.Message(), PublishedAt: time.Now(), Attempt: 1, Attributes: map[string]string{
				message.KeyAttribute: e.Key(), message.TenantAttribute: tenantID(0), message.SubjectAttribute: e.Subject(),
			}}
			if err := consumer.Handle(ctx, m); err != nil {
				return n, fmt.Errorf("event %s: %w", e.Key(), err)
			}
		}
	}
	return n, nil
}

// pgbench runs the scripts in turn in a copy of the database and returns how long their
// statements took.
func (db *database) pgbench(ctx context.Context, scripts []string) (took time.Duration, err error) {
	c, err := db.copy(ctx, "floor")
	if err != nil {
		return 0, err
	}
	for _, script := range scripts {
		one, err := db.pgbenchOnce(ctx, c, script)
		if err != nil {
			return 0, err
		}
		took += one
	}
	return took, nil
}

func (db *database) pgbenchOnce(ctx context.Context, c *databaseCopy, script string) (time.Duration, error) {
	dir, err := os.MkdirTemp("", "geminivideo-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "statements.sql")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		return 0, err
	}
	//nolint:gosec // the installation's own program, and a file and URL of ours
	cmd := exec.CommandContext(ctx, filepath.Join(db.cluster.Install().Bin, "pgbench"), "-n", "-t", "1", "-c", "1", "-f", file, c.app)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("pgbench: %w: %s", err, out[max(0, len(out)-2000):])
	}
	_, after, _ := strings.Cut(string(out), "latency average = ")
	took, _, _ := strings.Cut(after, "\n")
	return time.ParseDuration(strings.ReplaceAll(took, " ", ""))
}
