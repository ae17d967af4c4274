package winners_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/winners"
	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const second = "gemini-embedding-2"

// onGemini deploys the function with Gemini's embedding model.
func (f *fixture) onGemini(t *testing.T, fake *fakegemini.Fake, url string, timeout time.Duration) {
	t.Helper()
	client, err := gemini.Open(t.Context(), gemini.Config{
		APIKey: fakegemini.Key, BaseURL: url, Model: "gemini-3.8-flash", EmbeddingModel: second,
		Timeout: timeout, DailyCap: 1, DailyTokens: 100_000, Prices: gemini.Prices{second: {Input: 0.2}},
	}, f.db)
	if err != nil {
		t.Fatal(err)
	}
	fake.Mend()
	f.handler = serve.Wrap("winners", winners.New(f.db, serve.Access{Verifier: f.issuer.Verifier()}, gemini.Models(client)))
}

func TestWinnersAreFoundByGeminisMeaning(t *testing.T) {
	t.Parallel()
	f := open(t)
	fake, url := fakegemini.Start(t)
	fake.Embed = func(_, text string) []float32 { // knows that a query is a question
		if strings.Contains(text, "question") || strings.Contains(text, "ask") {
			return []float32{1, 0.1}
		}
		return []float32{0.1, 1}
	}
	f.onGemini(t, fake, url, time.Minute)
	f.index(t, "ad-1", `{"hook_type":"question"}`)
	f.index(t, "ad-2", `{"hook_type":"testimonial"}`)
	status, answer := f.post(t, auth.Viewer, "search-winners", `{"query":"somebody asks","top_k":2}`)
	found := list(answer["winners"])
	if status != 200 || answer["embedding_model"] != second || len(found) != 2 || found[0]["ad_id"] != "ad-1" || found[0]["similarity"].(float64) < 0.99 {
		t.Errorf("%d %v", status, answer)
	}
	_, stats := f.get(t, auth.Viewer, "memory-stats")
	if stats["embedding_model"] != second || stats["dimension"] != 768.0 || stats["search"] != "exact" || stats["total_winners_in_memory"] != 2.0 {
		t.Errorf("%v", stats)
	}
}

func TestWhenGeminiIsAwayTheAnswerSaysSoInTime(t *testing.T) {
	t.Parallel()
	f := open(t)
	fake, url := fakegemini.Start(t)
	f.onGemini(t, fake, url, time.Minute)
	f.index(t, "ad-1", `{"hook_type":"question"}`)
	for name, c := range map[string]struct {
		fault fakegemini.Fault
		says  string
		after int
	}{
		"down":          {fakegemini.Drop(), "does not answer", 10},
		"slow":          {fakegemini.Hang(), "in time", 10},
		"out of quota":  {fakegemini.Quota(90 * time.Second), "quota", 90},
		"nonsense":      {fakegemini.Body(`{"embeddings":[{"values":[0]}]}`), "makes no sense", 10},
		"not the API's": {fakegemini.Body(`<html>`), "does not answer", 10},
		"bad key":       {fakegemini.Because(400, "INVALID_ARGUMENT", "API_KEY_INVALID"), "credentials", 300},
	} {
		timeout := time.Minute
		if name == "slow" {
			timeout = 300 * time.Millisecond
		}
		for path, body := range map[string]string{"search-winners": `{"query":"x"}`, "index-winner": `{"ad_id":"new","ad_data":{"a":"b"},"ctr":0.1}`} {
			f.onGemini(t, fake, url, timeout) // its breaker is closed
			fake.Break(c.fault)
			w := f.written(path, body)
			after, _ := strconv.Atoi(w.Header().Get("Retry-After"))
			if w.Code != 503 || !strings.Contains(w.Body.String(), c.says) || after != c.after {
				t.Errorf("%s, %s: %d, Retry-After %d: %s", name, path, w.Code, after, w.Body)
			}
			for _, word := range []string{fakegemini.Key, url, "gemini-embedding", "RESOURCE", "piece of the prompt"} {
				if strings.Contains(w.Body.String(), word) {
					t.Errorf("%s, %s: tells %q: %s", name, path, word, w.Body)
				}
			}
		}
	}
	fake.Mend()
	if _, answer := f.get(t, auth.Viewer, "memory-stats"); answer["total_remembered"] != 1.0 {
		t.Errorf("something is half stored: %v", answer)
	}
	f.onGemini(t, fake, url, time.Minute)
	if status, answer := f.post(t, auth.Viewer, "search-winners", `{"query":"x"}`); status != 200 || answer["results_found"] != 1.0 {
		t.Errorf("back again: %d %v", status, answer)
	}
	f.exec(t, `INSERT INTO gv.accounts (tenant_id, account_id, settings) VALUES ($1, 'acc', '{"gemini_daily_cap_usd": 0}')`)
	if status, answer := f.post(t, auth.Viewer, "search-winners", `{"query":"x"}`); status != 429 || !strings.Contains(fmt.Sprint(answer["detail"]), "daily spending limit") {
		t.Errorf("capped: %d %v", status, answer)
	}
}

// A tenant's first search after a key is set goes on with what is there.
func TestAChangeOfTheModelIsSeenAndHidesNothing(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.index(t, "ad-1", `{"hook_type":"question"}`)
	fake, url := fakegemini.Start(t)
	f.onGemini(t, fake, url, time.Minute)
	if status, answer := f.post(t, auth.Viewer, "search-winners", `{"query":"question"}`); status != 200 || answer["results_found"] != 1.0 || answer["embedding_model"] != embed.LocalModel {
		t.Errorf("%d %v", status, answer)
	}
	_, stats := f.get(t, auth.Viewer, "memory-stats")
	change, _ := stats["embedding_change"].(map[string]any)
	if stats["embedding_model"] != embed.LocalModel || change["embedding_model"] != second || change["remaining"] != 1.0 {
		t.Errorf("%v", stats)
	}
	f.onGemini(t, fake, url, 300*time.Millisecond)
	fake.Break(fakegemini.Hang())
	f.index(t, "ad-2", `{"hook_type":"promise"}`)
	fake.Mend()
	f.onGemini(t, fake, url, time.Minute)
	f.index(t, "ad-3", `{"hook_type":"story"}`)
	if _, answer := f.post(t, auth.Viewer, "search-winners", `{"query":"story"}`); answer["results_found"] != 3.0 {
		t.Errorf("%v", answer)
	}
	if _, stats = f.get(t, auth.Viewer, "memory-stats"); stats["embedding_change"].(map[string]any)["remaining"] != 2.0 {
		t.Errorf("%v", stats)
	}
	if _, answer := f.get(t, auth.Viewer, "winner/ad-3"); answer["embedding_model"] != embed.LocalModel {
		t.Errorf("%v", answer)
	}
	// The key is gone: what only Gemini can search is not searched with anything else.
	f.exec(t, `UPDATE gv.embedding_models SET active = '`+second+`', target = NULL, switched_at = now() WHERE tenant_id = $1`)
	f.handler = serve.Wrap("winners", winners.New(f.db, serve.Access{Verifier: f.issuer.Verifier()}, embed.Only(embed.Local{})))
	if _, answer := f.post(t, auth.Viewer, "search-winners", `{"query":"story"}`); answer["embedding_model"] != embed.LocalModel || answer["results_found"] != 3.0 {
		t.Errorf("%v", answer)
	}
}

// written posts body as an editor and returns the answer as it was written.
func (f *fixture) written(path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/api/ml/rag/"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+f.token(tenantA, auth.Editor))
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w
}
