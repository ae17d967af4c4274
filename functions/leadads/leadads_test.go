package leadads_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions/leadads"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const (
	secret = vault.Marker + "the app's secret"
	verify = "the-verify-token"
	path   = "/webhooks/meta"
)

type world struct {
	*apitest.World
	handler http.Handler
}

// open has page 1 of one tenant and page 2 of another.
func open(t *testing.T) *world {
	t.Helper()
	w := &world{World: apitest.New(t)}
	w.handler = serve.Wrap("leadads", leadads.New(w.App, w.Queue, leadads.App{Secret: secret, VerifyToken: verify}))
	for page, tenant := range map[string]string{"1001": apitest.Tenant, "1002": apitest.Other} {
		w.Exec(`INSERT INTO gv.meta_pages (tenant_id, page_id, access_token, connected_by) VALUES ($1, $2, 'token', 'test')`, tenant, page)
	}
	return w
}

func lead(page, id string) string {
	return fmt.Sprintf(`{"object":"page","entry":[{"id":%q,"time":1700000000,"changes":[{"field":"leadgen","value":{"leadgen_id":%q,"page_id":%q,"ad_id":"77","created_time":1700000000}}]}]}`, page, id, page)
}

func (w *world) post(body, signature string) (int, string) {
	w.T.Helper()
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, path, strings.NewReader(body))
	if signature != "" {
		r.Header.Set("X-Hub-Signature-256", signature)
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec.Code, strings.TrimSpace(rec.Body.String())
}

func (w *world) signed(body string) (int, string) {
	w.T.Helper()
	return w.post(body, fakemeta.SignBody(secret, []byte(body)))
}

