// Package crmsync stores how far a connected portal's deals have been read: by its
// backfill, which reads them once after connecting, and by its hourly reconcile.
// A run claims a portal for a time and saves its position after every page; a run
// whose claim has passed to another writes nothing more.
package crmsync

import (
	"time"

	"github.com/geminivideo/geminivideo/shared/hubspot"
)

// The states of a backfill.
const (
	Waiting   = "waiting"
	Running   = "running"
	Completed = "completed"
	Cancelled = "cancelled"
)

// The phases of a run, in their order.
const (
	Deals    = "deals"    // deals that changed since the last run
	Contacts = "contacts" // contacts that changed, for the deals they belong to
	Compare  = "compare"  // recorded deals that the CRM no longer has
	Erasures = "erasures" // recorded contacts that the CRM has erased
)

// BackfillDays is how far back deals are read unless the tenant says otherwise.
const BackfillDays = 540

// Every is the time between two runs of a portal.
const Every = time.Hour

// Sync is a portal's state.
type Sync struct {
	TenantID           string
	PortalID           int64
	DueAt              time.Time
	RequestedBy        string
	Claim              *string
	ClaimedUntil       *time.Time
	Phase              string
	DealsAt            *time.Time
	DealsAfter         int64
	ContactsAt         *time.Time
	ContactsAfter      int64
	CompareAfter       int64
	ErasuresAfter      int64
	BackfillState      string
	BackfillDays       int
	BackfillSince      *time.Time
	BackfillTotal      *int
	BackfillRead       int
	BackfillStartedAt  *time.Time
	BackfillFinishedAt *time.Time
	RunStartedAt       *time.Time
	RunSeen            int
	RunRepaired        int
	RunGone            int
	RunErased          int
	LastStartedAt      *time.Time
	LastFinishedAt     *time.Time
	LastSeen           int
	LastRepaired       int
	LastGone           int
	LastErased         int
	RepairedTotal      int64
	LastError          *string
	LastErrorAt        *time.Time
	WriteBackError     *string
	Now                time.Time
}

// Backfilling reports whether the deals are read for the first time.
func (s Sync) Backfilling() bool { return s.BackfillState == Waiting || s.BackfillState == Running }

// DealsFrom is where the list of changed deals goes on.
func (s Sync) DealsFrom() hubspot.Cursor { return from(s.DealsAt, s.DealsAfter) }

// ContactsFrom is where the list of changed contacts goes on.
func (s Sync) ContactsFrom() hubspot.Cursor { return from(s.ContactsAt, s.ContactsAfter) }

func from(at *time.Time, after int64) hubspot.Cursor {
	if at == nil {
		return hubspot.Cursor{At: time.UnixMilli(1)}
	}
	return hubspot.Cursor{At: *at, AfterID: after}
}

// Lag is how old the newest complete comparison with the CRM is; 0 before the first.
func (s Sync) Lag() time.Duration {
	if s.LastStartedAt == nil {
		return 0
	}
	return max(s.Now.Sub(*s.LastStartedAt), 0)
}
