// Package bucket stores tenants' files: in a Cloud Storage bucket, or in a folder
// that behaves like one. A file has a name under its tenant's own prefix, is
// written once, whole or not at all, and never overwritten. No call takes a path:
// a tenant and a name are all there is, so one tenant cannot name another's file.
package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/api/option"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// Config says where files are stored.
type Config struct {
	// Where videos are stored: gs://bucket, or file:///folder on one machine.
	URL string `env:"VIDEO_BUCKET, required"`
}

// What a caller does something about; other troubles are faults of the kind
// Unavailable.
var (
	// ErrExists is returned where a file of that name is there already.
	ErrExists = errors.New("a file of this name exists")
	// ErrNone is returned where there is no such file, or not in the state that
	// was asked for: it was replaced or deleted.
	ErrNone = errors.New("there is no such file")
	// ErrForeign is returned for an address outside of the tenant's prefix.
	ErrForeign = errors.New("is not under your organisation's own prefix")
	// ErrOdd is returned for an address that no file of ours has.
	ErrOdd = errors.New("must be gs://bucket/tenants/<tenant_id>/<name>, where the name's parts do not begin with a dot and hold none of % \\ ? # * [ ] or control characters")
)

// File is what is known of a file.
type File struct {
	Name string // under its tenant's prefix
	Size int64  // bytes
	// Generation tells the states of one name apart: a file that somebody
	// replaced has another.
	Generation int64
}

// store is where files really are. A path is prefix and name.
type store interface {
	write(ctx context.Context, path, contentType string, r io.Reader) (File, error)
	stat(ctx context.Context, path string) (File, error)
	// read returns length bytes from offset on, or all of it for -1.
	read(ctx context.Context, path string, generation, offset, length int64) (io.ReadCloser, error)
	remove(ctx context.Context, path string) error
	ping(ctx context.Context) error
}

// Bucket stores files. It is safe for concurrent use.
type Bucket struct {
	name     string
	cloud    bool
	store    store
	patience time.Duration
}

var bucketURL = regexp.MustCompile(`^gs://([a-z0-9][a-z0-9._-]+[a-z0-9])/?$`)

// longestName is how many characters a bucket's name has at most.
const longestName = 222

// folderBucket is what a folder calls itself where a bucket has its name.
const folderBucket = "local"

// Open returns the bucket that cfg names; it is reached when first used. opts are
// for a Cloud Storage client.
func Open(cfg Config, opts ...option.ClientOption) (*Bucket, error) {
	if name := bucketURL.FindStringSubmatch(cfg.URL); name != nil && len(name[1]) <= longestName {
		return &Bucket{name: name[1], cloud: true, store: newCloud(name[1], opts), patience: patience}, nil
	}
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "file" || u.Host != "" || len(u.Path) < 2 || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("VIDEO_BUCKET must be gs://bucket or file:///folder")
	}
	return &Bucket{name: folderBucket, store: newFolder(u.Path), patience: patience}, nil
}

// Cloud reports whether the files' addresses mean anything to Google.
func (b *Bucket) Cloud() bool { return b.cloud }

// URI is the address of a tenant's file.
func (b *Bucket) URI(tenant, name string) string { return b.Prefix(tenant) + name }

// Prefix is what the addresses of all of a tenant's files begin with.
func (b *Bucket) Prefix(tenant string) string { return "gs://" + b.name + "/" + prefix(tenant) }

// Name returns the name of the tenant's file with that address. The error is
// ErrOdd or ErrForeign.
func (b *Bucket) Name(tenant, uri string) (string, error) {
	rest, ok := strings.CutPrefix(uri, "gs://")
	if !ok || !plain(rest) {
		return "", ErrOdd
	}
	name, ok := strings.CutPrefix(uri, b.Prefix(tenant))
	if !ok {
		return "", ErrForeign
	}
	return name, nil
}

func prefix(tenant string) string { return "tenants/" + tenant + "/" }

// maxPath is a little less than the longest name of an object, in bytes.
const maxPath = 1000

// plain reports whether nothing in a path could mean anything else than itself,
// to any file system, shell or URL.
func plain(path string) bool {
	if path == "" || len(path) > maxPath || !utf8.ValidString(path) {
		return false
	}
	if strings.ContainsAny(path, `%\?#*[]`) || strings.ContainsFunc(path, func(r rune) bool { return unicode.IsControl(r) || !unicode.IsPrint(r) }) {
		return false
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part[0] == '.' {
			return false
		}
	}
	return true
}

func path(tenant, name string) (string, error) {
	if !plain(tenant) || strings.Contains(tenant, "/") || !plain(name) {
		return "", ErrOdd
	}
	return prefix(tenant) + name, nil
}

// Write stores what r yields as the tenant's file. It is there as a whole when
// Write returns nil, and not at all when r fails or ctx ends. An error of r is
// returned as it is.
func (b *Bucket) Write(ctx context.Context, tenant, name, contentType string, r io.Reader) (File, error) {
	p, err := path(tenant, name)
	if err != nil {
		return File{}, err
	}
	from := &source{r: r}
	f, err := b.store.write(ctx, p, contentType, from)
	if from.err != nil {
		return File{}, from.err
	}
	f.Name = name
	return f, down(ctx, "write a file", err)
}

// Stat looks the tenant's file up.
func (b *Bucket) Stat(ctx context.Context, tenant, name string) (File, error) {
	p, err := path(tenant, name)
	if err != nil {
		return File{}, err
	}
	f, err := b.store.stat(ctx, p)
	f.Name = name
	return f, down(ctx, "look a file up", err)
}

// Read returns the whole of the tenant's file, as it was when f was returned.
func (b *Bucket) Read(ctx context.Context, tenant string, f File) (io.ReadCloser, error) {
	p, err := path(tenant, f.Name)
	if err != nil {
		return nil, err
	}
	r, err := b.store.read(ctx, p, f.Generation, 0, -1)
	return r, down(ctx, "read a file", err)
}

// Remove deletes the tenant's file; that it is not there is no error.
func (b *Bucket) Remove(ctx context.Context, tenant, name string) error {
	p, err := path(tenant, name)
	if err != nil {
		return err
	}
	if err := b.store.remove(ctx, p); err != nil && !errors.Is(err, ErrNone) {
		return down(ctx, "remove a file", err)
	}
	return nil
}

// Ping reports whether the bucket answers.
func (b *Bucket) Ping(ctx context.Context) error {
	return down(ctx, "ask for the bucket", b.store.ping(ctx))
}

// source records how a reader failed.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// down gives a trouble of the store's own its kind.
func down(ctx context.Context, doing string, err error) error {
	switch {
	case err == nil, errors.Is(err, ErrExists), errors.Is(err, ErrNone):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	return fault.Down("the video store does not answer", fmt.Errorf("%s: %w", doing, err))
}
