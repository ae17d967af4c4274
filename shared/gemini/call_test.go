package gemini_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/gemini"
)

func TestWithoutAKeyAndALocationThereIsNoClient(t *testing.T) {
	t.Parallel()
	c, err := gemini.Open(t.Context(), gemini.Config{Project: "p"}, nil)
	if c != nil || err != nil {
		t.Fatalf("%v, %v", c, err)
	}
	if models := gemini.Models(c); models.Configured() != embed.LocalModel {
		t.Errorf("embeds with %s", models.Configured())
	}
	if _, err := gemini.Open(t.Context(), gemini.Config{Location: "eu"}, nil); err == nil {
		t.Error("a location without a project is taken")
	}
	_, err = gemini.Open(t.Context(), gemini.Config{APIKey: fakegemini.Key, BaseURL: "http://h:port/%zz"}, nil)
	clean(t, "a bad address", err)
}

func TestAMomentsTroubleIsWaitedOut(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.fake.Write = func(fakegemini.Call) string { return fits }
	for name, faults := range map[string][]fakegemini.Fault{
		"quota with a delay": {fakegemini.Quota(20 * time.Millisecond), fakegemini.Quota(20 * time.Millisecond)},
		"503":                {fakegemini.Status(503, "UNAVAILABLE")},
		"dropped":            {fakegemini.Drop()},
		"not the API's":      {fakegemini.Body("<html>a proxy " + secretWords)},
	} {
		f.fake.Inject(faults...)
		began, before := time.Now(), f.fake.Requests()
		if _, err := ask(t.Context(), f); err != nil || f.fake.Requests() != before+len(faults)+1 {
			t.Errorf("%s: %v after %d requests", name, err, f.fake.Requests()-before)
		}
		if name == "quota with a delay" && time.Since(began) < 40*time.Millisecond {
			t.Error("the server's delay was not kept")
		}
	}
}

func TestWhatGoesOnIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	f := open(t)
	for name, c := range map[string]struct {
		fault fakegemini.Fault
		says  string
		after time.Duration
	}{
		"quota for an hour": {fakegemini.Quota(time.Hour), "quota is used up", time.Hour},
		"bad key":           {fakegemini.Because(400, "INVALID_ARGUMENT", "API_KEY_INVALID"), "credentials", 5 * time.Minute},
		"forbidden":         {fakegemini.Status(403, "PERMISSION_DENIED"), "credentials", 5 * time.Minute},
		"no such model":     {fakegemini.Status(404, "NOT_FOUND"), "does not exist", 5 * time.Minute},
		"wrong country":     {fakegemini.Status(400, "FAILED_PRECONDITION"), "credentials", 5 * time.Minute},
	} {
		f.afresh(t)
		f.fake.Break(c.fault)
		before := f.fake.Requests()
		_, err := ask(t.Context(), f)
		var public *fault.Error
		if !errors.As(err, &public) || public.Kind != fault.Unavailable || public.RetryAfter != c.after || !strings.Contains(public.Message, c.says) {
			t.Errorf("%s: %v: %+v", name, err, public)
		}
		if n := f.fake.Requests() - before; n != 1 {
			t.Errorf("%s: asked %d times", name, n)
		}
		clean(t, name, err)
		if calls, failed, input, _, micros := f.used(t, "gemini-3.8-flash"); calls != 1 || failed != 1 || input != 0 || micros != 0 || f.reserved(t) != 0 {
			t.Errorf("%s: counted %d calls, %d failed, %d in, %d micros, %d reserved", name, calls, failed, input, micros, f.reserved(t))
		}
	}
	f.afresh(t)
	f.fake.Break(fakegemini.Status(400, "INVALID_ARGUMENT"))
	_, err := ask(t.Context(), f)
	if r := new(gemini.Refused); !errors.As(err, &r) || r.Reason != "INVALID_ARGUMENT" || !fault.Permanent(err) {
		t.Errorf("what the model cannot read: %v", err)
	}
	clean(t, "cannot read", err)
}

// The server may have worked, so what was sent is counted.
func TestAServerThatHangsIsLeftWhenTheTimeIsUp(t *testing.T) {
	t.Parallel()
	f := open(t, func(cfg *gemini.Config) { cfg.Timeout = 2 * time.Second })
	f.fake.Break(fakegemini.Hang())
	for name, call := range map[string]func() error{
		"write": func() error { _, err := ask(t.Context(), f); return err },
		"embed": func() error { _, err := f.Embedder(tenantA).Query(t.Context(), secretWords); return err },
	} {
		err := call()
		if fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "in time") {
			t.Errorf("%s: %v", name, err)
		}
		clean(t, name, err)
	}
	if calls, failed, input, output, _ := f.used(t, "gemini-3.8-flash"); calls != 1 || failed != 1 || input == 0 || output != 0 || f.reserved(t) != 0 {
		t.Errorf("counted %d, %d, %d, %d; %d reserved", calls, failed, input, output, f.reserved(t))
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	if _, err := ask(ctx, f); err == nil {
		t.Error("a caller that left got an answer")
	}
	if f.reserved(t) != 0 {
		t.Error("the caller left, and what was reserved stays reserved")
	}
}

func TestAModelThatFailsRepeatedlyIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.Rest(time.Hour)
	f.fake.Write = func(fakegemini.Call) string { return fits }
	f.fake.Break(fakegemini.Quota(time.Millisecond))
	for range 2 { // four tries, then the fifth opens it
		if _, err := ask(t.Context(), f); fault.Of(err) != fault.Unavailable {
			t.Fatal(err)
		}
	}
	asked := f.fake.Requests()
	f.fake.Mend()
	_, err := ask(t.Context(), f)
	var public *fault.Error
	if !errors.As(err, &public) || public.RetryAfter != time.Hour || !strings.Contains(public.Message, "left alone") || f.fake.Requests() != asked || asked != 5 {
		t.Errorf("%v after %d requests, then %d", err, asked, f.fake.Requests())
	}
	if _, err := f.Embedder(tenantA).Query(t.Context(), "x"); err != nil {
		t.Errorf("another model shares the breaker: %v", err)
	}
	if calls, failed, input, _, _ := f.used(t, "gemini-3.8-flash"); calls != 3 || failed != 3 || input != 0 || f.reserved(t) != 0 {
		t.Errorf("counted %d calls, %d failed, %d in; %d reserved", calls, failed, input, f.reserved(t))
	}
}

func TestAModelThatIsBackIsAskedAgain(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.Rest(time.Millisecond)
	f.fake.Write = func(fakegemini.Call) string { return fits }
	f.fake.Break(fakegemini.Quota(time.Millisecond))
	for range 2 {
		if _, err := ask(t.Context(), f); err == nil {
			t.Fatal("it answered")
		}
	}
	if !strings.Contains(logged.String(), "half-open") && !strings.Contains(logged.String(), "to=open") {
		t.Error("the breaker did not open")
	}
	f.fake.Mend()
	time.Sleep(2 * time.Millisecond)
	for range 3 {
		if _, err := ask(t.Context(), f); err != nil {
			t.Errorf("back again: %v", err)
		}
	}
}

// On Vertex a batch is many calls, and a model that may be back gets one.
func TestABatchFindsOutThatAModelIsBack(t *testing.T) {
	t.Parallel()
	f := open(t, onVertex)
	f.Rest(time.Millisecond)
	texts := strings.Fields(strings.Repeat("word ", 40))
	f.fake.Break(fakegemini.Quota(time.Millisecond))
	for range 2 {
		if _, err := f.Embedder(tenantA).Documents(t.Context(), texts); fault.Of(err) != fault.Unavailable {
			t.Fatal(err)
		}
	}
	f.fake.Mend()
	time.Sleep(2 * time.Millisecond)
	if vectors, err := f.Embedder(tenantA).Documents(t.Context(), texts); err != nil || len(vectors) != 40 {
		t.Errorf("%d vectors, %v", len(vectors), err)
	}
	f.fake.Inject(fakegemini.Fault{}, fakegemini.Fault{}, fakegemini.Status(400, "INVALID_ARGUMENT"))
	_, failedBefore, before, _, _ := f.used(t, "gemini-embedding-2")
	if _, err := f.Embedder(tenantA).Documents(t.Context(), texts); fault.Of(err) != fault.Invalid {
		t.Errorf("one of many is refused: %v", err)
	}
	if _, failed, input, _, _ := f.used(t, "gemini-embedding-2"); failed != failedBefore+1 || input <= before || f.reserved(t) != 0 {
		t.Errorf("what was used until then: %d tokens, %d failed; %d reserved", input-before, failed-failedBefore, f.reserved(t))
	}
}

// Refusals and nonsense say nothing of the model's health.
func TestRefusalsDoNotTripTheBreaker(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.fake.Write = func(fakegemini.Call) string { return fits }
	for _, o := range []fakegemini.Fault{fakegemini.Finish("SAFETY"), fakegemini.Status(400, "INVALID_ARGUMENT"), fakegemini.Text("no")} {
		f.fake.Break(o)
		for range 6 {
			_, _ = ask(t.Context(), f)
		}
	}
	f.fake.Mend()
	if _, err := ask(t.Context(), f); err != nil {
		t.Error(err)
	}
}
