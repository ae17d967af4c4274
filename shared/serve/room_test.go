package serve

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// copied counts what is read of it at once.
type copied struct {
	left int
	most int
}

func (c *copied) Read(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	c.most = max(c.most, n)
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestWhoReadsALargeBodyStepsAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			bytes  int
			upload bool
			want   time.Duration
		}{{breath, false, aside}, {breath - 1, false, 0}, {4 * breath, false, 4 * aside}, {4 * breath, true, 0}} {
			text := &copied{left: c.bytes}
			b := paceBody(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", text), slowest)
			b.room, b.streams = &room{most: 64 << 20}, c.upload
			began := time.Now()
			if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, b, make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != c.want || text.most > breath && !c.upload {
				t.Errorf("%d bytes, upload %v: %s aside, want %s; %d bytes were read at once", c.bytes, c.upload, took, c.want, text.most)
			}
			b.finish()
		}
	})
}
