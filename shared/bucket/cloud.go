package bucket

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	// The JSON API alone: cloud.google.com/go/storage links gRPC with xDS, which
	// is 13 MB more in each program that stores a video.
	"google.golang.org/api/storage/v1"
)

const (
	// chunk is how much of an upload is in memory to be sent again if need be.
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
	client *storage.Service
}

func newCloud(name string, opts []option.ClientOption) *cloud {
	return &cloud{name: name, opts: opts, patience: patience}
}

// objects makes the client on first use, and anew where that failed.
func (c *cloud) objects() (*storage.ObjectsService, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil {
		client, err := storage.NewService(context.Background(), c.opts...)
		if err != nil {
			return nil, fmt.Errorf("make a Cloud Storage client: %w", err)
		}
		c.client = client
	}
	return c.client.Objects, nil
}

// write uploads in resumable chunks. The condition that there is nothing yet
// makes every try of it safe.
func (c *cloud) write(ctx context.Context, path, contentType string, r io.Reader) (File, error) {
	objects, err := c.objects()
	if err != nil {
		return File{}, err
	}
	ctx, abandon := context.WithCancel(ctx)
	defer abandon()
	body := newUpload(r, c.patience, abandon)
	defer body.late.Stop()
	o, err := objects.Insert(c.name, &storage.Object{Name: path, ContentType: contentType}).IfGenerationMatch(0).
		Media(body, googleapi.ContentType(contentType), googleapi.ChunkSize(chunk), googleapi.EnableAutoChecksum(),
			googleapi.ChunkRetryDeadline(chunkPatience), googleapi.ChunkTransferTimeout(chunkStall)).
		WithRetry(&gax.Backoff{Initial: firstWait, Max: longestWait}, retries()).Context(ctx).Do()
	if hasStatus(err, http.StatusPreconditionFailed) {
		return c.arrived(ctx, objects, path, body)
	}
	if err != nil {
		return File{}, err
	}
	if !body.is(o) {
		_ = c.remove(ctx, path)
		return File{}, fmt.Errorf("the store has %d bytes with another checksum than the %d that were sent", o.Size, body.size)
	}
	return describe(o), nil
}

// arrived looks whether what exists is what was just sent: the answer to the
// first try may have been lost.
func (c *cloud) arrived(ctx context.Context, objects *storage.ObjectsService, path string, body *upload) (File, error) {
	o, err := again(ctx, objects.Get(c.name, path).Context(ctx).Do)
	if err != nil {
		return File{}, err
	}
	if !body.is(o) {
		return File{}, ErrExists
	}
	return describe(o), nil
}

func (c *cloud) stat(ctx context.Context, path string) (File, error) {
	objects, err := c.objects()
	if err != nil {
		return File{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	o, err := again(ctx, objects.Get(c.name, path).Context(ctx).Do)
	if err != nil {
		return File{}, absent(err)
	}
	return describe(o), nil
}

func (c *cloud) remove(ctx context.Context, path string) error {
	objects, err := c.objects()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	// Deleting an object that is gone is no error, so every try of it is safe.
	_, err = again(ctx, func(opts ...googleapi.CallOption) (struct{}, error) {
		return struct{}{}, objects.Delete(c.name, path).Context(ctx).Do(opts...)
	})
	return absent(err)
}

// ping lists one object, which is what the function's own role may do.
func (c *cloud) ping(ctx context.Context) error {
	objects, err := c.objects()
	if err != nil {
		return err
	}
	_, err = again(ctx, objects.List(c.name).Prefix("tenants/").MaxResults(1).Fields("items/name").Context(ctx).Do)
	return err
}

func describe(o *storage.Object) File {
	return File{Size: int64(o.Size), Generation: o.Generation}
}

// absent is ErrNone in place of an answer that an object is not there.
func absent(err error) error {
	if hasStatus(err, http.StatusNotFound) {
		return ErrNone
	}
	return err
}

func hasStatus(err error, status int) bool {
	var api *googleapi.Error
	return errors.As(err, &api) && api.Code == status
}

// upload is the body of a write. It counts and sums the bytes that the client
// reads, and gives the write up when the store lets it wait for too long: the
// client reads on once the store has a chunk.
type upload struct {
	r        io.Reader
	size     int64
	sum      hash.Hash32
	patience time.Duration
	late     *time.Timer
}

func newUpload(r io.Reader, patience time.Duration, giveUp func()) *upload {
	return &upload{r: r, sum: crc32.New(castagnoli), patience: patience, late: time.AfterFunc(chunkPatience+patience, giveUp)}
}

func (u *upload) Read(p []byte) (int, error) {
	u.late.Stop() // while the caller's reader is at work, the store is not late
	n, err := u.r.Read(p)
	u.size += int64(n)
	u.sum.Write(p[:n])
	if errors.Is(err, io.EOF) {
		u.late.Reset(u.patience)
	} else {
		u.late.Reset(chunkPatience + u.patience)
	}
	return n, err
}

// is reports whether o has the bytes that were read.
func (u *upload) is(o *storage.Object) bool {
	return o.Size == uint64(u.size) && o.Crc32c == encode(u.sum)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode writes a checksum as Cloud Storage does.
func encode(sum hash.Hash32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
}
