package changes

import (
	"strings"
	"time"
)

// Object is what is known of an ad set or an ad.
type Object struct {
	BudgetObject string
	AccountID    string
	CampaignID   string
	// KnownMinor is its daily budget or spend cap; nil where it is not known.
	KnownMinor  *int64
	KnownStatus string
	// KnownAt is when KnownMinor and KnownStatus were read, set or imported.
	KnownAt *time.Time
	// ForeignAt is when somebody else's edit was found, from ForeignWasMinor to
	// ForeignMinor where the edit was one of money.
	ForeignAt       *time.Time
	ForeignWasMinor *int64
	ForeignMinor    *int64
	// NoRaiseUntil is the end of the time in which the fatigue cut NoRaiseBy
	// forbids raises, and NoRaiseAbove the amount that the cut leads to; nil where
	// that is not known.
	NoRaiseUntil *time.Time
	NoRaiseBy    *string
	NoRaiseAbove *int64
	// NoRaiseTried says that the cut was a dry run: it forbids only dry runs.
	NoRaiseTried bool
	// PausedBy is the change of ours that paused it.
	PausedBy *string
	// DecidedAt is when the newest decision about it was made, by the change DecidedBy.
	DecidedAt *time.Time
	DecidedBy *string
}

// ceiling is the amount above which an object that has current must not be raised
// now, in an account of this mode; ok is false where raises are allowed.
func (o *Object) ceiling(current *int64, now time.Time, mode Mode) (most *int64, ok bool) {
	if o == nil || o.NoRaiseUntil == nil || !o.NoRaiseUntil.After(now) || o.NoRaiseTried && mode != ModeDryRun {
		return nil, false
	}
	if above := o.NoRaiseAbove; above != nil && (current == nil || *above < *current) {
		return above, true
	}
	return current, true
}

// allowRaises ends the ban of a fatigue cut.
func (o *Object) allowRaises() { o.NoRaiseUntil, o.NoRaiseBy, o.NoRaiseAbove = nil, nil, nil }

// banIsOf reports whether the change is the fatigue cut behind the object's ban.
func (o *Object) banIsOf(changeID string) bool { return o.NoRaiseBy != nil && *o.NoRaiseBy == changeID }

// Seen is an object as a sync found it on the platform.
type Seen struct {
	// Object is adset/ID or ad/ID.
	Object string
	// Budget is an ad set's daily budget, or under a campaign's budget its spend
	// cap, in minor units; nil where it has none, and for an ad.
	Budget *int64
	Status string
}

// knowsBetter is by how much our own knowledge of an object must be older than a
// sync's reading for the sync to count: clocks differ, and a sync takes its time.
const knowsBetter = 2 * time.Minute

// Observe updates the object by what a sync, which began to read at from, found.
// An amount or a status that we did not know is somebody else's edit. It reports
// whether anything changed.
func (o *Object) Observe(s Seen, from, now time.Time) bool {
	if o.KnownAt != nil && o.KnownAt.After(from.Add(-knowsBetter)) {
		return false
	}
	isAd := strings.HasPrefix(s.Object, "ad/")
	money, status := !same(o.KnownMinor, s.Budget), o.KnownStatus != s.Status
	if !money && !status {
		return false
	}
	if money && o.KnownMinor != nil || status && o.KnownStatus != "" && isAd {
		o.ForeignAt, o.ForeignWasMinor, o.ForeignMinor = &now, nil, nil
		if money {
			o.ForeignWasMinor, o.ForeignMinor = o.KnownMinor, s.Budget
		}
	}
	if status {
		o.PausedBy = nil
	}
	o.KnownMinor, o.KnownStatus, o.KnownAt = s.Budget, s.Status, &from
	return true
}

func same(a, b *int64) bool { return a != nil && b != nil && *a == *b || a == nil && b == nil }
