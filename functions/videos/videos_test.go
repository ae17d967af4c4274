package videos_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/film"
	"github.com/geminivideo/geminivideo/shared/auth"
)

func TestAnUploadIsStoredShownAndAnnounced(t *testing.T) {
	t.Parallel()
	f := open(t)
	data := film.Short().MP4()
	a := f.send(data)
	id := f.accepted(a)
	if body := a.JSON(t); body["status"] != "uploaded" || body["already_known"] != false {
		t.Errorf("answered %s", a.Body)
	}
	v := f.get("/api/videos/"+id, f.Token(auth.Viewer)).JSON(t)
	for name, want := range map[string]any{
		"video_id": id, "status": "uploaded", "name": "spot.mp4", "content_type": "video/mp4", "size_bytes": float64(len(data)),
		"duration_seconds": 2.0, "width": 72.0, "height": 128.0, "orientation": "vertical", "has_audio": true, "frames_per_second": 10.0,
		"uploaded_by": "editor@northside.example", "uri": "gs://videos-test/tenants/" + apitest.Tenant + "/videos/" + strings.Split(v["uri"].(string), "/videos/")[1],
	} {
		if v[name] != want {
			t.Errorf("%s is %v, want %v", name, v[name], want)
		}
	}
	if _, there := v["creative_dna"]; there {
		t.Error("it has a DNA before it is analysed")
	}
	name := strings.TrimPrefix(v["uri"].(string), "gs://videos-test/")
	if o, ok := f.cloud.Object(name); !ok || !bytes.Equal(o.Data, data) || o.ContentType != "video/mp4" {
		t.Errorf("the bucket has %d bytes as %s under %s", len(o.Data), o.ContentType, name)
	}
	if sent := f.Queue.Sent("video-uploaded"); len(sent) != 1 || !strings.Contains(sent[0], id) {
		t.Errorf("announced %v", sent)
	}
	f.wantLeft("1 videos, 0 uploads, 1 objects, 1 messages")
}

func TestTheTypeIsThatOfTheContentWhateverItIsCalled(t *testing.T) {
	t.Parallel()
	f := open(t)
	for want, data := range map[string][]byte{
		"video/mp4": film.Short().MP4(), "video/quicktime": film.Short().MOV(), "video/webm": film.Short().WebM(),
	} {
		id := f.accepted(f.send(data))
		if v := f.get("/api/videos/"+id, f.Token(auth.Viewer)).JSON(t); v["content_type"] != want {
			t.Errorf("%v is called %v", want, v["content_type"])
		}
	}
}

func TestTheSameBytesAreOneVideo(t *testing.T) {
	t.Parallel()
	f := open(t)
	data := film.Short().MP4()
	first := f.accepted(f.send(data))
	second := f.send(data)
	if id := f.accepted(second); id != first || second.JSON(t)["already_known"] != true {
		t.Errorf("a second upload is %s", second.Body)
	}
	f.wantLeft("1 videos, 0 uploads, 1 objects, 1 messages")
}

func TestAnUploadOfWhatFailedIsTriedAgain(t *testing.T) {
	t.Parallel()
	f := open(t)
	data := film.Short().MP4()
	id := f.accepted(f.send(data))
	f.Exec(`UPDATE gv.videos SET status = 'failed', failure = 'no luck', attempts = 12`)
	before := f.cloud.Objects()
	a := f.send(data)
	if again := f.accepted(a); again != id || a.JSON(t)["status"] != "uploaded" {
		t.Errorf("answered %s", a.Body)
	}
	if after := f.cloud.Objects(); len(after) != 1 || slices.Equal(after, before) {
		t.Errorf("the file is %v, was %v", after, before)
	}
	v := f.get("/api/videos/"+id, f.Token(auth.Viewer)).JSON(t)
	if v["failure"] != nil || v["attempts"] != 0.0 || v["uri"] != "gs://videos-test/"+f.cloud.Objects()[0] {
		t.Errorf("shown as %v", v)
	}
	f.wantLeft("1 videos, 0 uploads, 1 objects, 2 messages")
}

func TestARequestThatIsRepeatedHasOneEffectAndOneAnswer(t *testing.T) {
	t.Parallel()
	f := open(t)
	data := film.Short().MP4()
	first := f.send(data, "Idempotency-Key", "k")
	if again := f.send(data, "Idempotency-Key", "k"); again.Body != first.Body || again.Status != 202 {
		t.Errorf("answered %d %s, first %s", again.Status, again.Body, first.Body)
	}
	if other := f.send(film.Short().WebM(), "Idempotency-Key", "k"); other.Status != 409 {
		t.Errorf("another file under the same key: %d %s", other.Status, other.Body)
	}
	uri := f.object(apitest.Tenant, "own/a.mp4", film.Short().MOV())
	kept := f.uri(uri, "Idempotency-Key", "u")
	if again := f.uri(uri, "Idempotency-Key", "u"); again.Body != kept.Body || again.Status != 202 {
		t.Errorf("answered %d %s, first %s", again.Status, again.Body, kept.Body)
	}
	if other := f.uri(uri+"x", "Idempotency-Key", "u"); other.Status != 409 {
		t.Errorf("another address under the same key: %d %s", other.Status, other.Body)
	}
	f.wantLeft("2 videos, 0 uploads, 2 objects, 2 messages")
}

