package predict_test

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/geminivideo/geminivideo/functions/predict"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/embed"
)

func TestALoserIsRejectedAndAWinnerIsNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "act_1", "fitness")
	w.ads(apitest.Tenant, "act_1", 60, 1)
	bad := w.predicted(gate, "act_1", dna("clickbait", 1), "")
	good := w.predicted(gate, "act_1", dna("question", 1), "")
	if bad.Decision != "REJECT" || bad.CTR < 0.004 || bad.CTR > 0.009 || math.Abs(bad.Baseline-0.018) > 0.001 || bad.Source != "account" || bad.Confidence < 0.5 || bad.Gate != "value" {
		t.Errorf("the loser: %+v", bad)
	}
	if good.Decision != "PROCEED" || good.CTR < 0.024 || good.CTR > 0.036 || good.Confidence < 0.75 || good.Own != 60 || good.Ads != 60 {
		t.Errorf("the winner: %+v", good)
	}
	for _, p := range []prediction{bad, good} {
		for name, i := range p.Intervals {
			if mean := map[string]float64{"ctr": p.CTR, "roas": p.ROAS}[name]; !(i.Low < mean && mean < i.High) || i.Level != 0.9 || i.Low < 0 {
				t.Errorf("%s: %v in %+v", name, mean, i)
			}
		}
		if len(p.Intervals) != 2 || !strings.Contains(p.Reason, "60 ads") || !strings.Contains(p.Reason, "90%") {
			t.Errorf("%+v", p)
		}
	}
	if !strings.Contains(bad.Reason, "and below 70% of it with a probability of") || !strings.Contains(bad.Recommendation, "hook_type clickbait costs") {
		t.Errorf("%s %s", bad.Reason, bad.Recommendation)
	}
	if n := strings.Count(bad.Reason, " USD"); n != 2 { // what it would earn, and the average
		t.Errorf("%d amounts with their currency in %q, want 2", n, bad.Reason)
	}
	first := bad.Weaknesses[0]
	if first.Feature != "hook_type" || first.Value != "clickbait" || first.Instead != "question" || first.Effect < 0.4 || first.Effect > 0.8 || len(first.Ads) != 3 {
		t.Fatalf("the weakest feature: %+v", first)
	}
	for _, ad := range first.Ads {
		if w.Text(`SELECT creative_dna->>'hook_type' FROM gv.ads WHERE tenant_id = $1 AND ad_id = $2`, apitest.Tenant, ad) != "question" {
			t.Errorf("%s is named for its question hook and has none", ad)
		}
	}
	if again := w.predicted(gate, "act_1", dna("clickbait", 1), ""); again.CTR != bad.CTR || again.Version != bad.Version {
		t.Errorf("asked twice: %+v", again)
	}
	direct := w.predicted(predicts, "act_1", dna("clickbait", 1), "")
	if direct.CTR != bad.CTR || direct.Version != bad.Version || direct.Intervals["ctr"] != bad.Intervals["ctr"] || direct.Decision != "" {
		t.Errorf("the oracle: %+v", direct)
	}
	if alone := w.predicted(predicts, "", dna("clickbait", 1), ""); alone.CTR != bad.CTR { // the tenant's only account
		t.Errorf("without an account: %+v", alone)
	}
}

