package gemini

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/genai"
)

const (
	// uploads is the name of the breaker that all uploads share.
	uploads = "files"
	// uploadLimit is how long sending a file and its being read may take.
	uploadLimit = 5 * time.Minute
	// firstLook is when an uploaded file is first asked after; each wait is half as
	// long again as the one before.
	firstLook = 300 * time.Millisecond
	maxLook   = 5 * time.Second
)

// Upload sends a file to the Files API and waits until it can be used in a
// request. Google keeps it 48 hours; Delete removes it before. Vertex has no such
// thing, and reads gs:// addresses: there it is errors.ErrUnsupported.
func (c *Client) Upload(ctx context.Context, tenant, name, mimeType string, r io.Reader) (Part, error) {
	if c.vertex {
		return Part{}, fmt.Errorf("upload to Vertex AI, which reads gs:// addresses: %w", errors.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, uploadLimit)
	defer cancel()
	file, err := c.send(ctx, name, mimeType, r)
	if err != nil {
		return Part{}, err
	}
	p := Part{URI: file.URI, MIMEType: mimeType}
	if err := c.ready(ctx, file); err != nil {
		c.takeBack(ctx, tenant, p)
		return Part{}, err
	}
	return p, nil
}

// ready waits until a file can be used.
func (c *Client) ready(ctx context.Context, file *genai.File) (err error) {
	for wait := firstLook; file.State != genai.FileStateActive; wait = min(wait*3/2, maxLook) {
		if file.State == genai.FileStateFailed {
			return &Refused{Reason: "INVALID_ARGUMENT"}
		}
		select {
		case <-ctx.Done():
			return (&failure{text: "no answer in time"}).public(uploads)
		case <-time.After(wait):
		}
		if file, err = c.look(ctx, file.Name); err != nil {
			return err
		}
	}
	return nil
}

// takeBackFor bounds how long is spent on removing what nobody can use.
const takeBackFor = 5 * time.Second

// takeBack removes a file whose caller never hears of it.
func (c *Client) takeBack(ctx context.Context, tenant string, p Part) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackFor)
	defer cancel()
	if err := c.Delete(ctx, p); err != nil {
		slog.WarnContext(ctx, "gemini: an uploaded file that cannot be used stays for two days", "tenant", tenant, "error", err.Error())
	}
}

// send uploads once: what r reserved is gone after that.
func (c *Client) send(ctx context.Context, name, mimeType string, r io.Reader) (file *genai.File, err error) {
	f := c.once(ctx, uploads, uploadLimit, func(ctx context.Context) (err error) {
		file, err = c.api.Files.Upload(ctx, r, &genai.UploadFileConfig{MIMEType: mimeType, DisplayName: name})
		if err == nil && (file == nil || file.Name == "" || file.URI == "") {
			return errors.New("no file")
		}
		return err
	})
	if f != nil {
		return nil, f.public(uploads)
	}
	return file, nil
}

func (c *Client) look(ctx context.Context, name string) (file *genai.File, err error) {
	_, err = c.call(ctx, uploads, embedLimit, embedTry, func(ctx context.Context) (err error) {
		file, err = c.api.Files.Get(ctx, name, nil)
		if err == nil && file.URI == "" {
			return errors.New("no file")
		}
		return err
	})
	return file, err
}

// Delete removes an uploaded file from Google's side. What cannot be removed goes
// by itself after 48 hours.
func (c *Client) Delete(ctx context.Context, p Part) error {
	_, id, ok := strings.Cut(p.URI, "/files/")
	if !ok {
		return nil // not one of theirs
	}
	_, err := c.call(ctx, uploads, embedLimit, embedTry, func(ctx context.Context) error {
		_, err := c.api.Files.Delete(ctx, "files/"+id, nil) // of a whole URI genai takes an id with a dash apart
		return err
	})
	return err
}
