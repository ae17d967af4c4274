package videos_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions/videos"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/fakebucket"
	"github.com/geminivideo/geminivideo/infra/testkit/film"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/bucket"
)

type fixture struct {
	*apitest.World
	h     http.Handler
	cloud *fakebucket.Fake
	files *bucket.Bucket
}

var usual = videos.Limits{MaxRequest: 1 << 20, MaxBytes: 2 << 20, MaxSeconds: 60}

func open(t *testing.T) *fixture {
	t.Helper()
	w, cloud := apitest.New(t), fakebucket.New(t)
	files, err := bucket.Open(bucket.Config{URL: cloud.URL()}, cloud.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{w, videos.New(w.App, w.Access(), w.Queue, files, usual), cloud, files}
}

// form is a multipart body of parts, each a name, a file's name or "", and a content.
func form(t testing.TB, parts ...[3]string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		part, err := w.CreateFormFile(p[0], p[1])
		if p[1] == "" {
			part, err = w.CreateFormField(p[0])
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write([]byte(p[2])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

func (f *fixture) send(data []byte, headers ...string) apitest.Answer {
	f.T.Helper()
	body, kind := form(f.T, [3]string{"file", "spot.mp4", string(data)})
	return f.Call(f.h, "POST", "/api/videos/upload", f.Token(auth.Editor), body, append([]string{"Content-Type", kind}, headers...)...)
}

func (f *fixture) uri(uri string, headers ...string) apitest.Answer {
	f.T.Helper()
	return f.Call(f.h, "POST", "/api/videos/upload", f.Token(auth.Editor), map[string]string{"gcs_uri": uri}, headers...)
}

// accepted returns the id of a video that was taken.
func (f *fixture) accepted(a apitest.Answer) string {
	f.T.Helper()
	if a.Status != http.StatusAccepted {
		f.T.Fatalf("%d %s", a.Status, a.Body)
	}
	id, _ := a.JSON(f.T)["video_id"].(string)
	return id
}

func (f *fixture) get(path, token string) apitest.Answer {
	f.T.Helper()
	return f.Call(f.h, "GET", path, token, nil)
}

// left says what lies around: rows of videos, rows of uploads, objects, messages.
func (f *fixture) left() string {
	f.T.Helper()
	return fmt.Sprintf("%s videos, %s uploads, %d objects, %d messages",
		f.Text(`SELECT count(*) FROM gv.videos`), f.Text(`SELECT count(*) FROM gv.uploads`), len(f.cloud.Objects()), len(f.Queue.Sent("video-uploaded")))
}

func (f *fixture) wantLeft(want string) {
	f.T.Helper()
	if got := f.left(); got != want {
		f.T.Errorf("there are %s, want %s", got, want)
	}
}

var nothing = "0 videos, 0 uploads, 0 objects, 0 messages"

// object puts a file into the tenant's part of the bucket, as its owner would.
func (f *fixture) object(tenant, name string, data []byte) (uri string) {
	f.cloud.Put("tenants/"+tenant+"/"+name, data)
	return f.files.URI(tenant, name)
}

func long(seconds int) []byte {
	return film.Film{Width: 8, Height: 8, Frames: seconds, FPS: 1}.MP4()
}

// reads reports whether a problem's text holds want.
func reads(a apitest.Answer, want string) bool { return strings.Contains(a.Body, want) }
