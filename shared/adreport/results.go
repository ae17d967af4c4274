package adreport

import (
	"fmt"
	"slices"
	"strings"
)

// purchases and leadEvents are the result types that count, as Meta's API and as
// Ads Manager in English call them. Nothing else does: a custom event whose name
// holds the word Purchase is no purchase.
var (
	purchases = nameSet(`purchase, omni_purchase, offsite_conversion.fb_pixel_purchase, onsite_conversion.purchase, onsite_web_purchase,
		onsite_web_app_purchase, web_in_store_purchase, web_app_in_store_purchase, app_custom_event.fb_mobile_purchase,
		offline_conversion.purchase,
		Purchases, Website purchases, Meta purchases, On-Facebook purchases, In-app purchases, Offline purchases, Mobile app purchases`)
	leadEvents = nameSet(`lead, omni_lead, leadgen.other, leadgen_grouped, onsite_conversion.lead, onsite_conversion.lead_grouped,
		offsite_conversion.fb_pixel_lead, onsite_web_lead, offline_conversion.lead, app_custom_event.fb_mobile_lead,
		Leads, Website leads, Meta leads, On-Facebook leads, Leads (form), Leads (Form), Form leads, Offline leads`)
)

func nameSet(list string) map[string]bool {
	all := map[string]bool{}
	for name := range strings.SplitSeq(list, ",") {
		all[strings.ToLower(strings.TrimSpace(name))] = true
	}
	return all
}

// results counts Ads Manager's Results for what they are. Without a type they may
// be anything that the campaign aims at, link clicks for one.
func (p *rowParser) results(row *Row) {
	if p.cell(results) == "" {
		return
	}
	kind := strings.ToLower(p.cell(resultKind))
	if _, event, ok := strings.Cut(kind, ":"); ok { // actions:, conversions:
		kind = strings.TrimSpace(event)
	}
	switch {
	case purchases[kind]:
		if row.Conversions == nil {
			row.Conversions = optional(p, results, p.format.count)
		}
	case leadEvents[kind]:
		if row.Leads == nil {
			row.Leads = optional(p, results, p.format.count)
		}
	case kind == "":
		p.notes.add(p.rec.line, p.cols.at[results], "has no result type beside it and counts neither as purchases nor as leads")
	default:
		p.notes.add(p.rec.line, p.cols.at[results], fmt.Sprintf("of the type %s counts neither as purchases nor as leads", printable(kind)))
	}
}

// printable is a text of a file as a note may hold it.
func printable(text string) string {
	return shorten(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text), 60)
}

// notes are what was left out or changed, by kind.
type notes struct {
	kinds   map[noteKind]*noteCount
	repeats int
	first   int // the first line that repeats another
}

type noteKind struct {
	at     int // index of the column
	reason string
}

type noteCount struct{ rows, first int }

// maxNotes bounds how many kinds are noted.
const maxNotes = 100

func (n *notes) add(line, at int, reason string) {
	kind := noteKind{at, reason}
	if n.kinds == nil {
		n.kinds = map[noteKind]*noteCount{}
	}
	if c := n.kinds[kind]; c != nil {
		c.rows++
	} else if len(n.kinds) < maxNotes {
		n.kinds[kind] = &noteCount{1, line}
	}
}

func (n *notes) repeat(line int) {
	if n.repeats++; n.repeats == 1 {
		n.first = line
	}
}

// sentences returns the notes by the line on which each kind was met first.
func (n *notes) sentences(header []string) []string {
	kinds := make([]noteKind, 0, len(n.kinds))
	for kind := range n.kinds {
		kinds = append(kinds, kind)
	}
	slices.SortFunc(kinds, func(a, b noteKind) int {
		if d := n.kinds[a].first - n.kinds[b].first; d != 0 {
			return d
		}
		return a.at - b.at
	})
	var all []string
	for _, kind := range kinds {
		c := n.kinds[kind]
		where := fmt.Sprintf("line %d", c.first)
		if c.rows > 1 {
			where = fmt.Sprintf("%d rows, the first in line %d", c.rows, c.first)
		}
		all = append(all, fmt.Sprintf("%s: %s %s", where, printable(header[kind.at]), kind.reason))
	}
	switch {
	case n.repeats == 1:
		all = append(all, fmt.Sprintf("line %d repeats a row and was counted once", n.first))
	case n.repeats > 1:
		all = append(all, fmt.Sprintf("%d rows repeat others, the first in line %d: each was counted once", n.repeats, n.first))
	}
	return all
}

// shifted says why a record's cells do not stand under their headers, "" where
// they do: a separator in an unquoted cell pushes the rest to the right.
func (c *columns) shifted(rec *record) string {
	if len(rec.cells) > c.width {
		return fmt.Sprintf("has %d cells and the header %d: a number or text with a separator in it needs quotes", len(rec.cells),
			len(c.header))
	}
	for _, need := range required {
		if c.at[need.field] >= len(rec.cells) && strings.Join(rec.cells, "") != "" {
			return fmt.Sprintf("has %d cells and the header %d: the line is cut off", len(rec.cells), len(c.header))
		}
	}
	return ""
}
