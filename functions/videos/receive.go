package videos

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/video"
)

const (
	// maxName is how many characters of a file's name are kept.
	maxName = 200
	// maxJSON bounds a body that names an object.
	maxJSON = 16 << 10
)

// incoming is a multipart request whose file is read as it arrives; it is the
// reader of that file.
type incoming struct {
	parts *multipart.Reader
	file  *bufio.Reader
	sum   hash.Hash // of the file, as far as it was read
	kind  video.Type
	name  string
}

// receive reads up to the file's beginning, which says what it is.
func (f *function) receive(w http.ResponseWriter, r *http.Request, boundary string) (*incoming, error) {
	limit, tenant := f.limits.MaxRequest, auth.From(r.Context()).Tenant
	if r.ContentLength > limit {
		return nil, f.tooLarge(tenant, &http.MaxBytesError{Limit: limit})
	}
	in := &incoming{parts: multipart.NewReader(http.MaxBytesReader(w, r.Body, limit), boundary), sum: sha256.New()}
	part, err := in.parts.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fault.Field("body.file", "is missing: send the video in the part file")
	case err != nil:
		return nil, f.tooLarge(tenant, interrupted(err))
	case part.FormName() != "file":
		return nil, unknown(part.FormName(), "file")
	}
	in.name = shortName(part.FileName())
	in.file = bufio.NewReaderSize(io.TeeReader(part, in.sum), video.SniffLen)
	head, err := in.file.Peek(video.SniffLen)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, f.tooLarge(tenant, interrupted(err))
	}
	if len(head) == 0 {
		return nil, fault.Field("body.file", "is empty")
	}
	if in.kind, err = video.Sniff(head); err != nil {
		return nil, unfit("body.file", err)
	}
	return in, nil
}

// Read reads the file.
func (in *incoming) Read(p []byte) (int, error) {
	n, err := in.file.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = interrupted(err)
	}
	return n, err
}

// finish refuses parts behind the file.
func (in *incoming) finish() error {
	part, err := in.parts.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return interrupted(err)
	case part.FormName() == "file":
		return fault.Field("body.file", "is there twice: send one video at a time")
	}
	return unknown(part.FormName(), "file")
}

// unknown refuses a part or member that is not the only one there is to send; it is
// named where its name can be shown.
func unknown(name, only string) error {
	if name == "" || len(name) > 100 || strings.ContainsFunc(name, unicode.IsControl) {
		return fault.Field("body", "holds what is not known here: send "+only+", and nothing else")
	}
	return fault.Field("body."+name, "is not known here: send "+only+", and nothing else")
}

// shortName keeps of a file's name what can be shown.
func shortName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	kept := []rune(strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))))
	return string(kept[:min(len(kept), maxName)])
}

// interrupted says what became of an upload that cannot be read.
func interrupted(err error) error {
	var (
		large *http.MaxBytesError
		slow  interface {
			error
			GetStatus() int
		}
	)
	switch {
	case errors.As(err, &large):
		return err
	case errors.As(err, &slow) && slow.GetStatus() == http.StatusRequestTimeout:
		return err
	}
	return serve.Problem(http.StatusBadRequest, "the upload was cut off or is not well-formed multipart/form-data")
}

// readURI reads the body {"gcs_uri": "gs://..."}, strictly.
func readURI(w http.ResponseWriter, r *http.Request) (string, error) {
	data, err := serve.ReadBody(w, r, maxJSON)
	if err != nil {
		return "", interrupted(err)
	}
	var members map[string]json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&members); err != nil || members == nil {
		if json.Valid(data) {
			return "", fault.Field("body", "must be an object with gcs_uri")
		}
		return "", serve.Problem(http.StatusBadRequest, "body: is not valid JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", serve.Problem(http.StatusBadRequest, "body: is not valid JSON")
	}
	raw, there := members["gcs_uri"]
	delete(members, "gcs_uri")
	var uri string
	switch {
	case !there:
		return "", fault.Field("body.gcs_uri", "is required")
	case len(members) > 0:
		return "", unknown(slices.Min(slices.Collect(maps.Keys(members))), "gcs_uri")
	case json.Unmarshal(raw, &uri) != nil || uri == "":
		return "", fault.Field("body.gcs_uri", "must be a text such as gs://bucket/tenants/<tenant_id>/video.mp4")
	}
	return uri, nil
}
