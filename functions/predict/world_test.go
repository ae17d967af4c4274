package predict_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/functions/predict"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/winners"
)

const (
	gate     = "/api/ml/predict-creative"
	predicts = "/api/titan/oracle/predict"
)

type world struct {
	*apitest.World
	handler http.Handler
	model   *model
}

// model is a remote embedding model that can be down or hang.
type model struct {
	embed.Local
	down, hangs atomic.Bool
	asked       atomic.Int64
}

func (m *model) Model() string { return "remote-1" }

func (m *model) Query(ctx context.Context, text string) (embed.Vector, error) {
	m.asked.Add(1)
	if m.hangs.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if m.down.Load() {
		return nil, fault.Down("the embedding model does not answer", context.DeadlineExceeded)
	}
	return m.Local.Query(ctx, text)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: apitest.New(t), model: &model{}}
	w.handler = predict.New(w.App, w.Access(), embed.Only(w.model))
	return w
}

// account makes an ad account.
func (w *world) account(tenant, account, niche string) {
	w.T.Helper()
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id, niche) VALUES ($1, $2, $3)`, tenant, account, niche)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, $2, $2)`, tenant, account)
}

// hooks are what the invented ads open with, and the CTR, in thousandths, that
// comes of it.
var hooks = []struct {
	hook string
	ctr  int
}{{"question", 30}, {"testimonial", 24}, {"offer", 20}, {"statistic", 10}, {"clickbait", 6}}

// ads gives an account n ads of 20,000 impressions each, whose hook decides their
// CTR; scale multiplies it.
func (w *world) ads(tenant, account string, n int, scale float64) {
	w.T.Helper()
	for i := range n {
		h := hooks[i%len(hooks)]
		clicks := int(20 * float64(h.ctr) * scale * (0.9 + 0.02*float64(i%11)))
		w.ad(tenant, account, fmt.Sprintf("%s-%02d", account, i), dna(h.hook, i%3), 20_000, clicks)
	}
}

func (w *world) ad(tenant, account, id, dna string, impressions, clicks int) {
	w.T.Helper()
	w.Exec(`
		INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, creative_dna, impressions, clicks, spend_minor, pipeline_minor)
		VALUES ($1, $2, $3, $3, $4, $5, $6::int, $6::int * 150, CASE WHEN $6::int % 4 = 0 THEN 225000 ELSE 0 END)`, tenant, id, account, dna, impressions, clicks)
}

func dna(hook string, pacing int) string {
	return fmt.Sprintf(`{"hook_type": %q, "visual_pacing": %q, "hook_strength": 0.%d, "zebra": "striped"}`, hook, []string{"slow", "medium", "fast"}[pacing], 4+pacing)
}

// putWinner stores an ad of the account in the winner memory.
func (w *world) putWinner(tenant, ad, text string) {
	w.T.Helper()
	d, err := creative.Parse([]byte(text))
	if err != nil {
		w.T.Fatal(err)
	}
	vector, err := w.model.Local.Query(w.T.Context(), d.Text())
	if err != nil {
		w.T.Fatal(err)
	}
	err = pg.InTenant(w.T.Context(), w.App, tenant, func(tx pgx.Tx) error {
		s := winners.NewStore(tx)
		if _, err := s.Hold(w.T.Context(), w.model.Model()); err != nil {
			return err
		}
		_, err := s.Put(w.T.Context(), winners.Memory{AdID: ad, Model: w.model.Model(), Vector: vector, Text: d.Text(), DNA: d, ROAS: 4, CTR: 0.02, Active: true})
		return err
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

func (w *world) ask(path, account, dna, more string) apitest.Answer {
	w.T.Helper()
	body := fmt.Sprintf(`{"creative_dna": %s%s}`, dna, more)
	if account != "" {
		body = fmt.Sprintf(`{"creative_dna": %s, "account_id": %q%s}`, dna, account, more)
	}
	return w.Call(w.handler, "POST", path, w.Token(auth.Editor), body)
}

// prediction is what both answers have.
type prediction struct {
	Decision       string  `json:"decision"`
	Gate           string  `json:"gate"`
	Reason         string  `json:"reason"`
	Recommendation string  `json:"recommendation"`
	CTR            float64 `json:"predicted_ctr"`
	ROAS           float64 `json:"predicted_roas"`
	Confidence     float64 `json:"confidence"`
	Baseline       float64 `json:"account_baseline"`
	Source         string  `json:"baseline_source"`
	Intervals      map[string]struct{ Low, High, Level float64 }
	Weaknesses     []struct {
		Feature, Value, Instead string
		Effect, Probability     float64
		Ads                     []string
	}
	Version    string `json:"model_version"`
	Ads        int    `json:"ads_in_history"`
	Own        int    `json:"own_ads_in_history"`
	Neighbours []struct {
		AdID       string `json:"ad_id"`
		Similarity float64
	}
	EmbeddingModel string                       `json:"embedding_model"`
	RAG            *struct{ Used, Ignored int } `json:"rag_context"`
}

func (w *world) predicted(path, account, dna, more string) prediction {
	w.T.Helper()
	a := w.ask(path, account, dna, more)
	var p prediction
	if err := json.Unmarshal([]byte(a.Body), &p); err != nil || a.Status != 200 {
		w.T.Fatalf("%s: %d %s", path, a.Status, a.Body)
	}
	return p
}
