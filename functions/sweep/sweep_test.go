package sweep_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/functions/sweep"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	engine "github.com/geminivideo/geminivideo/shared/sweep"
)

const (
	tenant = "6f1c0a52-6c1b-4d6e-9a51-0d1f0c8f6a01"
	other  = "b9e60f6e-52f5-4c7e-8f0c-3a4f5f3b7c02"
)

type world struct {
	t      *testing.T
	worker *pg.Worker
	admin  *pgxpool.Pool
}

func open(t *testing.T) world {
	t.Helper()
	made := pgtest.New(t)
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: made.WorkerURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	w := world{t, worker, made.Admin(t)}
	w.exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'Northside'), ($2, 'Southside')`, tenant, other)
	return w
}

func (w world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.admin.Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

func (w world) text(sql string, args ...any) string {
	w.t.Helper()
	var v any
	if err := w.admin.QueryRow(context.Background(), sql, args...).Scan(&v); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return fmt.Sprint(v)
}

// account makes an account with five steady ads, and ads whose last two days have
// the CTR and the CPM of ten times those; a budget of 0 is an unknown one.
func (w world) account(tenant, account string, budget int64, ctr, cpm float64, ads ...string) {
	w.t.Helper()
	w.exec(`INSERT INTO gv.accounts (tenant_id, account_id, mode) VALUES ($1, $2, 'live')`, tenant, account)
	w.exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, $2, $2)`, tenant, account)
	for i := range 5 {
		ads = append(ads, fmt.Sprintf("%s-steady-%d", account, i))
	}
	w.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, adset_id, daily_budget_minor)
		SELECT $1, ad, $2, $2, 'set-' || ad, nullif($3::bigint, 0) FROM unnest($4::text[]) ad`, tenant, account, budget, ads)
	w.exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
		SELECT $1, ad, (now() AT TIME ZONE 'UTC')::date - d, 40000,
		       800 * CASE WHEN d <= 2 AND ad NOT LIKE '%steady%' THEN $3::float8 ELSE 1 END,
		       40000 * CASE WHEN d <= 2 AND ad NOT LIKE '%steady%' THEN $4::float8 ELSE 1 END
		FROM   unnest($2::text[]) ad, generate_series(1, 10) d`, tenant, ads, ctr, cpm)
}

func (w world) run() engine.Report {
	w.t.Helper()
	return w.runIn(w.t.Context())
}

