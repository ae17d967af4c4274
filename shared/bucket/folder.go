package bucket

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// folder is a directory that behaves like a bucket. Nothing leaves it or a
// tenant's part of it, not through a symbolic link either: os.Root sees to that.
type folder struct{ dir string }

func newFolder(dir string) *folder { return &folder{dir} }

// open returns the tenant's part and the name in it. Only writing makes it.
func (f *folder) open(path string, making bool) (root *os.Root, name string, err error) {
	parts := strings.SplitN(path, "/", 3) // tenants, tenant, name
	own := filepath.Join(parts[0], parts[1])
	if making {
		if err := os.MkdirAll(f.dir, 0o700); err != nil {
			return nil, "", err
		}
	}
	all, err := os.OpenRoot(f.dir)
	if err != nil {
		return nil, "", err
	}
	defer all.Close()
	if making {
		if err := all.MkdirAll(own, 0o700); err != nil {
			return nil, "", err
		}
	}
	root, err = all.OpenRoot(own)
	return root, parts[2], err
}

// write fills a file beside the others and gives it its name when it is whole.
func (f *folder) write(ctx context.Context, path, _ string, r io.Reader) (File, error) {
	root, name, err := f.open(path, true)
	if err != nil {
		return File{}, err
	}
	defer root.Close()
	if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return File{}, err
	}
	part := parts(name) + rand.Text()
	file, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return File{}, err
	}
	defer func() { _ = root.Remove(part) }()
	_, err = io.Copy(file, &bounded{ctx, r})
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return File{}, err
	}
	switch err := root.Link(part, name); { // unlike renaming, it never overwrites
	case errors.Is(err, fs.ErrExist):
		return File{}, ErrExists
	case err != nil:
		return File{}, err
	}
	return found(root, name)
}

// bounded ends with its context.
type bounded struct {
	ctx context.Context //nolint:containedctx // io.Reader has no place for one
	r   io.Reader
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}

func (f *folder) stat(_ context.Context, path string) (File, error) {
	root, name, err := f.open(path, false)
	if err != nil {
		return File{}, none(err)
	}
	defer root.Close()
	return found(root, name)
}

// found looks at a file. A time is its generation, as nothing else changes when
// somebody replaces it.
func found(root *os.Root, name string) (File, error) {
	info, err := root.Stat(name)
	if err != nil {
		return File{}, none(err)
	}
	if !info.Mode().IsRegular() {
		return File{}, ErrNone
	}
	return File{Size: info.Size(), Generation: info.ModTime().UnixNano()}, nil
}

func (f *folder) read(ctx context.Context, path string, generation, offset, length int64) (io.ReadCloser, error) {
	root, name, err := f.open(path, false)
	if err != nil {
		return nil, none(err)
	}
	defer root.Close()
	now, err := found(root, name)
	if err != nil {
		return nil, err
	}
	if now.Generation != generation {
		return nil, ErrNone
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, none(err)
	}
	if length < 0 {
		length = now.Size - offset
	}
	return &slice{io.NewSectionReader(file, offset, length), ctx, file}, nil
}

type slice struct {
	io.Reader
	ctx context.Context //nolint:containedctx // io.Reader has no place for one
	io.Closer
}

func (s *slice) Read(p []byte) (int, error) { return (&bounded{s.ctx, s.Reader}).Read(p) }

func (f *folder) remove(_ context.Context, path string) error {
	root, name, err := f.open(path, false)
	if err != nil {
		return none(err)
	}
	defer root.Close()
	// What a process that was killed had written of it goes, too.
	left, err := fs.Glob(root.FS(), filepath.ToSlash(parts(name))+"*") // a name holds nothing that means more to Glob
	if err != nil {
		return err
	}
	for _, part := range left {
		if err := root.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return none(root.Remove(name))
}

// parts is what the names of a file's parts begin with; no file's own name has a
// part that begins with a dot.
func parts(name string) string {
	return filepath.Join(filepath.Dir(name), ".part-"+filepath.Base(name)+"-")
}

func (f *folder) ping(context.Context) error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("the folder of VIDEO_BUCKET cannot be made: %w", err)
	}
	return nil
}

// none says that a file is not there, whether it is missing or a link that leads
// out of the tenant's part.
func none(err error) error {
	if errors.Is(err, fs.ErrNotExist) || escapes(err) {
		return ErrNone
	}
	return err
}

// escapes reports what os.Root refuses; it says so in words only.
func escapes(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "escapes from parent") || errors.Is(err, fs.ErrInvalid) ||
		strings.Contains(err.Error(), "not a directory"))
}
