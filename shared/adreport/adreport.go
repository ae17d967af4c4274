// Package adreport reads ad reports as CSV: exports of Meta Ads Manager, and files
// with our own column names. It streams: whatever the size of the file, it holds
// a few hundred kilobytes and some thirty bytes for every row. A row that breaks a
// rule is returned as a Rejected with its line, and the reading goes on; an
// optional cell that cannot be used is left out and noted.
//
// What a row says does not depend on the rows around it, but for how the file
// writes numbers and dates, which is taken from its first 256 kB: a file cut in
// two, or with its rows in another order, says the same
// (TestAnImportDoesNotDependOnHowItsRowsAreCutOrOrdered in functions/campaigns).
package adreport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
)

// Row is what one line says of one ad. Pointers are nil, and texts empty, where
// the file does not say.
type Row struct {
	Line int // as an editor counts, of the row's first line

	AdID         string
	Name         string
	AdsetID      string
	CampaignID   string
	CampaignName string
	// Status is ACTIVE, PAUSED, ARCHIVED or DELETED.
	Status string
	// First and Last are the days that the figures are of, in the account's time
	// zone; zero where the figures are totals to date.
	First, Last time.Time
	// Part tells apart the rows of one ad and time that a breakdown splits; all
	// zero where none does.
	Part [16]byte

	Impressions int64
	Clicks      int64
	Spend       money.Amount
	Reach       *int64
	Frequency   *float64
	Leads       *int64
	Conversions *int64 // approved ones: purchases, won deals
	// Pipeline includes Revenue, the won part.
	Pipeline *money.Amount
	Revenue  *money.Amount

	// Daily budgets: of the ad itself, of its ad set, of its campaign.
	DailyBudget    *money.Amount
	AdsetBudget    *money.Amount
	CampaignBudget *money.Amount

	CreativeDNA []byte // a JSON object
	CreatedAt   *time.Time
}

// Rejected is a row that breaks a rule.
type Rejected struct {
	Line int
	// Column is the header's own name, empty where the row as a whole is wrong.
	Column string
	Reason string
}

// Error says where and why.
func (r *Rejected) Error() string {
	if r.Column == "" {
		return fmt.Sprintf("line %d: %s", r.Line, r.Reason)
	}
	return fmt.Sprintf("line %d: %s: %s", r.Line, r.Column, r.Reason)
}

// Terms are what a file's rows are held against.
type Terms struct {
	// Account is whose ads these are; a row that names another is rejected.
	Account string
	// Currency is the account's.
	Currency money.Currency
	// Now bounds the rows' days, and tells an age from a creation time.
	Now time.Time
}

// MaxRows is how many rows a file may have.
const MaxRows = 1_000_000

// Reader reads one report.
type Reader struct {
	scan    *scanner
	cols    columns
	format  format
	terms   Terms
	account string
	rounded bool // a spreadsheet has rounded the ids

	seed      maphash.Seed
	seen      map[uint64]seenRow // by the hash of a row's key
	conflicts map[string]Conflict
	first     bool
	ahead     *record // read to see whether the one before it was the last
	rows      int
	skipped   []int
	notes     notes
}

// Open reads the header. Its error names what is missing and what was found.
func Open(src io.Reader) (*Reader, error) {
	buffered := bufio.NewReaderSize(src, maxRecord)
	if err := refuseBinary(buffered); err != nil {
		return nil, err
	}
	text, err := decode(buffered)
	if err != nil {
		return nil, err
	}
	sample, err := text.Peek(maxRecord)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if end := bytes.LastIndexByte(sample, '\n'); err == nil && end > 0 {
		sample = sample[:end] // a number cut in two would mislead
	}
	delim := sniffDelimiter(sample)
	r := &Reader{
		scan: newScanner(text, delim), first: true, seed: maphash.MakeSeed(), seen: map[uint64]seenRow{},
		conflicts: map[string]Conflict{},
	}
	header, err := r.scan.next()
	if err == nil && strings.HasPrefix(strings.ToLower(header.text()), "sep=") { // Excel's hint
		header, err = r.scan.next()
	}
	switch {
	case errors.Is(err, io.EOF):
		return nil, fault.Field("body.file", "is empty: a header line and rows are expected")
	case err != nil:
		return nil, err
	}
	if r.cols, err = match(header); err != nil {
		return nil, err
	}
	r.sniff(sample, delim)
	return r, nil
}

