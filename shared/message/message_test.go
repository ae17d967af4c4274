package message_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/message"
)

func TestTheSendersKeyGoesBeforeTheQueuesID(t *testing.T) {
	t.Parallel()
	m := message.Message{ID: "7"}
	if m.Key() != "7" || m.Tenant() != "" || m.Subject() != "" {
		t.Errorf("%+v", m)
	}
	m.Attributes = map[string]string{"gv-key": "k", "gv-tenant": "t", "gv-subject": "contact/1/2"}
	if m.Key() != "k" || m.Tenant() != "t" || m.Subject() != message.ContactSubject(1, 2) {
		t.Errorf("%+v", m)
	}
}

func TestAnErrorTellsWhatIsUnsent(t *testing.T) {
	t.Parallel()
	partly := fmt.Errorf("publish: %w", &message.Unsent{Indexes: []int{1}, Cause: errors.New("no topic")})
	for name, c := range map[string]struct {
		err  error
		want map[int]bool
	}{
		"all stored":  {nil, map[int]bool{}},
		"one is not":  {partly, map[int]bool{1: true}},
		"nobody says": {errors.New("down"), map[int]bool{0: true, 1: true, 2: true}},
	} {
		if diff := cmp.Diff(c.want, message.UnsentOf(c.err, 3)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
