package schedules_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	manifest "github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/functions/schedules"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/fakescheduler"
	"github.com/geminivideo/geminivideo/shared/auth"
	own "github.com/geminivideo/geminivideo/shared/schedules"
)

func open(t *testing.T, target string) (*apitest.World, http.Handler, *fakescheduler.Server) {
	t.Helper()
	w := apitest.New(t)
	s, err := fakescheduler.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	jobs := own.NewJobs(own.Config{Project: "p", Location: "l", Target: target, Endpoint: s.Addr()})
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return w, schedules.New(w.App, w.Access(), jobs, func() time.Time { return now }), s
}

func TestATenantsOwnScheduleIsShownWithItsNextRunsAndRuns(t *testing.T) {
	t.Parallel()
	var body atomic.Value
	called := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		body.Store(r.URL.Path + " " + string(data))
	}))
	t.Cleanup(called.Close)
	w, h, s := open(t, called.URL+"/{function}")
	global := w.Call(h, "GET", "/api/schedules/learning", w.Token(auth.Admin), nil)
	if global.JSON(t)["source"] != "global" || len(global.JSON(t)["next_runs"].([]any)) != 5 {
		t.Errorf("%s", global.Body)
	}
	a := w.Call(h, "PUT", "/api/schedules/learning", w.Token(auth.Admin), `{"cron": "0  6 * * *", "time_zone": "America/Chicago"}`)
	got := a.JSON(t)
	if a.Status != 200 || got["source"] != "tenant" || got["cron"] != "0 6 * * *" || got["next_runs"].([]any)[0] != "2026-03-02T12:00:00Z" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if n := s.Tick(t.Context(), time.Now().Add(48*time.Hour)); n != 1 || body.Load() != `/cycle {"tenant_id":"`+apitest.Tenant+`"}` {
		t.Errorf("%d jobs ran: %v", n, body.Load())
	}
	if list := w.Call(h, "GET", "/api/schedules", w.Token(auth.Admin), nil); strings.Count(list.Body, `"source":"global"`) != 2 || strings.Count(list.Body, `"source":"tenant"`) != 1 {
		t.Errorf("%s", list.Body)
	}
	if a := w.Call(h, "GET", "/api/schedules/learning", w.Token(auth.Admin), nil); !strings.Contains(a.Body, `"corrected":[]`) {
		t.Errorf("%s", a.Body)
	}
	if a := w.Call(h, "DELETE", "/api/schedules/learning", w.Token(auth.Admin), nil); a.JSON(t)["source"] != "global" || len(s.Jobs()) != 0 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestWhoMaySetASchedule(t *testing.T) {
	t.Parallel()
	w, h, s := open(t, "https://{function}.example")
	good := `{"cron": "0 6 * * *", "time_zone": "Etc/UTC"}`
	for _, c := range []struct {
		method, path, token, body, field string
		want                             int
	}{
		{"PUT", "/api/schedules/fatigue", w.Token(auth.Editor), good, "", 403},
		{"GET", "/api/schedules", w.Token(auth.Viewer), "", "", 403},
		{"PUT", "/api/schedules/backup", w.Token(auth.Admin), good, "", 404},
		{"PUT", "/api/schedules/fatigue", w.Token(auth.Admin), `{"cron": "*/5 * * * *", "time_zone": "Etc/UTC"}`, "body.cron", 422},
		{"PUT", "/api/schedules/fatigue", w.Token(auth.Admin), `{"cron": "0 6 * * *", "time_zone": "Nowhere"}`, "body.time_zone", 422},
		{"PUT", "/api/schedules/fatigue", w.Token(auth.Admin), `{"cron": "0 6 * * *"}`, "body.time_zone", 422},
	} {
		var body any
		if c.body != "" {
			body = c.body
		}
		a := w.Call(h, c.method, c.path, c.token, body)
		if a.Status != c.want || c.field != "" && !a.Names(c.field) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.body, a.Status, a.Body, c.want, c.field)
		}
	}
	if len(s.Jobs()) != 0 || w.Text(`SELECT count(*) FROM gv.schedules`) != "0" {
		t.Error("something was written")
	}
}

func TestTheGlobalTimesAreTheManifests(t *testing.T) {
	t.Parallel()
	m, err := manifest.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range own.Targets {
		if f, ok := m.Get(target.Function); !ok || f.Schedule != target.Global {
			t.Errorf("%s: functions.yaml says %q of %s, shared/schedules %q", target.Name, f.Schedule, target.Function, target.Global)
		}
	}
}

