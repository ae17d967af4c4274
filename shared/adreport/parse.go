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
		AdID: p.id(adID), AdsetID: p.id(adsetID), CampaignID: p.id(campaignID),
		Name: p.text(adName, maxName), CampaignName: p.text(campaignName, maxName),
		Status: p.status(), Day: p.day(),
		Impressions: p.required(impressions), Clicks: p.required(clicks), Spend: p.spend(),
		Reach: optional(p, reach, p.format.count), Frequency: optional(p, frequency, p.format.decimalValue),
		Leads: optional(p, leads, p.format.count), Conversions: optional(p, conversions, p.format.count),
		Pipeline: optional(p, pipeline, p.money), Revenue: optional(p, revenue, p.money),
		DailyBudget: optional(p, dailyBudget, p.money),
		AdsetBudget: p.budget(adsetBudget, adsetBudgetKind), CampaignBudget: p.budget(campaignBudget, campaignBudgetKind),
		CreativeDNA: p.dna(), CreatedAt: p.created(),
	}
	if row.Clicks > row.Impressions && !p.failed(impressions) {
		p.fail(clicks, errors.New("must not be above impressions"))
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

func (p *rowParser) failed(f field) bool {
	return slices.ContainsFunc(p.wrong, func(w problem) bool { return w.at == p.cols.at[f] })
}

// cell returns a field's cell; what stands for nothing is empty.
func (p *rowParser) cell(f field) string {
	cell := p.rec.cell(p.cols.at[f])
	switch strings.ToLower(cell) {
	case "-", "–", "—", "--", "n/a", "null", "none":
		return ""
	}
	return cell
}

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

func optional[T any](p *rowParser, f field, read func(string) (T, error)) *T {
	cell := p.cell(f)
	if cell == "" {
		return nil
	}
	v, err := read(cell)
	if err != nil {
		p.fail(f, err)
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
	"inactive": "PAUSED", "off": "PAUSED", "paused": "PAUSED", "notdelivering": "PAUSED", "completed": "PAUSED", "recentlycompleted": "PAUSED",
	"adoff": "PAUSED", "adsetoff": "PAUSED", "campaignoff": "PAUSED", "adsetinactive": "PAUSED", "campaigninactive": "PAUSED",
	"adsetpaused": "PAUSED", "campaignpaused": "PAUSED", "disapproved": "PAUSED", "rejected": "PAUSED",
	"archived": "ARCHIVED", "deleted": "DELETED",
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
	p.fail(status, errors.New("must be one of "+strings.Join(statuses, ", ")))
	return ""
}

var firstDay = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// day returns the row's day: its own column, or a period of one day. A longer
// period is totals.
func (p *rowParser) day() time.Time {
	at := day
	if p.cols.at[day] < 0 {
		if p.cell(starts) == "" || p.cell(starts) != p.cell(ends) {
			return time.Time{}
		}
		at = starts
	}
	cell := p.cell(at)
	if cell == "" {
		p.fail(at, errors.New("is empty"))
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
		p.fail(at, err)
		return time.Time{}
	}
	return d
}

const maxAgeHours = 20 * 365 * 24

// created returns when the ad was created: its own column, or its age.
func (p *rowParser) created() *time.Time {
	if at := optional(p, createdAt, p.format.instant); at != nil {
		if at.Before(firstDay) || at.After(p.terms.Now.AddDate(0, 0, 1)) {
			p.fail(createdAt, errors.New("must be after the year 2000 and not in the future"))
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
		p.fail(f, errors.New("must be at most 20 years"))
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

// results counts Ads Manager's Results for what they are. Without the indicator
// they may be anything that the campaign aims at, link clicks for one.
func (p *rowParser) results(row *Row) {
	kind := letters(p.cell(resultKind))
	switch {
	case strings.Contains(kind, "purchase") && row.Conversions == nil:
		row.Conversions = optional(p, results, p.format.count)
	case strings.Contains(kind, "lead") && row.Leads == nil:
		row.Leads = optional(p, results, p.format.count)
	}
}