func (w world) runIn(ctx context.Context) engine.Report {
	w.t.Helper()
	report, err := sweep.New(w.worker, nil).Run(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return report.(engine.Report)
}

func TestATiredAdGetsOneCutAndOneRefreshOverFiveSweeps(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(tenant, "act_1", 5000, 0.5, 1, "tired")
	w.exec(`INSERT INTO gv.webhooks (tenant_id, url, secret, updated_by) VALUES ($1, 'https://northside.example/hook', 's', 'a@northside.example')`, tenant)
	for i := range 5 {
		r := w.run()
		if i == 0 && (r.Remediated != 1 || r.Cuts != 1 || r.Refreshes != 1 || r.NewlyFatigued != 1 || len(r.Skipped) != 0 || r.ByStatus["FATIGUING"] != 1 || r.ByStatus["HEALTHY"] != 5) {
			t.Errorf("the first: %+v", r)
		}
		if i > 0 && (r.Remediated != 0 || r.NewlyFatigued != 0 || len(r.Skipped) != 1 || !strings.Contains(r.Skipped[0].Reason, "queued in the last 7 days") || !slices.Equal(r.Skipped[0].AdIDs, []string{"tired"})) {
			t.Errorf("sweep %d: %+v", i, r)
		}
	}
	if got := w.text(`SELECT string_agg(ad_id || ' ' || before_minor || ' to ' || target_minor || ' ' || source || ' ' || requested_by, ', ') FROM gv.pending_ad_changes`); got != "tired 5000 to 4000 fatigue sweep" {
		t.Errorf("queued %s", got)
	}
	if got := w.text(`SELECT string_agg(ad_id || ' ' || status, ', ') FROM gv.refreshes`); got != "tired queued" {
		t.Errorf("refreshes %s", got)
	}
	if got := w.text(`SELECT reason FROM gv.refreshes`); !strings.Contains(got, "CTR down 50%: 1.00% on the newest day") {
		t.Errorf("the reason is %s", got)
	}
	sent := w.text(`SELECT convert_from(data, 'UTF8') FROM gv.outbox WHERE topic = 'creative-refresh' AND tenant_id = $1`, tenant)
	var m struct {
		RefreshID string `json:"refresh_id"`
		AdID      string `json:"ad_id"`
	}
	if err := json.Unmarshal([]byte(sent), &m); err != nil || m.AdID != "tired" || m.RefreshID != w.text(`SELECT refresh_id::text FROM gv.refreshes`) {
		t.Errorf("sent %s (%v)", sent, err)
	}
	if got := w.text(`SELECT count(*) FROM gv.outbox WHERE topic = 'tenant-notices' AND convert_from(data, 'UTF8') LIKE '%"ad.fatigued"%'`); got != "1" {
		t.Errorf("%s notices", got)
	}
	if got := w.text(`SELECT count(*) || ' ' || sum((report->>'remediated')::int) || ' ' || min(requested_by) FROM gv.sweeps WHERE tenant_id = $1`, tenant); got != "5 1 sweep" {
		t.Errorf("kept reports: %s", got)
	}
	// A week later it still tires, and the last refresh is done.
	w.exec(`UPDATE gv.fatigue_remedies SET until = now() - interval '1 second'`)
	w.exec(`UPDATE gv.refreshes SET status = 'planned', requested_at = now() - interval '8 days'`)
	if r := w.run(); r.Refreshes != 1 || r.NewlyFatigued != 0 {
		t.Errorf("a week later: %+v", r)
	}
}

func TestAnAdWhoseBudgetNobodyKnowsIsRefreshedAndTheReportSaysWhyItIsNotCut(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(tenant, "act_1", 0, 0.5, 1, "tired")
	for i := range 2 {
		r := w.run()
		if len(r.Skipped) != 1 || r.Skipped[0].Ads != 1 || !strings.Contains(r.Skipped[0].Reason, "no cut: ") || !strings.Contains(r.Skipped[0].Reason, "budget") || r.Cuts != 0 || r.Refreshes != 1-i {
			t.Errorf("sweep %d: %+v", i, r)
		}
	}
	if got := w.text(`SELECT count(*) FROM gv.refreshes`); got != "1" {
		t.Errorf("%s refreshes", got)
	}
}

func TestTwoSweepsAtOnceCutOnce(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(tenant, "act_1", 5000, 0.5, 1, "t1", "t2")
	w.account(other, "act_1", 5000, 0.5, 1, "t1")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			report, err := sweep.New(w.worker, nil).Run(context.Background())
			if r, _ := report.(engine.Report); err != nil || r.Held == (r.LookedAt > 0) {
				t.Errorf("%+v %v", report, err)
			}
		})
	}
	group.Wait()
	if got := w.text(`SELECT string_agg(ad_id || ' ' || target_minor, ', ' ORDER BY tenant_id, ad_id) FROM gv.pending_ad_changes`); got != "t1 4000, t2 4000, t1 4000" {
		t.Errorf("queued %s", got)
	}
	if got := w.text(`SELECT count(*) FROM gv.refreshes`); got != "3" {
		t.Errorf("%s refreshes", got)
	}
}

func TestAnAuctionWideRiseIsBlamedOnNobody(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(tenant, "act_1", 5000, 1, 1.8, "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8")
	w.account(other, "act_1", 5000, 1, 1.8, "alone")
	r := w.run()
	if got := w.text(`SELECT string_agg(tenant_id || ' ' || ad_id, ', ') FROM gv.pending_ad_changes`); got != other+" alone" || r.Cuts != 1 {
		t.Errorf("cut %s, %+v", got, r)
	}
}

