package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/fakebucket"
	"github.com/geminivideo/geminivideo/shared/bucket"
)

const (
	tenant = "6f1c0a52-6c1b-4d6e-9a51-0d1f0c8f6a01"
	other  = "b9e60f6e-52f5-4c7e-8f0c-3a4f5f3b7c02"
)

// both runs a test on a Cloud Storage bucket and on a folder: every back end of the
// bucket passes all of them.
func both(t *testing.T, test func(t *testing.T, b *bucket.Bucket)) {
	t.Helper()
	fake := fakebucket.New(t)
	for url, b := range map[string]*bucket.Bucket{
		"cloud":  open(t, fake.URL(), fake),
		"folder": open(t, "file://"+filepath.ToSlash(t.TempDir())+"/videos", fake),
	} {
		t.Run(url, func(t *testing.T) { test(t, b) })
	}
}

func open(t *testing.T, url string, fake *fakebucket.Fake) *bucket.Bucket {
	t.Helper()
	b, err := bucket.Open(bucket.Config{URL: url}, fake.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// noise is n bytes that are the same each time.
func noise(n int) []byte {
	data := make([]byte, n)
	r := rand.NewChaCha8([32]byte{7})
	_, _ = r.Read(data)
	return data
}

func write(t *testing.T, b *bucket.Bucket, name string, data []byte) bucket.File {
	t.Helper()
	f, err := b.Write(t.Context(), tenant, name, "video/mp4", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWhatIsWrittenIsReadAgainInWholeAndInParts(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bucket.Bucket) {
		for _, n := range []int{0, 10, 5<<20 + 123} { // more than one chunk
			data, name := noise(n), "videos/"+string(rune('a'+n%26))+".mp4"
			f := write(t, b, name, data)
			if stat, err := b.Stat(t.Context(), tenant, name); err != nil || stat != f || f.Size != int64(n) || f.Name != name {
				t.Errorf("%d bytes: stat %+v, written %+v, %v", n, stat, f, err)
			}
			r, err := b.Read(t.Context(), tenant, f)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes: read %d, %v", n, len(got), err)
			}
			_ = r.Close()
			w, err := b.Window(t.Context(), tenant, f)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				continue
			}
			for _, at := range []int{0, n / 2, n - 5, 3} {
				part := make([]byte, 5)
				if _, err := w.ReadAt(part, int64(at)); err != nil || !bytes.Equal(part, data[at:at+5]) {
					t.Errorf("at %d of %d: %v", at, n, err)
				}
			}
			if k, err := w.ReadAt(make([]byte, 10), int64(n-4)); k != 4 || !errors.Is(err, io.EOF) {
				t.Errorf("beyond the end: %d, %v", k, err)
			}
		}
	})
}

func TestNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bucket.Bucket) {
		f := write(t, b, "videos/a.mp4", []byte("first"))
		if _, err := b.Write(t.Context(), tenant, "videos/a.mp4", "video/mp4", strings.NewReader("second")); !errors.Is(err, bucket.ErrExists) {
			t.Errorf("a second write: %v", err)
		}
		r, err := b.Read(t.Context(), tenant, f)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got, _ := io.ReadAll(r); string(got) != "first" {
			t.Errorf("it holds %q", got)
		}
	})
}

var errCut = errors.New("the line is dead")

func TestAWriteThatIsCutOffLeavesNothing(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bucket.Bucket) {
		cut := io.MultiReader(bytes.NewReader(noise(5<<20)), failing{})
		if _, err := b.Write(t.Context(), tenant, "cut.mp4", "video/mp4", cut); !errors.Is(err, errCut) {
			t.Errorf("the reader's own error is %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := io.MultiReader(bytes.NewReader(noise(3<<20)), after(cancel), bytes.NewReader(noise(3<<20)))
		if _, err := b.Write(ctx, tenant, "cut.mp4", "video/mp4", gone); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who left: %v", err)
		}
		if _, err := b.Stat(t.Context(), tenant, "cut.mp4"); !errors.Is(err, bucket.ErrNone) {
			t.Errorf("something is there: %v", err)
		}
	})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCut }

type after func()

func (f after) Read([]byte) (int, error) { f(); return 0, io.EOF }

func TestATenantReachesItsOwnFilesOnly(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bucket.Bucket) {
		f := write(t, b, "videos/a.mp4", []byte("mine"))
		if _, err := b.Stat(t.Context(), other, f.Name); !errors.Is(err, bucket.ErrNone) {
			t.Errorf("another tenant finds it: %v", err)
		}
		for _, name := range []string{"", ".", "..", "../" + tenant + "/videos/a.mp4", "/etc/passwd", "a//b", "a/", "a/../b", ".hidden", "a%2e", `a\b`, "a\x00", "a\n", strings.Repeat("x", 2000), "a?b", "a#1", "\xff"} {
			_, stat := b.Stat(t.Context(), tenant, name)
			_, written := b.Write(t.Context(), tenant, name, "video/mp4", strings.NewReader("x"))
			removed := b.Remove(t.Context(), tenant, name)
			_, read := b.Read(t.Context(), tenant, bucket.File{Name: name})
			_, window := b.Window(t.Context(), tenant, bucket.File{Name: name})
			for _, err := range []error{stat, written, removed, read, window} {
				if !errors.Is(err, bucket.ErrOdd) {
					t.Errorf("the name %q: %v", name, err)
				}
			}
			if _, err := b.Stat(t.Context(), "../"+tenant, "a"); !errors.Is(err, bucket.ErrOdd) {
				t.Errorf("an odd tenant: %v", err)
			}
		}
	})
}