const (
	nightly = `{"cron": "0 2 * * *", "time_zone": "Etc/UTC"}`
	paused  = `{"cron": "30 5 * * *", "time_zone": "Asia/Tokyo", "paused": true}`
)

// agreed reports what the row and the job of a schedule say.
func agreed(w *apitest.World, s *fakescheduler.Server) (row, job string) {
	row = w.Text(`SELECT coalesce(string_agg(cron || ' ' || time_zone || ' ' || paused, ', '), '') FROM gv.schedules`)
	for _, j := range s.Jobs() {
		job += fmt.Sprintf("%s %s %t", j.Schedule, j.TimeZone, j.State == schedulerpb.Job_PAUSED)
	}
	return row, job
}

func TestWhereCloudSchedulerFailsNothingIsChanged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, fails, body, first string }{
		{"PUT", "GetJob", nightly, ""},
		{"PUT", "CreateJob", nightly, ""},
		{"PUT", "PauseJob", paused, ""},
		{"PUT", "UpdateJob", paused, nightly},
		{"PUT", "PauseJob", paused, nightly},
		{"PUT", "ResumeJob", nightly, paused},
		{"DELETE", "DeleteJob", "", nightly},
	} {
		t.Run(c.method+" "+c.fails+" after "+c.first, func(t *testing.T) {
			t.Parallel()
			w, h, s := open(t, "https://{function}.example")
			if c.first != "" {
				if a := w.Call(h, "PUT", "/api/schedules/sync", w.Token(auth.Admin), c.first); a.Status != 200 {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
			}
			row, job := agreed(w, s)
			s.Before(func(_ context.Context, method string) error {
				if method == c.fails {
					return status.Error(codes.Internal, "broken")
				}
				return nil
			})
			var body any
			if c.body != "" {
				body = c.body
			}
			for range 2 { // with the same key: a failure is not what the key is kept with
				a := w.Call(h, c.method, "/api/schedules/sync", w.Token(auth.Admin), body, "Idempotency-Key", "k")
				if a.Status != 503 {
					t.Errorf("%d %s", a.Status, a.Body)
				}
				if r, j := agreed(w, s); r != row || j != job || r != j {
					t.Errorf("the row says %q, before %q; the job %q, before %q", r, row, j, job)
				}
			}
			s.Before(nil)
			if a := w.Call(h, c.method, "/api/schedules/sync", w.Token(auth.Admin), body, "Idempotency-Key", "k"); a.Status != 200 {
				t.Errorf("%d %s", a.Status, a.Body)
			}
			if r, j := agreed(w, s); r != j || r == row {
				t.Errorf("the row says %q, the job %q", r, j)
			}
		})
	}
}

func TestWhereTheRowIsNotWrittenTheJobIsAsBefore(t *testing.T) {
	t.Parallel()
	w, h, s := open(t, "https://{function}.example")
	w.Exec(`REVOKE INSERT, DELETE ON gv.schedules FROM gv_app`)
	if a := w.Call(h, "PUT", "/api/schedules/sync", w.Token(auth.Admin), nightly); a.Status != 500 || len(s.Jobs()) != 0 {
		t.Errorf("%d %s, %d jobs", a.Status, a.Body, len(s.Jobs()))
	}
	w.Exec(`GRANT INSERT ON gv.schedules TO gv_app`)
	if a := w.Call(h, "PUT", "/api/schedules/sync", w.Token(auth.Admin), nightly); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if a := w.Call(h, "DELETE", "/api/schedules/sync", w.Token(auth.Admin), nil); a.Status != 500 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if row, job := agreed(w, s); row != job || row == "" {
		t.Errorf("the row says %q, the job %q", row, job)
	}
}

func TestAskingRemovesAJobWithoutASchedule(t *testing.T) {
	t.Parallel()
	w, h, s := open(t, "https://{function}.example")
	if a := w.Call(h, "PUT", "/api/schedules/sync", w.Token(auth.Admin), nightly); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	w.Exec(`DELETE FROM gv.schedules`) // as a crash between the two writes of a DELETE or PUT leaves it
	a := w.Call(h, "GET", "/api/schedules/sync", w.Token(auth.Admin), nil)
	if !strings.Contains(a.Body, `"corrected":["extra"]`) || len(s.Jobs()) != 0 {
		t.Errorf("%s, %d jobs", a.Body, len(s.Jobs()))
	}
}