func TestTheLadderGoesFromAccountToNicheToThePrior(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	prior := w.predicted(predicts, "", `{"hook_type": "question"}`, "")
	if prior.Source != "global_prior" || math.Abs(prior.Baseline-0.012) > 1e-9 || math.Abs(prior.CTR-0.012) > 0.0005 {
		t.Errorf("without any account: %+v", prior)
	}
	w.account(apitest.Tenant, "act_new", " Fitness ")
	w.account(apitest.Tenant, "act_lone", "law")
	w.account(apitest.Other, "act_theirs", "law")
	w.ads(apitest.Other, "act_theirs", 20, 5)
	for _, account := range []string{"act_new", "act_lone"} {
		p := w.predicted(gate, account, dna("clickbait", 1), "")
		if p.Source != "global_prior" || p.Decision != "PROCEED" || !strings.Contains(p.Reason, "global prior") || p.Ads != 0 {
			t.Errorf("%s without history: %+v", account, p)
		}
	}
	w.account(apitest.Tenant, "act_old", "fitness")
	w.ads(apitest.Tenant, "act_old", 60, 1)
	p := w.predicted(gate, "act_new", dna("clickbait", 1), "")
	if p.Source != "niche" || math.Abs(p.Baseline-0.018) > 0.001 || p.Decision != "REJECT" || p.Ads != 60 || p.Own != 0 || !strings.Contains(p.Reason, "its niche's") {
		t.Errorf("by its niche: %+v", p)
	}
	if lone := w.predicted(gate, "act_lone", dna("clickbait", 1), ""); lone.Source != "global_prior" {
		t.Errorf("another niche, and another tenant's: %+v", lone)
	}
	w.ads(apitest.Tenant, "act_new", 10, 0.5)
	p = w.predicted(gate, "act_new", dna("question", 1), "")
	if p.Source != "account" || p.Own != 10 || p.Ads != 70 || p.CTR < 0.011 || p.CTR > 0.02 || p.Decision != "PROCEED" {
		t.Errorf("with ten ads of its own: %+v", p)
	}
}

func TestAnotherTenantsAccountIsUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Other, "act_theirs", "")
	for _, path := range []string{gate, predicts} {
		if a := w.ask(path, "act_theirs", `{}`, ""); a.Status != 404 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
		for token, status := range map[string]int{"": 401, w.Token(auth.Viewer): 403} {
			if a := w.Call(w.handler, "POST", path, token, `{"creative_dna": {}, "account_id": "act_theirs"}`); a.Status != status {
				t.Errorf("%s: %d %s, want %d", path, a.Status, a.Body, status)
			}
		}
	}
	if n := w.Text(`SELECT count(*) FROM gv.model_registry`); n != "0" {
		t.Errorf("%s models were written", n)
	}
}

func TestBadInputIsRefusedByItsPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "act_1", "")
	rag := func(in string) string {
		return `{"creative_dna": {}, "account_id": "act_1", "rag_context": ` + in + `}`
	}
	for body, field := range map[string]string{
		`{"account_id": "act_1"}`:                                                              "body.creative_dna",
		`{"creative_dna": null, "account_id": "act_1"}`:                                        "body.creative_dna",
		`{"creative_dna": [], "account_id": "act_1"}`:                                          "body.creative_dna",
		`{"creative_dna": "fast", "account_id": "act_1"}`:                                      "body.creative_dna",
		`{"creative_dna": {"a": 1e999}, "account_id": "act_1"}`:                                "body.creative_dna.a",
		`{"creative_dna": {"hook_strength": NaN}, "account_id": "act_1"}`:                      "body.creative_dna.hook_strength",
		`{"creative_dna": {"a":"` + strings.Repeat("x", 33<<10) + `"}, "account_id": "act_1"}`: "body.creative_dna",
		`{"creative_dna": {}, "account_id": ""}`:                                               "body.account_id",
		`{"creative_dna": {}}`:                                                                 "body.account_id",
		`{"creative_dna": {}, "account_id": 5}`:                                                "body.account_id",
		`{"creative_dna": {}, "account_id": "act_1", "surprise": 1}`:                           "body.surprise",
		rag(`"near"`):                            "body.rag_context",
		rag(`5`):                                 "body.rag_context",
		rag(`{"winners": 5}`):                    "body.rag_context.winners",
		rag(`[5]`):                               "body.rag_context[0]",
		rag(`[{"similarity": 0.5}]`):             "body.rag_context[0].ad_id",
		rag(`[{"ad_id": "a", "similarity": 2}]`): "body.rag_context[0].similarity",
		rag(`{"winners": [{"ad_id": "a", "similarity": 1}, {"ad_id": "b"}]}`):                                   "body.rag_context.winners[1].similarity",
		rag(`[` + strings.Repeat(`{"ad_id": "a", "similarity": 1},`, 100) + `{"ad_id": "a", "similarity": 1}]`): "body.rag_context",
	} {
		if a := w.Call(w.handler, "POST", gate, w.Token(auth.Editor), body); a.Status != 422 || !a.Names(field) {
			t.Errorf("%.120s: %d %s, want 422 naming %s", body, a.Status, a.Body, field)
		}
	}
	if a := w.Call(w.handler, "POST", predicts, w.Token(auth.Editor), `{"creative_dna": 3, "rag_context": 3}`); a.Status != 422 || !a.Names("body.creative_dna") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestStrangeCreativesAreJudgedWithoutNonsense(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "act_1", "")
	w.ads(apitest.Tenant, "act_1", 20, 1)
	w.ad(apitest.Tenant, "act_1", "bare", `{}`, 9000, 0)
	w.ad(apitest.Tenant, "act_1", "unseen", dna("offer", 0), 0, 0)
	for _, dna := range []string{
		`{}`, `{"zebra": {"deep": [1, {"a": null}]}}`, `{"hook_type": "never seen before"}`,
		`{"hook_type": ["question", "offer"], "hook_strength": "0.7"}`, `{"hook_type": null}`,
	} {
		p := w.predicted(gate, "act_1", dna, "")
		if !(p.CTR > 0 && p.CTR < 1 && p.Confidence > 0 && p.Confidence < 1 && p.ROAS >= 0 && p.Intervals["ctr"].Low < p.Intervals["ctr"].High) || p.Version == "" {
			t.Errorf("%s: %+v", dna, p)
		}
		if a := w.ask(gate, "act_1", dna, ""); strings.Contains(a.Body, "null") {
			t.Errorf("%s: %s", dna, a.Body)
		}
	}
}

