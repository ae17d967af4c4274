package ads_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/pg"
)

type world struct{ *apitest.World }

// newWorld has an account with the ads named.
func newWorld(t *testing.T, ids ...string) world {
	t.Helper()
	w := world{apitest.New(t)}
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'acc')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c', 'acc')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) SELECT $1, unnest($2::text[]), 'acc', 'c'`, apitest.Tenant, ids)
	return w
}

func (w world) recompute(ids ...string) []ads.Totals {
	w.T.Helper()
	return w.sum(ads.Recompute, ids)
}

// sum sums the figures of ads in a transaction of their tenant.
func (w world) sum(how func(context.Context, pgx.Tx, []string) ([]ads.Totals, error), ids []string) []ads.Totals {
	w.T.Helper()
	var totals []ads.Totals
	err := pg.InTenant(context.Background(), w.App, apitest.Tenant, func(tx pgx.Tx) (err error) {
		totals, err = how(context.Background(), tx, ids)
		return err
	})
	if err != nil {
		w.T.Fatal(err)
	}
	return totals
}

func (w world) figures(ad string) string {
	w.T.Helper()
	return w.Text(`SELECT concat_ws(' ', impressions, clicks, spend_minor, pipeline_minor, revenue_minor, value_source, attribution_confidence, is_winner)
		FROM gv.ads WHERE ad_id = $1`, ad)
}

func (w world) metric(ad, day string, impressions, clicks, spend, conversions, value int) {
	w.T.Helper()
	w.Exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor, conversions, value_minor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		apitest.Tenant, ad, day, impressions, clicks, spend, conversions, value)
}

func (w world) figure(ad, source string, columns string) {
	w.T.Helper()
	w.Exec(fmt.Sprintf(`INSERT INTO gv.ad_figures (tenant_id, ad_id, source, impressions, clicks, spend_minor, conversions, pipeline_minor, revenue_minor)
		VALUES ($1, $2, $3, %s)`, columns), apitest.Tenant, ad, source)
}

