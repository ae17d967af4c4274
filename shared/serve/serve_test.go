package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/issuer"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

const tenant = "00000000-0000-4000-8000-00000000000a"

// logs is what this process has logged.
var logs lines

type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// of returns the lines in which word stands.
func (l *lines) of(t *testing.T, word string) (found []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, word) {
			entry := map[string]any{}
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Errorf("a line of the log is no JSON: %s", line)
			}
			found = append(found, entry)
		}
	}
	return found
}

func TestMain(m *testing.M) {
	slog.SetDefault(telemetry.NewLogger(&logs, "proj"))
	os.Exit(m.Run())
}

func TestEveryRequestIsOneLineThatCloudLoggingReads(t *testing.T) {
	t.Parallel()
	f := open(t)
	r := f.request(auth.Viewer, http.MethodGet, "/log-line?token=hunter2", "")
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	r.RemoteAddr = "[2001:db8::1]:443"
	f.send(r)
	found := logs.of(t, "0af7651916cd43dd8448eb211c80319c")
	if len(found) != 1 {
		t.Fatalf("%d lines", len(found))
	}
	line := found[0]
	request := line["httpRequest"].(map[string]any)
	for key, want := range map[string]any{
		"severity": "INFO", "message": "GET /log-line 200", "function": "test", "tenant": tenant, "ad": "ad-1",
		"logging.googleapis.com/trace":  "projects/proj/traces/0af7651916cd43dd8448eb211c80319c",
		"logging.googleapis.com/spanId": "b7ad6b7169203331",
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
	if request["status"] != 200.0 || request["requestMethod"] != "GET" || request["remoteIp"] != "2001:db8::1" || request["requestUrl"] != "/log-line" ||
		!strings.HasSuffix(request["latency"].(string), "s") {
		t.Errorf("httpRequest %v", request)
	}
}

func TestAPanicIsAPlain500AndAStackInTheLog(t *testing.T) {
	t.Parallel()
	f := open(t)
	w := f.send(f.request(auth.Viewer, http.MethodGet, "/panic", ""))
	problem := decode(t, w)
	if w.Code != 500 || problem["detail"] != "internal error" || strings.Contains(w.Body.String(), "hunter2") || strings.Contains(w.Body.String(), "goroutine") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if found := logs.of(t, `"message":"panic","panic":"hunter2`); len(found) != 1 || !strings.Contains(found[0]["stack"].(string), "serve_test.go") {
		t.Errorf("the log says %v", found)
	}
}

func TestAPanicInTheMiddleOfAnAnswerBreaksTheConnection(t *testing.T) {
	t.Parallel()
	handler := serve.Wrap("half", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"half":`))
		panic("boom")
	}))
	defer func() {
		v := recover()
		if err, is := v.(error); !is || !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v", v)
		}
	}()
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/half", nil))
}

func TestTheCauseOfAnErrorIsForTheLogOnly(t *testing.T) {
	t.Parallel()
	f := open(t)
	for path, want := range map[string]struct {
		status int
		detail string
		retry  string
	}{
		"/plain": {500, "internal error", ""}, "/down": {503, "the queue does not answer", "10"},
		"/late": {503, "the request took too long", "5"}, "/slow-down": {429, "too many at once", "3"},
	} {
		w := f.send(f.request(auth.Viewer, http.MethodGet, path, ""))
		problem := decode(t, w)
		if w.Code != want.status || problem["detail"] != want.detail || problem["title"] != http.StatusText(want.status) || problem["status"] != float64(want.status) ||
			w.Header().Get("Retry-After") != want.retry || w.Header().Get("Content-Type") != "application/problem+json" || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%s: %d %s, retry after %q", path, w.Code, w.Body, w.Header().Get("Retry-After"))
		}
		if want.status == 500 || want.status == 503 && path == "/down" {
			if found := logs.of(t, fmt.Sprintf(`"GET %s %d"`, path, want.status)); len(found) != 1 || !strings.Contains(found[0]["error"].(string), "hunter2") || found[0]["severity"] != "ERROR" {
				t.Errorf("%s: the log says %v", path, found)
			}
		}
	}
}

func TestARequestHasADeadline(t *testing.T) {
	t.Parallel()
	handler := serve.Wrap("deadline", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if end, ok := r.Context().Deadline(); !ok || time.Until(end) > time.Minute || time.Until(end) < 50*time.Second {
			t.Errorf("it ends %v", end)
		}
	}))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}

func TestHealthNamesWhatIsDown(t *testing.T) {
	t.Parallel()
	api := serve.NewAPI(serve.Access{})
	var down error
	api.Check("postgres", func(context.Context) error { return down })
	api.Check("queue", func(context.Context) error { return nil })
	handler := serve.Wrap("health", api)
	get := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/health", nil))
		return w
	}
	if w := get(); w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"status":"ok"}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	down = errors.New("password hunter2 refused")
	w := get()
	detail := decode(t, w)["detail"].(string)
	if w.Code != 503 || !strings.Contains(detail, "postgres") || strings.Contains(detail, "queue") || strings.Contains(w.Body.String(), "hunter2") || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

type fixture struct {
	handler http.Handler
	issuer  *issuer.Issuer
	seen    int // how often an operation ran
	mu      sync.Mutex
}

type body struct {
	Name  string         `json:"name" minLength:"1"`
	Count int64          `json:"count,omitempty" minimum:"0"`
	Rate  float64        `json:"rate,omitempty" minimum:"0" maximum:"1"`
	Kind  string         `json:"kind,omitempty" enum:"a,b"`
	Items []item         `json:"items,omitempty" maxItems:"3"`
	Open  map[string]any `json:"open,omitempty"`
}

type item struct {
	Spend float64 `json:"spend" minimum:"0"`
	Count int64   `json:"count,omitempty"`
}

func open(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{issuer: issuer.New(t)}
	api := serve.NewAPI(serve.Access{Verifier: f.issuer.Verifier(), Origins: []string{"https://app.example.com"}})
	type none struct{}
	type nothing struct {
		Body struct {
			OK bool `json:"ok"`
		}
	}
	fail := func(err func() error) func(context.Context, *none) (*nothing, error) {
		return func(context.Context, *none) (*nothing, error) { return nil, err() }
	}
	serve.Get(api, "/log-line", auth.Viewer, func(ctx context.Context, _ *none) (*nothing, error) {
		serve.Note(ctx, "ad", "ad-1")
		return &nothing{}, nil
	})
	serve.Get(api, "/panic", auth.Viewer, fail(func() error { panic("hunter2") }))
	serve.Get(api, "/plain", auth.Viewer, fail(func() error { return errors.New("query: password hunter2") }))
	serve.Get(api, "/down", auth.Viewer, fail(func() error { return fault.Down("the queue does not answer", errors.New("hunter2")) }))
	serve.Get(api, "/late", auth.Viewer, fail(func() error { return context.DeadlineExceeded }))
	serve.Get(api, "/slow-down", auth.Viewer, fail(func() error { return fault.Limited("too many at once", 2500*time.Millisecond) }))
	serve.Post(api, "/things/{id}", auth.Editor, func(_ context.Context, in *struct {
		ID    string `path:"id" maxLength:"20"`
		Limit int    `query:"limit" minimum:"1"`
		Body  body
	},
	) (*nothing, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.seen++
		return &nothing{}, nil
	}, serve.MaxBody(2000))
	serve.Raw(api, "POST /raw", auth.Admin, func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusAccepted)
		return nil
	})
	f.handler = serve.Wrap("test", api)
	return f
}

func (f *fixture) request(role auth.Role, method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if role != auth.Public {
		r.Header.Set("Authorization", "Bearer "+f.issuer.Token(tenant, "m@example.com", role, time.Hour))
	}
	return r
}

func (f *fixture) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w
}

func decode(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	answer := map[string]any{}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return answer
}
