package selflearning_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/learning"
	"github.com/geminivideo/geminivideo/shared/selflearning"
)

var noon = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

// history gives a tenant an account that has something for each step to find: ads that
// differ by their hook, winners that are not indexed, predictions that have come to
// their outcome, and a niche that shares.
func history(t *testing.T) *apitest.World {
	t.Helper()
	w := apitest.New(t)
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id, niche, settings) VALUES ($1, 'acc', 'fitness', '{"cross_learning": 1}')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c', 'acc')`, apitest.Tenant)
	for i := range 30 {
		hook, ctr := "offer", 0.02
		if i%2 == 0 {
			hook, ctr = "question", 0.03
		}
		clicks := int(20_000 * ctr * (0.92 + 0.02*float64(i%9)))
		id := fmt.Sprintf("ad-%02d", i)
		w.Exec(`
			INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, creative_dna, impressions, clicks, spend_minor, pipeline_minor, daily_budget_minor, created_at, is_winner)
			VALUES ($1, $2, 'acc', 'c', jsonb_build_object('hook_type', $3::text, 'visual_pacing', $4::text), 20000, $5::int, 50000, $6, 2000, $7, $8)`,
			apitest.Tenant, id, hook, []string{"fast", "slow", "medium"}[i%3], clicks, 40_000+i%5*60_000, noon.AddDate(0, 0, -40), i%5 == 4)
		w.Exec(`
			INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
			SELECT $1, $2, $3::date - d, 500, $4::int / 40, 1250 FROM generate_series(1, 40) AS d`, apitest.Tenant, id, noon, clicks)
		w.Exec(`
			INSERT INTO gv.predictions (tenant_id, prediction_id, account_id, ad_id, dna_hash, source, model_version, segment, ctr, ctr_low, ctr_high, roas, roas_low, roas_high, made_at)
			VALUES ($1, $2, 'acc', $3, '\x00', 'cycle', 'older', $4, 0.01, 0.005, 0.015, 2, 0.1, 30, $5)`,
			apitest.Tenant, fmt.Sprintf("00000000-0000-4000-8000-%012d", i), id, hook, noon.AddDate(0, 0, -28))
	}
	return w
}

// start begins the cycle that all runs are of: what is random in it goes by its id.
func start(t *testing.T, w *apitest.World, r *learning.Runner) string {
	t.Helper()
	const id = "11111111-1111-4111-8111-111111111111"
	c, _, err := r.Start(t.Context(), apitest.Tenant, "acc", learning.Options{Retrain: true, Threshold: 0.95, By: "test", Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	w.Exec(`UPDATE gv.learning_cycles SET cycle_id = $1 WHERE cycle_id = $2`, id, c.ID)
	w.Exec(`UPDATE gv.learning_steps SET cycle_id = $1 WHERE cycle_id = $2`, id, c.ID)
	return id
}

// left is all that a cycle leaves, but for times and random ids.
func left(w *apitest.World) map[string]string {
	all := map[string]string{}
	for name, sql := range map[string]string{
		"cycle":   `SELECT status FROM gv.learning_cycles`,
		"steps":   `SELECT string_agg(step || ' ' || status || ' ' || reason || ' ' || regexp_replace(result::text, '"change_id": "[^"]*"', '', 'g'), E'\n' ORDER BY step) FROM gv.learning_steps`,
		"judged":  `SELECT string_agg(concat_ws(' ', ad_id, source, model_version, state, ctr, roas, clicks, value, arrived), E'\n' ORDER BY ad_id, source, made_at) FROM gv.predictions`,
		"models":  `SELECT string_agg(version || ' ' || role || ' ' || verdict, E'\n' ORDER BY version) FROM gv.model_registry`,
		"pattern": `SELECT string_agg(concat_ws(' ', metric, feature, value, status, lift, p_value, examples), E'\n' ORDER BY metric, feature, value) FROM gv.creative_patterns`,
		"niche":   `SELECT string_agg(concat_ws(' ', metric, feature, value, effect, error), E'\n' ORDER BY metric, feature, value) FROM gv.niche_contributions`,
		"changes": `SELECT coalesce(string_agg(concat_ws(' ', ad_id, status, target_minor, source), E'\n' ORDER BY ad_id), '') FROM gv.pending_ad_changes`,
		"outbox":  `SELECT string_agg(topic || ' ' || encode(data, 'escape'), E'\n' ORDER BY data) FROM gv.outbox WHERE topic = 'winner-found'`,
	} {
		all[name] = w.Text(sql)
	}
	return all
}

func TestACycleThatIsKilledInAnyOfItsRealStepsLeavesWhatAnUndisturbedOneLeaves(t *testing.T) {
	t.Parallel()
	undisturbed := sync.OnceValue(func() map[string]string {
		w := history(t)
		r := selflearning.NewRunner(w.App, embed.Only(embed.Local{}))
		c, err := r.Run(t.Context(), apitest.Tenant, start(t, w, r))
		if err != nil || c.Status != learning.Completed {
			t.Fatalf("undisturbed: %s %v", c.Status, err)
		}
		return left(w)
	})
	want := undisturbed()
	for name, found := range want {
		if found == "" && name != "changes" {
			t.Errorf("nothing was found for %s: the test proves nothing of it", name)
		}
	}
	for kill, name := range learning.Names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := history(t)
			r := selflearning.NewRunner(w.App, embed.Only(embed.Local{}))
			id := start(t, w, r)
			r.Between = func(step int) {
				if step == kill+1 {
					panic("killed")
				}
			}
			killed := false
			func() {
				defer func() { killed = recover() != nil }()
				_, _ = r.Run(t.Context(), apitest.Tenant, id)
			}()
			if !killed {
				t.Fatal("the step has nothing to write, so nothing was killed")
			}
			// Another process goes on, once the dead one's lease has ended.
			w.Exec(`UPDATE gv.learning_cycles SET lease_token = gen_random_uuid(), lease_until = now() - interval '1 second'`)
			next := selflearning.NewRunner(w.App, embed.Only(embed.Local{}))
			c, err := next.Run(t.Context(), apitest.Tenant, id)
			if err != nil || c.Status != learning.Completed {
				t.Fatalf("%s %v", c.Status, err)
			}
			if diff := cmp.Diff(want, left(w)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
