package hubspot

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/segmentio/encoding/json"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// MaxBatch is the largest number of events that HubSpot sends at once.
const MaxBatch = 100

// ParseBatch reads a webhook's body. It is lenient, for the format is HubSpot's
// to change: unknown members are ignored, numbers may be strings, the type may
// stand in subscriptionType or eventType and be of the classic or the generic
// form. Only what is not a batch at all is an error (kind Invalid): no JSON
// array of at most MaxBatch objects, or an event without a portal or a type.
func ParseBatch(body []byte) ([]Event, error) {
	var wires []wireEvent
	if err := json.Unmarshal(body, &wires); err != nil {
		return nil, fault.Field("body", "must be a JSON array of HubSpot events")
	}
	if wires == nil || len(wires) > MaxBatch {
		return nil, fault.Field("body", "must be an array of at most 100 HubSpot events")
	}
	events := make([]Event, len(wires))
	for i, w := range wires {
		e := w.event()
		at := "body[" + strconv.Itoa(i) + "]"
		if e.PortalID <= 0 {
			return nil, fault.Field(at+".portalId", "must be the id of a portal")
		}
		if e.Type == "" {
			return nil, fault.Field(at+".subscriptionType", "must be the type of an event")
		}
		events[i] = e
	}
	return events, nil
}

// wireEvent is an event as HubSpot writes it; message.go writes it the same way.
type wireEvent struct {
	PortalID         number  `json:"portalId"`
	SubscriptionType text    `json:"subscriptionType"`
	EventType        text    `json:"eventType,omitempty"`
	ObjectTypeID     text    `json:"objectTypeId,omitempty"`
	ObjectID         number  `json:"objectId"`
	PropertyName     text    `json:"propertyName,omitempty"`
	PropertyValue    text    `json:"propertyValue,omitempty"`
	EventID          number  `json:"eventId"`
	SubscriptionID   number  `json:"subscriptionId,omitempty"`
	OccurredAt       number  `json:"occurredAt"`
	AttemptNumber    number  `json:"attemptNumber,omitempty"`
	ChangeSource     text    `json:"changeSource,omitempty"`
	IsSensitive      boolean `json:"isSensitive,omitempty"`

	PrimaryObjectID number  `json:"primaryObjectId,omitempty"`
	MergedObjectIDs numbers `json:"mergedObjectIds,omitempty"`
	NewObjectID     number  `json:"newObjectId,omitempty"`

	FromObjectID       number  `json:"fromObjectId,omitempty"`
	ToObjectID         number  `json:"toObjectId,omitempty"`
	FromObjectTypeID   text    `json:"fromObjectTypeId,omitempty"`
	ToObjectTypeID     text    `json:"toObjectTypeId,omitempty"`
	AssociationType    text    `json:"associationType,omitempty"`
	AssociationRemoved boolean `json:"associationRemoved,omitempty"`
	PrimaryAssociation boolean `json:"isPrimaryAssociation,omitempty"`
}

// objectNames are the object types that the generic format writes as ids.
var objectNames = map[text]string{"0-1": "contact", "0-2": "company", "0-3": "deal"}

// maxMillis is the end of the year 9999.
const maxMillis = 253_402_300_799_999

func (w wireEvent) event() Event {
	kind := string(w.SubscriptionType)
	if kind == "" {
		kind = string(w.EventType)
	}
	if action, generic := strings.CutPrefix(kind, "object."); generic {
		if name, known := objectNames[w.ObjectTypeID]; known {
			kind = name + "." + action
		} else if name, known := objectNames[w.FromObjectTypeID]; known && action == "associationChange" {
			kind = name + "." + action
		}
	}
	association := string(w.AssociationType)
	// The generic format names an association by its type id; the two object
	// types say as much.
	if from, to := objectNames[w.FromObjectTypeID], objectNames[w.ToObjectTypeID]; from != "" && to != "" {
		association = strings.ToUpper(from + "_TO_" + to)
	}
	e := Event{
		PortalID: int64(w.PortalID), Type: kind, ObjectID: int64(w.ObjectID),
		PropertyName: string(w.PropertyName), PropertyValue: string(w.PropertyValue),
		EventID: int64(w.EventID), SubscriptionID: int64(w.SubscriptionID),
		AttemptNumber: int(w.AttemptNumber), ChangeSource: string(w.ChangeSource), Sensitive: bool(w.IsSensitive),
		PrimaryObjectID: int64(w.PrimaryObjectID), NewObjectID: int64(w.NewObjectID),
		FromObjectID: int64(w.FromObjectID), ToObjectID: int64(w.ToObjectID), AssociationType: association,
		AssociationRemoved: bool(w.AssociationRemoved), PrimaryAssociation: bool(w.PrimaryAssociation),
	}
	for _, id := range w.MergedObjectIDs {
		e.MergedObjectIDs = append(e.MergedObjectIDs, int64(id))
	}
	// A time that no database can hold is no time; Check reports it.
	if w.OccurredAt > 0 && w.OccurredAt <= maxMillis {
		e.OccurredAt = time.UnixMilli(int64(w.OccurredAt)).UTC()
	}
	return e
}

// number is a whole number, also as a string; anything else counts as absent.
type number int64

func (n *number) UnmarshalJSON(raw []byte) error {
	s := strings.TrimSpace(strings.Trim(string(raw), `"`))
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		*n = number(i)
		return nil
	}
	// 1.7e12 is how some JSON writers put a large number; beyond 2^53 a float
	// would name another record.
	*n = 0
	if f, err := strconv.ParseFloat(s, 64); err == nil && f == math.Trunc(f) && math.Abs(f) <= 1<<53 {
		*n = number(f)
	}
	return nil
}

// numbers is a list of numbers, or a single one.
type numbers []number

func (n *numbers) UnmarshalJSON(raw []byte) error {
	var list []number
	if json.Unmarshal(raw, &list) == nil {
		*n = list
		return nil
	}
	*n = nil
	if one := number(0); one.UnmarshalJSON(raw) == nil && one != 0 {
		*n = numbers{one}
	}
	return nil
}

// text is a string; another JSON value is kept as it was written.
type text string

func (t *text) UnmarshalJSON(raw []byte) error {
	// Nearly every text is plain: no escape to undo, no letter to mend.
	if inner := raw[1:max(len(raw)-1, 1)]; raw[0] == '"' && bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		*t = text(inner)
		return nil
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(bytes.TrimSpace(raw))
	}
	*t = text(s)
	return nil
}

// boolean is true or "true".
type boolean bool

func (b *boolean) UnmarshalJSON(raw []byte) error {
	*b = boolean(strings.EqualFold(strings.Trim(string(raw), `"`), "true"))
	return nil
}