func TestNumbersOutOfTheirDocumentedRangeAreRefusedByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "act_1", "")
	for dna, field := range map[string]string{
		`{"hook_strength": -4}`:       "body.creative_dna.hook_strength",
		`{"hook": {"strength": 1.5}}`: "body.creative_dna.hook.strength",
		`{"duration_seconds": 1e300}`: "body.creative_dna.duration_seconds",
	} {
		for _, path := range []string{gate, predicts} {
			if a := w.ask(path, "act_1", dna, ""); a.Status != 422 || !a.Names(field) {
				t.Errorf("%s: %d %s, want 422 naming %s", dna, a.Status, a.Body, field)
			}
		}
	}
}

func TestTheGateKeepsItsPredictionOnceForTheLearningCycle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "act_1", "")
	w.ads(apitest.Tenant, "act_1", 30, 1)
	for range 2 {
		w.predicted(gate, "act_1", dna("question", 0), "")
	}
	w.predicted(gate, "act_1", dna("offer", 0), "")
	if n := w.Text(`SELECT count(*) || ' ' || count(DISTINCT dna_hash) FROM gv.predictions WHERE source = 'gate' AND ad_id IS NULL`); n != "2 2" {
		t.Errorf("stored: %s", n)
	}
}

func TestManyAtOnceTrainOneModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "act_1", "")
	w.ads(apitest.Tenant, "act_1", 30, 1)
	second := predict.New(w.App, w.Access(), embed.Only(w.model)) // another instance
	var wg sync.WaitGroup
	versions := make([]string, 12)
	for i := range versions {
		wg.Go(func() {
			h := []http.Handler{w.handler, second}[i%2]
			a := w.Call(h, "POST", gate, w.Token(auth.Editor), fmt.Sprintf(`{"creative_dna": %s, "account_id": "act_1"}`, dna("offer", 1)))
			if a.Status != 200 {
				t.Errorf("%d %s", a.Status, a.Body)
			}
			versions[i] = fmt.Sprint(a.JSON(t)["model_version"], a.JSON(t)["predicted_ctr"])
		})
	}
	wg.Wait()
	if slices.Sort(versions); versions[0] != versions[len(versions)-1] {
		t.Errorf("they differ: %v", versions)
	}
	if got := w.Text(`SELECT string_agg(role, ' ') FROM gv.model_registry`); got != "champion" {
		t.Errorf("registered: %s", got)
	}
}

func TestADatabaseThatIsDownIs503(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.App.Close()
	for _, path := range []string{gate, predicts} {
		if a := w.ask(path, "act_1", `{}`, ""); a.Status != 503 || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
}