func TestABudgetChangeIsNamedInTheReason(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(tenant, "act_1", 5000, 0.5, 1, "tired")
	w.exec(`INSERT INTO gv.ad_change_history (tenant_id, account_id, campaign_id, ad_id, budget_object, action, outcome, before_minor, after_minor, reason, initiator, at)
		VALUES ($1, 'act_1', 'act_1', 'sibling', 'adset/set-tired', 'budget', 'applied', 3000, 5000, 'r', 'i', now() - interval '5 days')`, tenant)
	r := w.run()
	if len(r.Ads) != 1 || !strings.Contains(r.Ads[0].Reason, "its budget was changed once in these days") {
		t.Errorf("%+v", r)
	}
}

func TestATenantWithAScheduleOfItsOwnIsPassedOver(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(tenant, "act_1", 5000, 0.5, 1, "t1")
	w.account(other, "act_1", 5000, 0.5, 1, "t1")
	w.exec(`INSERT INTO gv.schedules (tenant_id, name, cron, updated_by) VALUES ($1, 'fatigue', '0 5 * * *', 'a'), ($2, 'learning', '0 5 * * *', 'a')`, tenant, other)
	r := w.run()
	if r.PassedOver != 1 || r.Tenants != 1 || r.LookedAt != 6 || w.text(`SELECT tenant_id::text FROM gv.pending_ad_changes`) != other {
		t.Errorf("%+v", r)
	}
}

func TestARunOfATenantsOwnScheduleSweepsThatTenantOnly(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(tenant, "act_1", 5000, 0.5, 1, "t1")
	w.account(other, "act_1", 5000, 0.5, 1, "t1")
	w.exec(`INSERT INTO gv.schedules (tenant_id, name, cron, updated_by) VALUES ($1, 'fatigue', '0 5 * * *', 'a')`, tenant)
	for i := range 2 { // Cloud Scheduler may fire twice
		r := w.runIn(serve.ForTenant(t.Context(), tenant))
		if r.PassedOver != 0 || r.LookedAt != 6 || r.Cuts != 1-i {
			t.Errorf("run %d: %+v", i, r)
		}
	}
	if got := w.text(`SELECT string_agg(DISTINCT tenant_id::text, ' ') FROM (SELECT tenant_id FROM gv.pending_ad_changes UNION SELECT tenant_id FROM gv.ad_fatigue UNION SELECT tenant_id FROM gv.sweeps) x`); got != tenant {
		t.Errorf("swept: %s", got)
	}
}

func TestPausedAdsAndOldDaysAreNotLookedAt(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(tenant, "act_1", 5000, 0.5, 1, "paused", "stale", "long")
	w.exec(`UPDATE gv.ads SET status = 'PAUSED' WHERE ad_id = 'paused'`)
	w.exec(`DELETE FROM gv.ad_metrics WHERE ad_id = 'stale'`)
	w.exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
		SELECT $1, 'stale', current_date - 6 - d, 40000, CASE WHEN d < 2 THEN 100 ELSE 800 END, 40000 FROM generate_series(0, 9) d`, tenant)
	w.exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
		SELECT $1, 'long', current_date - d, 40000, 40, 40000 FROM generate_series(60, 460) d`, tenant) // a CTR of long ago
	r := w.run()
	if got := w.text(`SELECT string_agg(ad_id || ' ' || status, ', ' ORDER BY ad_id) FROM gv.ad_fatigue WHERE ad_id NOT LIKE '%steady%'`); got != "long FATIGUING" {
		t.Error(got)
	}
	if r.LookedAt != 7 || r.Cuts != 1 {
		t.Errorf("%+v", r)
	}
}

func TestWithoutAdsThereIsNothingToDoAndWithoutADatabaseItSaysSo(t *testing.T) {
	t.Parallel()
	w := open(t)
	if r := w.run(); r.LookedAt != 0 || r.Unfinished || r.Skipped == nil || r.Ads == nil || r.ByStatus == nil {
		t.Errorf("%+v", r)
	}
	w.worker.Close()
	_, err := sweep.New(w.worker, nil).Run(t.Context())
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Unavailable {
		t.Errorf("without a database: %v", err)
	}
}
