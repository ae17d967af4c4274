package campaigns_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/geminivideo/geminivideo/functions/campaigns"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

func TestARequestThatIsNoReportIsRefusedByField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	send := func(query, body, kind string) apitest.Answer {
		return w.Call(w.handler, "POST", "/api/ads/import"+query, w.Token(auth.Editor), body, "Content-Type", kind)
	}
	parts := func(p ...string) func(string) apitest.Answer {
		return func(query string) apitest.Answer {
			body, kind := form(t, p...)
			return send(query, body, kind)
		}
	}
	whole, kind := form(t, "file", plainReport)
	for _, tt := range []struct {
		name   string
		answer apitest.Answer
		status int
		field  string
	}{
		{"JSON", send("", `{}`, "application/json"), 415, ""},
		{"bare CSV", send("", plainReport, "text/csv"), 415, ""},
		{"no boundary", send("", whole, "multipart/form-data"), 400, ""},
		{"another boundary", send("", whole, "multipart/form-data; boundary=x"), 422, "body.file"},
		{"cut off in the file", send("", whole[:200], kind), 400, ""},
		{"no parts", parts()(""), 422, "body.file"},
		{"no file", parts("account_id", "acc")(""), 422, "body.file"},
		{"an empty file", parts("file", "")(""), 422, "body.file"},
		{"no header", parts("file", "1,2,3,4\n")(""), 422, "body.file"},
		{"a workbook", parts("file", "PK\x03\x04....")(""), 422, "body.file"},
		{"two files", parts("file", plainReport, "file", plainReport)(""), 422, "body.file"},
		{"the account behind the file", parts("file", plainReport, "account_id", "acc")(""), 422, "body.account_id"},
		{"an unknown part", parts("surprise", "1", "file", plainReport)(""), 422, "body.surprise"},
		{"an unknown part behind", parts("file", plainReport, "surprise", "1")(""), 422, "body.surprise"},
		{"an odd dry_run", parts("file", plainReport)("?dry_run=perhaps"), 422, "query.dry_run"},
		{"an empty account", parts("file", plainReport)("?account_id="), 422, "query.account_id"},
		{"a long account", parts("file", plainReport)("?account_id=" + strings.Repeat("a", 129)), 422, "query.account_id"},
		{"an account with a NUL", parts("file", plainReport)("?account_id=a%00"), 422, "query.account_id"},
		{"an account that is no text", parts("file", plainReport)("?account_id=a%ff"), 422, ""},
		{"two accounts", parts("account_id", "a", "file", plainReport)("?account_id=b"), 422, "body.account_id"},
	} {
		if tt.answer.Status != tt.status || tt.field != "" && !tt.answer.Names(tt.field) || !strings.Contains(tt.answer.Header.Get("Content-Type"), "problem+json") {
			t.Errorf("%s: %d %s, want %d naming %s", tt.name, tt.answer.Status, tt.answer.Body, tt.status, tt.field)
		}
	}
	if n := w.Text(`SELECT (SELECT count(*) FROM gv.ads) + (SELECT count(*) FROM gv.accounts)`); n != "0" {
		t.Error("a refused request left something behind")
	}
}

func TestOnlyEditorsImportAndViewersRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body, kind := form(t, "file", plainReport)
	for token, status := range map[string]int{"": 401, w.Token(auth.Viewer): 403, w.Token(auth.Editor): 200, w.Token(auth.Admin): 200} {
		if a := w.Call(w.handler, "POST", "/api/ads/import", token, body, "Content-Type", kind); a.Status != status {
			t.Errorf("%d %s, want %d", a.Status, a.Body, status)
		}
	}
	if a := w.Call(w.handler, "GET", "/api/campaigns", "", nil); a.Status != 401 {
		t.Errorf("a list without a token: %d", a.Status)
	}
}

func TestABodyThatIsTooLargeIs413(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	w.handler = campaigns.NewLimited(w.App, w.Access(), w.Queue, 4<<20)
	for _, length := range []int64{5 << 20, -1} { // said, and not said
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/ads/import", io.MultiReader(
			strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"r.csv\"\r\n\r\nad_id,impressions,clicks,spend\na,1,1,1\n"),
			strings.NewReader(strings.Repeat(strings.Repeat("x", 1<<10)+"\n", 5<<10))))
		r.ContentLength = length
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		r.Header.Set("Authorization", "Bearer "+w.Token(auth.Editor))
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		if rec.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("length %d: %d %s", length, rec.Code, rec.Body)
		}
	}
	if n := w.Text(`SELECT count(*) FROM gv.ads`); n != "0" {
		t.Error("half of a file that is too large was kept")
	}
}

func TestAnUploadThatIsCutOffLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	server := httptest.NewServer(w.handler)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	const rows = 40_000 // well beyond what is waited for before the transaction
	fmt.Fprintf(conn, "POST /api/ads/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 90000000\r\n\r\n", w.Token(auth.Editor))
	fmt.Fprint(conn, "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"r.csv\"\r\n\r\nad_id,impressions,clicks,spend\n")
	for i := range rows {
		fmt.Fprintf(conn, "advertisement-%d,1000,10,12.50\n", i)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	server.Close() // waits for the handler
	if n := w.Text(`SELECT count(*) FROM gv.ads`); n != "0" {
		t.Errorf("half an upload left %s ads", n)
	}
	if got := w.imported(w.upload("", plainReport)); got.Imported != 3 {
		t.Errorf("afterwards: %s", got.counts())
	}
}

