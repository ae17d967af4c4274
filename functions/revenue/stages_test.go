package revenue_test

import (
	"sync"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
)

func (w world) ad(id, currency string) {
	w.T.Helper()
	account := "act_" + currency
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id, currency) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, apitest.Tenant, account, currency)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, $2, $2) ON CONFLICT DO NOTHING`, apitest.Tenant, account)
	w.Exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) VALUES ($1, $2, $3, $3)`, apitest.Tenant, id, account)
	w.Exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor) VALUES ($1, $2, '2026-03-01', 1000, 20, 200000)`, apitest.Tenant, id)
}

func (w world) deal(id int, stage, ad string, amount, issue any) {
	w.T.Helper()
	w.Exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, stage_name, amount_minor, amount_issue, ad_id, attribution_method, attribution_confidence)
		VALUES ($1, 1, $2, 'live', $3, $4, $5, nullif($6, ''), 'url_param', 1)`, apitest.Tenant, id, stage, amount, issue, ad)
}

func TestAStageSetAnewRevaluesItsDealsAndTheirAdsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ad("a1", "USD")
	w.ad("a2", "USD")
	w.deal(1, "show_up", "a1", nil, nil)
	w.deal(2, "show_up", "a1", 99, nil)
	w.deal(3, "show_up", "", nil, nil)
	w.deal(4, "lead", "a2", nil, nil)
	w.deal(5, "show_up", "a2", nil, "the amount is in EUR")
	w.Exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, stage_name, ad_id) VALUES ($1, 1, 6, 'gone', 'show_up', 'a1')`, apitest.Tenant)

	a := w.put("show_up", `{"tenant_id": "TENANT", "value": 10000.25, "confidence": 0.9}`)
	got := a.JSON(t)
	if a.Status != 200 || got["revalued_deals"] != 4.0 || got["settled_ads"] != 2.0 || got["previous_value"] != 9000.0 || got["created"] != false {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if got := w.Text(`SELECT string_agg(deal_id || '=' || value_minor, ' ' ORDER BY deal_id) FROM gv.deals`); got != "1=1000025 2=1000025 3=1000025 4=0 5=0 6=0" {
		t.Errorf("deals: %s", got)
	}
	if got := w.Text(`SELECT string_agg(ad_id || '=' || pipeline_minor || ' ' || is_winner, ' ' ORDER BY ad_id) FROM gv.ads`); got != "a1=2000050 true a2=0 false" {
		t.Errorf("ads: %s", got)
	}
	if sent := w.Queue.Sent("winner-found"); len(sent) != 1 || sent[0] != `{"ad_id":"a1"}` {
		t.Errorf("winners found: %v", sent)
	}
	if got := w.Text(`SELECT string_agg(stage_name || ' ' || value_minor || ' ' || confidence || ' ' || replaced_by, ', ') FROM gv.stage_value_history`); got != "show_up 900000 0.85 editor@northside.example" {
		t.Errorf("history: %s", got)
	}
	if again := w.put("show_up", `{"tenant_id": "TENANT", "value": 10000.25}`).JSON(t); again["revalued_deals"] != 0.0 || again["confidence"] != 0.9 {
		t.Errorf("the same value again: %v", again)
	}
	if got := w.Text(`SELECT count(*) FROM gv.stage_value_history`); got != "1" {
		t.Errorf("%s lines of history after setting the same again, want 1", got)
	}
}

func TestAWonDealKeepsItsRealAmountAndAStageValuesNoImport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, ad := range []string{"real", "typical", "foreign", "imported", "daily"} {
		w.ad(ad, "USD")
	}
	w.deal(1, "closed_won", "real", 777700, nil)
	w.deal(2, "closed_won", "typical", nil, nil)
	w.deal(3, "closed_won", "foreign", nil, "the amount is in EUR")
	w.Exec(`INSERT INTO gv.ad_figures (tenant_id, ad_id, source, conversions) VALUES ($1, 'imported', 'import', 2)`, apitest.Tenant)
	w.Exec(`UPDATE gv.ad_metrics SET conversions = 3 WHERE ad_id = 'daily'`)
	w.put("closed_won", `{"tenant_id": "TENANT", "value": 1}`)
	w.Exec(`UPDATE gv.ads SET value_source = 'import' WHERE ad_id IN ('imported', 'daily')`)

	if a := w.put("closed_won", `{"tenant_id": "TENANT", "value": 100}`); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	want := "daily=0 foreign=0 imported=0 real=777700 typical=10000"
	if got := w.Text(`SELECT string_agg(ad_id || '=' || pipeline_minor, ' ' ORDER BY ad_id) FROM gv.ads`); got != want {
		t.Errorf("ads: %s, want %s", got, want)
	}
}

func TestAStageSetTwiceWithOneKeyIsSetOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.put("lead", `{"tenant_id": "TENANT", "value": 5}`, "Idempotency-Key", "k1")
	w.put("lead", `{"tenant_id": "TENANT", "value": 6}`)
	second := w.put("lead", `{"tenant_id": "TENANT", "value": 5}`, "Idempotency-Key", "k1")
	if first.Status != 200 || second.Body != first.Body {
		t.Errorf("first %d %s, second %d %s", first.Status, first.Body, second.Status, second.Body)
	}
	if got := w.Text(`SELECT value_minor FROM gv.stage_values WHERE tenant_id = $1 AND stage_name = 'lead'`, apitest.Tenant); got != "600" {
		t.Errorf("the repeat took effect: %s", got)
	}
	if a := w.put("lead", `{"tenant_id": "TENANT", "value": 7}`, "Idempotency-Key", "k1"); a.Status != 409 {
		t.Errorf("the same key with another body: %d %s", a.Status, a.Body)
	}
}

func TestEditorsAtOnceLeaveAHistoryWithoutGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all sync.WaitGroup
	for _, value := range []string{"1", "2", "3", "4", "5", "6"} {
		all.Go(func() {
			if a := w.put("brand_new", `{"tenant_id": "TENANT", "value": `+value+`}`); a.Status != 200 {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	all.Wait()
	if got := w.Text(`SELECT count(*) FROM gv.stage_value_history WHERE valid_from <= valid_until`); got != "5" {
		t.Errorf("%s lines of history, want 5", got)
	}
	gaps := w.Text(`SELECT count(*) FROM gv.stage_value_history a WHERE NOT EXISTS (
		SELECT FROM gv.stage_value_history b WHERE b.valid_from = a.valid_until UNION ALL
		SELECT FROM gv.stage_values s WHERE s.stage_name = a.stage_name AND s.updated_at = a.valid_until)`)
	if gaps != "0" {
		t.Errorf("%s gaps in the history", gaps)
	}
}

func TestYenHasNoDecimals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Exec(`UPDATE gv.tenants SET currency = 'JPY' WHERE tenant_id = $1`, apitest.Tenant)
	if a := w.put("lead", `{"tenant_id": "TENANT", "value": 1234.6}`); a.JSON(t)["value"] != 1235.0 || a.JSON(t)["currency"] != "JPY" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
