package notify_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/geminivideo/geminivideo/functions/notify"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/webhook"
)

func TestANoticeIsPostedSignedAndOnce(t *testing.T) {
	t.Parallel()
	w := open(t)
	m := w.published(notice.Notice{Kind: notice.ChangeCut, AdID: "ad-1", ChangeID: "c-1", Text: "Cut by 20%.", Data: map[string]any{"after": 12.5}})
	for range 3 {
		if status := w.push(m); status != http.StatusNoContent {
			t.Fatalf("answered %d", status)
		}
	}
	got := w.receiver.received()
	if len(got) != 1 || w.state() != "delivered" {
		t.Fatalf("received %d times, %s", len(got), w.state())
	}
	h := got[0].header
	if h.Get(webhook.IDHeader) != m.Key() || h.Get(webhook.SignatureHeader) != webhook.Sign("the new secret", h.Get(webhook.TimestampHeader), []byte(got[0].body)) {
		t.Errorf("%v", h)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(got[0].body), &body); err != nil || body["id"] != m.Key() || body["kind"] != "change.cut" || body["ad_id"] != "ad-1" ||
		body["tenant_id"] != apitest.Tenant || body["text"] != "Cut by 20%." || body["at"] == nil {
		t.Errorf("%s", got[0].body)
	}
}

func TestWhileASecretIsRotatedBothSign(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.Exec(`UPDATE gv.webhooks SET previous_secret = 'projects/p/secrets/old', previous_until = now() + interval '1 hour'`)
	m := w.published(notice.Notice{Kind: notice.ChangeCut, Text: "cut"})
	w.push(m)
	w.Exec(`UPDATE gv.webhooks SET previous_until = now() - interval '1 second'`)
	w.push(w.published(notice.Notice{Kind: notice.ChangeCut, Text: "cut again"}))
	got := w.receiver.received()
	old := webhook.Sign("the old secret", got[0].header.Get(webhook.TimestampHeader), []byte(got[0].body))
	if s := got[0].header.Get(webhook.SignatureHeader); !strings.HasSuffix(s, ","+old) {
		t.Errorf("within the overlap: %s", s)
	}
	if s := got[1].header.Get(webhook.SignatureHeader); strings.Contains(s, ",") {
		t.Errorf("after it: %s", s)
	}
}

func TestAReceiverThatFailsGetsItAgainUnderTheSameID(t *testing.T) {
	t.Parallel()
	w := open(t)
	m := w.published(notice.Notice{Kind: notice.ChangeFailed, Text: "failed"})
	for _, status := range []int{500, 404, 302, 429} {
		w.receiver.answers(status)
		if got := w.push(m); got != http.StatusNoContent {
			t.Errorf("%d: answered %d", status, got)
		}
		m = w.next(m)
	}
	if got := w.state(); got != "the receiver answered 429" {
		t.Errorf("it says %s", got)
	}
	w.receiver.answers(200)
	if status := w.push(m); status != http.StatusNoContent || w.state() != "delivered" {
		t.Errorf("then %d, %s", status, w.state())
	}
	for _, r := range w.receiver.received() {
		if r.header.Get(webhook.IDHeader) != m.Key() {
			t.Errorf("under the id %s", r.header.Get(webhook.IDHeader))
		}
	}
}

func TestAReceiverThatIsGoneIsSwitchedOff(t *testing.T) {
	t.Parallel()
	w := open(t)
	one, two := w.published(notice.Notice{Kind: notice.ChangeCut, Text: "one"}), w.published(notice.Notice{Kind: notice.ChangeCut, Text: "two"})
	w.receiver.answers(http.StatusGone)
	for _, m := range []message.Message{one, two, one} {
		if status := w.push(m); status != http.StatusNoContent {
			t.Errorf("answered %d", status)
		}
	}
	if n := len(w.receiver.received()); n != 1 || !strings.Contains(w.state(), "410 Gone") {
		t.Errorf("received %d times, %s", n, w.state())
	}
}