func TestASignedLeadIsQueuedForItsPagesTenant(t *testing.T) {
	t.Parallel()
	w := open(t)
	body := `{"object":"page","entry":[
		{"id":"1001","changes":[{"field":"leadgen","value":{"leadgen_id":9001,"page_id":1001,"ad_id":77,"adgroup_id":77,"form_id":"5","created_time":1700000000,"new_member":[1]}},
		                        {"field":"feed","value":{"item":"comment"}}]},
		{"id":"1002","changes":[{"field":"leadgen","value":{"leadgen_id":"9002","page_id":"1002","created_time":1700000001}}]},
		{"id":"1003","changes":[{"field":"leadgen","value":{"leadgen_id":"9003","page_id":"1003","ad_id":"77","created_time":1700000001}}]}]}`
	if status, answer := w.signed(body); status != 200 || answer != `{"dropped":2,"leads":2,"status":"queued"}` {
		t.Fatalf("answered %d %s", status, answer)
	}
	var got []string
	for _, m := range w.Queue.Messages("crm-events") {
		got = append(got, fmt.Sprintf("%s %s %s", m.Attributes[message.TenantAttribute], m.Key(), m.Data))
	}
	want := []string{
		apitest.Tenant + ` lead/1001/9001 {"kind":"lead","page_id":"1001","lead_id":"9001","ad_id":"77","form_id":"5","created_at":"2023-11-14T22:13:20Z"}`,
		apitest.Other + ` lead/1002/9002 {"kind":"lead","page_id":"1002","lead_id":"9002","created_at":"2023-11-14T22:13:21Z"}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("queued\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWhatIsNotMetasIsRefusedAndQueuesNothing(t *testing.T) {
	t.Parallel()
	w := open(t)
	body := lead("1001", "9001")
	good := fakemeta.SignBody(secret, []byte(body))
	for name, c := range map[string]struct{ body, signature string }{
		"no signature":         {body, ""},
		"an old kind":          {body, "sha1=" + good[7:47]},
		"no hex":               {body, "sha256=" + strings.Repeat("z", 64)},
		"too short":            {body, good[:60]},
		"another secret":       {body, fakemeta.SignBody("another", []byte(body))},
		"an empty secret":      {body, fakemeta.SignBody("", []byte(body))},
		"another body":         {lead("1001", "9002"), good},
		"one byte more":        {body + " ", good},
		"another page of ours": {lead("1002", "9001"), good},
	} {
		status, answer := w.post(c.body, c.signature)
		if status != 401 || !strings.Contains(answer, `"error":"Invalid signature"`) {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	closed := &world{World: w.World, handler: serve.Wrap("leadads", leadads.New(w.App, w.Queue, leadads.App{}))}
	if status, _ := closed.post(body, fakemeta.SignBody("", []byte(body))); status != 401 {
		t.Errorf("without an app secret: %d", status)
	}
	if n := len(w.Queue.Messages("crm-events")); n != 0 {
		t.Errorf("%d messages are queued", n)
	}
}

func TestALeadIsOnlyItsOwnPages(t *testing.T) {
	t.Parallel()
	w := open(t)
	for name, body := range map[string]string{
		"an entry of one page with a lead of another": strings.Replace(lead("1001", "9001"), `"page_id":"1001"`, `"page_id":"1002"`, 1),
		"a page that is a path":                       lead("1001/../1002", "9001"),
		"a lead that is a path":                       lead("1001", "9001?fields=x"),
		"no lead":                                     lead("1001", ""),
		"another object":                              strings.Replace(lead("1001", "9001"), `"page"`, `"user"`, 1),
	} {
		if status, answer := w.signed(body); status != 200 || answer != `{"dropped":1,"leads":0,"status":"queued"}` {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	w.Exec(`UPDATE gv.meta_pages SET disconnected_at = now() WHERE page_id = '1001'`)
	if status, answer := w.signed(lead("1001", "9001")); status != 200 || answer != `{"dropped":1,"leads":0,"status":"queued"}` {
		t.Errorf("a page that was disconnected: %d %s", status, answer)
	}
	if n := len(w.Queue.Messages("crm-events")); n != 0 {
		t.Errorf("%d messages are queued", n)
	}
}

func TestWhatCannotBeReadOrQueuedSaysSo(t *testing.T) {
	t.Parallel()
	w := open(t)
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"no JSON":   {`{"object":`, 400},
		"no object": {`[]`, 400},
		"empty":     {`{}`, 200},
		"too large": {`{"object":"page","x":"` + strings.Repeat("x", 256<<10) + `"}`, 413},
	} {
		if status, answer := w.signed(c.body); status != c.status {
			t.Errorf("%s: %d %s, want %d", name, status, answer, c.status)
		}
	}
	down := &world{World: w.World, handler: serve.Wrap("leadads", leadads.New(w.App, broken{}, leadads.App{Secret: secret}))}
	if status, answer := down.signed(lead("1001", "9001")); status != 503 {
		t.Errorf("a queue that is down: %d %s, want 503, for Meta to send it again", status, answer)
	}
}

// broken is a queue that takes nothing.
type broken struct{}

func (broken) Publish(context.Context, ...message.Message) error {
	return fault.Down("the queue does not answer", errors.New("refused"))
}

func TestTheChallengeIsAnsweredToWhoKnowsTheToken(t *testing.T) {
	t.Parallel()
	w := open(t)
	for query, want := range map[string]int{
		"hub.mode=subscribe&hub.verify_token=" + verify + "&hub.challenge=1158201444":                        200,
		"hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1158201444":                                 403,
		"hub.mode=subscribe&hub.challenge=1158201444":                                                        403,
		"hub.mode=unsubscribe&hub.verify_token=" + verify + "&hub.challenge=1":                               403,
		"hub.mode=subscribe&hub.verify_token=" + verify:                                                      422,
		"hub.mode=subscribe&hub.verify_token=" + verify + "&hub.challenge=" + strings.Repeat("x", 201):       422,
		"hub.mode=subscribe&hub.verify_token=" + verify + "&hub.challenge=%3Cscript%3Ealert(1)%3C/script%3E": 200,
	} {
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+"?"+query, nil))
		if rec.Code != want {
			t.Errorf("%s: %d %s, want %d", query, rec.Code, rec.Body, want)
		}
		if want == 200 && (!strings.HasPrefix(rec.Header().Get("Content-Type"), "text/plain") || strings.HasPrefix(rec.Body.String(), "{")) {
			t.Errorf("%s: %s %s", query, rec.Header().Get("Content-Type"), rec.Body)
		}
	}
	rec := httptest.NewRecorder()
	leadads.New(w.App, w.Queue, leadads.App{Secret: secret}).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+"?hub.mode=subscribe&hub.verify_token=&hub.challenge=1", nil))
	if rec.Code != 403 {
		t.Errorf("an empty token where none is set: %d", rec.Code)
	}
	var problem map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &problem); err != nil {
		t.Error(err)
	}
}
