package hubspot

import (
	"strconv"

	"github.com/mailru/easyjson/jlexer"
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
func (e Event) Message() []byte { return e.AppendMessage(nil) }

// AppendMessage appends to b what Message returns: the members that HubSpot writes, those
// that say nothing left out.
func (e Event) AppendMessage(b []byte) []byte {
	e = e.Redacted()
	b = append(b, `{"portalId":`...)
	b = strconv.AppendInt(b, e.PortalID, 10)
	b = appendText(b, "subscriptionType", e.Type)
	b = appendNumber(b, "objectId", e.ObjectID)
	b = appendText(b, "propertyName", e.PropertyName)
	b = appendText(b, "propertyValue", e.PropertyValue)
	b = appendNumber(b, "eventId", e.EventID)
	b = appendNumber(b, "subscriptionId", e.SubscriptionID)
	b = appendNumber(b, "occurredAt", millis(e.OccurredAt))
	b = appendNumber(b, "primaryObjectId", e.PrimaryObjectID)
	for i, id := range e.MergedObjectIDs {
		if i == 0 {
			b = append(b, `,"mergedObjectIds":[`...)
		} else {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	if len(e.MergedObjectIDs) > 0 {
		b = append(b, ']')
	}
	b = appendNumber(b, "newObjectId", e.NewObjectID)
	b = appendNumber(b, "fromObjectId", e.FromObjectID)
	b = appendNumber(b, "toObjectId", e.ToObjectID)
	b = appendText(b, "associationType", e.AssociationType)
	b = appendTrue(b, "associationRemoved", e.AssociationRemoved)
	b = appendTrue(b, "isPrimaryAssociation", e.PrimaryAssociation)
	return append(b, '}')
}

func appendNumber(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(appendName(b, name), n, 10)
}

func appendText(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return json.AppendEscape(appendName(b, name), s, 0)
}

func appendTrue(b []byte, name string, is bool) []byte {
	if !is {
		return b
	}
	return append(appendName(b, name), "true"...)
}

func appendName(b []byte, name string) []byte {
	return append(append(append(b, `,"`...), name...), `":`...)
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
	in := jlexer.Lexer{Data: data}
	var w wireEvent
	w.read(&in)
	in.Consumed()
	if in.Error() != nil {
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
