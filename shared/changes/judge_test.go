package changes_test

import (
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/shared/changes"
)

// state is a live change from 100.00 to 80.00 USD that no rule stops, as with
// changes it.
func state(with func(m *changes.State)) changes.State {
	m := changes.State{
		Now: noon, Mode: changes.ModeLive, Object: &changes.Object{BudgetObject: "adset/1", KnownMinor: ptr(10_000)},
		Live:  &changes.Live{Amount: ptr(10_000), Status: "ACTIVE"},
		Grain: 1,
		Change: changes.Change{
			ChangeID: "c", BudgetObject: "adset/1", CampaignID: "9", AccountID: "act_1", Kind: changes.KindBudget, Currency: "USD",
			BeforeMinor: ptr(10_000), TargetMinor: ptr(8_000), Status: changes.StatusPending, Mode: changes.ModeLive,
			Source: changes.Allocate, DecidedAt: noon.Add(-time.Minute), ProgressAt: noon.Add(-time.Minute),
		},
	}
	with(&m)
	return m
}

func at(t time.Time) *time.Time { return &t }

func ptr(n int64) *int64 { return &n }

func TestEachRuleIsAppliedRightBeforeAWrite(t *testing.T) {
	t.Parallel()
	many := func(n int, ago time.Duration) []time.Time {
		all := make([]time.Time, n)
		for i := range all {
			all[i] = noon.Add(-ago)
		}
		return all
	}
	for name, c := range map[string]struct {
		with func(m *changes.State)
		want changes.OutcomeKind
		why  string
	}{
		"nothing stands against it":    {func(m *changes.State) {}, changes.Send, ""},
		"paused":                       {func(m *changes.State) { m.Paused = changes.PauseReason("act_1", true, false) }, changes.Wait, "account act_1 is paused"},
		"gone":                         {func(m *changes.State) { m.Live.Status = "ARCHIVED" }, changes.Fail, "ARCHIVED"},
		"there already":                {func(m *changes.State) { m.Live.Amount, m.Object.KnownMinor = ptr(8_000), ptr(8_000) }, changes.AlreadySet, "80.00 USD already"},
		"edited":                       {func(m *changes.State) { m.Live.Amount = ptr(12_300) }, changes.Hold, "has 123.00 USD, and 100.00 USD was known"},
		"edited after it was decided":  {func(m *changes.State) { m.Object.ForeignAt = at(noon) }, changes.Hold, "after this was decided"},
		"edited before it was decided": {func(m *changes.State) { m.Object.ForeignAt = at(noon.Add(-time.Hour)) }, changes.Send, ""},
		"approved after the edit": {func(m *changes.State) {
			m.Object.ForeignAt = at(noon.Add(-time.Second))
			m.Change.ApprovedAt = at(noon)
		}, changes.Send, ""},
		"nothing was known":            {func(m *changes.State) { m.Object.KnownMinor = nil }, changes.Send, ""},
		"the campaign holds the money": {func(m *changes.State) { m.Live.CampaignBudget = true }, changes.Hold, "campaign holds the budget"},
		"a lifetime budget":            {func(m *changes.State) { m.Live.Amount, m.Live.LifetimeBudget = nil, true }, changes.Hold, "lifetime"},
		"48 hours old":                 {func(m *changes.State) { m.Change.ProgressAt = noon.Add(-changes.Stale) }, changes.Hold, "too old"},
		"almost 48 hours old":          {func(m *changes.State) { m.Change.ProgressAt = noon.Add(time.Second - changes.Stale) }, changes.Send, ""},
		"15 actions in the campaign":   {func(m *changes.State) { m.Campaign = many(15, 59*time.Minute) }, changes.Wait, "15 changes within the hour"},
		"15 actions an hour ago":       {func(m *changes.State) { m.Campaign = many(15, time.Hour) }, changes.Send, ""},
		"14 actions":                   {func(m *changes.State) { m.Campaign = many(14, 0) }, changes.Send, ""},
		"4 writes of the ad set":       {func(m *changes.State) { m.Writes = many(4, time.Minute) }, changes.Wait, "Meta's limit"},
		"moved by a fifth":             {func(m *changes.State) { m.Moves = []changes.Move{{At: noon, Before: 12_500, After: 10_000}} }, changes.Wait, "moved by 20%"},
		"an undo of that": {func(m *changes.State) {
			m.Moves = []changes.Move{{At: noon, Before: 12_500, After: 10_000}}
			m.Change.Source = changes.Undo
		}, changes.Send, ""},
		"too small": {func(m *changes.State) {
			m.Live.Amount, m.Object.KnownMinor, m.Change.TargetMinor = ptr(3), ptr(3), ptr(2)
		}, changes.Hold, "less than the smallest step"},
		"a dry run": {func(m *changes.State) { m.Mode = changes.ModeDryRun }, changes.Validate, ""},
		"a dry run beyond the velocity": {func(m *changes.State) {
			m.Mode = changes.ModeDryRun
			m.Moves = []changes.Move{{At: noon, Before: 12_500, After: 10_000}}
		}, changes.Validate, ""},
		"queued for a dry run":     {func(m *changes.State) { m.Change.Mode = changes.ModeDryRun }, changes.Validate, ""},
		"not connected":            {func(m *changes.State) { m.Live.Offline = true }, changes.Hold, "not connected"},
		"not connected, a dry run": {func(m *changes.State) { m.Live.Offline = true; m.Mode = changes.ModeDryRun }, changes.Validate, ""},
		"not approved":             {func(m *changes.State) { m.Mode = changes.ModeApproval }, changes.AskApproval, "approval"},
		"approved":                 {func(m *changes.State) { m.Mode = changes.ModeApproval; m.Change.PlanDigest = m.Change.Digest() }, changes.Send, ""},
		"another plan was approved": {func(m *changes.State) {
			m.Mode = changes.ModeApproval
			m.Change.PlanDigest = m.Change.Digest()
			m.Change.TargetMinor = ptr(8_500)
		}, changes.AskApproval, "approve it again"},
		"a raise after a fatigue cut": {func(m *changes.State) {
			m.Object.NoRaiseUntil = at(noon.Add(time.Second))
			m.Change.TargetMinor = ptr(11_000)
		}, changes.Hold, "no raise before"},
		"a raise 48 hours after it": {func(m *changes.State) { m.Object.NoRaiseUntil = at(noon); m.Change.TargetMinor = ptr(11_000) }, changes.Send, ""},
		"a cut after a fatigue cut": {func(m *changes.State) { m.Object.NoRaiseUntil = at(noon.Add(time.Hour)) }, changes.Send, ""},
	} {
		m := state(c.with)
		if v := changes.Judge(m); v.Kind != c.want || !strings.Contains(v.Reason, c.why) {
			t.Errorf("%s: %s %q, want %s with %q", name, v.Kind, v.Reason, c.want, c.why)
		}
	}
}

