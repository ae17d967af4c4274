package predict_test

import (
	"fmt"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
)

// withWinners gives an account whose winners are stored.
func withWinners(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.account(apitest.Tenant, "act_1", "")
	w.ads(apitest.Tenant, "act_1", 30, 1)
	for i := range 12 {
		w.putWinner(apitest.Tenant, fmt.Sprintf("act_1-%02d", i), dna(hooks[i%len(hooks)].hook, i%3))
	}
	w.putWinner(apitest.Tenant, "stranger", dna("question", 0)) // no ad of ours has this id
	return w
}

func TestTheNearestWinnersAreNamed(t *testing.T) {
	t.Parallel()
	w := withWinners(t)
	p := w.predicted(gate, "act_1", dna("question", 0), "")
	if len(p.Neighbours) != 10 || p.Neighbours[0].AdID != "act_1-00" || p.Neighbours[0].Similarity < 0.999 || p.EmbeddingModel != "remote-1" || p.RAG != nil {
		t.Errorf("%+v", p)
	}
	for i, n := range p.Neighbours {
		if n.AdID == "stranger" || i > 0 && n.Similarity > p.Neighbours[i-1].Similarity {
			t.Errorf("%+v", p.Neighbours)
		}
	}
}

func TestARAGContextTakesTheSearchesPlaceAndItsFiguresAreNotBelieved(t *testing.T) {
	t.Parallel()
	w := withWinners(t)
	plain := w.predicted(gate, "act_1", dna("question", 0), `, "rag_context": []`)
	asked := w.model.asked.Load()
	listed := `[{"ad_id": "act_1-03", "similarity": 0.9, "metadata": {"ctr": 0.99, "pipeline_roas": 1e9}}, {"ad_id": "elsewhere", "similarity": 1}, {"ad_id": "act_1-03", "similarity": 0.1}]`
	for _, rag := range []string{listed, `{"query": "x", "winners": ` + listed + `}`} {
		p := w.predicted(gate, "act_1", dna("question", 0), `, "rag_context": `+rag)
		if p.RAG == nil || p.RAG.Used != 1 || p.RAG.Ignored != 2 || len(p.Neighbours) != 1 || p.Neighbours[0].AdID != "act_1-03" {
			t.Errorf("%+v", p)
		}
		if p.CTR > 2*plain.CTR || p.ROAS > 2*plain.ROAS+1 {
			t.Errorf("the caller's figures were believed: %+v beside %+v", p, plain)
		}
	}
	if w.model.asked.Load() != asked {
		t.Error("the embedding model was asked all the same")
	}
	for _, rag := range []string{`null`, `{}`, `{"winners": null}`, `{"anything": [1]}`} {
		w.predicted(predicts, "act_1", dna("question", 0), `, "rag_context": `+rag)
	}
}

func TestAnEmbeddingModelThatIsDownCostsTheNeighboursOnly(t *testing.T) {
	t.Parallel()
	w := withWinners(t)
	up := w.predicted(gate, "act_1", dna("question", 0), "")
	w.model.down.Store(true)
	down := w.predicted(gate, "act_1", dna("question", 0), "")
	if len(down.Neighbours) != 0 || down.EmbeddingModel != "" || down.Version != up.Version || down.Decision != up.Decision {
		t.Errorf("%+v", down)
	}
	w.model.down.Store(false)
	w.model.hangs.Store(true)
	if hung := w.predicted(gate, "act_1", dna("question", 0), ""); len(hung.Neighbours) != 0 || hung.CTR != down.CTR {
		t.Errorf("%+v", hung)
	}
}

func TestWhereNoWinnerIsStoredNobodyIsAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "act_1", "")
	if p := w.predicted(gate, "act_1", dna("question", 0), ""); len(p.Neighbours) != 0 || w.model.asked.Load() != 0 {
		t.Errorf("%+v, asked %d times", p, w.model.asked.Load())
	}
}
