package serve_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const pushed = `{"message":{"data":"eyJhIjoxfQ==","attributes":{"gv-key":"k1","gv-tenant":"t"},"messageId":"77","publishTime":"2026-11-22T10:00:00Z"},
	"subscription":"projects/p/subscriptions/s","deliveryAttempt":3}`

func TestAMessageIsTheSameInWhateverFormItComes(t *testing.T) {
	t.Parallel()
	event := func(data string) string {
		return `{"specversion":"1.0","id":"77","source":"//pubsub.googleapis.com/projects/p/topics/t","type":"google.cloud.pubsub.topic.v1.messagePublished","data":` + data + `}`
	}
	binary := http.Header{"Ce-Id": {"77"}, "Ce-Type": {"google.cloud.pubsub.topic.v1.messagePublished"}, "Ce-Specversion": {"1.0"}, "Content-Type": {"application/json"}}
	bare := http.Header{
		"X-Goog-Pubsub-Message-Id": {"77"}, "X-Goog-Pubsub-Subscription-Name": {"projects/p/subscriptions/s"},
		"X-Goog-Pubsub-Publish-Time": {"2026-11-22T10:00:00Z"}, "Gv-Key": {"k1"}, "Gv-Tenant": {"t"}, "User-Agent": {"x"},
	}
	for name, c := range map[string]struct {
		body   string
		header http.Header
	}{
		"push":       {pushed, nil},
		"old names":  {strings.Replace(pushed, `"messageId"`, `"message_id"`, 1), nil},
		"binary":     {pushed, binary},
		"no own id":  {strings.Replace(pushed, `"messageId":"77",`, ``, 1), binary},
		"structured": {event(pushed), http.Header{"Content-Type": {"application/cloudevents+json; charset=utf-8"}}},
		"unwrapped":  {`{"a":1}`, bare},
	} {
		got, err := serve.DecodeMessage(strings.NewReader(c.body), c.header)
		want := message.Message{
			ID: "77", Data: []byte(`{"a":1}`), Attributes: map[string]string{"gv-key": "k1", "gv-tenant": "t"}, Subscription: "projects/p/subscriptions/s", Attempt: 3,
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(message.Message{}, "PublishedAt", "Attempt")); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
		if got.PublishedAt.IsZero() || name != "unwrapped" && got.Attempt != 3 {
			t.Errorf("%s: published %v, attempt %d", name, got.PublishedAt, got.Attempt)
		}
	}
}

func TestAnUnwrappedBodyWithoutMetadataIsNamedByItsContent(t *testing.T) {
	t.Parallel()
	one, err := serve.DecodeMessage(strings.NewReader(`{"ad_id":"1"}`), http.Header{})
	if err != nil || one.Key() == "" || string(one.Data) != `{"ad_id":"1"}` {
		t.Errorf("%+v, %v", one, err)
	}
	again, _ := serve.DecodeMessage(strings.NewReader(`{"ad_id":"1"}`), http.Header{})
	other, _ := serve.DecodeMessage(strings.NewReader(`{"ad_id":"2"}`), http.Header{})
	if one.Key() != again.Key() || one.Key() == other.Key() {
		t.Error("the key does not follow the content")
	}
}

func TestGarbageIsNoMessage(t *testing.T) {
	t.Parallel()
	structured := http.Header{"Content-Type": {"application/cloudevents+json"}}
	binary := http.Header{"Ce-Id": {"1"}, "Ce-Type": {"google.cloud.pubsub.topic.v1.messagePublished"}}
	for name, c := range map[string]struct {
		body   string
		header http.Header
	}{
		"nothing":           {"", nil},
		"no CloudEvent":     {"x", structured},
		"no data":           {`{"specversion":"1.0"}`, structured},
		"an empty event":    {"", binary},
		"another event":     {`{"a":1}`, binary},
		"no id":             {`{"message":{"data":""}}`, nil},
		"not base64":        {`{"message":{"data":"!!!","messageId":"1"},"subscription":"s"}`, nil},
		"attributes":        {`{"message":{"data":"","messageId":"1","attributes":[1]},"subscription":"s"}`, nil},
		"a number as id":    {`{"message":{"data":"","messageId":1},"subscription":"s"}`, nil},
		"a null message":    {`{"message":null,"subscription":"s"}`, nil},
		"message is a word": {`{"message":"x","subscription":"s"}`, nil},
	} {
		if m, err := serve.DecodeMessage(strings.NewReader(c.body), c.header); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func FuzzDecodingNeverPanics(f *testing.F) {
	f.Add(pushed, "application/json")
	f.Add(`{"data":{"message":{}}}`, "application/cloudevents+json")
	f.Fuzz(func(t *testing.T, body, kind string) {
		m, err := serve.DecodeMessage(strings.NewReader(body), http.Header{"Content-Type": {kind}})
		if err == nil && m.Key() == "" {
			t.Error("a message without a key")
		}
	})
}

// consumer handles messages as the test says, and records what it rejected.
type consumer struct {
	handle   func(message.Message) error
	reject   error
	rejected []string
}

func (c *consumer) Handle(_ context.Context, m message.Message) error { return c.handle(m) }

func (c *consumer) Reject(_ context.Context, m message.Message, reason error) error {
	c.rejected = append(c.rejected, m.Key()+": "+reason.Error())
	return c.reject
}

func TestWhatAHandlersErrorMeansForItsMessage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err      error
		reject   error
		status   int
		rejected int
	}{
		"done":                   {nil, nil, 204, 0},
		"unknown":                {errors.New("hunter2"), nil, 500, 0},
		"down":                   {fault.Down("postgres is down", nil), nil, 503, 0},
		"too many":               {fault.Limited("wait", 1), nil, 429, 0},
		"never":                  {fault.NotFoundf("no such ad"), nil, 204, 1},
		"never, deep inside":     {fmt.Errorf("index: %w", fault.Invalidf("no id")), nil, 204, 1},
		"a conflict that passes": {&fault.Error{Kind: fault.Conflict, RetryAfter: 1}, nil, 409, 0},
		"cannot be rejected":     {fault.NotFoundf("no such ad"), fault.Down("postgres is down", nil), 503, 1},
	} {
		k := &consumer{handle: func(message.Message) error { return c.err }, reject: c.reject}
		w := httptest.NewRecorder()
		serve.Wrap("consumer", serve.Consume("consumer", k)).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(pushed)))
		if w.Code != c.status || len(k.rejected) != c.rejected || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%s: %d %s, rejected %v", name, w.Code, w.Body, k.rejected)
		}
	}
}

func TestAMessageThatIsNoneOrTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	k := &consumer{handle: func(message.Message) error { t.Error("it was handled"); return nil }}
	large := `{"message":{"messageId":"1","data":"` + base64.StdEncoding.EncodeToString(make([]byte, 11<<20)) + `"}}`
	for name, body := range map[string]string{"none": "", "large": large} {
		w := httptest.NewRecorder()
		serve.Wrap("consumer", serve.Consume("consumer", k)).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
		if want := map[string]int{"none": 400, "large": 413}[name]; w.Code != want {
			t.Errorf("%s: %d %.200s", name, w.Code, w.Body)
		}
	}
}

func TestAPanickingHandlerGetsItsMessageAgain(t *testing.T) {
	t.Parallel()
	k := &consumer{handle: func(message.Message) error { panic("boom") }}
	w := httptest.NewRecorder()
	serve.Wrap("consumer", serve.Consume("consumer", k)).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(pushed)))
	if w.Code != 500 || len(k.rejected) != 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