// Start sets what the rows are held against. It fails where the header names
// another currency than the account's.
func (r *Reader) Start(t Terms) error {
	if r.cols.currency != "" && r.cols.currency != t.Currency {
		return fault.Field("body.file", fmt.Sprintf("has its money in %s (the header says so) and the account %s is in %s: export the report in the account's currency",
			r.cols.currency, t.Account, t.Currency))
	}
	r.terms = t
	return nil
}

// Currency returns the currency that the header or the first row names, or "".
func (r *Reader) Currency() money.Currency { return r.cols.currency }

// Account returns the account that the first row names, or "".
func (r *Reader) Account() string { return r.account }

// Columns maps the fields that were understood to the header's own names.
func (r *Reader) Columns() map[string]string { return r.cols.understood() }

// Ignored lists the header's columns that were not understood.
func (r *Reader) Ignored() []string { return r.cols.ignored }

// Skipped lists the lines of the first summary rows.
func (r *Reader) Skipped() []int { return r.skipped }

// View is a number for the columns by which the report splits an ad's figures
// over rows; 0 where there are none.
func (r *Reader) View() int64 { return r.cols.view }

// Breakdowns lists those columns.
func (r *Reader) Breakdowns() []string {
	headers := make([]string, len(r.cols.splits))
	for i, s := range r.cols.splits {
		headers[i] = s.header
	}
	return headers
}

// Notes says what was left out or changed of the rows read so far, one sentence
// for each kind.
func (r *Reader) Notes() []string { return r.notes.sentences(r.cols.header) }

// Next returns the next row, a *Rejected for a row that breaks a rule, io.EOF
// after the last, or what went wrong with the file as a whole.
func (r *Reader) Next() (Row, error) {
	for {
		rec, err := r.record()
		if err != nil {
			return Row{}, err
		}
		if r.rows++; r.rows > MaxRows {
			return Row{}, fault.Field("body.file", fmt.Sprintf("has more than %d rows: split it", MaxRows))
		}
		row, rejected := r.parse(rec)
		if rejected != nil {
			return Row{}, rejected
		}
		repeats, rejected := r.again(rec, row)
		if rejected != nil {
			return Row{}, rejected
		}
		if !repeats {
			return row, nil
		}
		r.notes.repeat(rec.line)
	}
}

// record returns the next record that is no summary row. Ads Manager puts its own
// first or last, so a row without a name in between lacks its ad id.
func (r *Reader) record() (*record, error) {
	for {
		rec, err := r.advance()
		if err != nil {
			return nil, err
		}
		first := r.first
		r.first = false
		switch {
		case r.cols.total(rec), first && r.cols.nameless(rec):
			r.skip(rec.line)
			continue
		case !r.cols.nameless(rec):
			return rec, nil
		}
		next, err := r.advance()
		if errors.Is(err, io.EOF) {
			r.skip(rec.line)
		}
		r.ahead = next
		return rec, err
	}
}

// maxSkipped bounds how many summary rows are listed.
const maxSkipped = 100

func (r *Reader) skip(line int) {
	if len(r.skipped) < maxSkipped {
		r.skipped = append(r.skipped, line)
	}
}

func (r *Reader) advance() (*record, error) {
	if rec := r.ahead; rec != nil {
		r.ahead = nil
		return rec, nil
	}
	rec, err := r.scan.next()
	if err != nil {
		return nil, err
	}
	return &rec, nil
}
