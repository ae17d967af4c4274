// Package ledger keeps the deal ledger: one row per CRM deal with its latest
// stage, its value and the click it is credited to. A row is always derived from
// what the CRM says now and from the events seen, never incremented, so that any
// order and any number of deliveries end in the same ledger.
package ledger

import (
	"slices"
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Deal is a live deal as it is to be recorded. Money is in the tenant's currency.
type Deal struct {
	ID         int64
	PipelineID string
	Stage      StageAt
	// StageName is the tenant's stage, nil where the portal's is not mapped.
	StageName *string
	// Amount is nil where the CRM has none that can be used.
	Amount *money.Amount
	// AmountIssue says why the CRM's amount cannot be used; such a deal is worth 0.
	AmountIssue *string
	Value       money.Amount
	// Confidence is the stage's, 0 to 1.
	Confidence float64
	CreatedAt  time.Time
}

// StageAt is a deal's move to a stage of its portal.
type StageAt struct {
	ID string
	At time.Time
}

// Contact is a deal's contact and all that it can be recognised by.
type Contact struct {
	ID          int64
	ConvertedAt time.Time // its first conversion
	Keys        []Key
}

// equal compares times as Postgres keeps them, and keys whatever their order.
func (c Contact) equal(o Contact) bool {
	const kept = time.Microsecond
	if c.ID != o.ID || !c.ConvertedAt.Truncate(kept).Equal(o.ConvertedAt) || len(c.Keys) != len(o.Keys) {
		return false
	}
	for _, k := range c.Keys {
		if !slices.Contains(o.Keys, k) {
			return false
		}
	}
	return true
}

// Key is something a contact left behind that a click may carry too.
type Key struct {
	Kind  string // one of the Key constants
	Value string
}

// The kinds of keys.
const (
	KeyClick       = "click_id"
	KeyFacebook    = "fbclid"
	KeyGoogle      = "gclid"
	KeyGBRAID      = "gbraid"
	KeyWBRAID      = "wbraid"
	KeyTikTok      = "ttclid"
	KeyFingerprint = "fingerprint"
	KeyLead        = "lead_id" // of a lead form on Meta
	// HMACs of the contact's e-mail addresses and phone numbers, until a lead is found by them.
	KeyEmail = "email_hash"
	KeyPhone = "phone_hash"
)

// Credit is what attribution found for a deal. ClickID, AdID and CampaignID are
// nil where it found no click.
type Credit struct {
	ContactID   *int64
	ConvertedAt *time.Time
	ClickID     *string
	AdID        *string
	CampaignID  *string
	Method      string
	Confidence  float64
	Reason      string
	// Shares are the ads that share the credit, where there are several.
	Shares []Share
}

// Share is an ad's part of a deal's credit, from From to To of 0 to 1.
type Share struct {
	AdID     string
	From, To float64
}

// Touch is a recorded click of a deal's contact.
type Touch struct {
	ClickID    string
	ContactID  *int64 // nil once the contact's data was erased
	AdID       string
	CampaignID string
	ClickedAt  time.Time
	Method     string
	Layer      int
	Confidence float64
	Reason     string
	Eligible   bool
	// Cleared says that what the click was found by is gone.
	Cleared bool
	// Known says that the ad is one of the tenant's, and Model is its account's
	// attribution model.
	Known bool
	Model string
}

// Versions holds what was recorded of some deals when the CRM was read: who
// writes later must find it unchanged, or read the CRM again.
type Versions map[int64]string

// Row is what the ledger has of a deal, under lock.
type Row struct {
	Version   string
	Live      bool
	CreatedAt time.Time // zero where it is not known
	AdIDs     []string  // the ads that have credit for it
	// Counts is all of it that the totals of ads are made of, nil where several ads share it.
	Counts *string
}

// prefilled maps the stage ids that every portal starts with.
var prefilled = map[string]string{
	"closedwon":            "closed_won",
	"closedlost":           "closed_lost",
	"appointmentscheduled": "appointment_scheduled",
}

// Prefilled returns the stage that a stage id of every new portal stands for
// where nobody mapped it, "" for any other.
func Prefilled(stageID string) string { return prefilled[stageID] }
