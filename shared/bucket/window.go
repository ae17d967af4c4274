package bucket

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// blockSize is how much is fetched at a time: the heads of most videos are in one.
const blockSize = 256 << 10

// maxBlocks is how many blocks are kept.
const maxBlocks = 4

// Window reads a file here and there, fetching and keeping a few blocks of it. It
// is for one goroutine.
type Window struct {
	ctx      context.Context //nolint:containedctx // io.ReaderAt has no place for one
	fetch    func(ctx context.Context, offset, length int64) (io.ReadCloser, error)
	patience time.Duration // for one block
	size     int64
	blocks   []block // the one that was used last at the end
}

type block struct {
	at   int64
	data []byte
}

// Window returns a reader of the tenant's file, as it was when f was returned.
// Its errors are those of Read; ctx bounds them all.
func (b *Bucket) Window(ctx context.Context, tenant string, f File) (*Window, error) {
	p, err := path(tenant, f.Name)
	if err != nil {
		return nil, err
	}
	return &Window{
		ctx: ctx, size: f.Size, patience: b.patience,
		fetch: func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
			return b.store.read(ctx, p, f.Generation, offset, length)
		},
	}, nil
}

// ReadAt is io.ReaderAt's.
func (w *Window) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) {
		if at >= w.size {
			return n, io.EOF
		}
		b, err := w.block(at / blockSize * blockSize)
		if err != nil {
			return n, err
		}
		copied := copy(p[n:], b.data[at-b.at:])
		n, at = n+copied, at+int64(copied)
	}
	return n, nil
}

func (w *Window) block(at int64) (block, error) {
	if i := slices.IndexFunc(w.blocks, func(b block) bool { return b.at == at }); i >= 0 {
		b := w.blocks[i]
		w.blocks = append(slices.Delete(w.blocks, i, i+1), b)
		return b, nil
	}
	length := min(blockSize, w.size-at)
	ctx, cancel := context.WithTimeout(w.ctx, w.patience)
	defer cancel()
	r, err := w.fetch(ctx, at, length)
	if err != nil {
		return block{}, down(w.ctx, "read a part of a file", err)
	}
	defer r.Close()
	data := make([]byte, length)
	if _, err := io.ReadFull(r, data); err != nil {
		return block{}, down(w.ctx, "read a part of a file", fmt.Errorf("%d bytes at %d: %w", length, at, err))
	}
	if len(w.blocks) == maxBlocks {
		w.blocks = slices.Delete(w.blocks, 0, 1)
	}
	b := block{at, data}
	w.blocks = append(w.blocks, b)
	return b, nil
}
