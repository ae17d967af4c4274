package videos_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions/videos"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/fakebucket"
	"github.com/geminivideo/geminivideo/infra/testkit/film"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/bucket"
	"github.com/geminivideo/geminivideo/shared/pg"
)

func TestWhatIsRefusedLeavesNothing(t *testing.T) {
	t.Parallel()
	f := open(t)
	mp4 := string(film.Short().MP4())
	for name, c := range map[string]struct {
		parts  [][3]string
		status int
		says   string
	}{
		"no part":        {nil, 422, "body.file"},
		"empty":          {[][3]string{{"file", "a.mp4", ""}}, 422, "body.file"},
		"text":           {[][3]string{{"file", "a.mp4", "I am a video, believe me"}}, 415, "MP4, MOV or WebM"},
		"a page":         {[][3]string{{"file", "a.mp4", "<html><script>alert(1)</script></html>"}}, 415, "by its content"},
		"cut off":        {[][3]string{{"file", "a.mp4", mp4[:len(mp4)-100]}}, 422, "ends in its middle"},
		"no duration":    {[][3]string{{"file", "a.webm", string(film.Film{Width: 8, Height: 8, Frames: 1, FPS: 1, Fragmented: true}.WebM())}}, 422, "how long it plays"},
		"too long":       {[][3]string{{"file", "a.mp4", string(long(61))}}, 422, "at most 60 seconds"},
		"too large":      {[][3]string{{"file", "a.mp4", mp4 + strings.Repeat("\x00", 2<<20)}}, 413, "gcs_uri"},
		"twice":          {[][3]string{{"file", "a.mp4", mp4}, {"file", "b.mp4", mp4}}, 422, "twice"},
		"another part":   {[][3]string{{"tenant_id", "", apitest.Other}, {"file", "a.mp4", mp4}}, 422, "body.tenant_id"},
		"a part behind":  {[][3]string{{"file", "a.mp4", mp4}, {"note", "", "x"}}, 422, "body.note"},
		"a part of none": {[][3]string{{"", "", "x"}}, 422, "body"},
	} {
		body, kind := form(t, c.parts...)
		if a := f.Call(f.h, "POST", "/api/videos/upload", f.Token(auth.Editor), body, "Content-Type", kind); a.Status != c.status || !reads(a, c.says) {
			t.Errorf("%s: %d %s, want %d saying %q", name, a.Status, a.Body, c.status, c.says)
		}
	}
	for name, c := range map[string]struct {
		kind, body string
		status     int
	}{
		"no type": {"", "x", 415}, "text": {"text/plain", "x", 415}, "no boundary": {"multipart/form-data", "x", 400},
		"broken": {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n" + mp4[:500], 400},
		"noise":  {"multipart/form-data; boundary=b", "noise", 422}, "not JSON": {"application/json", "{", 400}, "two": {"application/json", "{} {}", 400},
		"a list": {"application/json", "[]", 422}, "null": {"application/json", "null", 422}, "no address": {"application/json", "{}", 422},
		"a number": {"application/json", `{"gcs_uri": 7}`, 422}, "more": {"application/json", `{"gcs_uri": "gs://b/x", "x": 1}`, 422},
	} {
		if a := f.Call(f.h, "POST", "/api/videos/upload", f.Token(auth.Editor), c.body, "Content-Type", c.kind); a.Status != c.status {
			t.Errorf("%s: %d %s, want %d", name, a.Status, a.Body, c.status)
		}
	}
	if a := f.Call(f.h, "POST", "/api/videos/upload", f.Token(auth.Editor), `{"gcs_uri":"gs://b/x","y":2,"x":1}`, "Content-Type", "application/json"); !reads(a, "body.x is not known here") {
		t.Errorf("an unknown field: %d %s", a.Status, a.Body)
	}
	f.wantLeft(nothing)
}

func TestAnObjectOfTheTenantsOwnIsTakenWhereItIs(t *testing.T) {
	t.Parallel()
	f := open(t)
	uri := f.object(apitest.Tenant, "campaign 7/spot.mov", film.Short().MOV())
	a := f.uri(uri)
	id := f.accepted(a)
	if v := f.get("/api/videos/"+id, f.Token(auth.Viewer)).JSON(t); v["uri"] != uri || v["content_type"] != "video/quicktime" || v["name"] != "spot.mov" {
		t.Errorf("shown as %v", v)
	}
	if again := f.uri(uri); f.accepted(again) != id || again.JSON(t)["already_known"] != true {
		t.Errorf("the same again is %s", again.Body)
	}
	f.object(apitest.Tenant, "campaign 7/spot.mov", film.Short().MP4())
	if other := f.accepted(f.uri(uri)); other == id {
		t.Error("a replaced file is the same video")
	}
	f.wantLeft("2 videos, 0 uploads, 1 objects, 2 messages")
	uploaded := f.get("/api/videos/"+f.accepted(f.send(film.Short().WebM())), f.Token(auth.Viewer)).JSON(t)
	if same := f.accepted(f.uri(uploaded["uri"].(string))); same != uploaded["video_id"] {
		t.Errorf("the address of an upload is another video: %s", same)
	}
}

func TestAnAddressThatIsNotTheTenantsIsRefused(t *testing.T) {
	t.Parallel()
	f := open(t)
	mp4 := film.Short().MP4()
	theirs := f.object(apitest.Other, "a.mp4", mp4)
	own := f.files.Prefix(apitest.Tenant)
	f.object(apitest.Tenant, "page.mp4", []byte("<html>"))
	f.object(apitest.Tenant, "large.mp4", append(mp4, make([]byte, 3<<20)...))
	f.object(apitest.Tenant, "long.mp4", long(61))
	f.object(apitest.Tenant, "videos/00000000-0000-4000-8000-000000000000.mp4", mp4)
	for uri, want := range map[string]int{
		theirs: 403, "gs://elsewhere/tenants/" + apitest.Tenant + "/a.mp4": 403, "gs://videos-test/a.mp4": 403,
		own + "../" + apitest.Other + "/a.mp4": 422, own + "%2e%2e/" + apitest.Other + "/a.mp4": 422, own + `..\a.mp4`: 422, own: 422,
		own + "a\x00.mp4": 422, "https://storage.googleapis.com/videos-test/a.mp4": 422, "file:///etc/passwd": 422, "GS" + own[2:] + "a.mp4": 422,
		strings.Replace(own, "tenants/", "tenants//", 1) + "a.mp4": 422, own + "nothing.mp4": 404,
		own + "videos/00000000-0000-4000-8000-000000000000.mp4": 404, // on its way, or left behind
		own + "page.mp4": 415, own + "large.mp4": 413, own + "long.mp4": 422,
	} {
		if a := f.uri(uri); a.Status != want || strings.Contains(a.Body, apitest.Other) {
			t.Errorf("%q: %d %s, want %d", uri, a.Status, a.Body, want)
		}
	}
	if got := f.Text(`SELECT count(*) FROM gv.videos`); got != "0" {
		t.Errorf("%s videos", got)
	}
}

func TestWithoutTheBucketNothingIsTaken(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.cloud.Bucket = "gone"
	if a := f.send(film.Short().MP4()); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := f.uri("gs://videos-test/tenants/" + apitest.Tenant + "/a.mp4"); a.Status != 503 && a.Status != 404 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if got := f.Text(`SELECT count(*) FROM gv.videos`); got != "0" {
		t.Errorf("%s videos", got)
	}
	f.cloud.Bucket = "videos-test"
	f.accepted(f.send(film.Short().MP4())) // and what was left behind is gone
	f.wantLeft("1 videos, 0 uploads, 1 objects, 1 messages")
}

func TestWithoutTheDatabaseNothingIsStored(t *testing.T) {
	t.Parallel()
	f := open(t)
	down, err := pg.Open(t.Context(), pg.Config{URL: "postgres://gv_app@127.0.0.1:1/none?connect_timeout=1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(down.Close)
	f.h = videos.New(down, f.Access(), f.Queue, f.files, usual)
	if a := f.send(film.Short().MP4()); a.Status != 503 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	f.wantLeft(nothing)
}

func TestAFileWhoseRowWasNeverWrittenIsRemovedByTheNextUpload(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.object(apitest.Tenant, "videos/11111111-1111-4111-8111-111111111111.mp4", film.Short().MP4())
	f.object(apitest.Tenant, "videos/22222222-2222-4222-8222-222222222222.mp4", film.Short().MP4())
	f.Exec(`INSERT INTO gv.uploads (tenant_id, upload_id, object, started_at) VALUES
		($1, '11111111-1111-4111-8111-111111111111', 'videos/11111111-1111-4111-8111-111111111111.mp4', now() - interval '3 hours'),
		($1, '22222222-2222-4222-8222-222222222222', 'videos/22222222-2222-4222-8222-222222222222.mp4', now() - interval '3 minutes')`, apitest.Tenant)
	f.accepted(f.send(film.Short().WebM()))
	f.wantLeft("1 videos, 1 uploads, 2 objects, 1 messages") // the younger one may still be on its way
}

func TestAnUploadThatWasGivenUpCannotBecomeAVideo(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.Exec(`CREATE FUNCTION gv.too_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.abandoned_at := now(); RETURN NEW; END $$`)
	f.Exec(`CREATE TRIGGER too_late BEFORE INSERT ON gv.uploads FOR EACH ROW EXECUTE FUNCTION gv.too_late()`)
	if a := f.send(film.Short().MP4()); a.Status != 503 || !reads(a, "send it again") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	f.wantLeft(nothing)
}

func TestACallerThatGoesAwayLeavesNothing(t *testing.T) {
	t.Parallel()
	f := open(t)
	server := httptest.NewServer(f.h)
	t.Cleanup(server.Close)
	body, kind := form(t, [3]string{"file", "a.mp4", string(film.Short().MP4())})
	r, w := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/api/videos/upload", r)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	request.Header.Set("Authorization", "Bearer "+f.Token(auth.Editor))
	go func() {
		_, _ = io.WriteString(w, body[:len(body)/2])
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
	}()
	if answer, err := http.DefaultClient.Do(request); err == nil {
		_ = answer.Body.Close()
	}
	server.Close() // waits until the request is over
	f.wantLeft(nothing)
}

func TestInAFolderAnUploadWorksTheSame(t *testing.T) {
	t.Parallel()
	w := apitest.New(t)
	dir := t.TempDir()
	files, err := bucket.Open(bucket.Config{URL: "file://" + filepath.ToSlash(dir)})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{w, videos.New(w.App, w.Access(), w.Queue, files, usual), fakebucket.New(t), files}
	id := f.accepted(f.send(film.Short().MP4()))
	if again := f.accepted(f.send(film.Short().MP4())); again != id {
		t.Error("the same bytes are two videos")
	}
	if a := f.send([]byte("no video")); a.Status != 415 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	found, err := filepath.Glob(filepath.Join(dir, "tenants", apitest.Tenant, "videos", "*"))
	if err != nil || len(found) != 1 || !strings.HasSuffix(found[0], ".mp4") {
		t.Errorf("the folder has %v, %v", found, err)
	}
}
