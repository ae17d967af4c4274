package live_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/geminivideo/geminivideo/shared/live"
)

const (
	tenant = "6f1c0a52-6c1b-4d6e-9a51-0d1f0c8f6a01"
	other  = "b9e60f6e-52f5-4c7e-8f0c-3a4f5f3b7c02"
)

// store is a Firestore that counts, and that can be slow or down.
type store struct {
	mu     sync.Mutex
	docs   map[string]map[string]any
	writes int
	takes  time.Duration
	err    error
}

func (s *store) set(ctx context.Context, path string, document map[string]any) error {
	s.mu.Lock()
	takes, err := s.takes, s.err
	s.writes++
	s.mu.Unlock()
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.docs == nil {
		s.docs = map[string]map[string]any{}
	}
	s.docs[path] = maps.Clone(document)
	return nil
}

func step(n int, ended bool) live.Progress {
	status := "running"
	if ended {
		status = "completed"
	}
	return live.Progress{Kind: live.Cycle, ID: "c1", Status: status, Ended: ended, Data: map[string]any{"step": n}}
}

func TestManyUpdatesAreFewWritesAndTheLastOneStands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s store
		v := live.New(s.set)
		for n := range 100 {
			v.Put(tenant, step(n, false))
			time.Sleep(20 * time.Millisecond)
		}
		v.Put(tenant, step(100, true))
		v.Flush(t.Context())
		doc := s.docs[live.Path(tenant, live.Cycle, "c1")]
		if doc["step"] != 100 || doc["status"] != "completed" || doc["ended"] != true {
			t.Errorf("after the end: %v", doc)
		}
		if at := doc["expires_at"].(time.Time); at.Sub(doc["updated_at"].(time.Time)) != 7*24*time.Hour {
			t.Errorf("expires at %s", at)
		}
		if s.writes < 4 || s.writes > 7 { // two seconds, half a second apart, and the end
			t.Errorf("%d writes of 101 updates in 2 s", s.writes)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := s.writes; n > 7 {
			t.Errorf("%d writes after a minute without updates", n)
		}
	})
}

func TestASlowFirestoreHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := store{takes: time.Hour}
		v := live.New(s.set)
		began := time.Now()
		for n := range 1000 {
			v.Put(tenant, step(n, false))
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("a thousand updates took %s", d)
		}
		v.Put(tenant, step(1000, true))
		v.Flush(t.Context())
		if d := time.Since(began); d > time.Second {
			t.Errorf("the end took %s", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began = time.Now()
		v.Put(tenant, live.Progress{Kind: live.Cycle, ID: "c2", Ended: true})
		v.Flush(ctx)
		if d := time.Since(began); d != 0 {
			t.Errorf("the end took %s although its caller has gone", d)
		}
		time.Sleep(time.Minute)
	})
}

func TestAFirestoreThatIsDownIsLeftAloneAndCatchesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := store{err: errors.New("unavailable")}
		v := live.New(s.set)
		for n := range 100 {
			v.Put(tenant, step(n, false))
			time.Sleep(100 * time.Millisecond)
		}
		v.Put(tenant, step(100, true))
		if s.writes != 1 {
			t.Errorf("%d writes within 10 s of a failure", s.writes)
		}
		s.mu.Lock()
		s.err = nil
		s.mu.Unlock()
		time.Sleep(20 * time.Second)
		v.Put(tenant, live.Progress{Kind: live.Sweep, ID: "s1", Status: "completed", Ended: true})
		time.Sleep(time.Second)
		synctest.Wait()
		if doc := s.docs[live.Path(tenant, live.Cycle, "c1")]; len(s.docs) != 2 || doc["status"] != "completed" {
			t.Errorf("the cycle's end did not catch up: %v", s.docs)
		}
	})
}

func TestWhatWaitsForAFirestoreThatIsDownIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := store{err: errors.New("unavailable")}
		v := live.New(s.set)
		for n := range 5000 {
			v.Put(tenant, live.Progress{Kind: live.Video, ID: fmt.Sprint(n)})
		}
		s.mu.Lock()
		s.err = nil
		s.mu.Unlock()
		time.Sleep(20 * time.Second)
		v.Put(tenant, live.Progress{Kind: live.Video, ID: "0"})
		time.Sleep(time.Second)
		synctest.Wait()
		if len(s.docs) == 0 || len(s.docs) > 1000 {
			t.Errorf("%d documents", len(s.docs))
		}
	})
}

func TestWithoutAProjectThereIsNoView(t *testing.T) {
	t.Parallel()
	v := live.Open(t.Context(), live.Config{})
	if v != nil {
		t.Fatal("there is a view")
	}
	v.Put(tenant, step(1, true))
	v.Flush(t.Context())
}

func TestADocumentsNameIsOneWhateverTheID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"a/b": "tenants/t/progress/video-a%2Fb", "..": "tenants/t/progress/video-%2E%2E", "v 1": "tenants/t/progress/video-v%201",
	} {
		if got := live.Path("t", live.Video, id); got != want {
			t.Errorf("%q is at %q, want %q", id, got, want)
		}
	}
	if long := live.Path("t", live.Video, string(make([]byte, 5000))); len(long) > 200 {
		t.Errorf("%d bytes", len(long))
	}
}
