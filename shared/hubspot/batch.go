package hubspot

import (
	"fmt"
	"strings"
	"time"

	"github.com/mailru/easyjson/jlexer"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// MaxBatch is the largest number of events that HubSpot sends at once.
const MaxBatch = 100

// ParseBatch reads a webhook's body, which must not change afterwards: the events' texts
// are parts of it. It is lenient, for the format is HubSpot's to change: unknown members
// are ignored, numbers may be strings, the type may stand in subscriptionType or eventType
// and be of the classic or the generic form. Only what is not a batch at all is an error
// (kind Invalid): no JSON array of at most MaxBatch objects, or an event without a portal
// or a type. Anybody may send a body: reading stops at event MaxBatch+1, and depth costs
// no stack.
func ParseBatch(body []byte) ([]Event, error) {
	in := jlexer.Lexer{Data: body}
	events := make([]Event, 0, min(MaxBatch, len(body)/usualEvent+1))
	for in.Delim('['); !in.IsDelim(']'); in.WantComma() {
		if len(events) == MaxBatch {
			return nil, fault.Field("body", "must be an array of at most 100 HubSpot events")
		}
		var w wireEvent
		w.read(&in)
		if !in.Ok() {
			break
		}
		e := w.event()
		if e.PortalID <= 0 {
			return nil, fault.Field(fmt.Sprintf("body[%d].portalId", len(events)), "must be the id of a portal")
		}
		if e.Type == "" {
			return nil, fault.Field(fmt.Sprintf("body[%d].subscriptionType", len(events)), "must be the type of an event")
		}
		events = append(events, e)
	}
	in.Delim(']')
	in.Consumed()
	if in.Error() != nil {
		return nil, fault.Field("body", "must be a JSON array of HubSpot events")
	}
	return events, nil
}

// usualEvent is less than the bytes of most events that HubSpot sends.
const usualEvent = 192

// wireEvent is an event as HubSpot writes it; message.go writes it the same way.
type wireEvent struct {
	PortalID         int64
	SubscriptionType string
	EventType        string
	ObjectTypeID     string
	ObjectID         int64
	PropertyName     string
	PropertyValue    string
	EventID          int64
	SubscriptionID   int64
	OccurredAt       int64
	AttemptNumber    int64
	ChangeSource     string
	IsSensitive      bool

	PrimaryObjectID int64
	MergedObjectIDs []int64
	NewObjectID     int64

	FromObjectID       int64
	ToObjectID         int64
	FromObjectTypeID   string
	ToObjectTypeID     string
	AssociationType    string
	AssociationRemoved bool
	PrimaryAssociation bool
}

// objectNames are the object types that the generic format writes as ids.
var objectNames = map[string]string{"0-1": "contact", "0-2": "company", "0-3": "deal"}

// maxMillis is the end of the year 9999.
const maxMillis = 253_402_300_799_999

func (w *wireEvent) event() Event {
	kind := w.SubscriptionType
	if kind == "" {
		kind = w.EventType
	}
	if action, generic := strings.CutPrefix(kind, "object."); generic {
		if name, known := objectNames[w.ObjectTypeID]; known {
			kind = name + "." + action
		} else if name, known := objectNames[w.FromObjectTypeID]; known && action == "associationChange" {
			kind = name + "." + action
		}
	}
	e := Event{
		PortalID: w.PortalID, Type: kind, ObjectID: w.ObjectID, PropertyName: w.PropertyName, PropertyValue: w.PropertyValue,
		EventID: w.EventID, SubscriptionID: w.SubscriptionID, AttemptNumber: int(w.AttemptNumber),
		ChangeSource: w.ChangeSource, Sensitive: w.IsSensitive,
		PrimaryObjectID: w.PrimaryObjectID, MergedObjectIDs: w.MergedObjectIDs, NewObjectID: w.NewObjectID,
		FromObjectID: w.FromObjectID, ToObjectID: w.ToObjectID, AssociationType: w.AssociationType,
		AssociationRemoved: w.AssociationRemoved, PrimaryAssociation: w.PrimaryAssociation,
	}
	// The generic format names an association by its type id; the two object
	// types say as much.
	if from, to := objectNames[w.FromObjectTypeID], objectNames[w.ToObjectTypeID]; from != "" && to != "" {
		e.AssociationType = strings.ToUpper(from + "_TO_" + to)
	}
	// A time that no database can hold is no time; Check reports it.
	if w.OccurredAt > 0 && w.OccurredAt <= maxMillis {
		e.OccurredAt = time.UnixMilli(w.OccurredAt).UTC()
	}
	return e
}

// read fills w from the JSON object that comes next.
func (w *wireEvent) read(in *jlexer.Lexer) {
	for in.Delim('{'); !in.IsDelim('}'); in.WantComma() {
		name := in.UnsafeFieldName(false)
		in.WantColon()
		switch name {
		case "portalId":
			w.PortalID = readNumber(in)
		case "subscriptionType":
			w.SubscriptionType = readText(in)
		case "eventType":
			w.EventType = readText(in)
		case "objectTypeId":
			w.ObjectTypeID = readText(in)
		case "objectId":
			w.ObjectID = readNumber(in)
		case "propertyName":
			w.PropertyName = readText(in)
		case "propertyValue":
			w.PropertyValue = readText(in)
		case "eventId":
			w.EventID = readNumber(in)
		case "subscriptionId":
			w.SubscriptionID = readNumber(in)
		case "occurredAt":
			w.OccurredAt = readNumber(in)
		case "attemptNumber":
			w.AttemptNumber = readNumber(in)
		case "changeSource":
			w.ChangeSource = readText(in)
		case "isSensitive":
			w.IsSensitive = readBoolean(in)
		case "primaryObjectId":
			w.PrimaryObjectID = readNumber(in)
		case "mergedObjectIds":
			w.MergedObjectIDs = readNumbers(in)
		case "newObjectId":
			w.NewObjectID = readNumber(in)
		case "fromObjectId":
			w.FromObjectID = readNumber(in)
		case "toObjectId":
			w.ToObjectID = readNumber(in)
		case "fromObjectTypeId":
			w.FromObjectTypeID = readText(in)
		case "toObjectTypeId":
			w.ToObjectTypeID = readText(in)
		case "associationType":
			w.AssociationType = readText(in)
		case "associationRemoved":
			w.AssociationRemoved = readBoolean(in)
		case "isPrimaryAssociation":
			w.PrimaryAssociation = readBoolean(in)
		default:
			in.SkipRecursive()
		}
	}
	in.Delim('}')
}
