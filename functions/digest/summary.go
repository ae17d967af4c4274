package digest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/slack"
)

// summarise posts a summary and records that it was.
func (f *function) summarise(ctx context.Context, p *poster, s summary) error {
	var facts facts
	err := pg.InTenant(ctx, f.db, p.TenantID, func(tx pgx.Tx) (err error) {
		facts, err = read(ctx, tx, s.from, s.until)
		return err
	})
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(p.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	title := facts.title(s, zone)
	for _, m := range slack.Split(title, append([]slack.Block{slack.Header(title)}, facts.blocks(zone)...)) {
		if err := p.post(ctx, m); err != nil {
			return err
		}
	}
	return pg.InTenant(ctx, f.db, p.TenantID, func(tx pgx.Tx) error { return p.Posted(ctx, tx, s.weekly, s.until, s.next) })
}

func (f facts) title(s summary, zone *time.Location) string {
	const day = "2 Jan 2006"
	from, until := s.from.In(zone), s.until.In(zone)
	if s.weekly {
		return fmt.Sprintf("%s: the week from %s to %s", f.Tenant, from.Format(day), until.Format(day))
	}
	return fmt.Sprintf("%s: the day until %s", f.Tenant, until.Format(day+", 15:04"))
}

// blocks say what the facts are, in the order in which somebody acts on them.
func (f facts) blocks(zone *time.Location) []slack.Block {
	var lines []string
	part := func(title, none string, more ...string) {
		lines = append(lines, "*"+title+"*")
		if len(more) == 0 {
			more = []string{none}
		}
		lines = append(lines, more...)
	}
	part("Money moved", "No budget was changed.", f.moved()...)
	part("What changed and why", "Nothing.", f.changed(zone)...)
	part("Winners", "No active ad earns enough to be one.", f.winning()...)
	part("Tiring ads", "None.", f.tiring()...)
	part("What is wrong with the data", "Nothing.", f.wrong()...)
	return slack.Sections(lines...)
}

func (f facts) moved() (lines []string) {
	for _, m := range f.Money {
		line := fmt.Sprintf("%d changes of budgets: %s more a day, %s less", m.Changes, m.Up.Format(m.Currency), m.Down.Format(m.Currency))
		if m.Changes == 1 {
			line = fmt.Sprintf("1 change of a budget: %s more a day, %s less", m.Up.Format(m.Currency), m.Down.Format(m.Currency))
		}
		lines = append(lines, line)
	}
	for _, o := range f.NotApplied {
		lines = append(lines, fmt.Sprintf("%d more %s", o.Count, strings.ReplaceAll(o.Outcome, "_", " ")))
	}
	return lines
}

func (f facts) changed(zone *time.Location) (lines []string) {
	for _, c := range f.Changes {
		what := strings.ReplaceAll(c.Action, "_", " ")
		if c.Before != nil && c.After != nil {
			what = fmt.Sprintf("%s to %s", money.Amount(*c.Before).Format(c.Currency), money.Amount(*c.After).Format(c.Currency))
		}
		lines = append(lines, fmt.Sprintf("• %s: %s, %s. %s", slack.Name(c.Name, maxName), slack.Escape(what), c.At.In(zone).Format("2 Jan 15:04"), slack.Name(c.Reason, 300)))
	}
	if more := f.Applied - len(f.Changes); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return lines
}

func (f facts) winning() (lines []string) {
	for _, w := range f.Winners {
		line := fmt.Sprintf("• %s: %s of pipeline for %s", slack.Name(w.Name, maxName), money.Amount(w.Pipeline).Format(w.Currency),
			money.Amount(w.Spend).Format(w.Currency))
		if w.New {
			line += " (new)"
		}
		lines = append(lines, line)
	}
	return lines
}

func (f facts) tiring() (lines []string) {
	for _, t := range f.Tiring {
		line := fmt.Sprintf("• %s: %s", slack.Name(t.Name, maxName), strings.ToLower(strings.ReplaceAll(t.Status, "_", " ")))
		if t.New {
			line += " (new)"
		}
		lines = append(lines, line)
	}
	return lines
}

func (f facts) wrong() (lines []string) {
	for _, c := range f.Wrong {
		line := "• " + slack.Name(c.Detail, 500)
		if c.Action != "" {
			line += " " + slack.Name(c.Action, 300)
		}
		lines = append(lines, line)
	}
	return lines
}
