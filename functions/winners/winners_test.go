package winners_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/geminivideo/geminivideo/functions/winners"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
)

func TestAnIndexedWinnerIsFoundByItsDNA(t *testing.T) {
	t.Parallel()
	f := open(t)
	dna := `{"hook_type":"question","visual_pacing":"fast","cta_type":"book a call"}`
	f.index(t, "ad-1", dna)
	f.index(t, "ad-2", `{"hook_type":"testimonial","visual_pacing":"slow","cta_type":"download"}`)
	reordered := `{"cta_type": "book a call", "hook_type": "question", "visual_pacing": "fast"}`
	for name, query := range map[string]string{"as a text": quote(reordered), "as an object": reordered, "in words": `"a question, fast pacing, book a call"`} {
		status, answer := f.post(t, auth.Viewer, "search-winners", `{"query":`+query+`}`)
		found := list(answer["winners"])
		if status != 200 || len(found) != 2 || found[0]["ad_id"] != "ad-1" || answer["results_found"] != 2.0 ||
			answer["total_in_memory"] != 2.0 || answer["memory_backend"] != "pgvector" || answer["embedding_model"] != embed.LocalModel {
			t.Fatalf("%s: %d %v", name, status, answer)
		}
		meta := found[0]["metadata"].(map[string]any)
		if meta["pipeline_roas"] != 4.5 || meta["ctr"] != 0.03 || meta["creative_dna"].(map[string]any)["hook_type"] != "question" {
			t.Errorf("%s: metadata %v", name, meta)
		}
		if alike := found[0]["similarity"].(float64); name != "in words" && alike < 0.9999 || alike > 1 {
			t.Errorf("%s: %v alike", name, alike)
		}
	}
}

