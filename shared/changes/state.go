package changes

import (
	"cmp"
	"time"
)

// Live is an object as the platform shows it now. Amounts are minor units.
type Live struct {
	// Amount is the daily budget, or for KindLimits the spend cap; nil where it has
	// none. Floor is the minimum spend.
	Amount, Floor *int64
	// Status is ACTIVE, PAUSED, ARCHIVED or DELETED.
	Status string
	// CampaignBudget says that the campaign holds the money.
	CampaignBudget bool
	// LifetimeBudget says that the object or its campaign has a lifetime budget.
	LifetimeBudget bool
	Trace          string
	// Offline says that the account is not connected, so that the platform cannot
	// be asked: the rest is what is known here. A dry run works with that.
	Offline bool
}

// State is everything that the rules take into account for one change.
type State struct {
	Now    time.Time
	Change Change
	// Object is the change's object, and Adset the ad set of the ad whose status
	// changes; nil where nothing is known of it.
	Object *Object
	Adset  *Object
	// Live is nil where the platform was not asked.
	Live *Live
	// Mode is the account's own; Paused is the reason of a pause, "" where there is none.
	Mode   Mode
	Paused string
	// Grain is the smallest difference between two budgets that the platform knows.
	Grain int64
	// Moves are the object's within VelocityWindow, oldest first. Writes are the times
	// of its writes, and Campaign those of all writes in the campaign, with the ones
	// under way, within ActionWindow.
	Moves    []Move
	Writes   []time.Time
	Campaign []time.Time
	// Ads are the ads that share the object.
	Ads []string
	// Newer is a newer change of the object that waits for this one; nil where none does.
	Newer *string
	// Undoes is the change that an undo takes back; nil where this is no undo.
	Undoes *Change
}

// WithLive returns the state with what the platform shows. Where the platform was not
// asked (Offline), the last known amount and status take its place.
func (s State) WithLive(live Live) State {
	if live.Offline {
		live = Live{
			Offline: true, Amount: s.Object.KnownMinor, Status: cmp.Or(s.Object.KnownStatus, s.Change.BeforeStatus),
			CampaignBudget: s.Change.Kind == KindLimits,
		}
		if live.Amount == nil && s.Change.Kind == KindBudget {
			live.Amount = s.Change.BeforeMinor
		}
	}
	s.Live = &live
	return s
}
