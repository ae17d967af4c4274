package execute_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
)

var killFor = flag.Duration("kill", 10*time.Second, "how long TestKilledAtRandom kills executors and sweeps")

func TestMain(m *testing.M) {
	if flag.Parse(); !testing.Verbose() || os.Getenv(childRole) != "" {
		slog.SetDefault(slog.New(slog.DiscardHandler))
	}
	if role := os.Getenv(childRole); role != "" {
		child(role)
	}
	os.Exit(m.Run())
}

// TestKilledAtRandom lets two executors and two sweeps, each a process of its own,
// work on 500 changes while they are killed at random moments and Meta fails in
// every way it knows. Twelve hours of the rules' clock pass meanwhile; the rules
// are the real ones. Run it for a minute with -kill 1m -v.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	c := newCrash(t)
	end := time.Now().Add(*killFor)
	var children sync.WaitGroup
	var kills, faults int
	var mu sync.Mutex
	for i, role := range []string{"execute", "execute", "sweep", "sweep"} {
		children.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for time.Now().Before(end) {
				c.live(role, 200*time.Millisecond+time.Duration(random.Int64N(int64(time.Second))))
				mu.Lock()
				kills++
				mu.Unlock()
			}
		})
	}
	random := rand.New(rand.NewPCG(7, 7))
	for time.Now().Before(end) {
		c.fake.Heal()
		c.fake.Inject(c.trouble(random))
		faults++
		time.Sleep(time.Duration(random.Int64N(int64(*killFor / 100))))
	}
	children.Wait()
	c.fake.Heal()
	written := len(c.fake.Applied(""))
	c.drain()
	c.report(kills, faults, written)
	c.everyChangeIsAppliedOnceOrHeld()
	c.noLimitIsBrokenAtMeta()
	c.theHistoryIsComplete()
}

// live runs a child for so long, and kills it.
func (c *crash) live(role string, life time.Duration) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), c.environment(role)...)
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		c.t.Errorf("start %s: %v", role, err)
		return
	}
	time.Sleep(life)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// trouble is one of the ways in which Meta fails.
func (c *crash) trouble(random *rand.Rand) fakemeta.Fault {
	all := []fakemeta.Fault{
		{Method: "POST", Status: 500, After: true},
		{Method: "POST", Drop: true, After: true},
		{Method: "POST", Truncate: true, After: true},
		{Method: "POST", Status: 502},
		{Method: "POST", Drop: true},
		{Method: "POST", Code: 2, Status: 200},
		{Method: "POST", Code: 613, Subcode: 1487632},
		{Method: "POST", Delay: 50 * time.Millisecond},
		{Method: "GET", Status: 503},
		{Method: "GET", Delay: 30 * time.Millisecond},
	}
	return all[random.IntN(len(all))]
}

// newCrash makes 20 accounts of one campaign and 25 ads, each alone in its ad set
// and with 100.00 USD, at Meta and in the database.
func newCrash(t *testing.T) *crash {
	t.Helper()
	// Whatever the time there is, it is twelve hours by the rules' clock.
	c := &crash{t: t, clock: clock{start: time.Now(), speed: float64(12*time.Hour) / float64(*killFor)}}
	c.open()
	var err error
	if c.fake, err = fakemeta.New(fakemeta.Options{Now: c.clock.now}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c.fake)
	t.Cleanup(server.Close)
	c.url = server.URL
	c.exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'Northside')`, tenant)
	for i := range crashAccounts {
		account := fmt.Sprintf("act_%d", 100+i)
		a := c.fake.Connect(fakemeta.AccountConfig{ID: account, Tokens: []string{crashToken}})
		campaign := a.PutCampaign(fakemeta.Campaign{ID: fmt.Sprint(900 + i)})
		c.exec(`INSERT INTO gv.accounts (tenant_id, account_id, mode) VALUES ($1, $2, 'live')`, tenant, account)
		c.exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, $2, $3)`, tenant, campaign, account)
		c.exec(`INSERT INTO gv.meta_connections (tenant_id, account_id, access_token, connected_by) VALUES ($1, $2, 'x', 'test')`, tenant, account)
		for j := range crashAds / crashAccounts {
			n := i*crashAds/crashAccounts + j
			set := a.PutAdSet(fakemeta.AdSet{ID: fmt.Sprint(50_000 + n), CampaignID: campaign, DailyBudget: 10_000})
			a.PutAd(fakemeta.Ad{ID: crashAd(n), AdSetID: set})
			c.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, adset_id, daily_budget_minor) VALUES ($1, $2, $3, $4, $5, 10000)`,
				tenant, crashAd(n), account, campaign, set)
			if n%100 == 7 { // somebody else has been here, and we do not know yet
				budget := int64(33_300)
				c.fake.Edit(set, &budget, "")
			}
		}
	}
	return c
}

// drain lets two executors finish what is left, unharmed.
func (c *crash) drain() {
	c.t.Helper()
	db := c.worker(c.workerURL, 8)
	sweepAll(context.Background(), db, c.clock)
	deadline := time.Now().Add(20 * time.Minute) // some seconds on a machine that does nothing else
	for c.count(`SELECT count(*) FROM gv.pending_ad_changes WHERE finished_at IS NULL`) > 0 {
		if time.Now().After(deadline) {
			c.t.Fatalf("still open: %s", c.text(`SELECT string_agg(concat_ws(' ', budget_object, status, due_at, held_reason), E'\n') FROM gv.pending_ad_changes WHERE finished_at IS NULL`))
		}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if _, err := executor(db, c.url, c.clock).Run(context.Background()); err != nil {
					c.t.Error(err)
				}
			})
		}
		both.Wait()
		time.Sleep(50 * time.Millisecond)
	}
}
