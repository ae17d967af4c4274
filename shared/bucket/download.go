package bucket

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
)

// read opens one state of an object. The connection may break: the reader then goes
// on where it was.
func (c *cloud) read(ctx context.Context, path string, generation, offset, length int64) (io.ReadCloser, error) {
	objects, err := c.objects()
	if err != nil {
		return nil, err
	}
	d := &download{ctx: ctx, offset: offset}
	d.open = func() (*http.Response, error) {
		get := objects.Get(c.name, path).Generation(generation).Context(ctx)
		switch {
		case length >= 0:
			get.Header().Set("Range", fmt.Sprintf("bytes=%d-%d", d.offset, offset+length-1))
		case d.offset > 0:
			get.Header().Set("Range", fmt.Sprintf("bytes=%d-", d.offset))
		}
		answer, err := again(ctx, get.Download)
		return answer, absent(err)
	}
	answer, err := d.open()
	if err != nil {
		return nil, err
	}
	d.body = answer.Body
	if offset == 0 && length < 0 && !answer.Uncompressed {
		d.sum, d.want = crc32.New(castagnoli), checksum(answer.Header)
	}
	return d, nil
}

// download reads an object's bytes, and compares the checksum of a whole one.
type download struct {
	ctx    context.Context //nolint:containedctx // io.Reader has no place for one
	open   func() (*http.Response, error)
	body   io.ReadCloser
	offset int64 // of the next byte
	broken int   // connections in a row that brought nothing
	sum    hash.Hash32
	want   string
}

func (d *download) Read(p []byte) (int, error) {
	for {
		n, err := d.body.Read(p)
		if n > 0 {
			d.offset, d.broken = d.offset+int64(n), 0
			if d.sum != nil {
				d.sum.Write(p[:n])
			}
			return n, nil // the body repeats an error
		}
		switch {
		case err == nil:
			return 0, nil
		case errors.Is(err, io.EOF):
			return 0, d.whole()
		case d.ctx.Err() != nil || !stumbled(err) || d.broken == tries:
			return 0, err
		}
		d.broken++
		_ = d.body.Close()
		answer, reopened := d.open()
		if reopened != nil {
			d.body = http.NoBody
			return 0, reopened
		}
		d.body = answer.Body
	}
}

// whole is io.EOF, unless the bytes are not those that were stored.
func (d *download) whole() error {
	if d.sum != nil && d.want != "" && encode(d.sum) != d.want {
		return fmt.Errorf("%d bytes came with another checksum than those that were stored", d.offset)
	}
	return io.EOF
}

func (d *download) Close() error { return d.body.Close() }

// checksum is the stored object's, of the headers of an answer: "" where there is none.
func checksum(h http.Header) string {
	for _, line := range h.Values("X-Goog-Hash") {
		for one := range strings.SplitSeq(line, ",") {
			if sum, ok := strings.CutPrefix(strings.TrimSpace(one), "crc32c="); ok {
				return sum
			}
		}
	}
	return ""
}
