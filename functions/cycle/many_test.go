package cycle_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	manifest "github.com/geminivideo/geminivideo/functions"
)

// many is how many accounts of 60 ads are cycled:
//
//	go test ./functions/cycle -run Many -v -accounts 1000
var many = flag.Int("accounts", 12, "accounts of 60 ads that TestManyAccounts... cycles")

func TestManyAccountsAreCycledOrHandedOnWithinTheFunctionsTimeAndMemory(t *testing.T) {
	t.Parallel()
	w := open(t)
	for _, sql := range []string{
		`INSERT INTO gv.tenants (tenant_id, name) SELECT md5('t' || i)::uuid, 'Tenant ' || i FROM generate_series(0, ($1::int - 1) / 10) i`,
		`INSERT INTO gv.accounts (tenant_id, account_id) SELECT md5('t' || i / 10)::uuid, 'act_' || i FROM generate_series(0, $1::int - 1) i`,
		`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) SELECT md5('t' || i / 10)::uuid, 'c' || i, 'act_' || i FROM generate_series(0, $1::int - 1) i`,
		`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, creative_dna, impressions, clicks, spend_minor, pipeline_minor, daily_budget_minor, created_at)
		 SELECT md5('t' || i / 10)::uuid, 'ad_' || i || '_' || n, 'act_' || i, 'c' || i,
		        jsonb_build_object('hook_type', (ARRAY['question', 'offer', 'testimonial', 'story'])[1 + n % 4], 'visual_pacing', (ARRAY['fast', 'medium', 'slow'])[1 + n % 3],
		                           'hook_strength', 0.3 + 0.1 * (n % 7), 'duration_seconds', 10 + n % 30),
		        20000, 200 + 40 * (n % 4) + (i * 31 + n * 17) % 90, 50000, CASE WHEN n % 3 = 0 THEN 100000 ELSE 0 END, 2500, '2026-06-15'::timestamptz - make_interval(days => 20 + n % 20)
		 FROM   generate_series(0, $1::int - 1) i, generate_series(1, 60) n`,
		`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
		 SELECT tenant_id, ad_id, '2026-06-15'::date - d, impressions / 20, clicks / 20, spend_minor / 20 FROM gv.ads, generate_series(1, 20) d WHERE $1::int > 0`,
	} {
		w.Exec(sql, *many)
	}
	m, err := manifest.Load()
	if err != nil {
		t.Fatal(err)
	}
	f, _ := m.Get("cycle")
	// Each run takes place in the same hour: what one does not get to is handed on to the next.
	for run := 1; ; run++ {
		bounded, cancel := context.WithTimeout(t.Context(), f.Timeout)
		began := time.Now()
		r := w.run(bounded)
		cancel()
		t.Logf("run %d: %.1f s, %d completed, %d handed on, at most %d MB resident", run, time.Since(began).Seconds(), r.Completed, r.HandedOn, highest(t)>>20)
		if r.Failed+r.Errors > 0 || r.Completed == 0 {
			t.Fatalf("%+v", r)
		}
		if r.HandedOn == 0 && !r.More {
			break
		}
	}
	if got := w.Text(`SELECT count(*) || ' ' || count(DISTINCT (tenant_id, account_id)) FROM gv.learning_cycles WHERE status = 'completed'`); got != fmt.Sprint(*many, " ", *many) {
		t.Errorf("completed cycles and their accounts: %s", got)
	}
	if peak := highest(t); *many >= 100 && peak > 512<<20 { // functions.yaml gives it 512Mi
		t.Errorf("%d MB are more than the function has", peak>>20)
	}
}

// highest is how much memory this process had at most, in bytes; 0 where the system
// does not say.
func highest(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	var kb int64
	_, _ = fmt.Sscan(after, &kb)
	return kb << 10
}
