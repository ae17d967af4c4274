package connections_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/revenue"
)

// withDeals has a connected portal, an ad, and four deals of it: won for 8,000
// and for 12,000, and two in a stage that nobody has mapped.
func withDeals(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.connect()
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'act_1')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c', 'act_1')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) VALUES ($1, 'ad-1', 'act_1', 'c')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.ad_figures (tenant_id, ad_id, source, impressions, clicks, spend_minor) VALUES ($1, 'ad-1', 'import', 1000, 10, 10000)`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, pipeline_id, stage_id, stage_name, amount_minor, value_minor, stage_confidence, ad_id, attribution_confidence) VALUES
		($1, $2, 1, 'live', 'default', 'closedwon', 'closed_won', 800000, 800000, 1, 'ad-1', 1),
		($1, $2, 2, 'live', 'default', 'closedwon', 'closed_won', 1200000, 1200000, 1, 'ad-1', 1),
		($1, $2, 3, 'live', 'default', 'qualifiedtobuy', NULL, 500000, 0, 0, 'ad-1', 1),
		($1, $2, 4, 'live', 'default', 'qualifiedtobuy', NULL, NULL, 0, 0, NULL, 0),
		($1, $2, 5, 'live', 'old', 'archived', NULL, NULL, 0, 0, NULL, 0)`, apitest.Tenant, portal)
	return w
}

// stage returns what an answer says of a stage of the default pipeline.
func stage(t *testing.T, a apitest.Answer, id string) map[string]any {
	t.Helper()
	for _, s := range a.JSON(t)["pipelines"].([]any)[0].(map[string]any)["stages"].([]any) {
		if one := s.(map[string]any); one["stage_id"] == id {
			return one
		}
	}
	t.Fatalf("no stage %s in %s", id, a.Body)
	return nil
}

func TestStagesAreShownPrefilledOfferedAndUnmapped(t *testing.T) {
	t.Parallel()
	w := withDeals(t)
	a := w.as(w.Token(auth.Viewer), http.MethodGet, "hubspot/stages", nil)
	if a.Status != 200 || a.JSON(t)["average_deal"] != 10000.0 || a.JSON(t)["average_deal_source"] != "won_deals" || a.JSON(t)["currency"] != "USD" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	for id, name := range map[string]string{"closedwon": "closed_won", "closedlost": "closed_lost", "appointmentscheduled": "appointment_scheduled"} {
		if s := stage(t, a, id); s["status"] != "prefilled" || s["stage_name"] != name || s["offer_value"] != nil {
			t.Errorf("%s: %v", id, s)
		}
	}
	if s := stage(t, a, "qualifiedtobuy"); s["status"] != "unmapped" || s["offer_value"] != 4000.0 || s["deals"] != 2.0 || s["probability"] != 0.4 {
		t.Errorf("%v", s)
	}
	if got := a.JSON(t)["unmapped"].([]any); len(got) != 2 || got[0].(map[string]any)["deals"] != 2.0 || got[1].(map[string]any)["stage_id"] != "archived" {
		t.Errorf("%v", got)
	}
	w.Exec(`UPDATE gv.deals SET amount_minor = NULL`)
	if a := w.get("hubspot/stages").JSON(t); a["average_deal"] != 15000.0 || a["average_deal_source"] != "closed_won" {
		t.Errorf("without amounts: %v", a["average_deal"])
	}
}

func TestAMappedStageValuesItsDealsAtOnce(t *testing.T) {
	t.Parallel()
	w := withDeals(t)
	body := `{"stages": [{"pipeline_id": "default", "stage_id": "qualifiedtobuy", "stage_name": "qualified", "value": 4000, "confidence": 0.4}]}`
	a := w.as(w.Token(auth.Editor), http.MethodPut, "hubspot/stages", body)
	if s := stage(t, a, "qualifiedtobuy"); a.Status != 200 || s["status"] != "mapped" || s["stage_name"] != "qualified" || s["mapped_by"] != "editor@northside.example" || a.JSON(t)["revalued_deals"] != 2.0 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	pipeline := func() string { return w.Text(`SELECT pipeline_minor::text FROM gv.ads WHERE ad_id = 'ad-1'`) }
	if got := w.Text(`SELECT string_agg(value_minor::text, ',' ORDER BY deal_id) FROM gv.deals WHERE stage_name = 'qualified'`); got != "400000,400000" || pipeline() != "2400000" {
		t.Errorf("deals %s, the ad's pipeline %s", got, pipeline())
	}
	if n := len(w.Queue.Sent("winner-found")); n != 1 {
		t.Errorf("%d winners were announced", n)
	}
	if again := w.want(200, "hubspot/stages", body).JSON(t); again["revalued_deals"] != 0.0 {
		t.Errorf("a repeat revalues %v", again["revalued_deals"])
	}
	w.want(200, "hubspot/stages", `{"stages": [{"pipeline_id": "default", "stage_id": "qualifiedtobuy", "stage_name": "show_up"}, {"pipeline_id": "default", "stage_id": "closedwon", "stage_name": "lead"}]}`)
	if pipeline() != "900000" {
		t.Errorf("mapped to others: %s", pipeline())
	}
	w.want(200, "hubspot/stages", `{"stages": [{"pipeline_id": "default", "stage_id": "qualifiedtobuy", "stage_name": null}]}`)
	if got := w.Text(`SELECT count(*) FROM gv.deals WHERE stage_name IS NULL AND value_minor = 0`); got != "3" || pipeline() != "0" {
		t.Errorf("unmapped: %s deals, %s", got, pipeline())
	}
}

func TestAMappingThatBreaksARuleIsNamedAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := withDeals(t)
	const good = `{"pipeline_id": "default", "stage_id": "contractsent", "stage_name": "show_up"}`
	for bad, field := range map[string]string{
		`{"pipeline_id": "default", "stage_id": "nope", "stage_name": "lead"}`:    "body.stages[1].stage_id",
		`{"pipeline_id": "other", "stage_id": "closedwon", "stage_name": "lead"}`: "body.stages[1].stage_id",
		good: "body.stages[1].stage_id",
		`{"pipeline_id": "default", "stage_id": "qualifiedtobuy", "stage_name": "new one"}`:             "body.stages[1].stage_name",
		`{"pipeline_id": "default", "stage_id": "qualifiedtobuy", "stage_name": "lead", "value": -1}`:   "body.stages[1].value",
		`{"pipeline_id": "default", "stage_id": "qualifiedtobuy", "stage_name": "lead", "value": 1e30}`: "body.stages[1].value",
		`{"pipeline_id": "default", "stage_id": "qualifiedtobuy", "stage_name": " "}`:                   "body.stages[1].stage_name",
		`{"pipeline_id": "default", "stage_id": "qualifiedtobuy", "stage_name": null, "value": 1}`:      "body.stages[1].value",
		`{"pipeline_id": "default", "stage_id": "closedwon", "stage_name": null}`:                       "body.stages[1].stage_name",
		`{"pipeline_id": "default", "stage_id": "qualifiedtobuy"}`:                                      "body.stages[1].stage_name",
	} {
		if a := w.put("hubspot/stages", `{"stages": [`+good+`, `+bad+`]}`); a.Status != 422 || !strings.Contains(a.Body, field) {
			t.Errorf("%s: %d %s", bad, a.Status, a.Body)
		}
	}
	w.want(422, "hubspot/stages", `{"stages": []}`)
	if n := w.Text(`SELECT count(*) FROM gv.stage_maps`); n != "0" || w.Text(`SELECT count(*) FROM gv.stage_values WHERE tenant_id = $1`, apitest.Tenant) != "5" {
		t.Errorf("%s mappings were written", n)
	}
	if a := w.as(w.Token(auth.Viewer), http.MethodPut, "hubspot/stages", `{"stages": [`+good+`]}`); a.Status != 403 {
		t.Errorf("a viewer maps: %d", a.Status)
	}
	if a := w.as(w.OtherToken(), http.MethodGet, "hubspot/stages?portal_id=62515", nil); a.Status != 404 {
		t.Errorf("another tenant: %d %s", a.Status, a.Body)
	}
}

func TestSeveralPortalsAreToldApart(t *testing.T) {
	t.Parallel()
	w := withDeals(t)
	w.hubspot.Connect(fakehubspot.PortalConfig{ID: 7, Tokens: []string{"pat-seven"}})
	w.want(200, "hubspot", map[string]any{"portal_id": 7, "access_token": "pat-seven"})
	if a := w.get("hubspot/stages"); a.Status != 422 || !strings.Contains(a.Body, "portal_id") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := w.get("hubspot/stages?portal_id=7"); a.Status != 200 || len(a.JSON(t)["unmapped"].([]any)) != 0 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	w.portal.SetTokens("pat-changed")
	if a := w.get("hubspot/stages?portal_id=62515"); a.Status != 409 || !strings.Contains(a.Body, "connect it again") {
		t.Errorf("a token that was revoked: %d %s", a.Status, a.Body)
	}
}

// A deal that finds no mapping while the mapping is being made must not be left
// without one.
func TestNoDealSlipsPastAMappingThatIsBeingMade(t *testing.T) {
	t.Parallel()
	w := withDeals(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			err := pg.InTenant(t.Context(), w.App, apitest.Tenant, func(tx pgx.Tx) error {
				store := ledger.NewStore(tx, portal)
				if _, err := store.Lock(t.Context(), []int64{int64(100 + i)}); err != nil {
					return err
				}
				name, err := store.StageName(t.Context(), "default", "contractsent")
				if err != nil {
					return err
				}
				d := ledger.Deal{ID: int64(100 + i), PipelineID: "default", StageName: name, CreatedAt: time.Now()}
				d.Stage.ID, d.Stage.At = "contractsent", time.Now()
				if name != nil {
					s, err := revenue.NewStore(tx).Stage(t.Context(), *name)
					if err != nil {
						return err
					}
					d.Value = s.Value
				}
				return store.Save(t.Context(), d)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		w.want(200, "hubspot/stages", `{"stages": [{"pipeline_id": "default", "stage_id": "contractsent", "stage_name": "show_up"}]}`)
	})
	wg.Wait()
	if got := w.Text(`SELECT count(*) FROM gv.deals WHERE stage_id = 'contractsent' AND stage_name = 'show_up' AND value_minor = 900000`); got != "20" {
		t.Errorf("%s of 20 deals are mapped and valued", got)
	}
}
