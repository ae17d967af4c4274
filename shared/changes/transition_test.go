package changes_test

import (
	"slices"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/shared/changes"
)

// table is what must follow an outcome, by the status before it: the status after
// the last step, after a step with more to come, and with a newer decision waiting.
// It is written down here once more, so that the table of the code cannot change
// by mistake.
var table = map[changes.OutcomeKind]map[changes.Status][3]changes.Status{
	changes.Send:        {changes.StatusPending: all(changes.StatusApplying)},
	changes.Validate:    {changes.StatusPending: all(changes.StatusPending)},
	changes.Wait:        {changes.StatusPending: all(changes.StatusPending)},
	changes.AskApproval: {changes.StatusPending: all(changes.StatusAwaiting)},
	changes.AlreadySet:  {changes.StatusPending: all(changes.StatusApplied)},
	changes.Validated:   {changes.StatusPending: all(changes.StatusDryRun)},
	changes.Hold: {
		changes.StatusPending: all(changes.StatusHeld), changes.StatusApplying: all(changes.StatusHeld), changes.StatusUnknown: all(changes.StatusHeld),
	},
	changes.Fail: {
		changes.StatusPending: all(changes.StatusFailed), changes.StatusApplying: all(changes.StatusFailed), changes.StatusUnknown: all(changes.StatusFailed),
	},
	changes.Confirmed:      {changes.StatusApplying: made, changes.StatusUnknown: made},
	changes.Applied:        {changes.StatusApplying: made, changes.StatusUnknown: made},
	changes.Retry:          {changes.StatusApplying: again, changes.StatusUnknown: again},
	changes.RetryLater:     {changes.StatusApplying: again, changes.StatusUnknown: again},
	changes.OutcomeUnknown: {changes.StatusApplying: all(changes.StatusUnknown), changes.StatusUnknown: all(changes.StatusUnknown)},
	changes.Forbidden:      {changes.StatusApplying: all(changes.StatusHeld), changes.StatusUnknown: all(changes.StatusHeld)},
	changes.Refused:        {changes.StatusApplying: all(changes.StatusFailed), changes.StatusUnknown: all(changes.StatusFailed)},
	changes.Unreadable: {
		changes.StatusPending: all(changes.StatusPending), changes.StatusApplying: all(changes.StatusApplying), changes.StatusUnknown: all(changes.StatusUnknown),
	},
	changes.Approve: {changes.StatusAwaiting: all(changes.StatusPending)},
	changes.Reject:  {changes.StatusAwaiting: all(changes.StatusRejected), changes.StatusPending: all(changes.StatusRejected)},
	changes.Replace: {changes.StatusAwaiting: all(changes.StatusSuperseded), changes.StatusPending: all(changes.StatusSuperseded)},
	changes.Revert: {
		changes.StatusApplied: all(changes.StatusUndone), changes.StatusSuperseded: all(changes.StatusUndone), changes.StatusHeld: all(changes.StatusUndone),
		changes.StatusFailed: all(changes.StatusUndone), changes.StatusRejected: all(changes.StatusUndone),
	},
}

var (
	made  = [3]changes.Status{changes.StatusApplied, changes.StatusPending, changes.StatusSuperseded}
	again = [3]changes.Status{changes.StatusPending, changes.StatusPending, changes.StatusSuperseded}
)

func all(s changes.Status) [3]changes.Status { return [3]changes.Status{s, s, s} }

// before is a change of a status whose step is the last one, or not.
func before(status changes.Status, kind changes.Kind, last, newer bool) changes.State {
	s := state(func(s *changes.State) {
		s.Change.Status, s.Change.Kind, s.Change.AdID = status, kind, "a"
		s.Change.StepMinor, s.Change.StepBefore, s.Change.Sends = ptr(9_000), ptr(10_000), 1
		s.Ads = []string{"a"}
	})
	if last {
		s.Change.StepMinor = ptr(8_000)
	}
	if kind == changes.KindStatus {
		s.Change.TargetMinor, s.Change.BeforeMinor, s.Change.StepMinor, s.Change.StepBefore = nil, nil, nil, nil
		s.Change.TargetStatus, s.Change.BeforeStatus = "PAUSED", "ACTIVE"
	}
	if newer {
		id := "newer"
		s.Newer = &id
	}
	return s
}

func TestEveryStatusAndOutcomeFollowsTheTable(t *testing.T) {
	t.Parallel()
	tried := 0
	for outcome := range table {
		for _, status := range changes.Statuses {
			for _, kind := range []changes.Kind{changes.KindBudget, changes.KindLimits, changes.KindStatus} {
				for _, last := range []bool{true, false} {
					for _, newer := range []bool{false, true} {
						tried++
						s := before(status, kind, last, newer)
						known := *s.Object
						next, effects, err := changes.Transition(s, changes.Outcome{
							Kind: outcome, Reason: "why", Until: noon.Add(time.Hour), Wait: time.Minute, Step: 9_000,
						})
						ways, possible := table[outcome][status]
						if (err == nil) != possible {
							t.Errorf("%s of a %s change: %v", outcome, status, err)
							continue
						}
						if s.Change.Status != status || s.Object.KnownMinor != known.KnownMinor || s.Object.KnownAt != known.KnownAt {
							t.Fatalf("%s of a %s change altered the state that it was given", outcome, status)
						}
						if err != nil {
							if next.Change.Status != status || len(effects.Entries) > 0 {
								t.Errorf("%s of a %s change is refused, and yet %+v", outcome, status, effects)
							}
							continue
						}
						want := ways[0]
						final := last || kind == changes.KindStatus
						switch {
						case ways == again && newer, ways == made && !final && newer:
							want = ways[2]
						case ways == made && !final:
							want = ways[1]
						}
						if next.Change.Status != want {
							t.Errorf("%s of a %s %s change (last step %t, newer %t): %s, want %s", outcome, status, kind, last, newer, next.Change.Status, want)
						}
						checkEffects(t, outcome, s, next, effects)
					}
				}
			}
		}
	}
	if tried < 20*11*12 {
		t.Errorf("only %d transitions were tried", tried)
	}
}

