package direct_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/functions/direct"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/director"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/winners"
)

const (
	base         = "/api/titan/director/"
	modelName    = "gemini-3.8-flash"
	embedderName = "gemini-embedding-2"
)

type world struct {
	*apitest.World
	handler http.Handler
}

// open returns a world without a model.
func open(t *testing.T) world {
	t.Helper()
	w := world{World: apitest.New(t)}
	w.serve(nil, director.Config{Fallback: director.FallbackTemplate, Timeout: 20 * time.Second})
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'acc'), ($2, 'theirs')`, apitest.Tenant, apitest.Other)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c', 'acc'), ($2, 'c', 'theirs')`, apitest.Tenant, apitest.Other)
	return w
}

func (w *world) serve(model *gemini.Client, cfg director.Config) {
	w.handler = serve.Wrap("direct", direct.New(w.App, w.Access(), w.Queue, model, cfg, nil))
}

// asks lets the fake write the plans; timeout is for all of a plan.
func (w *world) asks(fallback director.Fallback, timeout time.Duration) *fakegemini.Fake {
	w.T.Helper()
	fake, url := fakegemini.Start(w.T)
	model, err := gemini.Open(w.T.Context(), gemini.Config{
		APIKey: fakegemini.Key, BaseURL: url, Model: modelName, EmbeddingModel: embedderName, Timeout: timeout, DailyCap: 10, DailyTokens: 1e7,
		Prices: gemini.Prices{modelName: {Input: 0.3, Output: 2.5}, embedderName: {Input: 0.2}},
	}, w.App)
	if err != nil {
		w.T.Fatal(err)
	}
	w.serve(model, director.Config{Fallback: fallback, Timeout: timeout})
	return fake
}

// ad stores an ad with 10,000 impressions on which 100.00 were spent.
func (w world) ad(tenant, id, dna string, clicks, pipelineMinor int64) {
	w.T.Helper()
	account := map[string]string{apitest.Tenant: "acc", apitest.Other: "theirs"}[tenant]
	w.Exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, creative_dna, impressions, clicks, spend_minor, pipeline_minor)
		VALUES ($1, $2, $3, 'c', $4, 10000, $5, 10000, $6)`, tenant, id, account, dna, clicks, pipelineMinor)
}

// putWinner stores a winner in the winner memory, as functions/index does.
func (w world) putWinner(tenant, id, dna string, roas float64) {
	w.T.Helper()
	parsed, err := creative.Parse([]byte(dna))
	if err != nil {
		w.T.Fatal(err)
	}
	text := winners.TextOf(parsed, id)
	vectors, err := embed.Local{}.Documents(w.T.Context(), []string{text})
	if err != nil {
		w.T.Fatal(err)
	}
	err = pg.InTenant(w.T.Context(), w.App, tenant, func(tx pgx.Tx) error {
		_, err := winners.NewStore(tx).Put(w.T.Context(), winners.Memory{
			AdID: id, Model: embed.LocalModel, Vector: vectors[0], Text: text, DNA: parsed, ROAS: roas, CTR: 0.02, Active: true,
		})
		return err
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// history gives the account ads whose CTR truly depends on how fast they are cut, and
// whose clicks are worth the same.
func (w world) history() {
	w.T.Helper()
	for i := range 40 {
		pacing, clicks := "fast", int64(300)
		if i%2 == 0 {
			pacing, clicks = "slow", 60
		}
		hook := []string{"question", "testimonial", "offer", "story"}[i/2%4]
		w.ad(apitest.Tenant, fmt.Sprintf("past-%02d", i), fmt.Sprintf(`{"visual_pacing":%q,"hook_type":%q,"cta_type":"book_now"}`, pacing, hook), clicks, 25*clicks)
	}
}

func (w world) ask(method, path string, role auth.Role, body any, headers ...string) apitest.Answer {
	w.T.Helper()
	return w.Call(w.handler, method, base+path, w.Token(role), body, headers...)
}

// plan asks for a plan of a DNA and expects one.
func (w world) plan(dna string, headers ...string) director.Plan {
	w.T.Helper()
	a := w.ask("POST", "battle-plan", auth.Editor, `{"video_id": "v-1", "account_id": "acc", "creative_dna": `+dna+`}`, headers...)
	if a.Status != 200 {
		w.T.Fatalf("%d %s", a.Status, a.Body)
	}
	return decode[director.Plan](w.T, a)
}

func (w world) plans() string { return w.Text(`SELECT count(*)::text FROM gv.plans`) }

func decode[T any](t testing.TB, a apitest.Answer) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		t.Fatalf("%d %s: %v", a.Status, a.Body, err)
	}
	return v
}