func TestAnEmptyMemoryAnswersAnEmptyList(t *testing.T) {
	t.Parallel()
	f := open(t)
	status, body := f.raw(t, http.MethodPost, "search-winners", f.token(tenantA, auth.Viewer), `{"query":"fast"}`)
	if status != 200 || !strings.Contains(body, `"winners":[]`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestIndexingAgainIsSaidAndEmbedsNothing(t *testing.T) {
	t.Parallel()
	f := open(t)
	body := `{"ad_id":"ad-1","ad_data":{"creative_dna":{"hook_type":"question"},"headline":"Hi"},"ctr":0.03,"roas":4}`
	for i, want := range []string{"indexed", "already_indexed", "already_indexed"} {
		if status, answer := f.post(t, auth.Editor, "index-winner", body); status != 200 || answer["status"] != want || answer["total_in_memory"] != 1.0 {
			t.Errorf("time %d: %d %v", i+1, status, answer)
		}
	}
	if n := f.embedder.documents.Load(); n != 1 {
		t.Errorf("embedded %d times", n)
	}
	_, answer := f.get(t, auth.Viewer, "winner/ad-1")
	if answer["ad_data"].(map[string]any)["headline"] != "Hi" || answer["active"] != true {
		t.Errorf("stored as %v", answer)
	}
}

func TestTwinsIndexOnce(t *testing.T) {
	t.Parallel()
	f := open(t)
	var (
		wg      sync.WaitGroup
		indexed atomic.Int64
	)
	for range 8 {
		wg.Go(func() {
			status, answer := f.post(t, auth.Editor, "index-winner", `{"ad_id":"ad-1","ad_data":{"hook_type":"question"},"ctr":0.03}`)
			if status != 200 {
				t.Errorf("%d %v", status, answer)
			}
			if answer["status"] == "indexed" {
				indexed.Add(1)
			}
		})
	}
	wg.Wait()
	if indexed.Load() != 1 {
		t.Errorf("%d twins said that they indexed it", indexed.Load())
	}
}

func TestBelowTheBarIsSkippedWithTheReason(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.exec(t, `INSERT INTO gv.accounts (tenant_id, account_id, settings) VALUES ($1, 'acc', '{"winner_roas": 6}')`)
	f.exec(t, `INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c', 'acc')`)
	f.exec(t, `INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, spend_minor, pipeline_minor) VALUES ($1, 'stored', 'acc', 'c', 10000, 70000)`)
	for name, c := range map[string]struct{ body, status, reason string }{
		"roas at the bar":       {`{"ad_id":"a","ad_data":{"x":"y"},"ctr":0.03,"roas":3}`, "skipped", "not above 3"},
		"roas above":            {`{"ad_id":"b","ad_data":{"x":"y"},"ctr":0.03,"roas":3.01}`, "indexed", ""},
		"spend too little":      {`{"ad_id":"c","ad_data":{"x":"y"},"ctr":0.03,"roas":9,"spend":49.99}`, "skipped", "less than 50"},
		"spend just enough":     {`{"ad_id":"d","ad_data":{"x":"y"},"ctr":0.03,"roas":9,"spend":50,"conversions":3}`, "indexed", ""},
		"no figures":            {`{"ad_id":"e","ad_data":{"x":"y"},"ctr":0}`, "indexed", ""},
		"the account's own bar": {`{"ad_id":"stored","ad_data":{"x":"y"},"ctr":0.03,"roas":5}`, "skipped", "not above 6"},
	} {
		status, answer := f.post(t, auth.Editor, "index-winner", c.body)
		reason, _ := answer["reason"].(string)
		if status != 200 || answer["status"] != c.status || !strings.Contains(reason, c.reason) {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	f.post(t, auth.Editor, "index-winner", `{"ad_id":"stored","ad_data":{"x":"y"},"ctr":0.03}`)
	if _, answer := f.get(t, auth.Viewer, "winner/stored"); answer["metadata"].(map[string]any)["pipeline_roas"] != 7.0 {
		t.Errorf("a stored ad's own ROAS is not taken: %v", answer)
	}
}

func TestIndexingAgainWithoutAROASKeepsWhatIsStored(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.post(t, auth.Editor, "index-winner", `{"ad_id":"elsewhere","ad_data":{"x":"y"},"ctr":0.03,"roas":5.5}`)
	f.post(t, auth.Editor, "index-winner", `{"ad_id":"elsewhere","ad_data":{"x":"y"},"ctr":0.04}`)
	_, answer := f.get(t, auth.Viewer, "winner/elsewhere")
	if kept := answer["metadata"].(map[string]any); kept["pipeline_roas"] != 5.5 || kept["ctr"] != 0.04 {
		t.Errorf("%v, want the ROAS as it was and the new CTR", kept)
	}
}

func TestBadInputIsNamedAndWritesNothing(t *testing.T) {
	t.Parallel()
	f := open(t)
	long := strings.Repeat("x", 33<<10)
	for name, c := range map[string]struct{ path, body, field string }{
		"no query":         {"search-winners", `{}`, "body.query"},
		"empty query":      {"search-winners", `{"query":""}`, "body.query"},
		"blank query":      {"search-winners", `{"query":" \n "}`, "body.query"},
		"null query":       {"search-winners", `{"query":null}`, "body.query"},
		"a number":         {"search-winners", `{"query":5}`, "body.query"},
		"empty DNA":        {"search-winners", `{"query":"{}"}`, "body.query"},
		"long query":       {"search-winners", `{"query":"` + long + `"}`, "body.query"},
		"long DNA":         {"search-winners", `{"query":{"a":"` + long + `"}}`, "body.query"},
		"none asked":       {"search-winners", `{"query":"x","top_k":0}`, "body.top_k"},
		"too many asked":   {"search-winners", `{"query":"x","top_k":101}`, "body.top_k"},
		"half a winner":    {"search-winners", `{"query":"x","top_k":1.5}`, "body.top_k"},
		"ctr in percent":   {"search-winners", `{"query":"x","min_ctr":4}`, "body.min_ctr"},
		"negative":         {"search-winners", `{"query":"x","min_similarity":-0.1}`, "body.min_similarity"},
		"no number":        {"search-winners", `{"query":"x","min_similarity":NaN}`, "body.min_similarity"},
		"unknown field":    {"search-winners", `{"query":"x","k":5}`, "body.k"},
		"no ad":            {"index-winner", `{"ad_data":{"a":"b"},"ctr":0.1}`, "body.ad_id"},
		"empty ad":         {"index-winner", `{"ad_id":"","ad_data":{"a":"b"},"ctr":0.1}`, "body.ad_id"},
		"blank ad":         {"index-winner", `{"ad_id":" \t","ad_data":{"a":"b"},"ctr":0.1}`, "body.ad_id"},
		"DNA no object":    {"index-winner", `{"ad_id":"a","ad_data":{"creative_dna":5},"ctr":0.1}`, "body.ad_data.creative_dna"},
		"no data":          {"index-winner", `{"ad_id":"a","ctr":0.1}`, "body.ad_data"},
		"data no object":   {"index-winner", `{"ad_id":"a","ad_data":[],"ctr":0.1}`, "body.ad_data"},
		"data says naught": {"index-winner", `{"ad_id":"a","ad_data":{},"ctr":0.1}`, "body.ad_data"},
		"data too large":   {"index-winner", `{"ad_id":"a","ad_data":{"a":"` + long + `"},"ctr":0.1}`, "body.ad_data"},
		"data infinite":    {"index-winner", `{"ad_id":"a","ad_data":{"a":[0,1e999]},"ctr":0.1}`, "body.ad_data.a[1]"},
		"no ctr":           {"index-winner", `{"ad_id":"a","ad_data":{"a":"b"}}`, "body.ctr"},
		"ctr above 1":      {"index-winner", `{"ad_id":"a","ad_data":{"a":"b"},"ctr":1.01}`, "body.ctr"},
		"negative roas":    {"index-winner", `{"ad_id":"a","ad_data":{"a":"b"},"ctr":0.1,"roas":-1}`, "body.roas"},
		"negative count":   {"index-winner", `{"ad_id":"a","ad_data":{"a":"b"},"ctr":0.1,"conversions":-1}`, "body.conversions"},
		"NUL in the id":    {"index-winner", `{"ad_id":"a\u0000b","ad_data":{"a":"b"},"ctr":0.1}`, "body.ad_id"},
	} {
		status, answer := f.post(t, auth.Editor, c.path, c.body)
		errs := list(answer["errors"])
		if status != 422 || len(errs) == 0 || !strings.HasPrefix(fmt.Sprint(errs[0]["location"]), c.field) {
			t.Errorf("%s: %d %v, want 422 for %s", name, status, answer, c.field)
		}
	}
	if _, answer := f.get(t, auth.Viewer, "memory-stats"); answer["total_remembered"] != 0.0 {
		t.Errorf("something was written: %v", answer)
	}
}

func TestStrangeTextsAreSearchedAndStored(t *testing.T) {
	t.Parallel()
	f := open(t)
	for i, text := range []string{"🙂", "!!!", "{half a brace", "健身房", strings.Repeat("a ", 16<<10), `\ud800`, "<script>&"} {
		body, _ := json.Marshal(text)
		if status, answer := f.post(t, auth.Viewer, "search-winners", `{"query":`+string(body)+`}`); status != 200 || answer["query"] != text {
			t.Errorf("search %.20q: %d %v", text, status, answer)
		}
		f.index(t, fmt.Sprintf("ad/%d %s", i, text[:min(len(text), 4)]), `{"x":`+string(body)[:min(len(body)-1, 20_000)]+`"}`)
	}
}

func TestAWinnerIsReadByItsID(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.index(t, "ad 1/ü", `{"big":12345678901234567890}`)
	status, body := f.raw(t, http.MethodGet, "winner/ad%201%2F%C3%BC", f.token(tenantA, auth.Viewer), "")
	if status != 200 || !strings.Contains(body, "12345678901234567890") {
		t.Errorf("%d %s", status, body)
	}
	for _, path := range []string{"winner/unknown", "winner/%00"} {
		if status, answer := f.get(t, auth.Viewer, path); status != 404 && status != 422 {
			t.Errorf("%s: %d %v", path, status, answer)
		}
	}
}

func TestStatsSayWhatIsThere(t *testing.T) {
	t.Parallel()
	f := open(t)
	_, before := f.get(t, auth.Viewer, "memory-stats")
	f.index(t, "ad-1", `{"a":"b"}`)
	_, after := f.get(t, auth.Viewer, "memory-stats")
	for key, want := range map[string]any{
		"dimension": 768.0, "embedding_model": embed.LocalModel, "memory_backend": "pgvector", "storage_backend": "postgresql",
		"total_winners_in_memory": 1.0, "faiss_index_size": 1.0, "recall": 1.0, "recall_sample": 0.0, "search": "exact",
	} {
		if after[key] != want {
			t.Errorf("%s is %v", key, after[key])
		}
	}
	if before["index_bytes"] != 0.0 || after["index_bytes"].(float64) <= 0 {
		t.Errorf("index_bytes %v, then %v", before["index_bytes"], after["index_bytes"])
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.index(t, "ad-1", `{"a":"b"}`)
	body := `{"ad_id":"ad-1","ad_data":{"a":"b"},"ctr":0.1}`
	if status, _ := f.post(t, auth.Viewer, "index-winner", body); status != 403 {
		t.Errorf("a viewer indexes: %d", status)
	}
	if status, _ := f.raw(t, http.MethodGet, "memory-stats", "", ""); status != 401 {
		t.Errorf("nobody reads: %d", status)
	}
	if status, _ := f.raw(t, http.MethodGet, "winner/ad-1", f.token(tenantB, auth.Admin), ""); status != 404 {
		t.Errorf("another tenant reads: %d", status)
	}
	_, answer := f.raw(t, http.MethodPost, "search-winners", f.token(tenantB, auth.Viewer), `{"query":"a b"}`)
	if !strings.Contains(answer, `"results_found":0`) {
		t.Errorf("another tenant finds %s", answer)
	}
}

func TestADeadEmbedderIs503AndWritesNothing(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.embedder.down.Store(true)
	for path, body := range map[string]string{"search-winners": `{"query":"x"}`, "index-winner": `{"ad_id":"a","ad_data":{"a":"b"},"ctr":0.1}`} {
		if status, answer := f.post(t, auth.Editor, path, body); status != 503 || strings.Contains(fmt.Sprint(answer), "hunter2") {
			t.Errorf("%s: %d %v", path, status, answer)
		}
	}
	if status, answer := f.get(t, auth.Viewer, "memory-stats"); status != 200 || answer["total_remembered"] != 0.0 {
		t.Errorf("%d %v", status, answer)
	}
}

func TestADeadDatabaseIs503(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.db.Close()
	dead, err := pg.Open(t.Context(), pg.Config{URL: "postgres://gv_app@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	f.handler = serve.Wrap("winners", winners.New(dead, serve.Access{Verifier: f.issuer.Verifier()}, embed.Only(f.embedder)))
	if status, answer := f.post(t, auth.Viewer, "search-winners", `{"query":"x"}`); status != 503 {
		t.Errorf("%d %v", status, answer)
	}
}

func TestARepeatedKeyIsOneWrite(t *testing.T) {
	t.Parallel()
	f := open(t)
	send := func(body string) (int, string) {
		r := httptest.NewRequest(http.MethodPost, "/api/ml/rag/index-winner", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+f.token(tenantA, auth.Editor))
		r.Header.Set("Idempotency-Key", "k1")
		w := httptest.NewRecorder()
		f.handler.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	body := `{"ad_id":"ad-1","ad_data":{"a":"b"},"ctr":0.1}`
	_, first := send(body)
	if status, again := send(body); status != 200 || again != first {
		t.Errorf("%d: %s is not %s", status, again, first)
	}
	if status, answer := send(`{"ad_id":"ad-2","ad_data":{"a":"b"},"ctr":0.1}`); status != 409 {
		t.Errorf("another body: %d %s", status, answer)
	}
}
