package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/issuer"
	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/auth"
)

const (
	mixedTenants = 10
	mixedRate    = 2.0 // requests a second of each tenant
	mixedBurst   = 10  // times that, of one tenant, in the second half
	mostDelayed  = 2.0 // how much longer the others may wait then, at p95
	mostMixed    = 2 * time.Second
)

// mix is what buyers, frontends and visitors ask, and in which shares.
var mix = []struct {
	name   string
	weight int
	ask    func(*mixedTenant, *rand.Rand) (method, path string, body any)
}{
	{"click beacon", 40, (*mixedTenant).click},
	{"budgets of eight ads", 15, (*mixedTenant).allocate},
	{"list of campaigns", 20, func(*mixedTenant, *rand.Rand) (string, string, any) { return http.MethodGet, "/api/campaigns", nil }},
	{"search of winners", 10, func(_ *mixedTenant, r *rand.Rand) (string, string, any) {
		return http.MethodPost, "/api/ml/rag/search-winners", map[string]any{"query": fmt.Sprintf("question hook %d", r.IntN(100)), "top_k": 5}
	}},
	{"fatigue of an ad", 10, (*mixedTenant).fatigue},
	{"value of the stages", 5, func(t *mixedTenant, _ *rand.Rand) (string, string, any) {
		return http.MethodPost, "/api/ml/synthetic-revenue/get-stages", map[string]any{"tenant_id": t.id}
	}},
}

type mixedTenant struct {
	id, token, key string

	mu   sync.Mutex
	sent int // clicks
}

// mixedAnswer is how a request went.
type mixedAnswer struct {
	tenant, kind int
	second       bool // in the half in which one tenant bursts
	took         time.Duration
	err          error
}

// loadMixed runs the whole local system and has ten tenants ask what they ask on a day, at
// a steady rate whatever the answers take; in the second half one of them asks ten times as
// much.
func loadMixed(ctx context.Context, lasting time.Duration) error {
	s, err := startSystem(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	tenants, err := mixedWorld(ctx, s)
	if err != nil {
		return err
	}
	answers := askAll(ctx, s.env["BASE_URL"], tenants, lasting)
	var failed []error
	fmt.Printf("%d tenants, %.0f requests a second each, for %v; then tenant 1 %d times as many for %v\n",
		mixedTenants, mixedRate, lasting/2, mixedBurst, lasting/2)
	for kind, m := range mix {
		took, errs := pick(answers, func(a mixedAnswer) bool { return a.kind == kind })
		fmt.Printf("    %-24s %6d   p50 %8v  p95 %8v  p99 %8v  errors %d\n", m.name, len(took), at(took, .5), at(took, .95), at(took, .99), len(errs))
		if len(errs) > 0 {
			failed = append(failed, fmt.Errorf("%s: %d errors, such as: %w", m.name, len(errs), errs[0]))
		}
		if p99 := at(took, .99); p99 > mostMixed {
			failed = append(failed, fmt.Errorf("%s takes %v at p99, above %v", m.name, p99, mostMixed))
		}
	}
	calm, _ := pick(answers, func(a mixedAnswer) bool { return a.tenant > 0 && !a.second })
	beside, _ := pick(answers, func(a mixedAnswer) bool { return a.tenant > 0 && a.second })
	ratio := float64(at(beside, .95)) / float64(at(calm, .95))
	fmt.Printf("    the other nine: p95 %v, beside the burst %v (%.2f times; limit %.0f)\n", at(calm, .95), at(beside, .95), ratio, mostDelayed)
	if ratio > mostDelayed {
		failed = append(failed, fmt.Errorf("one tenant's burst makes the others wait %.2f times as long, above %.0f", ratio, mostDelayed))
	}
	fmt.Printf("    the system's process held at most %.0f MB\n", peakMB(s.cmd.Process.Pid))
	return errors.Join(append(failed, clicksAreThere(ctx, s, tenants))...)
}

// mixedWorld makes the tenants with an account of fifty ads each.
func mixedWorld(ctx context.Context, s *system) ([]*mixedTenant, error) {
	admin, err := pgx.Connect(ctx, s.env["ADMIN_DATABASE_URL"])
	if err != nil {
		return nil, err
	}
	defer admin.Close(ctx)
	keys, err := issuer.Open(s.env["BASE_URL"], filepath.Join(s.dir, "data", "token.key"))
	if err != nil {
		return nil, err
	}
	var all []*mixedTenant
	for i := range mixedTenants {
		t := &mixedTenant{id: tenantID(i), key: fmt.Sprint("gv_pk_mixed_", i)}
		t.token = keys.Token(t.id, "bench@example.com", auth.Editor, time.Hour)
		args := pgx.NamedArgs{"tenant": t.id, "hash": attribution.KeyHash(t.key)}
		for _, sql := range []string{
			`INSERT INTO gv.tenants (tenant_id, name) VALUES (@tenant, 'Bench')`,
			`INSERT INTO gv.members (tenant_id, email, role, added_by, accepted_at) VALUES (@tenant, 'bench@example.com', 'editor', 'bench', now())`,
			`INSERT INTO gv.publishable_keys (tenant_id, key_hash, prefix, created_by) VALUES (@tenant, @hash, 'gv_pk', 'bench')`,
			`INSERT INTO gv.accounts (tenant_id, account_id, mode) VALUES (@tenant, 'act_1', 'dry_run')`,
			`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) SELECT @tenant, 'c' || i, 'act_1' FROM generate_series(0, 4) i`,
			`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, name, impressions, clicks, spend_minor)
			SELECT @tenant, 'a' || i, 'act_1', 'c' || i % 5, 'Ad ' || i, 14000, 280, 140000 FROM generate_series(0, 49) i`,
			`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
			SELECT @tenant, 'a' || i, current_date - d, 1000, 20, 10000 FROM generate_series(0, 49) i, generate_series(1, 14) d`,
		} {
			if _, err := admin.Exec(ctx, sql, args); err != nil {
				return nil, err
			}
		}
		all = append(all, t)
	}
	_, err = admin.Exec(ctx, `ANALYZE`)
	return all, err
}

// askAll sends the tenants' requests when they are due, whether earlier ones are answered
// or not.
func askAll(ctx context.Context, base string, tenants []*mixedTenant, lasting time.Duration) []mixedAnswer {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	var (
		mu      sync.Mutex
		all     []mixedAnswer
		senders sync.WaitGroup
	)
	began := time.Now()
	for i, t := range tenants {
		senders.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1)) //nolint:gosec // a load that is the same each time
			var sent sync.WaitGroup
			defer sent.Wait()
			for time.Since(began) < lasting {
				second := time.Since(began) > lasting/2
				rate := mixedRate
				if second && i == 0 {
					rate *= mixedBurst
				}
				time.Sleep(time.Duration(random.ExpFloat64() / rate * float64(time.Second)))
				kind := choose(random)
				method, path, body := mix[kind].ask(t, random)
				sent.Go(func() {
					asked := time.Now()
					err := t.do(ctx, client, method, base+path, body)
					mu.Lock()
					defer mu.Unlock()
					all = append(all, mixedAnswer{i, kind, second, time.Since(asked), err})
				})
			}
		})
	}
	senders.Wait()
	return all
}

