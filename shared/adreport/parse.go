package adreport

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
)

// rowParser reads one record's cells and keeps what is wrong with them.
type rowParser struct {
	*Reader
	rec   *record
	wrong []problem
}

type problem struct {
	at     int // index of the column
	reason string
}

// parse reads a record. All that is wrong with it becomes one Rejected, which
// names the first column and tells of the others.
func (r *Reader) parse(rec *record) (Row, *Rejected) {
	if rec.wrong != "" {
		return Row{}, &Rejected{Line: rec.line, Reason: rec.wrong}
	}
	if len(rec.cells) > len(r.cols.header) && strings.Join(rec.cells[len(r.cols.header):], "") != "" {
		return Row{}, &Rejected{Line: rec.line, Reason: fmt.Sprintf(
			"has %d cells and the header %d: a number or text with a separator in it needs quotes", len(rec.cells), len(r.cols.header))}
	}
	if shifted := r.cols.shifted(rec); shifted != "" {
		return Row{}, &Rejected{Line: rec.line, Reason: shifted}
	}
	p := &rowParser{Reader: r, rec: rec}
	row := p.row()
	if len(p.wrong) == 0 {
		return row, nil
	}
	slices.SortStableFunc(p.wrong, func(a, b problem) int { return a.at - b.at })
	rejected := &Rejected{Line: rec.line, Column: r.cols.header[p.wrong[0].at], Reason: p.wrong[0].reason}
	for _, other := range p.wrong[1:] {
		rejected.Reason += "; " + r.cols.header[other.at] + " " + other.reason
	}
	return Row{}, rejected
}

func (p *rowParser) row() Row {
	row := Row{
		Line: p.rec.line,
		AdID: p.ad(), AdsetID: p.id(adsetID), CampaignID: p.id(campaignID),
		Name: p.text(adName, maxName), CampaignName: p.text(campaignName, maxName),
		Status: p.status(), Part: p.cols.part(p.rec),
		Impressions: p.required(impressions), Clicks: p.required(clicks), Spend: p.spend(),
		Reach: optional(p, reach, p.format.count), Frequency: optional(p, frequency, p.format.decimalValue),
		Leads: optional(p, leads, p.format.count), Conversions: optional(p, conversions, p.format.count),
		Pipeline: optional(p, pipeline, p.money), Revenue: optional(p, revenue, p.money),
		DailyBudget: optional(p, dailyBudget, p.money),
		AdsetBudget: p.budget(adsetBudget, adsetBudgetKind), CampaignBudget: p.budget(campaignBudget, campaignBudgetKind),
		CreativeDNA: p.dna(), CreatedAt: p.created(),
	}
	row.First, row.Last = p.period()
	if row.Clicks > row.Impressions && !p.failed(impressions) && !p.failed(clicks) { // the platform counts them apart
		p.notes.add(p.rec.line, p.cols.at[clicks], "was above the impressions and counts as many")
		row.Clicks = row.Impressions
	}
	p.sameAccount()
	p.results(&row)
	if row.Revenue != nil && (row.Pipeline == nil || *row.Pipeline < *row.Revenue) {
		row.Pipeline = row.Revenue
	}
	if row.Frequency == nil && row.Reach != nil && *row.Reach > 0 {
		f := float64(row.Impressions) / float64(*row.Reach)
		row.Frequency = &f
	}
	return row
}

func (p *rowParser) fail(f field, err error) {
	p.wrong = append(p.wrong, problem{p.cols.at[f], err.Error()})
}

// drop leaves an optional cell out and notes why.
func (p *rowParser) drop(f field, reason string) {
	p.notes.add(p.rec.line, p.cols.at[f], reason+"; the cell was left out")
}

func (p *rowParser) failed(f field) bool {
	return slices.ContainsFunc(p.wrong, func(w problem) bool { return w.at == p.cols.at[f] })
}

// cell returns a field's cell; what stands for nothing is empty.
func (p *rowParser) cell(f field) string { return unmarked(p.rec.cell(p.cols.at[f])) }

// required reads a count. Ads Manager leaves it empty where it is zero.
func (p *rowParser) required(f field) int64 {
	cell := p.cell(f)
	if cell == "" && p.cols.manager {
		return 0
	}
	n, err := p.format.count(cell)
	if cell == "" {
		err = errors.New("is empty")
	}
	if err != nil {
		p.fail(f, err)
	}
	return n
}

func (p *rowParser) spend() money.Amount {
	cell := p.cell(spend)
	if cell == "" && p.cols.manager {
		return 0
	}
	a, err := p.money(cell)
	if cell == "" {
		err = errors.New("is empty")
	}
	if err != nil {
		p.fail(spend, err)
	}
	return a
}

func (p *rowParser) money(cell string) (money.Amount, error) {
	return p.format.amount(cell, p.terms.Currency)
}

