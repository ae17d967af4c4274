package analyze_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/functions/analyze"
	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/infra/testkit/film"
	"github.com/geminivideo/geminivideo/shared/bucket"
	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/video"
)

func features(dna creative.DNA) map[string]string {
	all := map[string]string{}
	for _, f := range dna.Features() {
		all[f.Name] = f.Value
		if f.IsNumber {
			all[f.Name] = "number"
		}
	}
	return all
}

func TestAVideoIsDescribedByTheModelAndByItself(t *testing.T) {
	t.Parallel()
	f := open(t)
	data := film.Short().MP4()
	id := f.upload(data)
	f.fake.Write = func(fakegemini.Call) string {
		return described(func(s func(string) map[string]any) {
			s("hook")["type"], s("hook")["text"], s("pacing")["speed"] = "founder_story", "I was in pain", "fast"
		})
	}
	if status := f.push(of(tenantA, id)); status != 204 {
		t.Fatalf("answered %d", status)
	}
	v := f.want(id, video.StatusAnalyzed, "")
	if value(v.GeneratedBy) != "gemini-3.8-flash-002" || v.AnalyzedAt == nil {
		t.Errorf("by %s at %v", value(v.GeneratedBy), v.AnalyzedAt)
	}
	got := features(v.CreativeDNA)
	for name, want := range map[string]string{
		"hook_type": "founder_story", "hook_words": "number", "visual_pacing": "fast", "duration_seconds": "number",
		"orientation": "vertical", "aspect_ratio": "9:16", "has_audio": "yes", "frames_per_second": "number",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if v.CreativeDNA["hook_type"] != "founder_story" {
		t.Errorf("the flat keys are not there: %s", v.CreativeDNA.JSON())
	}
	call := f.fake.Calls()[0]
	if string(call.Parts[0].Data) != string(data) || call.Parts[0].MIMEType != "video/mp4" || call.Schema["required"] == nil {
		t.Errorf("asked with %d bytes as %s", len(call.Parts[0].Data), call.Parts[0].MIMEType)
	}
}

func TestWithoutAModelTheFileSpeaksForItself(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.consumer = analyze.New(f.db, f.worker, f.files, nil, nil)
	id := f.upload(film.Short().WebM())
	if status := f.push(of(tenantA, id)); status != 204 {
		t.Fatalf("answered %d", status)
	}
	v := f.want(id, video.StatusAnalyzed, "")
	want := `{"audio":{"has_audio":true},"dna_version":1,"format":{"aspect_ratio":"9:16","duration_seconds":2,"frames_per_second":10,"orientation":"vertical"}}`
	if value(v.GeneratedBy) != video.ByContainer || string(v.CreativeDNA.JSON()) != want {
		t.Errorf("by %s: %s", value(v.GeneratedBy), v.CreativeDNA.JSON())
	}
	if n := len(f.fake.Calls()); n != 0 {
		t.Errorf("a model was asked %d times", n)
	}
}

func TestRedeliveryAndTwinsDescribeAVideoOnce(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.upload(film.Short().MP4())
	statuses := make(chan int, 6)
	var all sync.WaitGroup
	for range cap(statuses) {
		all.Go(func() { statuses <- f.push(of(tenantA, id)) })
	}
	all.Wait()
	close(statuses)
	for status := range statuses {
		if status != 204 && status != 503 { // 503: another run has it, and may yet fail
			t.Errorf("answered %d", status)
		}
	}
	for range 2 {
		if status := f.push(of(tenantA, id)); status != 204 {
			t.Errorf("a redelivery: %d", status)
		}
	}
	if n := len(f.fake.Calls()); n != 1 {
		t.Errorf("the model was asked %d times", n)
	}
	f.want(id, video.StatusAnalyzed, "")
}

func TestARunThatDiedIsTakenOverAndCannotWriteAnyMore(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.upload(film.Short().MP4())
	f.fake.Write = func(fakegemini.Call) string { // the first run stands still here, and another takes over
		f.exec(`UPDATE gv.videos SET claimed_until = now() - interval '1 second' WHERE video_id = $1`, id)
		f.fake.Write = func(fakegemini.Call) string {
			return described(func(s func(string) map[string]any) { s("hook")["type"] = "offer" })
		}
		if status := f.push(of(tenantA, id)); status != 204 {
			t.Errorf("the second run: %d", status)
		}
		return described(func(s func(string) map[string]any) { s("hook")["type"] = "story" })
	}
	if status := f.push(of(tenantA, id)); status != 204 {
		t.Errorf("the first run: %d", status)
	}
	if v := f.want(id, video.StatusAnalyzed, ""); v.CreativeDNA["hook_type"] != "offer" {
		t.Errorf("the first run wrote %s", v.CreativeDNA.JSON())
	}
}

func TestARunThatLivesKeepsItsClaim(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.upload(film.Short().MP4())
	analyze.Renewing(f.consumer, 5*time.Millisecond)
	const until = `SELECT claimed_until > now() + interval '30 seconds' FROM gv.videos`
	f.fake.Write = func(fakegemini.Call) string {
		f.exec(`UPDATE gv.videos SET claimed_until = now() - interval '1 second'`)
		for f.text(until) != "true" && t.Context().Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		return described(nil)
	}
	if status := f.push(of(tenantA, id)); status != 204 {
		t.Errorf("answered %d", status)
	}
	f.want(id, video.StatusAnalyzed, "")
}

func TestADeadRunsVideoIsNotTakenBeforeItsTime(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.upload(film.Short().MP4())
	f.exec(`UPDATE gv.videos SET status = 'analyzing', claim = gen_random_uuid(), claimed_until = now() + interval '1 minute', attempts = 1`)
	if status := f.push(of(tenantA, id)); status != 503 {
		t.Errorf("answered %d", status)
	}
	f.exec(`UPDATE gv.videos SET claimed_until = now() - interval '1 second'`)
	if status := f.push(of(tenantA, id)); status != 204 {
		t.Errorf("answered %d", status)
	}
	f.want(id, video.StatusAnalyzed, "")
}

func TestTheModelGetsAFileTheWayItsBackEndTakesIt(t *testing.T) {
	t.Parallel()
	small := film.Short().MP4()
	large := append(film.Short().MP4(), make([]byte, gemini.MaxInline)...)
	vertex, developer, local := open(t, onVertex), open(t), open(t, onVertex)
	folder, err := bucket.Open(bucket.Config{URL: "file://" + filepath.ToSlash(t.TempDir())})
	if err != nil {
		t.Fatal(err)
	}
	local.files = folder
	local.consumer = analyze.New(local.db, local.worker, folder, local.client, nil)
	for name, c := range map[string]struct {
		f            *fixture
		data         []byte
		uri          string // what it begins with
		status, says string
	}{
		"vertex reads the bucket": {vertex, small, "gs://videos-test/tenants/" + tenantA + "/own/", video.StatusAnalyzed, ""},
		"a small one goes along":  {developer, small, "", video.StatusAnalyzed, ""},
		"a large one is uploaded": {developer, large, "http://", video.StatusAnalyzed, ""},
		"a folder is no bucket":   {local, small, "", video.StatusAnalyzed, ""},
		"a folder and a large":    {local, large, "", video.StatusFailed, "Cloud Storage"},
	} {
		id := c.f.upload(c.data)
		before := len(c.f.fake.Calls())
		if status := c.f.push(of(tenantA, id)); status != 204 {
			t.Errorf("%s: %d", name, status)
		}
		c.f.want(id, c.status, c.says)
		for _, call := range c.f.fake.Calls()[before:] {
			if part := call.Parts[0]; !strings.HasPrefix(part.URI, c.uri) || (part.URI == "") != (c.uri == "") || (c.uri == "") != (len(part.Data) == len(c.data)) {
				t.Errorf("%s: asked with %q and %d bytes", name, part.URI, len(part.Data))
			}
		}
	}
	if n := developer.fake.Files(); n != 0 {
		t.Errorf("%d of what was uploaded stay there", n)
	}
}

func TestAMessageThatMakesNoSenseIsKeptAsADeadLetter(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.upload(film.Short().MP4())
	nobody, nothing, unknown, theirs := of("", id), of(tenantA, id), of(tenantA, "00000000-0000-4000-8000-000000000099"), of(tenantB, id)
	nothing.Data = []byte("{}")
	for key, m := range map[string]message.Message{"nobody": nobody, "nothing": nothing, "unknown": unknown, "theirs": theirs} {
		m.Attributes[message.KeyAttribute] = key
		if status := f.push(m); status != 204 {
			t.Errorf("%s: answered %d", key, status)
		}
	}
	if n := f.text(`SELECT count(*) FROM gv.dead_letters WHERE topic = 'video-uploaded'`); n != "4" {
		t.Errorf("%s are kept", n)
	}
	f.want(id, video.StatusUploaded, "")
}

func TestADatabaseThatIsDownBringsTheMessageBack(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.upload(film.Short().MP4())
	down, err := pg.Open(t.Context(), pg.Config{URL: "postgres://gv_app@127.0.0.1:1/none?connect_timeout=1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(down.Close)
	f.consumer = analyze.New(down, f.worker, f.files, f.client, nil)
	if status := f.push(of(tenantA, id)); status != 503 {
		t.Errorf("answered %d", status)
	}
}

func TestTheManifestLetsAMessageComeAsOftenAsItIsTried(t *testing.T) {
	t.Parallel()
	m, err := functions.Load()
	if err != nil {
		t.Fatal(err)
	}
	entry, ok := m.Get("analyze")
	if !ok || entry.Retry.MaxAttempts <= analyze.Tries || entry.Timeout > 10*time.Minute {
		t.Errorf("max_attempts %d for %d tries, a timeout of %s where Pub/Sub waits 10 minutes", entry.Retry.MaxAttempts, analyze.Tries, entry.Timeout)
	}
}
