package serve

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// running is a job that works until its context ends, or until it is asked to stop.
type running struct {
	obeys   bool
	started chan struct{}
	cause   error
}

func (j *running) Run(ctx context.Context) (any, error) {
	close(j.started)
	if j.obeys {
		<-Stopping(ctx)
		time.Sleep(2 * time.Second) // the piece it works on
		return "rest is the next run's", nil
	}
	<-ctx.Done()
	j.cause = context.Cause(ctx)
	return "cut off", nil
}

func TestAScheduledJobIsAskedFirstAndCutOffThen(t *testing.T) {
	t.Parallel()
	for obeys, after := range map[bool]time.Duration{true: 2 * time.Second, false: cutAfter} {
		synctest.Test(t, func(t *testing.T) {
			s, job := newStopper(), &running{obeys: obeys, started: make(chan struct{})}
			rec := httptest.NewRecorder()
			go s.counted(s.tick(job)).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil))
			<-job.started
			began := time.Now()
			if !s.stop() {
				t.Error("the job was still in flight")
			}
			if took := time.Since(began); took != after || rec.Code != http.StatusOK {
				t.Errorf("obeys %t: it ended after %s with %d", obeys, took, rec.Code)
			}
			if !obeys && !errors.Is(job.cause, ErrStopping) {
				t.Errorf("its context ended with %v", job.cause)
			}
		})
	}
}

func TestARequestThatNeverEndsDoesNotKeepTheProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, started, release := newStopper(), make(chan struct{}), make(chan struct{})
		h := s.counted(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(started); <-release }))
		go h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		<-started
		began := time.Now()
		if s.stop() || time.Since(began) != drainFor {
			t.Errorf("it ended after %s", time.Since(began))
		}
		close(release)
	})
}

func TestARunThatNobodyStopsIsNotStopping(t *testing.T) {
	t.Parallel()
	if IsStopping(t.Context()) || Stopping(t.Context()) != nil {
		t.Error("it is stopping")
	}
}