func TestAnAddressIsTakenFromTheTenantsPrefixOnly(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bucket.Bucket) {
		own := b.Prefix(tenant)
		if name, err := b.Name(tenant, b.URI(tenant, "videos/a b.mp4")); err != nil || name != "videos/a b.mp4" {
			t.Errorf("its own: %q, %v", name, err)
		}
		for uri, want := range map[string]error{
			b.URI(other, "a.mp4"): bucket.ErrForeign, "gs://elsewhere/tenants/" + tenant + "/a.mp4": bucket.ErrForeign,
			strings.ToUpper(own[:5]) + own[5:] + "a.mp4": bucket.ErrOdd, strings.Replace(own, "6f1c", "6F1C", 1) + "a.mp4": bucket.ErrForeign,
			own: bucket.ErrOdd, own + "../" + other + "/a.mp4": bucket.ErrOdd, own + "%2e%2e/a.mp4": bucket.ErrOdd, own + "./a.mp4": bucket.ErrOdd,
			own + "a//b": bucket.ErrOdd, "https://storage.googleapis.com/x": bucket.ErrOdd, "file:///etc/passwd": bucket.ErrOdd, "": bucket.ErrOdd,
			"gs://": bucket.ErrOdd, own + "a\r\nb": bucket.ErrOdd, own + "a\u200bb": bucket.ErrOdd, "gs:/" + own[5:] + "a": bucket.ErrOdd, own + `..\a`: bucket.ErrOdd,
		} {
			if _, err := b.Name(tenant, uri); !errors.Is(err, want) {
				t.Errorf("%q: %v, want %v", uri, err, want)
			}
		}
	})
}

func TestWhatWasReplacedOrDeletedIsNotRead(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bucket.Bucket) {
		f := write(t, b, "a.mp4", []byte("first"))
		if err := b.Remove(t.Context(), tenant, "a.mp4"); err != nil {
			t.Fatal(err)
		}
		if err := b.Remove(t.Context(), tenant, "a.mp4"); err != nil {
			t.Errorf("removing it again: %v", err)
		}
		again := write(t, b, "a.mp4", []byte("other"))
		if again.Generation == f.Generation {
			t.Errorf("two states are one: %+v", again)
		}
		if _, err := b.Read(t.Context(), tenant, f); !errors.Is(err, bucket.ErrNone) {
			t.Errorf("the first is read: %v", err)
		}
		w, err := b.Window(t.Context(), tenant, f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.ReadAt(make([]byte, 1), 0); !errors.Is(err, bucket.ErrNone) {
			t.Errorf("the first is read in part: %v", err)
		}
	})
}

func TestALinkOutOfTheFolderLeadsNowhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	own := filepath.Join(dir, "tenants", tenant)
	theirs := filepath.Join(dir, "tenants", other)
	for _, err := range []error{
		os.WriteFile(secret, []byte("secret"), 0o600), os.MkdirAll(own, 0o700), os.MkdirAll(theirs, 0o700),
		os.WriteFile(filepath.Join(theirs, "a.mp4"), []byte("theirs"), 0o600),
		os.Symlink(secret, filepath.Join(own, "out.mp4")), os.Symlink("../"+other+"/a.mp4", filepath.Join(own, "across.mp4")),
		os.Symlink("../"+other, filepath.Join(own, "folder")), os.Mkdir(filepath.Join(own, "dir.mp4"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	b := open(t, "file://"+filepath.ToSlash(dir), fakebucket.New(t))
	for _, name := range []string{"out.mp4", "across.mp4", "folder/a.mp4", "dir.mp4", "out.mp4/a"} {
		if _, err := b.Stat(t.Context(), tenant, name); !errors.Is(err, bucket.ErrNone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Write(t.Context(), tenant, "folder/b.mp4", "video/mp4", strings.NewReader("x")); err == nil {
		t.Error("it is written through a link")
	}
	if _, err := os.Stat(filepath.Join(theirs, "b.mp4")); err == nil {
		t.Error("the other tenant has a file more")
	}
}

func TestRemovingAFileRemovesWhatAKilledWriteHasLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own := filepath.Join(dir, "tenants", tenant, "videos")
	if err := os.MkdirAll(own, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".part-a.mp4-ONE", ".part-a.mp4-TWO", ".part-b.mp4-ONE"} {
		if err := os.WriteFile(filepath.Join(own, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := open(t, "file://"+filepath.ToSlash(dir), fakebucket.New(t))
	if err := b.Remove(t.Context(), tenant, "videos/a.mp4"); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(own, ".*")); err != nil || len(left) != 1 || filepath.Base(left[0]) != ".part-b.mp4-ONE" {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestASettingThatNamesNoBucketIsRefused(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "videos", "gs://", "gs://UPPER", "gs://b/folder", "/tmp/videos", "file://host/x", "file:///", "s3://bucket", "file:///x?y", "http://x"} {
		if _, err := bucket.Open(bucket.Config{URL: url}); err == nil {
			t.Errorf("%q is a bucket", url)
		}
	}
}
