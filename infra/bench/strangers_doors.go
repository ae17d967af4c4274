package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/infra/testkit/issuer"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/auth"
	crm "github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/standardwebhook"
)

// besieged is what the functions need around them.
type besieged struct {
	starts *starts
	cores  cores
	apart  bool // the function has processors of its own
	env    []string
	token  string // of a tenant's admin
	secret string // of a source of deals
	ends   []func()
}

const siegeSource = "src_bench"

func newBesieged(ctx context.Context) (*besieged, error) {
	w := &besieged{secret: standardwebhook.NewSecret()}
	var err error
	if w.cores, w.apart, err = setApart(1); err != nil { // before the database is started
		return nil, err
	}
	work, err := os.MkdirTemp("", "geminivideo-bench-")
	if err != nil {
		return nil, err
	}
	w.ends = append(w.ends, func() { _ = os.RemoveAll(work) })
	w.starts = &starts{work: work}
	if err := w.prepare(ctx, work); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *besieged) close() {
	for i := range w.ends {
		w.ends[len(w.ends)-1-i]()
	}
}

func (w *besieged) prepare(ctx context.Context, work string) (err error) {
	if w.starts.db, err = private(ctx); err != nil {
		return err
	}
	w.ends = append(w.ends, w.starts.db.close)
	keys, err := vault.Start("")
	if err != nil {
		return err
	}
	w.ends = append(w.ends, keys.Close)
	if err := keys.Set("projects/bench/secrets/deals", w.secret); err != nil {
		return err
	}
	queue := pstest.NewServer()
	w.ends = append(w.ends, func() { _ = queue.Close() })
	if _, err := queue.GServer.CreateTopic(ctx, &pubsubpb.Topic{Name: "projects/bench/topics/crm-events"}); err != nil {
		return err
	}
	var signs *issuer.Issuer
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { signs.ServeHTTP(rw, r) }))
	w.ends = append(w.ends, server.Close)
	if signs, err = issuer.Open(server.URL, filepath.Join(work, "issuer-key")); err != nil {
		return err
	}
	w.token = signs.Token(tenantID(0), "admin@bench.example", auth.Admin, time.Hour)
	w.env = []string{
		"SECRETS_ENDPOINT=" + keys.Addr(), "PUBSUB_EMULATOR_HOST=" + queue.Addr, "SUPABASE_URL=" + server.URL, "PUBLIC_BASE_URL=" + intakeURL,
		"HUBSPOT_CLIENT_SECRET=" + intakeSecret, "META_APP_SECRET=" + intakeSecret,
	}
	for _, sql := range []string{
		`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'Bench')`,
		`INSERT INTO gv.members (tenant_id, email, role, added_by, accepted_at) VALUES ($1, 'admin@bench.example', 'admin', 'bench', now())`,
		`INSERT INTO gv.hubspot_connections (tenant_id, portal_id, access_token, connected_by) VALUES ($1, ` + strconv.Itoa(portal) + `, 'x', 'bench')`,
		`INSERT INTO gv.deal_sources (tenant_id, source, name, secret, contact_salt, created_by)
		 VALUES ($1, '` + siegeSource + `', 'Bench', 'projects/bench/secrets/deals', 'salt', 'bench')`,
		`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'act_1')`,
	} {
		if _, err := w.starts.db.admin.Exec(ctx, sql, tenantID(0)); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	_, err = w.starts.db.admin.Exec(ctx, `INSERT INTO gv.publishable_keys (tenant_id, key_hash, prefix, created_by) VALUES ($1, $2, 'gv_pk', 'bench')`,
		tenantID(0), attribution.KeyHash("gv_pk_bench"))
	return err
}

// door is a route of a function that strangers reach, or that a tenant's member may abuse.
type door struct {
	function, method, path string
	// header is what a stranger sends so that the body is read; with a body, what signs it.
	header func(body []byte) http.Header
	// ask is the path and the body of what another caller asks, the n-th time.
	ask func(n int) (method, path, body string)
	// lists are the members of a body that hold a list; "" is the body itself.
	lists  []string
	upload bool
}

