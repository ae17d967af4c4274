package campaigns

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/spool"
)

const (
	// maxBody is about two million rows of an export.
	maxBody = 200 << 20
	// room is what the uploads of an instance take together, compressed: a quarter of
	// its memory.
	room = 64 << 20

	maxAccountID = 128
	maxField     = 1 << 10
)

// upload is a multipart request that is there as a whole.
type upload struct {
	file      *spool.File
	accountID string
	dryRun    bool
	show      shows
	// conversionValue is as it was given: its currency is the account's.
	conversionValue, conversionField string
	// hash is of all that the request says: its parameters and its file, not the
	// boundary, which every client makes anew.
	hash []byte
}

// receive takes the request in, before anything of the database is used: its client
// may be slow.
func (f *function) receive(w http.ResponseWriter, r *http.Request) (*upload, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "multipart/form-data" {
		return nil, serve.Problem(http.StatusUnsupportedMediaType, "must be sent as multipart/form-data with the report in the part file")
	}
	if err != nil || params["boundary"] == "" {
		return nil, serve.Problem(http.StatusBadRequest, "the Content-Type multipart/form-data needs a boundary")
	}
	if r.ContentLength > f.maxBody {
		return nil, &http.MaxBytesError{Limit: f.maxBody}
	}
	u := &upload{}
	for name, values := range r.URL.Query() {
		if err := u.set("query."+name, name, values[0]); err != nil {
			return nil, err
		}
	}
	parts := multipart.NewReader(http.MaxBytesReader(w, r.Body, f.maxBody), params["boundary"])
	part, err := u.findFile(parts)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	if u.file, err = f.room.Read(auth.From(r.Context()).Tenant, io.TeeReader(part, sum)); err != nil {
		return nil, unread(err)
	}
	if err := last(parts); err != nil {
		u.file.Close()
		return nil, err
	}
	fmt.Fprintf(sum, "\n%q %t %q", u.accountID, u.dryRun, u.conversionValue)
	u.hash = sum.Sum(nil)
	return u, nil
}

// findFile reads the parts before the file, and returns the file's.
func (u *upload) findFile(parts *multipart.Reader) (*multipart.Part, error) {
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, fault.Field("body.file", "is missing: send the report in the part file")
		}
		if err != nil {
			return nil, broken(err)
		}
		if part.FormName() == "file" {
			return part, nil
		}
		value, err := io.ReadAll(io.LimitReader(part, maxField))
		if err != nil {
			return nil, broken(err)
		}
		name := part.FormName()
		if !slices.Contains(parameters, name) {
			return nil, unknownPart(name)
		}
		if err := u.set("body."+name, name, strings.TrimSpace(string(value))); err != nil {
			return nil, err
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

// last refuses parts behind the file.
func last(parts *multipart.Reader) error {
	part, err := parts.NextPart()
	switch {
	case errors.Is(err, io.EOF):
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

// unread says why a file was not taken in.
func unread(err error) error {
	var full *fault.Error
	switch {
	case errors.Is(err, spool.ErrTooLarge):
		return serve.Problem(http.StatusRequestEntityTooLarge, "the report is too large to be read at once, even compressed: send it in parts")
	case errors.As(err, &full):
		return err
	}
	return broken(err)
}

// broken says what became of an upload that cannot be read.
func broken(err error) error {
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