func (w world) deal(id int, ad, stage string, value int, confidence float64) {
	w.T.Helper()
	w.Exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, stage_name, value_minor, amount_minor, ad_id, attribution_method, attribution_confidence)
		VALUES ($1, 1, $2, 'live', $3::text, $4::bigint, CASE $3::text WHEN 'closed_won' THEN $4::bigint END, $5, 'url_param', $6)`, apitest.Tenant, id, stage, value, ad, confidence)
	w.Exec(`INSERT INTO gv.deal_touches (tenant_id, portal_id, deal_id, click_id, ad_id, clicked_at, method, layer, confidence, reason, eligible)
		VALUES ($1, 1, $2, 'click-' || $2::bigint, $3, now(), 'url_param', 2, $4, 'test', true)`, apitest.Tenant, id, ad, confidence)
}

func TestTotalsAreThoseOfWhoTellsOfMost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "nothing", "daily", "both", "clickless")
	w.metric("daily", "2026-11-01", 100, 5, 50, 0, 0)
	w.metric("daily", "2026-11-02", 200, 6, 70, 0, 0)
	w.metric("both", "2026-11-01", 100, 90, 50, 0, 0)
	w.figure("both", "import", "1000, 7, 40, NULL, NULL, NULL")
	w.figure("both", "feedback", "NULL, 3, 60, NULL, NULL, NULL")
	w.figure("clickless", "feedback", "500, NULL, NULL, NULL, NULL, NULL")
	w.recompute("nothing", "daily", "both", "clickless", "unknown")
	for ad, want := range map[string]string{
		"nothing": "0 0 0 0 0 none 1 f", "daily": "300 11 120 0 0 none 1 f", "both": "1000 7 60 0 0 none 1 f", "clickless": "500 0 0 0 0 none 1 f",
	} {
		if diff := cmp.Diff(want, w.figures(ad)); diff != "" {
			t.Errorf("%s: %s", ad, diff)
		}
	}
}

func TestTheLedgerDecidesThenFeedbackThenAnImport(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a")
	w.figure("a", "import", "10, 1, 100, 2, NULL, NULL")
	w.metric("a", "2026-11-01", 5, 1, 50, 1, 0)
	step := func(want string) {
		t.Helper()
		w.recompute("a")
		if diff := cmp.Diff(want, w.figures("a")); diff != "" {
			t.Error(diff)
		}
	}
	step("10 1 100 0 0 import 1 f") // two conversions, and nobody said what one is worth
	w.Exec(`UPDATE gv.accounts SET conversion_value_minor = 1500000`)
	step("10 1 100 3000000 0 import 1 f") // an estimate: no revenue, and no winner
	w.figure("a", "feedback", "NULL, NULL, NULL, NULL, 70000, 90000")
	step("10 1 100 70000 70000 feedback 1 f")
	w.deal(1, "a", "show_up", 300000, 0.5)
	w.deal(2, "a", "closed_won", 100000, 0.9)
	step("10 1 100 400000 100000 ledger 0.6 f")
	w.Exec(`UPDATE gv.deals SET amount_minor = NULL`)
	step("10 1 100 400000 0 ledger 0.6 f") // won, and nobody knows for how much: an estimate, and no revenue
	w.Exec(`UPDATE gv.deals SET value_minor = 0`)
	step("10 1 100 0 0 ledger 0.7 f")
	w.Exec(`UPDATE gv.deals SET state = 'gone'`)
	step("10 1 100 0 0 ledger 1 f") // what the ledger has decided once stays its to decide
}

func TestAnAdBecomesAWinnerOnceAndIsFoundAgainWhenItReturns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a", "poor", "new")
	w.figure("a", "import", "1000, 10, 5000, NULL, 15001, NULL")
	w.figure("poor", "import", "1000, 10, 5000, NULL, 15000, NULL")
	w.figure("new", "import", "1000, 10, 4999, NULL, 90000, NULL")
	messages := func() string { return w.Text(`SELECT count(*) FROM gv.outbox`) }
	w.recompute("a", "poor", "new")
	w.recompute("a", "poor", "new")
	if got := w.figures("a")[len("1000 10 5000 15001 0 import 1 "):] + messages(); got != "t1" {
		t.Errorf("winner and messages: %s", got)
	}
	w.Exec(`INSERT INTO gv.winners (tenant_id, ad_id, model, embedding, text, creative_dna, pipeline_roas, ctr, content_hash)
		VALUES ($1, 'a', 'm', ('[' || repeat('0,', 767) || '1]')::extensions.vector, '', '{}', 9, 0.5, '')`, apitest.Tenant)
	w.Exec(`UPDATE gv.ad_figures SET pipeline_minor = 10000 WHERE ad_id = 'a'`)
	w.recompute("a")
	if got := w.Text(`SELECT active || ' ' || pipeline_roas || ' ' || ctr FROM gv.winners`); got != "false 2 0.01" {
		t.Errorf("below the bar: %s", got)
	}
	w.Exec(`UPDATE gv.ad_figures SET pipeline_minor = 20000 WHERE ad_id = 'a'`)
	w.recompute("a")
	if got := w.Text(`SELECT active || ' ' || pipeline_roas FROM gv.winners`); got != "true 4" || messages() != "2" {
		t.Errorf("above again: %s, %s messages", got, messages())
	}
}

func TestTwoDealsOfOneAdAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a", "b")
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			err := pg.InTenant(context.Background(), w.App, apitest.Tenant, func(tx pgx.Tx) error {
				if _, err := tx.Exec(context.Background(), `
					INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, stage_name, value_minor, ad_id, attribution_confidence)
					VALUES (gv.tenant(), 1, $1, 'live', 'show_up', 100, $2, 1)`, i, string(rune('a'+i%2))); err != nil {
					return err
				}
				_, err := ads.Recompute(context.Background(), tx, []string{"b", "a"})
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, ad := range []string{"a", "b"} {
		if diff := cmp.Diff("0 0 0 600 0 ledger 1 f", w.figures(ad)); diff != "" {
			t.Error(diff)
		}
	}
}
