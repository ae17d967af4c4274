package changes

import (
	"fmt"
	"time"

	"github.com/geminivideo/geminivideo/shared/meta"
)

// pace says how far the change may go now, and whether the windows take it.
func (m Moment) pace() Verdict {
	c := m.Change
	v := Verdict{Action: Act}
	dry := Careful(m.Mode, c.Mode) == ModeDryRun
	if c.Kind != KindStatus {
		var wait Verdict
		if v.Step, wait = m.step(); wait.Reason != "" && !(dry && wait.Action == Wait) {
			return wait
		}
		if c.Kind == KindLimits && v.Step != NoLimits {
			v.Floor = Floor(m.from(), v.Step, m.Live.Floor, meta.Step(c.Currency))
		}
	}
	if dry {
		v.Action = Try
		if m.from() != nil && v.Step == *m.from() { // the window has no room now; the platform can check the end all the same
			v.Step = *c.TargetMinor
		}
		return v
	}
	if at := Admit(m.Now, m.Campaign, CampaignActions, ActionWindow); !at.IsZero() {
		return m.wait(at, fmt.Sprintf("campaign %s has had %d changes within the hour", c.CampaignID, CampaignActions))
	}
	if at := Admit(m.Now, m.Writes, ObjectActions, ActionWindow); !at.IsZero() && c.Kind != KindStatus {
		return m.wait(at, fmt.Sprintf("%s has had %d changes within the hour, which is all that Meta takes", c.BudgetObject, ObjectActions))
	}
	return v
}

// step is the next amount; the verdict says why there is none now.
func (m Moment) step() (int64, Verdict) {
	c, from := m.Change, m.from()
	if c.Source == Undo || from == nil {
		return *c.TargetMinor, Verdict{}
	}
	next, until := Pace(m.Now, *from, *c.TargetMinor, m.Moves, meta.Step(c.Currency))
	switch {
	case !until.IsZero():
		return next, m.wait(until, fmt.Sprintf("%s has moved by a fifth within 6 hours; %s to go to %s", c.BudgetObject, m.text(from), m.text(c.TargetMinor)))
	case next == *from:
		return next, Verdict{Action: Hold, Reason: fmt.Sprintf("%s has %s, too little to be moved in steps of a fifth", c.BudgetObject, m.text(from))}
	}
	return next, Verdict{}
}

func (m Moment) wait(until time.Time, why string) Verdict {
	until = until.Add(Jitter(m.Change.ChangeID, m.Change.Steps+1))
	return Verdict{Action: Wait, Until: until, Reason: why + "; next at " + until.UTC().Format("2006-01-02 15:04:05") + " UTC"}
}

// Tell says in plain words what a step does, or would do.
func (m Moment) Tell(v Verdict) string {
	c := m.Change
	if c.Kind == KindStatus {
		return fmt.Sprintf("set %s from %s to %s", c.BudgetObject, m.Live.Status, c.TargetStatus)
	}
	if c.Kind == KindLimits && *c.TargetMinor == NoLimits {
		return fmt.Sprintf("take the spend limits of %s away (before: at most %s a day)", c.BudgetObject, m.text(m.Live.Amount))
	}
	text := fmt.Sprintf("set %s from %s to %s", c.BudgetObject, m.text(m.Live.Amount), m.text(&v.Step))
	if c.Kind == KindLimits {
		text = fmt.Sprintf("limit %s to at most %s a day (before: %s)", c.BudgetObject, m.text(&v.Step), m.text(m.Live.Amount))
		if v.Floor != nil {
			text += ", at least " + m.text(v.Floor)
		}
	}
	if v.Step != *c.TargetMinor {
		if n := Steps(v.Step, *c.TargetMinor, meta.Step(c.Currency)); n > 0 {
			steps := "one more step"
			if n > 1 {
				steps = fmt.Sprintf("%d more steps", n)
			}
			text += fmt.Sprintf(", then on to %s in %s of at most a fifth each 6 hours", m.text(c.TargetMinor), steps)
		}
	}
	return text
}
