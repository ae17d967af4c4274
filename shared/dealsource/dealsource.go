// Package dealsource knows the sources of deals other than HubSpot, and stores what
// each has said of its deals. A deal's present state is a function of all its
// reports, whatever the order and the number of their deliveries: the latest by the
// time that the source gives decides, of two at one time the one with the greater
// key.
package dealsource

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// Source is an address that deals are sent to.
type Source struct {
	TenantID       string
	Source         string
	PortalID       int64
	Name           string
	Secret         string // Secret Manager name
	PreviousSecret *string
	PreviousUntil  *time.Time
	ContactSalt    string
	CreatedBy      string
	CreatedAt      time.Time
	RevokedAt      *time.Time
	LastAt         *time.Time
	Now            time.Time
}

// Secrets returns the names of the secrets that sign now, the newest first.
func (s Source) Secrets() []string {
	names := []string{s.Secret}
	if s.PreviousSecret != nil && s.PreviousUntil != nil && s.PreviousUntil.After(s.Now) {
		names = append(names, *s.PreviousSecret)
	}
	return names
}

// Kind is the kind of the messages that carry a Report.
const Kind = "deal"

// Pipeline is the only pipeline of a source.
const Pipeline = "default"

// Report is what a source says of a deal, as it travels: ids, and no personal data.
type Report struct {
	Kind       string    `json:"kind"`
	PortalID   int64     `json:"portal_id"`
	Key        string    `json:"report_key"`
	DealID     string    `json:"deal_id"`
	Stage      string    `json:"stage"`
	Amount     *float64  `json:"amount,omitempty"`
	Currency   string    `json:"currency,omitempty"`
	OccurredAt time.Time `json:"occurred_at"`
	Deleted    bool      `json:"deleted,omitempty"`
	// Contact is a hash of the contact's id; Keys are what it is known by.
	Contact string `json:"contact,omitempty"`
	Keys    []Key  `json:"keys,omitempty"`
}

// Key is something a contact left behind that a click may carry too; Kind is one of
// the ledger's kinds of keys.
type Key struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

// Move is a deal's stage at a time.
type Move struct {
	Stage string
	At    time.Time
}

// HashContact returns what is stored of a contact's id in place of itself.
func HashContact(salt, id string) string {
	sum := sha256.Sum256([]byte(salt + "\n" + id))
	return hex.EncodeToString(sum[:])
}

// ParseReport reads a message of Kind. Its error is of kind Invalid.
func ParseReport(data []byte) (Report, error) {
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fault.Invalidf("the message is no report of a deal")
	}
	if r.PortalID >= 0 || r.Key == "" || r.DealID == "" || r.Stage == "" || r.OccurredAt.IsZero() {
		return r, fault.Invalidf("the message names no source, deal, stage or time")
	}
	return r, nil
}

// Message returns the report as JSON.
func (r Report) Message() ([]byte, error) {
	r.Kind = Kind
	raw, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write the report of deal %s: %w", r.DealID, err)
	}
	return raw, nil
}

// Deal is a deal's state by all of its reports.
type Deal struct {
	Stage     string
	Deleted   bool
	CreatedAt time.Time
	Amount    *string // in Currency, as the source wrote it
	Currency  string  // "": the tenant's
	ContactID *int64
	Moves     []Move // oldest first
}
