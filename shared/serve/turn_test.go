package serve

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
)

func TestLargeBodiesTakeTurnsAndSmallOnesDoNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := newTurns(20 * time.Second)
		first, err := all.take(t.Context(), heavyBody+1)
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		for i := range 3 { // they stand in a line
			go func() {
				give, err := all.take(t.Context(), 10<<20)
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, i)
				give()
			}()
			synctest.Wait()
		}
		if small, err := all.take(t.Context(), heavyBody); err != nil || len(order) != 0 {
			t.Errorf("a small body beside them: %v; %d large ones were let in", err, len(order))
		} else {
			small()
		}
		first()
		first() // twice is once
		synctest.Wait()
		if len(order) != 3 || order[0] != 0 || order[1] != 1 || order[2] != 2 {
			t.Errorf("they came in the order %v", order)
		}
		hold, err := all.take(t.Context(), heavyBody+1)
		if err != nil {
			t.Fatal(err)
		}
		defer hold()
		began := time.Now()
		var refused *fault.Error
		if _, err := all.take(t.Context(), heavyBody+1); !errors.As(err, &refused) || refused.Kind != fault.Unavailable || refused.RetryAfter == 0 {
			t.Errorf("who waits for too long: %v, want 503 with Retry-After", err)
		}
		if waited := time.Since(began); waited != 20*time.Second {
			t.Errorf("it waited %s", waited)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := all.take(gone, heavyBody+1); !errors.Is(err, context.Canceled) {
			t.Errorf("who goes away: %v", err)
		}
	})
}

// A handler that works for long keeps no other large body out, and neither does one that
// was refused.
func TestATurnEndsWhenTheHandlerStartsOrTheBodyIsRefused(t *testing.T) {
	t.Parallel()
	api := NewAPI(Access{})
	type body struct {
		Body struct {
			Text string `json:"text"`
		}
	}
	started, end := make(chan struct{}), make(chan struct{})
	Post(api, "/typed", auth.Public, func(ctx context.Context, in *body) (*struct{}, error) {
		started <- struct{}{}
		<-end
		return nil, nil
	})
	post := func(text string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/typed", strings.NewReader(text))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		return w.Code
	}
	long := strings.Repeat("a", 2*heavyBody)
	for _, bad := range []string{long, `{"text": 7, "more": "` + long + `"}`} {
		if status := post(bad); status != http.StatusBadRequest && status != http.StatusUnprocessableEntity {
			t.Errorf("%.30s: %d", bad, status)
		}
	}
	statuses := make(chan int)
	for range 3 {
		go func() { statuses <- post(`{"text": "` + long + `"}`) }()
	}
	for range 3 { // all are in their handlers at once
		<-started
	}
	close(end)
	for range 3 {
		if status := <-statuses; status != http.StatusNoContent {
			t.Errorf("%d", status)
		}
	}
}

func TestABodyThatSaysItIsTooLargeIsRefusedUnread(t *testing.T) {
	t.Parallel()
	for length, want := range map[int64]int{11: 11, -1: 0} { // what is left to read
		text := strings.NewReader("hello world")
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", io.NopCloser(text))
		r.ContentLength = length
		var large *http.MaxBytesError
		if _, err := ReadBody(httptest.NewRecorder(), r, 10); !errors.As(err, &large) || large.Limit != 10 {
			t.Errorf("length %d: %v, want that it is too large", length, err)
		}
		if text.Len() != want {
			t.Errorf("length %d: %d bytes are left, want %d", length, text.Len(), want)
		}
	}
}

func TestABodyIsReadWholeWhateverLengthItSays(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 11, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20} {
		text := strings.Repeat("a", n)
		for _, length := range []int64{int64(n), -1, int64(n) / 2} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", io.NopCloser(strings.NewReader(text)))
			r.ContentLength = length
			if body, err := ReadBody(httptest.NewRecorder(), r, int64(n)); err != nil || string(body) != text {
				t.Errorf("%d bytes, length %d: %d bytes, %v", n, length, len(body), err)
			}
		}
	}
	// What has not come takes no room.
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("a", 100<<10)), cutOff{})), 10<<20
	if body, err := ReadBody(httptest.NewRecorder(), r, 10<<20); !errors.Is(err, io.ErrUnexpectedEOF) || body != nil {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

// cutOff is the end of a body before its end.
type cutOff struct{}

func (cutOff) Read(p []byte) (int, error) {
	if len(p) > 4*100<<10 {
		panic("there is room for more than four times what has come")
	}
	return 0, io.ErrUnexpectedEOF
}
