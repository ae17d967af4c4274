package ads_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/ads"
)

// Each kind of ad, with deals that come, change, are shared and go at random: the short way
// ends where the whole one does, for the ads and for the winner memory's messages.
func TestTheShortWayEndsWhereTheWholeOneDoes(t *testing.T) {
	t.Parallel()
	kinds := []string{"empty", "daily", "fed", "imported", "foreign"}
	w := newWorld(t, kinds...)
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id, currency) VALUES ($1, 'yen', 'JPY')`, apitest.Tenant)
	w.Exec(`UPDATE gv.ads SET account_id = 'yen' WHERE ad_id = 'foreign'`)
	w.metric("daily", "2026-11-01", 1000, 50, 9000, 3, 0)
	w.metric("foreign", "2026-11-01", 1000, 50, 9000, 3, 500)
	w.figure("fed", "feedback", "500, 7, 8000, NULL, 90000, 10")
	w.figure("imported", "import", "500, 7, 8000, 5, 90000, 10")
	won := 0
	for _, one := range w.recompute(kinds...) {
		if one.NewWinner() {
			won++
		}
	}
	src := rand.New(rand.NewPCG(5, 8))
	for step := range 60 {
		ad, other := kinds[src.IntN(len(kinds))], kinds[src.IntN(len(kinds))]
		touched := []string{ad, other}
		id, value := src.IntN(8), src.IntN(100_000)
		stage := []string{"closed_won", "appointment_scheduled"}[src.IntN(2)]
		w.Exec(`DELETE FROM gv.deal_touches WHERE deal_id = $1`, id)
		touched = append(touched, strings.Fields(w.Text(`WITH gone AS (DELETE FROM gv.deals WHERE deal_id = $1 RETURNING ad_id), parts AS (
			DELETE FROM gv.deal_credits WHERE deal_id = $1 RETURNING ad_id)
			SELECT coalesce(string_agg(ad_id, ' '), '') FROM (SELECT ad_id FROM gone UNION SELECT ad_id FROM parts) AS a`, id))...)
		if src.IntN(4) > 0 {
			w.deal(id, ad, stage, value, float64(src.IntN(11))/10)
			if ad != other && src.IntN(3) == 0 {
				w.Exec(`UPDATE gv.deals SET split = true WHERE deal_id = $1`, id)
				w.Exec(`INSERT INTO gv.deal_credits VALUES ($1, 1, $2, $3, 0, 0.3), ($1, 1, $2, $4, 0.3, 1)`, apitest.Tenant, id, ad, other)
			}
		}
		short := w.recomputeCredited(touched...)
		after := w.rows()
		whole := w.recompute(touched...)
		if diff := cmp.Diff(w.rows(), after); diff != "" {
			t.Fatalf("step %d, ads %v: the whole way has - and the short way +:\n%s", step, touched, diff)
		}
		for i := range whole { // whether it was a winner before is the first one's to say
			whole[i].WasWinner = false
		}
		for i := range short {
			if short[i].NewWinner() {
				won++
			}
			short[i].WasWinner = false
		}
		byAd := func(all []ads.Totals) map[string]ads.Totals {
			m := map[string]ads.Totals{}
			for _, one := range all {
				m[one.AdID] = one
			}
			return m
		}
		if diff := cmp.Diff(byAd(whole), byAd(short)); diff != "" {
			t.Fatalf("step %d, ads %v: the whole way returns - and the short way +:\n%s", step, touched, diff)
		}
	}
	if messages := w.Text(`SELECT count(*) FROM gv.outbox WHERE topic = $1`, ads.WinnerFound); won == 0 || messages != fmt.Sprint(won) {
		t.Errorf("%d ads became winners, and there are %s messages of it", won, messages)
	}
}

func (w world) recomputeCredited(ids ...string) []ads.Totals {
	w.T.Helper()
	return w.sum(ads.RecomputeCredited, ids)
}

// rows is all that gv.ads has, but for when it was written.
func (w world) rows() string {
	w.T.Helper()
	return w.Text(`SELECT string_agg((to_jsonb(a) - 'updated_at')::text, E'\n' ORDER BY ad_id) FROM gv.ads a`)
}