// slowUpload begins an upload and leaves it half sent; end sends the rest and returns
// the answer's status.
func slowUpload(t *testing.T, server *httptest.Server, token, file string) (end func() int) {
	t.Helper()
	body, kind := form(t, "file", file)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	half := len(body) / 2
	_, err = fmt.Fprintf(conn, "POST /api/ads/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		token, kind, len(body), body[:half])
	if err != nil {
		t.Fatal(err)
	}
	return func() int {
		_, _ = io.WriteString(conn, body[half:]) // the answer says whether it was cut off
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
}

// A function has two connections. Any number of clients may be in the middle of an
// upload: none of them has one, and everybody else is answered.
func TestSlowUploadsTakeNoConnectionFromAnybody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	server := httptest.NewServer(serve.Wrap("campaigns", w.handler))
	defer server.Close()
	var ends []func() int
	for range 3 * w.App.Conns() {
		ends = append(ends, slowUpload(t, server, w.Token(auth.Editor), plainReport))
	}
	for i := range 3 {
		if a := w.get("/api/campaigns"); a.Status != http.StatusOK {
			t.Errorf("list %d beside slow uploads: %d %s", i, a.Status, a.Body)
		}
	}
	if got := w.imported(w.upload("", plainReport)); got.Imported != 3 {
		t.Errorf("an import beside slow uploads: %s", got.counts())
	}
	for _, end := range ends {
		// On a slow machine all this takes so long that the edge has cut it off for its rate.
		if status := end(); status != http.StatusOK && status != http.StatusRequestTimeout {
			t.Errorf("a slow upload in the end: %d", status)
		}
	}
}

// A load is held up by a lock that somebody else has on the tenant's account. Reads
// still find a connection, and of those that wait the other tenant's report is next.
func TestLoadsLeaveAConnectionForOthersAndTenantsTakeTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	w.account(apitest.Other, "acc", "USD")
	db, err := pg.Open(t.Context(), pg.Config{URL: w.AppURL(), MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	handler, queue := campaigns.NewWatched(db, w.Access(), w.Queue)
	unlock := w.Lock(`LOCK TABLE gv.ads IN ACCESS EXCLUSIVE MODE`)
	var (
		mu    sync.Mutex
		order []string
		all   sync.WaitGroup
	)
	send := func(tenant, token string) {
		all.Go(func() {
			body, kind := form(t, "file", plainReport)
			a := w.Call(handler, "POST", "/api/ads/import", token, body, "Content-Type", kind)
			mu.Lock()
			defer mu.Unlock()
			if order = append(order, tenant); a.Status != http.StatusOK {
				t.Errorf("%s: %d %s", tenant, a.Status, a.Body)
			}
		})
	}
	for range 5 {
		send("burst", w.Token(auth.Editor))
	}
	for queue.Waiting(apitest.Tenant) < 4 {
		runtime.Gosched()
	}
	send("other", w.OtherToken())
	for queue.Waiting(apitest.Other) < 1 {
		runtime.Gosched()
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("no connection is left beside the loads: %v", err)
	}
	unlock()
	all.Wait()
	if at := slices.Index(order, "other"); at < 0 || at > 2 { // answers may overtake each other by one
		t.Errorf("the answers came in this order: %v", order)
	}
}

func TestAKeyMakesAnImportTakeEffectOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	first := w.upload("", plainReport, "Idempotency-Key", "k1")
	if got := w.imported(first); got.Imported != 3 {
		t.Fatal(got.counts())
	}
	if again := w.upload("", plainReport, "Idempotency-Key", "k1"); again.Status != 200 || again.Body != first.Body {
		t.Errorf("the same again, with another boundary: %d %s", again.Status, again.Body)
	}
	for name, a := range map[string]apitest.Answer{
		"another file":    w.upload("", plainReport+"a4,c1,,,1,1,1,,,,\n", "Idempotency-Key", "k1"),
		"another account": w.upload("?account_id=acc", plainReport, "Idempotency-Key", "k1"),
		"a dry run":       w.upload("?dry_run=1", plainReport, "Idempotency-Key", "k1"),
	} {
		if a.Status != http.StatusConflict {
			t.Errorf("%s under the same key: %d %s", name, a.Status, a.Body)
		}
	}
	if got := w.imported(w.upload("", plainReport, "Idempotency-Key", "k2")); got.Updated != 3 {
		t.Errorf("another key: %s", got.counts())
	}
	if n := w.Text(`SELECT count(*) FROM gv.ads`); n != "3" {
		t.Errorf("%s ads", n)
	}
}

func TestTwinImportsTakeEffectOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	var mu sync.Mutex
	bodies := map[string]int{}
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			a := w.upload("", plainReport, "Idempotency-Key", "twin")
			mu.Lock()
			defer mu.Unlock()
			switch a.Status {
			case 200:
				bodies[a.Body]++
			case http.StatusConflict:
				if a.Header.Get("Retry-After") == "" {
					t.Error("a conflict that passes says not when")
				}
			default:
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	group.Wait()
	if len(bodies) != 1 {
		t.Errorf("twins got different answers: %v", bodies)
	}
}

func TestARowThatFailsLateKeepsNoKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	if a := w.upload("", "ad_id,impressions\n", "Idempotency-Key", "k"); a.Status != 422 {
		t.Fatal(a.Body)
	}
	if got := w.imported(w.upload("", plainReport, "Idempotency-Key", "k")); got.Imported != 3 {
		t.Errorf("after a refusal the key is free: %s", got.counts())
	}
}

func TestADatabaseThatIsDownIs503(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db, err := pg.Open(t.Context(), pg.Config{URL: "postgres://gv_app:x@127.0.0.1:1/none?connect_timeout=1", MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w.handler = campaigns.New(db, w.Access(), w.Queue, nil)
	for name, a := range map[string]apitest.Answer{"list": w.get("/api/campaigns"), "funnel": w.get("/api/deals/funnel"), "import": w.upload("", plainReport)} {
		if a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
}