// choose is a kind of request by its weight.
func choose(random *rand.Rand) int {
	n := random.IntN(100)
	for i, m := range mix {
		if n -= m.weight; n < 0 {
			return i
		}
	}
	return 0
}

func (t *mixedTenant) do(ctx context.Context, client *http.Client, method, url string, body any) error {
	var data io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		data = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, url, data)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if strings.HasSuffix(url, "/track-click") {
		r.Header.Set("X-Publishable-Key", t.key)
	} else {
		r.Header.Set("Authorization", "Bearer "+t.token)
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s was answered %d: %.300s", method, url, answer.StatusCode, said)
	}
	return err
}

func (t *mixedTenant) click(random *rand.Rand) (method, path string, body any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent++
	return http.MethodPost, "/api/ml/attribution/track-click", map[string]any{
		"tenant_id": t.id, "ad_id": fmt.Sprint("a", random.IntN(50)), "campaign_id": "c1", "click_id": fmt.Sprint("mixed-", t.sent),
		"fbclid": fmt.Sprint("fb-", t.id, t.sent), "landing_page_url": "https://shop.example/?utm_source=meta",
	}
}

func (t *mixedTenant) allocate(random *rand.Rand) (method, path string, body any) {
	var ads []map[string]any
	for i := range 8 {
		clicks := 100 + random.IntN(400)
		ads = append(ads, map[string]any{
			"ad_id": fmt.Sprint("a", i), "impressions": 50 * clicks, "clicks": clicks, "spend": float64(clicks), "age_hours": 200,
			"pipeline_value": float64(random.IntN(5000)),
		})
	}
	return http.MethodPost, "/api/ml/battle-hardened/select", map[string]any{"account_id": "act_1", "ad_states": ads, "total_budget": 500}
}

func (t *mixedTenant) fatigue(random *rand.Rand) (method, path string, body any) {
	var days []map[string]any
	for range 10 {
		days = append(days, map[string]any{"ctr": .02 + .002*random.Float64(), "frequency": 1.5, "cpm": 10, "impressions": 3000})
	}
	return http.MethodPost, "/api/ml/fatigue/check", map[string]any{"ad_id": "a1", "metrics_history": days}
}

// clicksAreThere looks every acknowledged click up.
func clicksAreThere(ctx context.Context, s *system, tenants []*mixedTenant) error {
	admin, err := pgx.Connect(ctx, s.env["ADMIN_DATABASE_URL"])
	if err != nil {
		return err
	}
	defer admin.Close(ctx)
	for _, t := range tenants {
		var stored int
		if err := admin.QueryRow(ctx, `SELECT count(*) FROM gv.clicks WHERE tenant_id = $1`, t.id).Scan(&stored); err != nil {
			return err
		}
		if stored != t.sent {
			return fmt.Errorf("%d of tenant %s's %d clicks are stored", stored, t.id, t.sent)
		}
	}
	return nil
}

// pick returns how long the answers took, ascending, and the errors among them.
func pick(answers []mixedAnswer, want func(mixedAnswer) bool) (took []time.Duration, errs []error) {
	for _, a := range answers {
		if want(a) {
			took = append(took, a.took)
			if a.err != nil {
				errs = append(errs, a.err)
			}
		}
	}
	slices.Sort(took)
	return took, errs
}

func at(took []time.Duration, share float64) time.Duration {
	return quantile(took, share).Round(10 * time.Microsecond)
}
