package campaigns

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/adreport"
	"github.com/geminivideo/geminivideo/shared/ads"
)

// importAnswer says what became of every row: Rows is Imported, Updated and
// Rejected together. A row is imported where its ad, days and breakdown had no
// figures from a report before, and updated where they had; Unchanged counts the
// updated ones whose figures were the same, repeated rows among them.
type importAnswer struct {
	AccountID string `json:"account_id"`
	Currency  string `json:"currency"`
	DryRun    bool   `json:"dry_run"`

	Rows      int64 `json:"rows"`
	Imported  int64 `json:"imported"`
	Updated   int64 `json:"updated"`
	Unchanged int64 `json:"unchanged"`
	Rejected  int64 `json:"rejected"`

	Errors          []rowError `json:"errors"`
	ErrorsTruncated bool       `json:"errors_truncated"`

	NewAds       int64 `json:"new_ads"`
	NewCampaigns int64 `json:"new_campaigns"`
	NewWinners   int64 `json:"new_winners"`

	// ConversionsWithoutValue are worth ConversionValue each, and nothing where
	// that is not there.
	ConversionsWithoutValue int64    `json:"conversions_without_value"`
	ConversionValue         *float64 `json:"conversion_value,omitempty"`

	Columns          map[string]string `json:"columns"` // our name -> the header's
	BreakdownColumns []string          `json:"breakdown_columns"`
	IgnoredColumns   []string          `json:"ignored_columns"`
	Notes            []string          `json:"notes"`
}

type rowError struct {
	Line   int    `json:"line"`
	Column string `json:"column,omitempty"`
	Reason string `json:"reason"`
}

func (a *importAnswer) count(done ads.Loaded, repeats int) {
	a.Imported, a.Updated, a.Unchanged = done.Imported, done.Updated+int64(repeats), done.Unchanged+int64(repeats)
	a.Rejected += done.Refused
	a.Rows = a.Imported + a.Updated + a.Rejected
	a.NewAds, a.NewCampaigns, a.NewWinners = done.NewAds, done.NewCampaigns, done.NewWinners
	for _, r := range done.Refusals {
		a.Errors = append(a.Errors, rowError{r.Line, a.Columns[r.Field], r.Reason})
	}
	slices.SortStableFunc(a.Errors, func(x, y rowError) int { return cmp.Compare(x.Line, y.Line) })
	a.Errors = a.Errors[:min(len(a.Errors), maxErrors)]
	a.ErrorsTruncated = a.Rejected > int64(len(a.Errors))
}

// remark says what a reader of the counts would not guess.
func (a *importAnswer) remark(reader *adreport.Reader, report ads.Report, done ads.Loaded, undated int) {
	for _, line := range reader.Skipped() {
		a.note("line %d is a summary row and was passed over", line)
	}
	a.Notes = append(a.Notes, reader.Notes()...)
	if len(a.BreakdownColumns) > 0 {
		a.note("rows of one ad and time that differ in %s are parts of a whole and add up", strings.Join(a.BreakdownColumns, ", "))
	}
	switch {
	case a.Rows == 0:
		a.note("the file has a header and no rows")
	case undated > 0:
		a.note("%d rows have no day of their own: their figures were taken as the ads' totals to date", undated)
	}
	if done.KeptDays > 0 {
		a.note("%d days stay as Meta has them, for example ad %s on %s: the report's figures of them were not taken", done.KeptDays,
			done.KeptAd, done.KeptDay)
	}
	if n := len(done.Overlapping); n > 0 {
		o := done.Overlapping[0]
		a.note("%d periods do not count because shorter ones or days overlap them, for example ad %s from %s to %s: export the report by day to have all days",
			n, o.AdID, o.First.Format(time.DateOnly), o.Last.Format(time.DateOnly))
	}
	if done.StaleBudgets > 0 {
		a.note("the budgets of %d ads were not taken: the report ends before today", done.StaleBudgets)
	}
	a.value(report, done)
}

// value says what the conversions without a value are worth.
func (a *importAnswer) value(report ads.Report, done ads.Loaded) {
	a.ConversionsWithoutValue = done.Unvalued
	worth := cmp.Or(report.ConversionValue, report.Account.ConversionValue)
	if worth != nil {
		units := worth.Units(report.Account.Currency)
		a.ConversionValue = &units
	}
	switch {
	case done.Unvalued == 0:
	case worth == nil:
		a.note("%d conversions of %d ads have no value: they are counted and worth 0. Send conversion_value, or set it for the account",
			done.Unvalued, done.UnvaluedAds)
	default:
		a.note("%d conversions of %d ads have no value: each is taken to be worth %s. That is an estimate, no revenue, and makes no winner",
			done.Unvalued, done.UnvaluedAds, worth.Format(report.Account.Currency))
	}
}

func (a *importAnswer) note(format string, args ...any) {
	a.Notes = append(a.Notes, fmt.Sprintf(format, args...))
}
