package gemini_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
)

// logged is everything that any test of this package logs.
var logged = &log{}

type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// secretWords stand in every prompt of these tests.
const secretWords = "the words of the prompt"

// Whatever any test here lets happen, neither the key nor a prompt is logged.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	code := m.Run()
	for _, word := range []string{fakegemini.Key, secretWords} {
		if strings.Contains(logged.String(), word) {
			os.Stderr.WriteString("the log holds " + word + ":\n" + logged.String())
			code = 1
		}
	}
	os.Exit(code)
}

type fixture struct {
	*gemini.Client
	fake  *fakegemini.Fake
	admin *pgxpool.Pool
	db    *pg.DB
	cfg   gemini.Config
}

func config(url string) gemini.Config {
	return gemini.Config{
		APIKey: fakegemini.Key, BaseURL: url, Model: "gemini-3.8-flash", EmbeddingModel: "gemini-embedding-2",
		Timeout: 10 * time.Second, DailyCap: 10, DailyTokens: 20_000_000,
		Prices: gemini.Prices{"gemini-3.8-flash": {Input: 1, Output: 4}, "gemini-embedding-2": {Input: 0.2}},
	}
}

func open(t *testing.T, change ...func(*gemini.Config)) *fixture {
	t.Helper()
	made := pgtest.New(t)
	db, err := pg.Open(t.Context(), pg.Config{URL: made.AppURL, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	fake, url := fakegemini.Start(t)
	f := &fixture{fake: fake, admin: made.Admin(t), db: db, cfg: config(url)}
	for _, c := range change {
		c(&f.cfg)
	}
	if f.Client, err = gemini.Open(t.Context(), f.cfg, db); err != nil {
		t.Fatal(err)
	}
	f.exec(t, `INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'A'), ($2, 'B')`, tenantA, tenantB)
	return f
}

// afresh forgets what was used, and any breaker.
func (f *fixture) afresh(t *testing.T) {
	t.Helper()
	f.exec(t, `DELETE FROM gv.gemini_usage`)
	f.exec(t, `DELETE FROM gv.gemini_days`)
	f.fake.Mend()
	var err error
	if f.Client, err = gemini.Open(t.Context(), f.cfg, f.db); err != nil {
		t.Fatal(err)
	}
}

func onVertex(cfg *gemini.Config) { cfg.APIKey, cfg.Project, cfg.Location = "", "p", "us-central1" }

func (f *fixture) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := f.admin.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// used returns what is counted of tenant A with a model.
func (f *fixture) used(t *testing.T, model string) (calls, failed, input, output, micros int64) {
	t.Helper()
	err := f.admin.QueryRow(t.Context(), `
		SELECT coalesce(sum(calls), 0)::bigint, coalesce(sum(failed), 0)::bigint, coalesce(sum(input_tokens), 0)::bigint,
		       coalesce(sum(output_tokens), 0)::bigint, coalesce(sum(cost_micros), 0)::bigint
		FROM   gv.gemini_usage WHERE tenant_id = $1 AND model = $2`, tenantA, model).Scan(&calls, &failed, &input, &output, &micros)
	if err != nil {
		t.Fatal(err)
	}
	return calls, failed, input, output, micros
}

// reserved returns what of the day is reserved for calls that have not ended.
func (f *fixture) reserved(t *testing.T) (n int64) {
	t.Helper()
	if err := f.admin.QueryRow(t.Context(), `SELECT coalesce(sum(reserved_tokens + reserved_micros), 0)::bigint FROM gv.gemini_days`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

var schema = map[string]any{
	"type": "object", "required": []string{"hook", "score"}, "additionalProperties": false,
	"properties": map[string]any{
		"hook":   map[string]any{"type": "string", "enum": []string{"question", "promise"}},
		"score":  map[string]any{"type": "number", "minimum": 0, "maximum": 1},
		"scenes": map[string]any{"type": "array", "maxItems": 3, "items": map[string]any{"type": "string", "minLength": 1, "maxLength": 20}},
	},
}

const fits = `{"hook":"question","score":0.5,"scenes":["a","b"]}`

func ask(ctx context.Context, f *fixture) (gemini.Answer, error) {
	return f.Generate(ctx, gemini.Request{
		Tenant: tenantA, Purpose: "plan", System: "Say what " + secretWords + " are.", MaxOutputTokens: 1000,
		Parts: []gemini.Part{{Text: "data: " + secretWords}}, Schema: schema,
	})
}

// clean fails where an error tells what it must not.
func clean(t *testing.T, name string, err error) {
	t.Helper()
	for _, word := range []string{fakegemini.Key, secretWords, "127.0.0.1:0"} {
		if err != nil && strings.Contains(err.Error(), word) {
			t.Errorf("%s: the error tells %q: %v", name, word, err)
		}
	}
}
