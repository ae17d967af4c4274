package bucket_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakebucket"
	"github.com/geminivideo/geminivideo/shared/fault"
)

func TestABucketThatStumblesIsAskedAgain(t *testing.T) {
	t.Parallel()
	fake := fakebucket.New(t)
	b := open(t, fake.URL(), fake)
	fake.Fail(503, "uploadType=resumable")
	fake.FailAfter("upload_id=")
	data := noise(5 << 20)
	f := write(t, b, "a.mp4", data)
	if o, ok := fake.Object("tenants/" + tenant + "/a.mp4"); !ok || !bytes.Equal(o.Data, data) || o.ContentType != "video/mp4" {
		t.Errorf("stored %d bytes as %s", len(o.Data), o.ContentType)
	}
	fake.Fail(503, "GET")
	if _, err := b.Stat(t.Context(), tenant, "a.mp4"); err != nil {
		t.Error(err)
	}
	fake.FailAfter("uploadType=multipart")
	if _, err := b.Write(t.Context(), tenant, "small.mp4", "video/mp4", strings.NewReader("small")); err != nil {
		t.Errorf("the answer was lost, the file is there: %v", err)
	}
	fake.FailAfter("DELETE")
	if err := b.Remove(t.Context(), tenant, f.Name); err != nil {
		t.Error(err)
	}
}

func TestAReadGoesOnWhereTheConnectionBroke(t *testing.T) {
	t.Parallel()
	fake := fakebucket.New(t)
	b := open(t, fake.URL(), fake)
	data := noise(3 << 20)
	f := write(t, b, "a.mp4", data)
	fake.Cut(1<<20, "alt=media")
	fake.Cut(1<<19, "alt=media")
	r, err := b.Read(t.Context(), tenant, f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

func TestBytesThatChangedOnTheirWayAreNoVideo(t *testing.T) {
	t.Parallel()
	fake := fakebucket.New(t)
	b := open(t, fake.URL(), fake)
	for _, n := range []int{100, 5 << 20} {
		name := fmt.Sprintf("%d.mp4", n)
		f := write(t, b, name, noise(n))
		fake.Corrupt("tenants/" + tenant + "/" + name)
		r, err := b.Read(t.Context(), tenant, f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); err == nil || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("%d bytes: read with %v", n, err)
		}
		r.Close()
	}
}

func TestABucketThatIsDownIsUnavailable(t *testing.T) {
	t.Parallel()
	fake := fakebucket.New(t)
	fake.Bucket = "another"
	b := open(t, "gs://videos-test", fake)
	_, written := b.Write(t.Context(), tenant, "a.mp4", "video/mp4", strings.NewReader("x"))
	for doing, err := range map[string]error{"write": written, "ping": b.Ping(t.Context())} {
		if fault.Of(err) != fault.Unavailable {
			t.Errorf("%s: %v", doing, err)
		}
	}
	fake.Bucket = "videos-test"
	if err := b.Ping(t.Context()); err != nil {
		t.Errorf("it is back: %v", err)
	}
}

func TestABucketThatHangsIsLeft(t *testing.T) {
	t.Parallel()
	fake := fakebucket.New(t)
	b := open(t, fake.URL(), fake)
	f := write(t, b, "a.mp4", noise(1000))
	b.Hurry(50 * time.Millisecond)
	fake.Hang("/b/")
	_, stat := b.Stat(t.Context(), tenant, f.Name)
	_, written := b.Write(t.Context(), tenant, "b.mp4", "video/mp4", bytes.NewReader(noise(1000)))
	w, err := b.Window(t.Context(), tenant, f)
	if err != nil {
		t.Fatal(err)
	}
	_, read := w.ReadAt(make([]byte, 10), 0)
	for doing, err := range map[string]error{"stat": stat, "write": written, "read": read, "remove": b.Remove(t.Context(), tenant, f.Name)} {
		if fault.Of(err) != fault.Unavailable {
			t.Errorf("%s: %v", doing, err)
		}
	}
}
