package campaigns

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const (
	// maxBody is about two million rows of an export.
	maxBody = 200 << 20
	// stall is how long an upload may stand still: a transaction waits for it.
	stall = 30 * time.Second
	// ahead is how much has to have arrived before that transaction opens; most
	// reports are there as a whole by then.
	ahead = 1 << 20

	maxAccountID = 128
	maxField     = 1 << 10
)

// limits bound an upload.
type limits struct {
	maxBody int64
	stall   time.Duration
}

// upload is a multipart request whose file is read as it arrives.
type upload struct {
	parts     *multipart.Reader
	file      *bufio.Reader
	sum       hash.Hash
	accountID string
	dryRun    bool
	finished  bool
	show      shows
	// conversionValue is as it was given: its currency is the account's.
	conversionValue, conversionField string

	wire     *http.ResponseController
	stall    time.Duration
	deadline time.Time // of the request
	allowed  time.Time // until when the connection may stay silent
}

// receive reads the fields up to the file.
func receive(w http.ResponseWriter, r *http.Request, l limits) (*upload, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "multipart/form-data" {
		return nil, serve.Problem(http.StatusUnsupportedMediaType, "must be sent as multipart/form-data with the report in the part file")
	}
	if err != nil || params["boundary"] == "" {
		return nil, serve.Problem(http.StatusBadRequest, "the Content-Type multipart/form-data needs a boundary")
	}
	if r.ContentLength > l.maxBody {
		return nil, &http.MaxBytesError{Limit: l.maxBody}
	}
	u := &upload{sum: sha256.New(), wire: http.NewResponseController(w), stall: l.stall}
	u.deadline, _ = r.Context().Deadline()
	u.parts = multipart.NewReader(&patient{http.MaxBytesReader(w, r.Body, l.maxBody), u}, params["boundary"])
	for name, values := range r.URL.Query() {
		if err := u.set("query."+name, name, values[0]); err != nil {
			return nil, err
		}
	}
	if err := u.findFile(); err != nil {
		return nil, err
	}
	fmt.Fprintf(u.sum, "%q %t %q\n", u.accountID, u.dryRun, u.conversionValue)
	return u, nil
}

func (u *upload) findFile() error {
	for {
		part, err := u.parts.NextPart()
		if errors.Is(err, io.EOF) {
			return fault.Field("body.file", "is missing: send the report in the part file")
		}
		if err != nil {
			return broken(err)
		}
		if part.FormName() == "file" {
			u.file = bufio.NewReaderSize(io.TeeReader(part, u.sum), ahead)
			if _, err := u.file.Peek(ahead); err != nil && !errors.Is(err, io.EOF) {
				return broken(err)
			}
			return nil
		}
		value, err := io.ReadAll(io.LimitReader(part, maxField))
		if err != nil {
			return broken(err)
		}
		name := part.FormName()
		if !slices.Contains(parameters, name) {
			return unknownPart(name)
		}
		if err := u.set("body."+name, name, strings.TrimSpace(string(value))); err != nil {
			return err
		}
	}
}

// parameters may stand in the query or in parts before the file.
var parameters = []string{"account_id", "conversion_value", "dry_run"}

func unknownPart(name string) error {
	if name == "" || len(name) > 100 || strings.ContainsFunc(name, unicode.IsControl) {
		return fault.Field("body", "holds a part that is not known here: send account_id, conversion_value, dry_run and file")
	}
	return fault.Field("body."+name, "is not known here: send account_id, conversion_value, dry_run and file")
}

// set takes a parameter from the query or the form. What both say must agree.
func (u *upload) set(field, name, value string) error {
	switch name {
	case "account_id":
		switch {
		case value == "" || len(value) > maxAccountID || strings.ContainsFunc(value, unicode.IsControl):
			return fault.Field(field, fmt.Sprintf("must have 1 to %d characters", maxAccountID))
		case u.accountID != "" && u.accountID != value:
			return fault.Field(field, "differs from the account_id given before")
		}
		u.accountID = value
	case "conversion_value":
		switch n, err := strconv.ParseFloat(value, 64); {
		case err != nil || math.IsNaN(n) || n < 0 || n > 1e9:
			return fault.Field(field, "must be a number from 0 to 1000000000, in units of the account's currency")
		case u.conversionValue != "" && u.conversionValue != value:
			return fault.Field(field, "differs from the conversion_value given before")
		}
		u.conversionValue, u.conversionField = value, field
	case "dry_run":
		dry, err := strconv.ParseBool(value)
		if err != nil {
			return fault.Field(field, "must be true or false")
		}
		u.dryRun = u.dryRun || dry
	}
	return nil
}

// worth returns the conversion_value in the account's money, nil where none is given.
func (u *upload) worth(c money.Currency) (*money.Amount, error) {
	if u.conversionValue == "" {
		return nil, nil
	}
	units, err := strconv.ParseFloat(u.conversionValue, 64)
	if err != nil {
		return nil, err
	}
	amount, err := money.Exact(units, c)
	if err != nil {
		return nil, fault.Field(u.conversionField, fmt.Sprintf("must have at most %d decimals: it is in %s", c.Decimals(), c))
	}
	return &amount, nil
}

// finish reads what is left and refuses parts behind the file.
func (u *upload) finish() error {
	if u.finished {
		return nil
	}
	if _, err := io.Copy(io.Discard, u.file); err != nil {
		return broken(err)
	}
	part, err := u.parts.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		u.finished = true
		return nil
	case err != nil:
		return broken(err)
	case part.FormName() == "file":
		return fault.Field("body.file", "is there twice: send one report at a time")
	case slices.Contains(parameters, part.FormName()):
		return fault.Field("body."+part.FormName(), "must come before the file, or in the query")
	}
	return unknownPart(part.FormName())
}

// hash returns the hash of all that the request says: its parameters and its
// file, not the boundary, which every client makes anew.
func (u *upload) hash() ([]byte, error) {
	if err := u.finish(); err != nil {
		return nil, err
	}
	return u.sum.Sum(nil), nil
}

// fileReader gives the upload's own troubles their status.
type fileReader struct{ src io.Reader }

func (f fileReader) Read(p []byte) (int, error) {
	n, err := f.src.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = broken(err)
	}
	return n, err
}

// broken says what became of an upload that cannot be read.
func broken(err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return serve.Problem(http.StatusRequestTimeout, "the upload stood still for too long: send it again")
	}
	return serve.Problem(http.StatusBadRequest, "the upload was cut off or is not well-formed multipart/form-data")
}

// patient lets the connection be silent for a while, and not for ever.
type patient struct {
	src io.Reader
	*upload
}

func (p *patient) Read(b []byte) (int, error) {
	if now := time.Now(); now.Add(p.stall * 3 / 4).After(p.allowed) {
		p.allowed = now.Add(p.stall)
		if !p.deadline.IsZero() && p.deadline.Before(p.allowed) {
			p.allowed = p.deadline
		}
		_ = p.wire.SetReadDeadline(p.allowed) // where a connection has none, the request's own deadline holds
	}
	return p.src.Read(b)
}
