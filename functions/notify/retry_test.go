package notify_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/notice"
)

// next returns the message that the outbox holds to be sent again, and takes it out.
func (w *world) next(m message.Message) message.Message {
	w.t.Helper()
	text := w.Text(`DELETE FROM gv.outbox WHERE topic = $1 RETURNING attributes::text`, notice.Topic)
	var attributes map[string]string
	if err := json.Unmarshal([]byte(text), &attributes); err != nil {
		w.t.Fatalf("nothing is to be sent again: %q", text)
	}
	if attributes[message.KeyAttribute] != m.Key() {
		w.t.Fatalf("it is sent again as %v, want the key %s", attributes, m.Key())
	}
	m.Attributes = attributes
	return m
}

func TestANoticeIsSentAgainForADayAndEveryAttemptIsListed(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.receiver.answers(http.StatusBadGateway)
	m := w.published(notice.Notice{Kind: notice.ChangeFailed, Text: "failed"})
	w.push(m)
	w.push(m) // the queue delivers it twice: one attempt, one repetition
	for range 9 {
		m = w.next(m)
		if status := w.push(m); status != http.StatusNoContent {
			t.Fatalf("answered %d", status)
		}
	}
	if n := w.Text(`SELECT count(*) FROM gv.outbox`); n != "0" {
		t.Errorf("%s messages are still to be sent after the last attempt", n)
	}
	if got := w.Text(`SELECT reason FROM gv.dead_letters WHERE topic = $1`, notice.Topic); got != "the receiver answered 502" {
		t.Errorf("the dead letter's reason is %q", got)
	}
	got := w.Text(`SELECT concat_ws(' ', count(*), max(attempt), min(status), round(extract(epoch FROM max(next_at) - min(at)) / 3600) <= 24,
		sum(extract(epoch FROM next_at - at)) BETWEEN 86400 AND 90000) FROM gv.webhook_attempts WHERE NOT delivered`)
	if got != "10 10 502 t t" {
		t.Errorf("the attempts: %s, want ten within a day", got)
	}
}

func TestAWebhookThatFailsForAWeekIsSwitchedOffAndSaysSo(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.receiver.answers(http.StatusInternalServerError)
	w.push(w.published(notice.Notice{Kind: notice.ChangeCut, Text: "one"}))
	w.Exec(`UPDATE gv.webhooks SET failing_since = now() - interval '6 days 23 hours'`)
	w.push(w.published(notice.Notice{Kind: notice.ChangeCut, Text: "two"}))
	if strings.Contains(w.state(), "a week") {
		t.Errorf("before the week is over it says %s", w.state())
	}
	w.Exec(`UPDATE gv.webhooks SET failing_since = now() - interval '7 days 1 second'`)
	w.push(w.published(notice.Notice{Kind: notice.ChangeCut, Text: "three"}))
	if !strings.Contains(w.state(), "every delivery failed for a week") {
		t.Errorf("after a week it says %s", w.state())
	}
	if n := w.Text(`SELECT count(*) FROM gv.webhooks WHERE disabled_at IS NOT NULL AND tenant_id = $1`, apitest.Tenant); n != "1" {
		t.Error("it is not switched off")
	}
}