func TestAnUnknownOutcomeIsResolvedByReadingAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		live  *int64
		sends int
		want  changes.OutcomeKind
	}{
		"it has what we set":       {ptr(8_000), 1, changes.Confirmed},
		"it has what it had":       {ptr(10_000), 1, changes.Retry},
		"it has what it had again": {ptr(10_000), changes.MaxSends, changes.Fail},
		"it has something else":    {ptr(9_000), 1, changes.Hold},
	} {
		for _, paused := range []string{"", "paused"} { // reading is no write
			m := state(func(m *changes.State) {
				m.Change.Status, m.Change.StepMinor, m.Change.StepBefore, m.Change.Sends = changes.StatusUnknown, ptr(8_000), ptr(10_000), c.sends
				m.Live.Amount, m.Paused = c.live, paused
			})
			if v := changes.Judge(m); v.Kind != c.want || v.Reason == "" {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}

func TestEveryPartOfAPlanIsBoundByItsDigest(t *testing.T) {
	t.Parallel()
	plain := state(func(*changes.State) {}).Change
	base := &plain
	seen := map[string]string{base.DigestText(): "itself"}
	for name, change := range map[string]func(c *changes.Change){
		"tenant":   func(c *changes.Change) { c.TenantID = "x" },
		"change":   func(c *changes.Change) { c.ChangeID = "x" },
		"account":  func(c *changes.Change) { c.AccountID = "x" },
		"object":   func(c *changes.Change) { c.BudgetObject = "x" },
		"kind":     func(c *changes.Change) { c.Kind = changes.KindLimits },
		"before":   func(c *changes.Change) { c.BeforeMinor = nil },
		"target":   func(c *changes.Change) { c.TargetMinor = ptr(8_001) },
		"splits":   func(c *changes.Change) { c.Splits = map[string]int64{"a": 1} },
		"currency": func(c *changes.Change) { c.Currency = "EUR" },
		"source":   func(c *changes.Change) { c.Source = changes.Member },
	} {
		other := *base
		change(&other)
		if twin := seen[other.DigestText()]; twin != "" {
			t.Errorf("%s and %s have one digest", name, twin)
		}
		seen[other.DigestText()] = name
	}
	same := *base
	same.Status, same.HeldReason, same.Attempt = changes.StatusApplying, "x", 3
	if same.DigestText() != base.DigestText() {
		t.Error("how far it has come changes the plan")
	}
}