func TestTwinsAtOnceAreOneVideo(t *testing.T) {
	t.Parallel()
	f := open(t)
	data := film.Short().MP4()
	ids := make(chan string, 4)
	for range cap(ids) {
		go func() {
			a := f.send(data)
			ids <- a.Body[strings.Index(a.Body, `"video_id":"`)+12:][:36]
		}()
	}
	first := <-ids
	for range cap(ids) - 1 {
		if id := <-ids; id != first {
			t.Errorf("%s and %s", first, id)
		}
	}
	f.wantLeft("1 videos, 0 uploads, 1 objects, 1 messages")
}

func TestVideosAreListedNewestFirstInParts(t *testing.T) {
	t.Parallel()
	f := open(t)
	if a := f.get("/api/videos", f.Token(auth.Viewer)); a.Status != 200 || strings.TrimSpace(a.Body) != `{"videos":[]}` {
		t.Errorf("none: %d %s", a.Status, a.Body)
	}
	var ids []string
	for n := 1; n <= 3; n++ {
		ids = append([]string{f.accepted(f.send(long(n)))}, ids...)
	}
	var seen []string
	path := "/api/videos?limit=2"
	for path != "" {
		a := f.get(path, f.Token(auth.Viewer))
		var page struct {
			Videos []struct {
				VideoID string `json:"video_id"`
			}
			Next string
		}
		if err := json.Unmarshal([]byte(a.Body), &page); err != nil {
			t.Fatal(a.Body)
		}
		for _, v := range page.Videos {
			seen = append(seen, v.VideoID)
		}
		if path = ""; page.Next != "" {
			path = "/api/videos?limit=2&after=" + page.Next
		}
	}
	if !slices.Equal(seen, ids) {
		t.Errorf("listed %v, want %v", seen, ids)
	}
	f.Exec(`UPDATE gv.videos SET status = 'failed', failure = 'x' WHERE video_id = $1`, ids[1])
	if a := f.get("/api/videos?status=failed", f.Token(auth.Viewer)); !strings.Contains(a.Body, ids[1]) || strings.Contains(a.Body, ids[0]) {
		t.Errorf("the failed ones are %s", a.Body)
	}
	for _, query := range []string{"status=lost", "after=x", "limit=0", "after=" + uuid.NewString()} {
		if a := f.get("/api/videos?"+query, f.Token(auth.Viewer)); a.Status != 422 {
			t.Errorf("%s: %d %s", query, a.Status, a.Body)
		}
	}
}

func TestAnotherTenantsVideoIsUnknown(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.accepted(f.send(film.Short().MP4()))
	for _, a := range []apitest.Answer{
		f.get("/api/videos/"+id, f.OtherToken()),
		f.Call(f.h, "POST", "/api/videos/"+id+"/analyze", f.OtherToken(), nil),
		f.get("/api/videos/not-an-id", f.Token(auth.Viewer)),
		f.get("/api/videos/"+uuid.NewString(), f.Token(auth.Viewer)),
	} {
		if a.Status != 404 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	if a := f.get("/api/videos", f.OtherToken()); strings.Contains(a.Body, id) {
		t.Error("it is listed")
	}
	body, kind := form(t, [3]string{"file", "x.mp4", string(film.Short().MP4())})
	theirs := f.Call(f.h, "POST", "/api/videos/upload", f.OtherToken(), body, "Content-Type", kind)
	if got := f.accepted(theirs); got == id {
		t.Error("two tenants share a video")
	}
}

func TestRolesAreKept(t *testing.T) {
	t.Parallel()
	f := open(t)
	body, kind := form(t, [3]string{"file", "x.mp4", string(film.Short().MP4())})
	for token, want := range map[string]int{"": 401, f.Token(auth.Viewer): 403} {
		if a := f.Call(f.h, "POST", "/api/videos/upload", token, body, "Content-Type", kind); a.Status != want {
			t.Errorf("%d, want %d", a.Status, want)
		}
	}
	f.wantLeft(nothing)
}

func TestAFailedAnalysisIsAskedForAgain(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.accepted(f.send(film.Short().MP4()))
	path := "/api/videos/" + id + "/analyze"
	ask := func(headers ...string) apitest.Answer {
		return f.Call(f.h, "POST", path, f.Token(auth.Editor), nil, headers...)
	}
	if a := f.Call(f.h, "POST", path, f.Token(auth.Viewer), nil); a.Status != 403 {
		t.Errorf("a viewer: %d", a.Status)
	}
	f.Exec(`UPDATE gv.videos SET status = 'failed', failure = 'no luck', attempts = 5`)
	first := ask("Idempotency-Key", "k")
	if first.Status != http.StatusAccepted || first.JSON(t)["status"] != "uploaded" {
		t.Fatalf("%d %s", first.Status, first.Body)
	}
	if again := ask("Idempotency-Key", "k"); again.Body != first.Body {
		t.Errorf("repeated: %s", again.Body)
	}
	f.wantLeft("1 videos, 0 uploads, 1 objects, 2 messages")
	for state, want := range map[string]int{
		`status = 'analyzing', claim = gen_random_uuid(), claimed_until = now() + interval '5 minutes'`: 409,
		`status = 'analyzing', claim = gen_random_uuid(), claimed_until = now() - interval '5 minutes'`: 202,
		`status = 'waiting', waiting_for = 'the model'`:                                                 202,
		`status = 'analyzed', creative_dna = '{}', generated_by = 'gemini-3.8-flash'`:                   409,
		`status = 'analyzed', creative_dna = '{}', generated_by = 'container'`:                          202,
	} {
		f.Exec(`UPDATE gv.videos SET status = 'uploaded', failure = NULL, waiting_for = NULL`)
		f.Exec(`UPDATE gv.videos SET ` + state)
		if a := ask(); a.Status != want {
			t.Errorf("%s: %d %s", state, a.Status, a.Body)
		}
	}
}