func TestAReceiverThatHangsHoldsUpItsOwnTenantOnly(t *testing.T) {
	t.Parallel()
	w := open(t)
	other := &receiver{answer: 200}
	other.Server = httptest.NewServer(other)
	t.Cleanup(other.Close)
	w.Exec(`INSERT INTO gv.webhooks (tenant_id, url, secret, updated_by) VALUES ($1, $2, 'projects/p/secrets/new', 'test')`, apitest.Other, other.URL)
	w.receiver.held = make(chan struct{})
	w.receiver.answer = http.StatusServiceUnavailable
	m := w.published(notice.Notice{Kind: notice.ChangeCut, Text: "cut"})
	var wg sync.WaitGroup
	answered := make(chan struct{}, 20)
	for range 20 {
		wg.Go(func() {
			if status := w.push(m); status != http.StatusServiceUnavailable && status != http.StatusNoContent {
				t.Errorf("answered %d", status)
			}
			answered <- struct{}{}
		})
	}
	for range 20 - notify.AtOnce { // all others are answered while these hang
		<-answered
	}
	theirs := m
	theirs.Attributes = map[string]string{message.KeyAttribute: "theirs", message.TenantAttribute: apitest.Other}
	if status := w.push(theirs); status != http.StatusNoContent {
		t.Errorf("the other's: %d", status)
	}
	close(w.receiver.held)
	wg.Wait()
	if n := len(w.receiver.received()); n != notify.AtOnce {
		t.Errorf("%d deliveries at once, want %d", n, notify.AtOnce)
	}
}

func TestAPrivateAddressIsADeadLetterAtOnce(t *testing.T) {
	t.Parallel()
	w := open(t)
	m := w.published(notice.Notice{Kind: notice.ChangeCut, Text: "cut"})
	w.Exec(`UPDATE gv.webhooks SET url = 'https://169.254.169.254/computeMetadata/v1/'`)
	if status := w.push(m); status != http.StatusNoContent {
		t.Errorf("answered %d", status)
	}
	if got := w.Text(`SELECT reason FROM gv.dead_letters WHERE tenant_id = $1 AND topic = 'tenant-notices'`, apitest.Tenant); !strings.Contains(got, "public internet") {
		t.Errorf("kept because %q", got)
	}
}

func TestWhatIsNoLongerWantedIsDropped(t *testing.T) {
	t.Parallel()
	w := open(t)
	m := w.published(notice.Notice{Kind: notice.ChangeCut, Text: "cut"})
	for _, sql := range []string{
		`UPDATE gv.webhooks SET kinds = '{ad.fatigued}'`,
		`UPDATE gv.webhooks SET kinds = '{}', disabled_at = now(), disabled_reason = 'off'`,
		`DELETE FROM gv.webhooks`,
	} {
		w.Exec(sql)
		if status := w.push(m); status != http.StatusNoContent || len(w.receiver.received()) != 0 {
			t.Errorf("%s: answered %d, received %d", sql, status, len(w.receiver.received()))
		}
	}
}

func TestWhatIsNoNoticeIsKeptAsADeadLetter(t *testing.T) {
	t.Parallel()
	w := open(t)
	for key, m := range map[string]message.Message{
		"nobody's": {Data: []byte(`{"kind":"change.cut"}`), Attributes: map[string]string{}},
		"no JSON":  {Data: []byte(`cut`), Attributes: map[string]string{message.TenantAttribute: apitest.Tenant}},
		"no kind":  {Data: []byte(`{}`), Attributes: map[string]string{message.TenantAttribute: apitest.Tenant}},
	} {
		m.Attributes[message.KeyAttribute] = key
		if status := w.push(m); status != http.StatusNoContent {
			t.Errorf("%s: %d", key, status)
		}
	}
	if n := w.Text(`SELECT count(*) FROM gv.dead_letters`); n != "3" {
		t.Errorf("%s are kept", n)
	}
}

func TestADatabaseOrAVaultThatIsDownDelaysIt(t *testing.T) {
	t.Parallel()
	w := open(t)
	m := w.published(notice.Notice{Kind: notice.ChangeCut, Text: "cut"})
	dead, err := pg.Open(t.Context(), pg.Config{URL: "postgres://gv_app@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	_, store := vault.New(t)
	if err := notify.New(dead, w.worker, store, webhook.New(webhook.Config{})).Handle(t.Context(), m); fault.Of(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
	if err := notify.New(w.App, w.worker, store, webhook.New(webhook.Config{})).Handle(t.Context(), m); fault.Of(err) != fault.Unavailable {
		t.Errorf("a vault without the secret: %v", err)
	}
	if len(w.receiver.received()) != 0 {
		t.Error("something was posted")
	}
}
