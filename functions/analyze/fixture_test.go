package analyze_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/functions/analyze"
	"github.com/geminivideo/geminivideo/infra/testkit/fakebucket"
	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/bucket"
	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/video"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
)

type fixture struct {
	t        *testing.T
	db       *pg.DB
	worker   *pg.Worker
	admin    *pgxpool.Pool
	cloud    *fakebucket.Fake
	files    *bucket.Bucket
	fake     *fakegemini.Fake
	client   *gemini.Client
	consumer serve.Consumer
}

// open has a bucket in the cloud, and the Developer API's fake behind the client.
func open(t *testing.T, change ...func(*gemini.Config)) *fixture {
	t.Helper()
	made := pgtest.New(t)
	f := &fixture{t: t, admin: made.Admin(t), cloud: fakebucket.New(t)}
	var url string
	f.fake, url = fakegemini.Start(t)
	f.fake.Write = func(fakegemini.Call) string { return described(nil) }
	cfg := gemini.Config{
		APIKey: fakegemini.Key, BaseURL: url, Model: "gemini-3.8-flash", EmbeddingModel: "gemini-embedding-2",
		Timeout: 30 * time.Second, DailyCap: 10, DailyTokens: 20_000_000, Prices: gemini.Prices{"gemini-3.8-flash": {Input: 1, Output: 4}},
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	must := func() {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	f.db, err = pg.Open(t.Context(), pg.Config{URL: made.AppURL, MaxConns: 6})
	must()
	t.Cleanup(f.db.Close)
	f.worker, err = pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: made.WorkerURL, MaxConns: 2})
	must()
	t.Cleanup(f.worker.Close)
	f.files, err = bucket.Open(bucket.Config{URL: f.cloud.URL()}, f.cloud.Options()...)
	must()
	f.client, err = gemini.Open(t.Context(), cfg, f.db)
	must()
	f.exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'A'), ($2, 'B')`, tenantA, tenantB)
	f.consumer = analyze.New(f.db, f.worker, f.files, f.client, nil)
	return f
}

func onVertex(cfg *gemini.Config) { cfg.APIKey, cfg.Project, cfg.Location = "", "p", "us-central1" }

func (f *fixture) exec(sql string, args ...any) {
	f.t.Helper()
	if _, err := f.admin.Exec(f.t.Context(), sql, args...); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) text(sql string, args ...any) string {
	f.t.Helper()
	var v any
	if err := f.admin.QueryRow(f.t.Context(), sql, args...).Scan(&v); err != nil {
		f.t.Fatal(err)
	}
	return fmt.Sprint(v)
}

// upload keeps a video as functions/videos does, and returns its id.
func (f *fixture) upload(data []byte) string {
	f.t.Helper()
	kind, err := video.Sniff(data[:min(len(data), video.SniffLen)])
	if err != nil {
		f.t.Fatal(err)
	}
	object := "own/" + uuid.NewString() + kind.Extension()
	file, err := f.files.Write(f.t.Context(), tenantA, object, string(kind), strings.NewReader(string(data)))
	if err != nil {
		f.t.Fatal(err)
	}
	window, err := f.files.Window(f.t.Context(), tenantA, file)
	if err != nil {
		f.t.Fatal(err)
	}
	info, err := video.Probe(window, file.Size)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.store(video.New{
		ContentKey: object, Name: "spot" + kind.Extension(), URI: f.files.URI(tenantA, object), Object: object, Generation: file.Generation,
		Size: file.Size, Info: info, By: "editor@a.example",
	})
}

func (f *fixture) store(n video.New) (id string) {
	f.t.Helper()
	err := pg.InTenant(f.t.Context(), f.db, tenantA, func(tx pgx.Tx) error {
		v, _, err := video.NewStore(tx).Keep(f.t.Context(), n)
		id = v.VideoID
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return id
}

func (f *fixture) show(id string) (v video.Video) {
	f.t.Helper()
	err := pg.InTenant(f.t.Context(), f.db, tenantA, func(tx pgx.Tx) (err error) {
		v, err = video.NewStore(tx).Get(f.t.Context(), id)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return v
}

func of(tenant, id string) message.Message {
	return message.Message{ID: "1", Data: []byte(`{"video_id":"` + id + `"}`), Attributes: map[string]string{
		message.KeyAttribute: "k-" + id, message.TenantAttribute: tenant,
	}}
}

// push delivers the message about a video and returns the answer's status.
func (f *fixture) push(m message.Message) int {
	f.t.Helper()
	r := httptest.NewRequestWithContext(f.t.Context(), http.MethodPost, "/", strings.NewReader(string(m.Data)))
	r.Header.Set("X-Goog-Pubsub-Message-Id", m.ID)
	for key, value := range m.Attributes {
		r.Header.Set(key, value)
	}
	w := httptest.NewRecorder()
	serve.Wrap("analyze", serve.Consume("analyze", f.consumer)).ServeHTTP(w, r)
	return w.Code
}

// want compares what has become of a video.
func (f *fixture) want(id, status, says string) video.Video {
	f.t.Helper()
	v := f.show(id)
	shown := value(v.Failure) + value(v.WaitingFor)
	if v.Status != status || !strings.Contains(shown, says) || says == "" && shown != "" {
		f.t.Errorf("it is %s (%q), want %s (%q)", v.Status, shown, status, says)
	}
	return v
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// described is an answer that keeps to the schema, changed.
func described(change func(section func(string) map[string]any)) string {
	all := filled(creative.Schema()).(map[string]any)
	if change != nil {
		change(func(name string) map[string]any {
			section, ok := all[name].(map[string]any)
			if !ok {
				section = map[string]any{}
				all[name] = section
			}
			return section
		})
	}
	data, _ := json.Marshal(all)
	return string(data)
}

func filled(schema map[string]any) any {
	switch schema["type"] {
	case "object":
		all := map[string]any{}
		for name, of := range schema["properties"].(map[string]any) {
			all[name] = filled(of.(map[string]any))
		}
		return all
	case "number":
		return 0.5
	case "boolean":
		return false
	}
	if values, ok := schema["enum"].([]string); ok {
		return values[1]
	}
	return "en"
}
