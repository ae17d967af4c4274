package hubspot

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// The events that mean something to us, by the name that both of HubSpot's
// formats are brought to.
const (
	DealPropertyChange    = "deal.propertyChange"
	DealMerge             = "deal.merge"
	DealAssociationChange = "deal.associationChange"
	ContactMerge          = "contact.merge"
	ContactDeletion       = "contact.deletion"
	ContactErasure        = "contact.privacyDeletion"
	ContactAssociation    = "contact.associationChange"
)

// Event is one thing that happened in a portal. HubSpot may send it more than
// once and out of order.
type Event struct {
	PortalID int64
	// Type is the classic name, such as deal.propertyChange, whichever format it
	// came in; object.* stays only for objects that are neither deal nor contact.
	Type           string
	ObjectID       int64
	PropertyName   string
	PropertyValue  string
	EventID        int64
	SubscriptionID int64
	OccurredAt     time.Time
	// AttemptNumber counts HubSpot's deliveries from 0. It is no part of the
	// event: a redelivery differs in it and means the same.
	AttemptNumber int
	ChangeSource  string
	// Sensitive marks a value that HubSpot treats as sensitive data.
	Sensitive bool

	// PrimaryObjectID, MergedObjectIDs and NewObjectID are a merge's: what was
	// merged into what, and the id of the result, which may be a new one.
	PrimaryObjectID int64
	MergedObjectIDs []int64
	NewObjectID     int64

	// FromObjectID, ToObjectID, AssociationType (such as DEAL_TO_CONTACT),
	// AssociationRemoved and PrimaryAssociation are an association change's.
	FromObjectID       int64
	ToObjectID         int64
	AssociationType    string
	AssociationRemoved bool
	PrimaryAssociation bool
}

// Key identifies the event across deliveries. HubSpot does not promise that
// eventId is unique, so the key holds all that tells two events apart: of an
// association its two ends and what became of it, of a merge its parts, of a
// property the value that may travel in a message. A key that would be too long
// for a message's attribute is its hash.
func (e Event) Key() string { return string(e.AppendKey(make([]byte, 0, 128))) }

// AppendKey appends to b what Key returns.
func (e Event) AppendKey(b []byte) []byte {
	key := b
	number := func(n int64) { key = append(strconv.AppendInt(key, n, 10), '|') }
	quoted := func(s string) { key = append(appendQuoted(key, s), '|') }
	boolean := func(b bool) { key = append(strconv.AppendBool(key, b), '|') }
	number(e.PortalID)
	quoted(e.Type)
	number(e.ObjectID)
	quoted(e.PropertyName)
	number(e.EventID)
	number(millis(e.OccurredAt))
	switch _, action, _ := strings.Cut(e.Type, "."); action {
	case "associationChange":
		number(e.FromObjectID)
		number(e.ToObjectID)
		quoted(strings.ToUpper(e.AssociationType))
		boolean(e.AssociationRemoved)
		boolean(e.PrimaryAssociation)
	case "merge":
		number(e.PrimaryObjectID)
		number(e.NewObjectID)
		for _, id := range slices.Sorted(slices.Values(e.MergedObjectIDs)) {
			number(id)
		}
	case "propertyChange":
		quoted(e.Redacted().PropertyValue)
	}
	key = key[:len(key)-1] // the last part's separator
	if len(key)-len(b) > maxKey {
		sum := sha256.Sum256(key[len(b):])
		return hex.AppendEncode(append(b, "sha256:"...), sum[:])
	}
	return key
}

// appendQuoted does what strconv.AppendQuote does; nearly every text needs nothing but
// the quotes.
func appendQuoted(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.AppendQuote(b, s)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// maxKey is the longest key that is written out. Pub/Sub refuses an attribute of
// more than 1,024 bytes, and HubSpot would send such an event again for ever.
const maxKey = 512

// Deals returns the deals whose state the event may have changed, in ascending
// order: none for an event that only concerns a contact.
func (e Event) Deals() []int64 { return e.concerned("deal") }

// Contacts returns the contacts whose state the event may have changed, in
// ascending order.
func (e Event) Contacts() []int64 { return e.concerned("contact") }

// Erasure reports whether the event demands that the contact's personal data be
// erased. A plain contact.deletion only moves it to HubSpot's recycle bin.
func (e Event) Erasure() bool { return e.Type == ContactErasure }

// Check says what makes an event about a deal or a contact useless: it can
// never be processed, however often it is tried.
func (e Event) Check() error {
	kind, _, _ := strings.Cut(e.Type, ".")
	if kind != "deal" && kind != "contact" {
		return nil
	}
	if e.OccurredAt.IsZero() {
		return fault.Field("occurredAt", "must be a time in milliseconds")
	}
	if len(e.Deals())+len(e.Contacts()) == 0 {
		return fault.Field("objectId", "must be the id of a record")
	}
	return nil
}

func (e Event) concerned(kind string) []int64 {
	var ids []int64
	object, action, _ := strings.Cut(e.Type, ".")
	if object == kind {
		ids = append(ids, e.ObjectID)
		if action == "merge" {
			ids = append(ids, e.PrimaryObjectID, e.NewObjectID)
			ids = append(ids, e.MergedObjectIDs...)
		}
	}
	if from, to, ok := strings.Cut(strings.ToLower(e.AssociationType), "_to_"); ok && action == "associationChange" {
		if from == kind {
			ids = append(ids, e.FromObjectID)
		}
		if to == kind {
			ids = append(ids, e.ToObjectID)
		}
	}
	ids = slices.DeleteFunc(ids, func(id int64) bool { return id <= 0 })
	slices.Sort(ids)
	return slices.Compact(ids)
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