// optional reads a cell that a row may go without.
func optional[T any](p *rowParser, f field, read func(string) (T, error)) *T {
	cell := p.cell(f)
	if cell == "" {
		return nil
	}
	v, err := read(cell)
	if err != nil {
		p.drop(f, err.Error())
		return nil
	}
	return &v
}

// budget reads a budget that is a daily one; a lifetime budget, or words such as
// "Using campaign budget", say nothing of a day.
func (p *rowParser) budget(f, kind field) *money.Amount {
	if !strings.EqualFold(p.cell(kind), "daily") || !strings.ContainsAny(p.cell(f), "0123456789") {
		return nil
	}
	return optional(p, f, p.money)
}

var statuses = []string{"ACTIVE", "PAUSED", "ARCHIVED", "DELETED"}

// deliveries maps what Ads Manager calls an ad's delivery. What is not listed
// (in review, learning, not delivering for a while) does not tell whether the ad
// is switched on.
var deliveries = map[string]string{
	"active": "ACTIVE", "learning": "ACTIVE", "learninglimited": "ACTIVE",
	"inactive": "PAUSED", "off": "PAUSED", "paused": "PAUSED", "notdelivering": "PAUSED", "completed": "PAUSED",
	"recentlycompleted": "PAUSED",
	"adoff":             "PAUSED", "adsetoff": "PAUSED", "campaignoff": "PAUSED", "adsetinactive": "PAUSED", "campaigninactive": "PAUSED",
	"adsetpaused": "PAUSED", "campaignpaused": "PAUSED", "disapproved": "PAUSED", "rejected": "PAUSED",
	"archived": "ARCHIVED", "deleted": "DELETED", "enabled": "ACTIVE", "eligible": "ACTIVE", "removed": "DELETED",
}

func (p *rowParser) status() string {
	given := strings.ToUpper(p.cell(status))
	switch {
	case given == "":
		return deliveries[letters(p.cell(delivery))]
	case slices.Contains(statuses, given):
		return given
	}
	if mapped := deliveries[letters(given)]; mapped != "" {
		return mapped
	}
	p.drop(status, "must be one of "+strings.Join(statuses, ", "))
	return ""
}

var firstDay = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// period returns the first and the last day that the row is of: its day, or the
// reporting period. Without columns for either the figures are totals to date.
func (p *rowParser) period() (first, last time.Time) {
	switch {
	case p.cols.at[day] >= 0:
		first = p.date(day)
		return first, first
	case p.cols.at[starts] < 0:
		return first, last
	case p.cols.at[ends] < 0:
		first = p.date(starts)
		return first, first
	}
	first, last = p.date(starts), p.date(ends)
	if last.Before(first) && !p.failed(starts) && !p.failed(ends) {
		p.fail(ends, errors.New("is before the start"))
	}
	return first, last
}

// date reads a day of the past.
func (p *rowParser) date(f field) time.Time {
	cell := p.cell(f)
	if cell == "" {
		p.fail(f, errors.New("is empty"))
		return time.Time{}
	}
	d, err := p.format.date(cell)
	switch {
	case err != nil:
	case d.Before(firstDay):
		err = errors.New("is before the year 2000")
	case d.After(p.terms.Now.UTC().AddDate(0, 0, 1)): // it may be tomorrow already in the account's time zone
		err = errors.New("is in the future")
	}
	if err != nil {
		p.fail(f, err)
		return time.Time{}
	}
	return d
}

const maxAgeHours = 20 * 365 * 24

// created returns when the ad was created: its own column, or its age.
func (p *rowParser) created() *time.Time {
	if at := optional(p, createdAt, p.format.instant); at != nil {
		if at.Before(firstDay) || at.After(p.terms.Now.AddDate(0, 0, 1)) {
			p.drop(createdAt, "must be after the year 2000 and not in the future")
			return nil
		}
		return at
	}
	hours, f := optional(p, ageHours, p.format.decimalValue), ageHours
	if days := optional(p, ageDays, p.format.decimalValue); hours == nil && days != nil {
		h := *days * 24
		hours, f = &h, ageDays
	}
	if hours == nil {
		return nil
	}
	if *hours > maxAgeHours {
		p.drop(f, "must be at most 20 years")
		return nil
	}
	at := p.terms.Now.Add(-time.Duration(*hours * float64(time.Hour))).UTC()
	return &at
}

// sameAccount holds the account and currency that the row names against the terms.
func (p *rowParser) sameAccount() {
	if id := p.cell(accountID); id != "" && bare(plainID(id)) != bare(p.terms.Account) {
		p.fail(accountID, errors.New("is not the account "+p.terms.Account+", into which this file is imported"))
	}
	if code := p.cell(currency); code != "" && !contains(meant(code), p.terms.Currency) {
		p.fail(currency, errors.New("is not the account's currency, "+string(p.terms.Currency)))
	}
}

// bare drops Meta's prefix: act_123 and 123 are one account.
func bare(account string) string { return strings.TrimPrefix(account, "act_") }
