package fakehubspot

import (
	"slices"
	"strings"
	"time"
)

// Event is a webhook's event as HubSpot writes it.
type Event struct {
	EventID          int64  `json:"eventId"`
	SubscriptionID   int64  `json:"subscriptionId"`
	PortalID         int64  `json:"portalId"`
	AppID            int64  `json:"appId"`
	OccurredAt       int64  `json:"occurredAt"`
	SubscriptionType string `json:"subscriptionType"`
	AttemptNumber    int    `json:"attemptNumber"`
	ObjectID         int64  `json:"objectId"`
	ObjectTypeID     string `json:"objectTypeId,omitempty"`
	ChangeSource     string `json:"changeSource"`
	SourceID         string `json:"sourceId,omitempty"`
	ChangeFlag       string `json:"changeFlag,omitempty"`

	PropertyName  string  `json:"propertyName,omitempty"`
	PropertyValue *string `json:"propertyValue,omitempty"`

	PrimaryObjectID         int64   `json:"primaryObjectId,omitempty"`
	MergedObjectIDs         []int64 `json:"mergedObjectIds,omitempty"`
	NewObjectID             int64   `json:"newObjectId,omitempty"`
	NumberOfPropertiesMoved *int    `json:"numberOfPropertiesMoved,omitempty"`

	FromObjectID         int64  `json:"fromObjectId,omitempty"`
	ToObjectID           int64  `json:"toObjectId,omitempty"`
	FromObjectTypeID     string `json:"fromObjectTypeId,omitempty"`
	ToObjectTypeID       string `json:"toObjectTypeId,omitempty"`
	AssociationType      string `json:"associationType,omitempty"`
	AssociationRemoved   *bool  `json:"associationRemoved,omitempty"`
	IsPrimaryAssociation *bool  `json:"isPrimaryAssociation,omitempty"`
}

var objectTypeIDs = map[string]string{"contact": "0-1", "deal": "0-3"}

// event completes e, or returns none where nobody subscribed to it.
func (p *Portal) event(e Event, at time.Time) []Event {
	name := e.SubscriptionType
	if e.PropertyName != "" {
		name += ":" + e.PropertyName
	}
	subscription := slices.Index(p.config.Subscriptions, name)
	if subscription < 0 {
		return nil
	}
	// Not unique in a real portal either way: redeliveries repeat it.
	p.fake.state.NextEvent++
	e.EventID = p.fake.state.NextEvent
	e.SubscriptionID = 3_900_000 + int64(subscription)
	e.PortalID, e.AppID = p.config.ID, p.config.AppID
	e.OccurredAt = at.UnixMilli()
	e.ChangeSource, e.SourceID = "CRM_UI", "userId:76023669"
	kind, action, _ := strings.Cut(e.SubscriptionType, ".")
	// HubSpot has no generic form of a privacy deletion.
	if p.config.Generic && action != "privacyDeletion" {
		e.SubscriptionType, e.ObjectTypeID = "object."+action, objectTypeIDs[kind]
		if from, to, ok := strings.Cut(strings.ToLower(e.AssociationType), "_to_"); ok {
			e.FromObjectTypeID, e.ToObjectTypeID = objectTypeIDs[from], objectTypeIDs[to]
			e.AssociationType = ""
		}
	}
	return []Event{e}
}

func (p *Portal) lifecycle(kind, action string, id int64, at time.Time) []Event {
	flags := map[string]string{"creation": "CREATED", "deletion": "DELETED", "restore": "RESTORED"}
	return p.event(Event{SubscriptionType: kind + "." + action, ObjectID: id, ChangeFlag: flags[action]}, at)
}

func (p *Portal) changed(kind string, id int64, property, value string, at time.Time) []Event {
	return p.event(Event{
		SubscriptionType: kind + ".propertyChange", ObjectID: id, PropertyName: property, PropertyValue: &value,
	}, at)
}

func (p *Portal) merged(kind string, primary, merged, result int64, moved int, at time.Time) []Event {
	return p.event(Event{
		SubscriptionType: kind + ".merge", ObjectID: primary, PrimaryObjectID: primary,
		MergedObjectIDs: []int64{merged}, NewObjectID: result, NumberOfPropertiesMoved: &moved,
	}, at)
}

// associated returns what both sides of an association fire. A primary one fires
// twice on the deal's side: as an association and as the primary one.
func (p *Portal) associated(deal, contact int64, primary, removed bool, at time.Time) []Event {
	one := func(kind, association string, from, to int64, primary bool) []Event {
		return p.event(Event{
			SubscriptionType: kind + ".associationChange", ObjectID: from, FromObjectID: from, ToObjectID: to,
			AssociationType: association, AssociationRemoved: &removed, IsPrimaryAssociation: &primary,
		}, at)
	}
	events := one("deal", "DEAL_TO_CONTACT", deal, contact, false)
	if primary {
		events = append(events, one("deal", "DEAL_TO_CONTACT", deal, contact, true)...)
	}
	return append(events, one("contact", "CONTACT_TO_DEAL", contact, deal, primary)...)
}
