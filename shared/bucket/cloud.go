package bucket

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"sync"
	"time"

	"cloud.google.com/go/storage"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
)

const (
	// chunk is how much of an upload is held to be sent again if need be.
	chunk = 2 << 20
	// chunkPatience bounds one chunk's tries, and chunkStall one of them.
	chunkPatience = 30 * time.Second
	chunkStall    = 15 * time.Second
	tries         = 4
	// patience bounds a question, the last answer to an upload, and a part that is read.
	patience = 20 * time.Second
)

// cloud is a Cloud Storage bucket.
type cloud struct {
	name     string
	opts     []option.ClientOption
	patience time.Duration

	mu     sync.Mutex
	client *storage.Client
}

func newCloud(name string, opts []option.ClientOption) *cloud {
	return &cloud{name: name, opts: opts, patience: patience}
}

// bucket makes the client on first use, and anew where that failed.
func (c *cloud) bucket() (*storage.BucketHandle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil {
		client, err := storage.NewClient(context.Background(), append([]option.ClientOption{storage.WithJSONReads()}, c.opts...)...)
		if err != nil {
			return nil, fmt.Errorf("make a Cloud Storage client: %w", err)
		}
		client.SetRetry(storage.WithBackoff(gax.Backoff{Initial: 200 * time.Millisecond, Max: 5 * time.Second}),
			storage.WithMaxAttempts(tries))
		c.client = client
	}
	return c.client.Bucket(c.name), nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// write uploads in resumable chunks. The condition that there is nothing yet
// makes every try of it safe.
func (c *cloud) write(ctx context.Context, path, contentType string, r io.Reader) (File, error) {
	b, err := c.bucket()
	if err != nil {
		return File{}, err
	}
	ctx, abandon := context.WithCancel(ctx)
	defer abandon() // before Close, it leaves nothing behind
	sum := crc32.New(castagnoli)
	w := b.Object(path).If(storage.Conditions{DoesNotExist: true}).NewWriter(ctx)
	w.ChunkSize, w.ChunkRetryDeadline, w.ChunkTransferTimeout = chunk, chunkPatience, chunkStall
	w.ContentType = contentType
	size, err := io.Copy(w, io.TeeReader(r, sum))
	if err != nil {
		return File{}, known(err)
	}
	late := time.AfterFunc(c.patience, abandon) // all is sent, and one answer is to come
	defer late.Stop()
	if err := w.Close(); err != nil {
		if err = known(err); errors.Is(err, ErrExists) {
			return c.arrived(ctx, b, path, size, sum.Sum32())
		}
		return File{}, err
	}
	attrs := w.Attrs()
	if attrs.Size != size || attrs.CRC32C != sum.Sum32() {
		_ = c.remove(ctx, path)
		return File{}, fmt.Errorf("the store has %d bytes with another checksum than the %d that were sent", attrs.Size, size)
	}
	return File{Size: attrs.Size, Generation: attrs.Generation}, nil
}

// arrived looks whether what exists is what was just sent: the answer to the
// first try may have been lost.
func (c *cloud) arrived(ctx context.Context, b *storage.BucketHandle, path string, size int64, sum uint32) (File, error) {
	attrs, err := b.Object(path).Attrs(ctx)
	if err != nil {
		return File{}, known(err)
	}
	if attrs.Size != size || attrs.CRC32C != sum {
		return File{}, ErrExists
	}
	return File{Size: attrs.Size, Generation: attrs.Generation}, nil
}

func (c *cloud) stat(ctx context.Context, path string) (File, error) {
	b, err := c.bucket()
	if err != nil {
		return File{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	attrs, err := b.Object(path).Attrs(ctx)
	if err != nil {
		return File{}, known(err)
	}
	return File{Size: attrs.Size, Generation: attrs.Generation}, nil
}

func (c *cloud) read(ctx context.Context, path string, generation, offset, length int64) (io.ReadCloser, error) {
	b, err := c.bucket()
	if err != nil {
		return nil, err
	}
	r, err := b.Object(path).Generation(generation).NewRangeReader(ctx, offset, length)
	if err != nil {
		return nil, known(err)
	}
	return r, nil
}

func (c *cloud) remove(ctx context.Context, path string) error {
	b, err := c.bucket()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	// Deleting what is gone is no error, so every try of it is safe.
	return known(b.Object(path).Retryer(storage.WithPolicy(storage.RetryAlways)).Delete(ctx))
}

// ping lists one object, which is what the function's own role may do.
func (c *cloud) ping(ctx context.Context) error {
	b, err := c.bucket()
	if err != nil {
		return err
	}
	query := &storage.Query{Prefix: "tenants/"}
	_ = query.SetAttrSelection([]string{"Name"}) // it is a field
	it := b.Objects(ctx, query)
	it.PageInfo().MaxSize = 1
	if _, err := it.Next(); err != nil && !errors.Is(err, iterator.Done) {
		return known(err)
	}
	return nil
}

// known puts Cloud Storage's errors into ours.
func known(err error) error {
	var api *googleapi.Error
	switch {
	case errors.Is(err, storage.ErrObjectNotExist):
		return ErrNone
	case errors.As(err, &api) && api.Code == http.StatusPreconditionFailed:
		return ErrExists
	}
	return err
}
