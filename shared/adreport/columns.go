package adreport

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
)

// columns says where in a record each field stands.
type columns struct {
	header []string
	at     [numFields]int // -1 where the file has no such column
	splits []split
	// view is a number for the names of the splits; 0 where there are none.
	view     int64
	ignored  []string
	currency money.Currency
	// manager is whether this is an Ads Manager export, which leaves cells empty
	// that mean zero and adds a summary row.
	manager bool
	// width is how many cells the rows have that are not cut off or shifted.
	width int
}

var trailingCode = regexp.MustCompile(`[\[(]\s*([A-Za-z]{3})\s*[\])]$`)

// match finds the fields in the header.
func match(header record) (columns, error) {
	c := columns{header: header.cells, width: len(header.cells)}
	names := make([]string, len(c.header))
	codes := make([]money.Currency, len(c.header))
	for i, h := range c.header {
		names[i], codes[i] = plain(h)
	}
	used := make([]bool, len(names))
	for f := range numFields {
		c.at[f] = -1
		for _, alias := range aliases[f] {
			i := slices.Index(names, alias)
			if i < 0 || used[i] {
				continue
			}
			if j := slices.Index(names[i+1:], alias); j >= 0 {
				return c, fault.Field("body.file",
					fmt.Sprintf("has two columns for %s (columns %d and %d): which one counts?", fields[f].name, i+1, i+j+2))
			}
			c.at[f], used[i] = i, true
			break
		}
		if i := c.at[f]; i >= 0 && fields[f].money && codes[i] != "" {
			if c.currency != "" && c.currency != codes[i] {
				return c, fault.Field("body.file", fmt.Sprintf("has money in two currencies: %s and %s", c.currency, codes[i]))
			}
			c.currency = codes[i]
		}
	}
	for i, name := range names {
		if used[i] || c.header[i] == "" {
			continue
		}
		if s, ok := splitOf(i, name, c.header[i]); ok {
			c.splits = append(c.splits, s)
		} else {
			c.ignored = append(c.ignored, c.header[i])
		}
	}
	c.order()
	c.manager = c.at[starts] >= 0 || c.at[spend] >= 0 && !slices.Contains([]string{"spend", "spent", "adspend", "cost"}, names[c.at[spend]])
	return c, c.missing()
}

// required are the columns without which a row says nothing.
var required = []struct {
	field field
	words string
}{
	{adID, "ad_id (in Ads Manager: Ad ID, under Customise columns)"},
	{impressions, "impressions"},
	{clicks, "clicks (Clicks (all) or Link clicks)"},
	{spend, "spend (Amount spent)"},
}

// missing names at once all that is missing, and what was found.
func (c columns) missing() error {
	var words []string
	for _, need := range required {
		if c.at[need.field] < 0 {
			words = append(words, need.words)
		}
	}
	if len(words) == 0 {
		return nil
	}
	found := make([]string, 0, 30)
	for _, h := range c.header {
		if len(found) == cap(found) {
			found = append(found, "...")
			break
		}
		if h != "" {
			found = append(found, shorten(h, 40))
		}
	}
	return fault.Field("body.file", fmt.Sprintf("has no column for %s. Its first line reads: %s", strings.Join(words, ", "),
		strings.Join(found, ", ")))
}

func (c columns) understood() map[string]string {
	m := map[string]string{}
	for f, i := range c.at {
		if i >= 0 {
			m[fields[f].name] = c.header[i]
		}
	}
	return m
}

// summaryText is how a row of totals calls itself, in the languages of headers.
var summaryText = regexp.MustCompile(`(?i)^((grand )?totals?|summary|gesamt|gesamtergebnis|insgesamt|summe|total général|total general|total geral|totale|totaal)` +
	`( *[:(].*)?$|^(total )?(results|ergebnisse|résultats|resultados|risultati|resultaten) (from |aus |von |de |da |van )?\d+`)

// total reports whether rec calls itself the sum over the others.
func (c columns) total(rec *record) bool {
	if id := unmarked(rec.cell(c.at[adID])); id != "" {
		return summaryText.MatchString(id)
	}
	return slices.ContainsFunc([]field{adName, campaignName, campaignID, status, delivery}, func(f field) bool {
		return summaryText.MatchString(unmarked(rec.cell(c.at[f])))
	})
}

// nameless reports whether rec names neither an ad nor a campaign, as the sum in
// an Ads Manager export does, rather than lacking its ad id alone.
func (c columns) nameless(rec *record) bool {
	return c.manager && rec.wrong == "" && !slices.ContainsFunc([]field{adID, adName, campaignName, campaignID}, func(f field) bool {
		return unmarked(rec.cell(c.at[f])) != ""
	})
}

// unmarked is a cell without the marks that stand for nothing.
func unmarked(cell string) string {
	switch strings.ToLower(cell) {
	case "-", "–", "—", "--", "n/a", "null", "none":
		return ""
	}
	return cell
}

func shorten(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + "..."
	}
	return s
}
