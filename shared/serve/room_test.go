package serve

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// reading is a request whose body has n bytes, on a room.
func reading(m *room, n int) *pacedBody {
	r := httptest.NewRequest(http.MethodPost, "/", io.LimitReader(strings.NewReader(strings.Repeat("a", n)), int64(n)))
	b := paceBody(httptest.NewRecorder(), r, slowest)
	b.room = m
	return b
}

func TestLargeBodiesTakeABoundedPartOfTheMemoryAndKeepNoSmallOneOut(t *testing.T) {
	t.Parallel()
	m := &room{most: 3 << 20}
	alone := reading(m, 10<<20)
	if _, err := io.Copy(io.Discard, alone); err != nil {
		t.Fatalf("who is alone is refused: %v", err)
	}
	second := reading(m, freeBody+1)
	if _, err := io.Copy(io.Discard, second); fault.Of(err) != fault.Unavailable {
		t.Errorf("a second large body: %v, want that there is no room now", err)
	}
	if _, err := io.Copy(io.Discard, reading(m, freeBody)); err != nil {
		t.Errorf("a small body beside them: %v", err)
	}
	alone.finish()
	second.finish()
	var all []*pacedBody
	taken := 0
	for range 12 {
		b := reading(m, 1<<20)
		_, err := io.Copy(io.Discard, b)
		var refused *fault.Error
		switch {
		case err == nil:
			taken++
		case !errors.As(err, &refused) || refused.Kind != fault.Unavailable || refused.RetryAfter == 0:
			t.Errorf("%v, want 503 with Retry-After", err)
		}
		all = append(all, b)
	}
	if taken != 4 { // three quarters of each count
		t.Errorf("%d of 12 bodies of 1 MiB had room in 3 MiB", taken)
	}
	for _, b := range all {
		b.finish()
	}
	if m.used != 0 {
		t.Errorf("%d bytes were never given back", m.used)
	}
	upload := reading(m, 10<<20)
	upload.streams = true
	if _, err := io.Copy(io.Discard, upload); err != nil || m.used != 0 {
		t.Errorf("an upload takes %d bytes: %v", m.used, err)
	}
}
