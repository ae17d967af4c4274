package hubspot

import (
	"github.com/segmentio/encoding/json"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
)

// harmless are the deal properties whose value may travel in a message. Whatever
// else a value may hold (an address, a telephone number, a note) is fetched
// where it is needed; messages and dead letters outlive an erasure.
var harmless = map[string]bool{
	"dealstage": true, "pipeline": true, "amount": true, "amount_in_home_currency": true,
	"deal_currency_code": true, "closedate": true, "createdate": true,
	"hs_is_closed_won": true, "hs_deal_stage_probability": true,
}

// maxType is the longest type of an event; HubSpot's own have some 25 letters.
const maxType = 200

// maxValue is the longest value that a stage, an amount or a date can need.
const maxValue = 128

// Redacted returns e without anything that could be personal data: what is left
// is ids, times, the name of a property and, for a deal's stage, pipeline,
// amount and dates, its value. Its Key is that of e.
func (e Event) Redacted() Event {
	if e.Type != DealPropertyChange || !harmless[e.PropertyName] || e.Sensitive || len(e.PropertyValue) > maxValue {
		e.PropertyValue = ""
	}
	// A delivery's number would make a redelivered message differ from the first.
	e.AttemptNumber = 0
	e.ChangeSource = ""
	e.Sensitive = false
	return e
}

// Message returns the redacted event as JSON for Pub/Sub.
func (e Event) Message() ([]byte, error) {
	e = e.Redacted()
	w := wireEvent{
		PortalID: number(e.PortalID), SubscriptionType: text(e.Type), ObjectID: number(e.ObjectID),
		PropertyName: text(e.PropertyName), PropertyValue: text(e.PropertyValue),
		EventID: number(e.EventID), SubscriptionID: number(e.SubscriptionID), OccurredAt: number(millis(e.OccurredAt)),
		PrimaryObjectID: number(e.PrimaryObjectID), NewObjectID: number(e.NewObjectID),
		FromObjectID: number(e.FromObjectID), ToObjectID: number(e.ToObjectID), AssociationType: text(e.AssociationType),
		AssociationRemoved: boolean(e.AssociationRemoved), PrimaryAssociation: boolean(e.PrimaryAssociation),
	}
	for _, id := range e.MergedObjectIDs {
		w.MergedObjectIDs = append(w.MergedObjectIDs, number(id))
	}
	return json.Marshal(w)
}

// Subject says whose personal data the event is about, for message.SubjectAttribute:
// a contact, where it is about one contact alone; else it is empty.
func (e Event) Subject() string {
	if contacts := e.Contacts(); len(contacts) == 1 && len(e.Deals()) == 0 {
		return message.ContactSubject(e.PortalID, contacts[0])
	}
	return ""
}

// ParseMessage reads what Message wrote. Its error is of kind Invalid.
func ParseMessage(data []byte) (Event, error) {
	var w wireEvent
	if err := json.Unmarshal(data, &w); err != nil {
		return Event{}, fault.Invalidf("the message is not a HubSpot event")
	}
	e := w.event()
	if e.PortalID <= 0 || e.Type == "" {
		return Event{}, fault.Invalidf("the message names no portal or no type of event")
	}
	if len(e.Type) > maxType {
		return Event{}, fault.Invalidf("the event's type has more than %d letters: HubSpot has none like it", maxType)
	}
	return e, nil
}
