package changes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
)

// amount writes an amount for people.
func amount(minor *int64, c money.Currency) string {
	if minor == nil {
		return "no amount"
	}
	return money.Amount(*minor).Format(c)
}

// Amount writes an amount of the change's money for people.
func (c *Change) Amount(minor *int64) string {
	if c.Kind == KindLimits && minor != nil && *minor == NoLimits {
		return "no limit"
	}
	return amount(minor, c.Currency)
}

// From and To write where the change starts and leads, for people.
func (c *Change) From() string {
	if c.Kind == KindStatus {
		return c.BeforeStatus
	}
	return c.Amount(c.BeforeMinor)
}

// To writes where the change leads, for people.
func (c *Change) To() string {
	if c.Kind == KindStatus {
		return c.TargetStatus
	}
	return c.Amount(c.TargetMinor)
}

// Object, Campaign and Account are what people read of them: a name, or the id
// where nobody named it.
func (c *Change) Object() string { return called(c.BudgetObject, c.ObjectName, c.AdName) }

// Campaign is the campaign's name, or its id.
func (c *Change) Campaign() string { return quoted(c.CampaignName, c.CampaignID) }

// Account is the account's name, or its id.
func (c *Change) Account() string { return quoted(c.AccountName, c.AccountID) }

// called is what people call an object: ad set "Lookalike", or by its ad where the
// ad set has no name of its own, as one that only an import knows.
func called(object, name, ad string) string {
	kind, id, _ := strings.Cut(object, "/")
	if kind != "adset" {
		return kind + " " + quoted(name, id)
	}
	if name == "" && ad != "" {
		return `ad set of "` + ad + `"`
	}
	return "ad set " + quoted(name, id)
}

func quoted(name, id string) string {
	if name == "" || name == id {
		return id
	}
	return `"` + name + `"`
}

// clock writes a time for people, to the minute.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }

// exactly writes a time for people, to the second.
func exactly(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }

// foreignEdit says which edit of somebody else was found on an object.
func foreignEdit(object string, o *Object, c money.Currency) string {
	if o.ForeignWasMinor != nil || o.ForeignMinor != nil {
		return fmt.Sprintf("somebody else changed %s from %s to %s (found at %s)", object,
			amount(o.ForeignWasMinor, c), amount(o.ForeignMinor, c), clock(*o.ForeignAt))
	}
	return fmt.Sprintf("somebody else set %s to %s (found at %s)", object, o.KnownStatus, clock(*o.ForeignAt))
}

// NotConnected is the reason of a change whose account has no connection.
func NotConnected(account string) string {
	return "account " + account + " is not connected to Meta: connect it, then decide again"
}

// PauseReason says why nothing is written; "" where neither the account nor the
// whole tenant is paused.
func PauseReason(account string, own, all bool) string {
	switch {
	case all:
		return "all accounts are paused: nothing is written until they are resumed"
	case own:
		return "account " + account + " is paused: nothing is written until it is resumed"
	}
	return ""
}

// fatigueBan is the reason of a raise that a fatigue cut forbids.
func fatigueBan(object string, ban *Object) string {
	lift := "undo the cut to allow raises"
	if ban.NoRaiseTried {
		lift = "the cut was a dry run, so this binds dry runs only"
	}
	return fmt.Sprintf("%s was cut because one of its ads is fatigued: no raise before %s (%s)", object, clock(*ban.NoRaiseUntil), lift)
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
