package fair

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoAsksAtOnceSharesALookThatBeginsAfterHeAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &Looks[string, string]{}
		var looked atomic.Int64
		role := "admin" // in the database
		ask := func(context.Context, string) (string, error) {
			looked.Add(1)
			seen := role
			time.Sleep(time.Second)
			return seen, nil
		}
		roles := make(chan string, 100)
		share := func() {
			go func() {
				got, err := l.Share(t.Context(), "t", ask)
				roles <- fmt.Sprint(got, err)
			}()
			synctest.Wait()
		}
		share()
		role = "" // removed while the first look is on its way
		for range 99 {
			share()
		}
		if first := <-roles; first != "admin<nil>" {
			t.Errorf("the first is answered %s", first)
		}
		for range 99 {
			if got := <-roles; got != "<nil>" {
				t.Errorf("who asked after the member was removed is answered %q", got)
			}
		}
		synctest.Wait()
		if looked.Load() != 2 || len(l.of) != 0 {
			t.Errorf("%d looks, %d keys are kept", looked.Load(), len(l.of))
		}
	})
}

func TestALookOutlivesWhoeverBeganItAndOthersHaveTheirOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &Looks[string, string]{}
		down := errors.New("down")
		ask := func(ctx context.Context, tenant string) (string, error) {
			select {
			case <-ctx.Done():
				return "", ctx.Err()
			case <-time.After(time.Second):
				if tenant == "down" {
					return "", down
				}
				return tenant, nil
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { _, err := l.Share(gone, "t", ask); left <- err }()
		synctest.Wait()
		next := make(chan string, 1)
		go func() { role, err := l.Share(t.Context(), "t", ask); next <- fmt.Sprint(role, err) }()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who went away: %v", err)
		}
		if role, err := l.Share(t.Context(), "other", ask); role != "other" || err != nil {
			t.Errorf("another key's: %q, %v", role, err)
		}
		if _, err := l.Share(t.Context(), "down", ask); !errors.Is(err, down) {
			t.Errorf("a failed look: %v", err)
		}
		if got := <-next; got != "t<nil>" {
			t.Errorf("who waited behind is answered %s", got)
		}
	})
}

func TestALookThatPanicsIsAnErrorAndTheNextOneLooks(t *testing.T) {
	t.Parallel()
	var l Looks[string, int]
	_, err := l.Share(t.Context(), "k", func(context.Context, string) (int, error) { panic("broken") })
	if err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("a look that panics: %v", err)
	}
	if n, err := l.Share(t.Context(), "k", func(context.Context, string) (int, error) { return 7, nil }); n != 7 || err != nil {
		t.Errorf("the next look: %d, %v", n, err)
	}
}