// good is what another caller asks.
func (d door) good(ctx context.Context, base string, n int) (*http.Request, error) {
	method, path, body := d.ask(n)
	r, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = d.header([]byte(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.%d.%d", n/250%250, n%250)) // a visitor of his own
	return r, nil
}

// largeBody is the i-th large body: a report where the door takes files, and otherwise a
// JSON text without end.
func (d door) largeBody(i int) (kind string, text io.Reader, length int64) {
	if !d.upload {
		text := letters()
		return "application/json", strings.NewReader(text), int64(len(text))
	}
	boundary := "bench" + strconv.Itoa(i)
	head := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n"
	end := "\r\n--" + boundary + "--\r\n"
	text = io.MultiReader(strings.NewReader(head), strings.NewReader(report()), strings.NewReader(end))
	return "multipart/form-data; boundary=" + boundary, text, int64(len(head) + len(report()) + len(end))
}

// What is sent is made once: who makes it while he sends it takes the processor from the
// database.
var (
	// letters is a member of a JSON text that does not end.
	letters = sync.OnceValue(func() string { return `{"a": "` + strings.Repeat("a", largeBody) })
	// report has rows of 60 bytes, each of another ad.
	report = sync.OnceValue(func() string {
		var rows strings.Builder
		rows.Grow(largeBody + 100)
		rows.WriteString("Ad ID,Campaign ID,Impressions,Clicks (all),Amount spent (USD)\n")
		for rows.Len() < largeBody {
			fmt.Fprintf(&rows, "%s,c1,10000,200,60.00\n", rand.Text())
		}
		return rows.String()
	})
)

func (w *besieged) doors() []door {
	bearer := func([]byte) http.Header { return http.Header{"Authorization": {"Bearer " + w.token}} }
	same := func(method, path, body string) func(int) (string, string, string) {
		return func(int) (string, string, string) { return method, path, body }
	}
	const source = "/webhooks/deals/" + siegeSource
	return []door{
		{
			function: "hubspot", method: http.MethodPost, path: "/webhooks/hubspot", lists: []string{""},
			header: func(body []byte) http.Header {
				return crm.Sign(intakeSecret, http.MethodPost, intakeURL+"/webhooks/hubspot", body, time.Now())
			},
			ask: func(n int) (string, string, string) {
				return http.MethodPost, "/webhooks/hubspot", string(eventBatch(int64(n)))
			},
		},
		{
			function: "leadads", method: http.MethodPost, path: "/webhooks/meta", lists: []string{"", "entry"},
			header: func(body []byte) http.Header {
				return http.Header{"X-Hub-Signature-256": {fakemeta.SignBody(intakeSecret, body)}}
			},
			ask: func(n int) (string, string, string) {
				return http.MethodPost, "/webhooks/meta", fmt.Sprintf(`{"object": "page", "entry": [{"id": "1", "changes": [{"field": "leadgen", "value":
					{"leadgen_id": "%d", "page_id": "1", "created_time": 1700000000}}]}]}`, n)
			},
		},
		{
			function: "dealhook", method: http.MethodPost, path: source, lists: []string{"", "deals"},
			header: func(body []byte) http.Header {
				h, at := http.Header{}, time.Now()
				h.Set(standardwebhook.IDHeader, "msg")
				h.Set(standardwebhook.TimestampHeader, strconv.FormatInt(at.Unix(), 10))
				h.Set(standardwebhook.SignatureHeader, standardwebhook.Sign(w.secret, "msg", at, body))
				return h
			},
			ask: func(n int) (string, string, string) {
				return http.MethodPost, source, fmt.Sprintf(`{"deals": [{"deal_id": "D-%d", "stage": "lead", "occurred_at": %q}]}`, n, time.Now().Format(time.RFC3339))
			},
		},
		{
			function: "clicks", method: http.MethodPost, path: "/api/ml/attribution/track-click", lists: []string{"", "cart"},
			header: func([]byte) http.Header { return http.Header{"X-Publishable-Key": {"gv_pk_bench"}} },
			ask: func(n int) (string, string, string) {
				return http.MethodPost, "/api/ml/attribution/track-click", fmt.Sprintf(`{"tenant_id": %q, "ad_id": "a1", "campaign_id": "c1", "fbclid": "fb-%d"}`, tenantID(0), n)
			},
		},
		{
			function: "console", method: http.MethodGet, path: "/openapi.json", lists: []string{""},
			header: func([]byte) http.Header { return http.Header{} }, ask: same(http.MethodGet, "/console/", ""),
		},
		{
			function: "allocate", method: http.MethodPost, path: "/api/ml/battle-hardened/select", header: bearer, lists: []string{"", "ad_states"},
			ask: same(http.MethodGet, "/api/decisions", ""),
		},
		{
			function: "revenue", method: http.MethodPost, path: "/api/ml/synthetic-revenue/ad-roas", header: bearer,
			lists: []string{"", "stage_changes"},
			ask:   same(http.MethodPost, "/api/ml/synthetic-revenue/get-stages", `{"tenant_id": "`+tenantID(0)+`"}`),
		},
		{
			function: "fatigue", method: http.MethodPost, path: "/api/ml/fatigue/check", header: bearer, lists: []string{"", "metrics_history"},
			ask: same(http.MethodPost, "/api/ml/fatigue/check", `{"ad_id": "a1", "metrics_history": [{"ctr": 0.02, "frequency": 1.2, "cpm": 10, "impressions": 1000}]}`),
		},
		{
			function: "connections", method: http.MethodPut, path: "/api/connections/hubspot/stages", header: bearer, lists: []string{"", "stages"},
			ask: same(http.MethodGet, "/api/connections/hubspot", ""),
		},
		{
			function: "campaigns", method: http.MethodPost, path: "/api/ads/import", header: bearer, lists: []string{""}, upload: true,
			ask: same(http.MethodGet, "/api/campaigns", ""),
		},
		{
			function: "videos", method: http.MethodPost, path: "/api/videos/upload", header: bearer, lists: []string{""}, upload: true,
			ask: same(http.MethodGet, "/api/videos", ""),
		},
	}
}