// checkEffects holds what every transition promises.
func checkEffects(t *testing.T, outcome changes.OutcomeKind, s, next changes.State, e changes.Effects) {
	t.Helper()
	c := next.Change
	name := string(outcome) + " of a " + string(s.Change.Status) + " change"
	if c.Status.Open() != (c.FinishedAt == nil) {
		t.Errorf("%s: it is %s and finished at %v", name, c.Status, c.FinishedAt)
	}
	if e.KeepClaim != (outcome == changes.Send || outcome == changes.Validate) {
		t.Errorf("%s: keeps its claim: %t", name, e.KeepClaim)
	}
	if !c.Status.Open() && !slices.ContainsFunc(e.Entries, func(l changes.Entry) bool { return l.Outcome == c.Status }) {
		t.Errorf("%s: the history does not say that it is %s", name, c.Status)
	}
	if slices.ContainsFunc(e.Entries, func(l changes.Entry) bool { return l.Reason == "" || !l.At.Equal(noon) }) {
		t.Errorf("%s: an entry lacks its reason or its time: %+v", name, e.Entries)
	}
	stepMade := outcome == changes.Applied || outcome == changes.Confirmed
	if stepMade != (c.Steps == s.Change.Steps+1) {
		t.Errorf("%s: %d steps after %d", name, c.Steps, s.Change.Steps)
	}
	if c.Status == changes.StatusPending && outcome != changes.Validate && outcome != changes.Approve && (!c.DueAt.After(noon) || c.HeldReason == "") {
		t.Errorf("%s: due at %v because %q", name, c.DueAt, c.HeldReason)
	}
	sent := outcome == changes.Send
	if sent != (c.Sends == s.Change.Sends+1) {
		t.Errorf("%s: %d sends after %d", name, c.Sends, s.Change.Sends)
	}
	for _, n := range e.Notices {
		if n.Text == "" || n.Change.ChangeID != c.ChangeID {
			t.Errorf("%s: the notice %+v", name, n)
		}
	}
}

func TestACutThatWasNotMadeForbidsNoRaises(t *testing.T) {
	t.Parallel()
	for outcome, forbids := range map[changes.OutcomeKind]bool{
		changes.Refused: false, changes.Forbidden: false, changes.Hold: false, changes.Fail: false, changes.Applied: true, changes.OutcomeUnknown: true, changes.RetryLater: true,
	} {
		s := before(changes.StatusApplying, changes.KindBudget, true, false)
		id := s.Change.ChangeID
		s.Change.Source = changes.Fatigue
		s.Object.NoRaiseUntil, s.Object.NoRaiseBy = at(noon.Add(time.Hour)), &id
		next, _, err := changes.Transition(s, changes.Outcome{Kind: outcome, Reason: "why", Wait: time.Minute})
		if err != nil || (next.Object.NoRaiseBy != nil) != forbids {
			t.Errorf("%s: %v, %+v", outcome, err, next.Object)
		}
	}
}

func TestAnUndoIsHeldForAnEditUntilItIsForced(t *testing.T) {
	t.Parallel()
	undo := func(with func(s *changes.State)) changes.State {
		return state(func(s *changes.State) { // 100.00 was cut to 80.00, and goes back
			s.Change.Source, s.Change.UndoOf = changes.Undo, &s.Change.ChangeID
			s.Change.BeforeMinor, s.Change.TargetMinor = ptr(8_000), ptr(10_000)
			s.Live.Amount, s.Object.KnownMinor = ptr(8_000), ptr(8_000)
			with(s)
		})
	}
	for name, c := range map[string]struct {
		with func(s *changes.State)
		want changes.OutcomeKind
	}{
		"as the change left it":          {func(*changes.State) {}, changes.Send},
		"an edit that nobody saw":        {func(s *changes.State) { s.Live.Amount = ptr(55_000) }, changes.Hold},
		"an edit that a sync saw":        {func(s *changes.State) { s.Live.Amount, s.Object.KnownMinor = ptr(55_000), ptr(55_000) }, changes.Hold},
		"forced over the edit":           {func(s *changes.State) { s.Live.Amount, s.Change.Forced = ptr(55_000), true }, changes.Send},
		"somebody has set it back":       {func(s *changes.State) { s.Live.Amount = ptr(10_000) }, changes.AlreadySet},
		"forced, in a paused account":    {func(s *changes.State) { s.Change.Forced, s.Paused = true, "paused" }, changes.Wait},
		"the campaign has a lifetime":    {func(s *changes.State) { s.Live.LifetimeBudget = true }, changes.Hold},
		"forced, but there is no budget": {func(s *changes.State) { s.Live.Amount, s.Change.Forced = nil, true }, changes.Hold},
	} {
		s := undo(c.with)
		if o := changes.Judge(s); o.Kind != c.want || o.Kind == changes.Send && o.Step != 10_000 {
			t.Errorf("%s: %+v, want %s", name, o, c.want)
		}
	}
	held := changes.Judge(undo(func(s *changes.State) { s.Live.Amount, s.Object.KnownMinor = ptr(55_000), ptr(55_000) }))
	if want := "somebody else changed ad set 1 since: it has 550.00 USD, and the change to undo left 80.00 USD; undo with force to set 100.00 USD all the same"; held.Reason != want {
		t.Errorf("%q, want %q", held.Reason, want)
	}
}
