// Package message is what travels between functions: bytes with attributes, on
// a topic, delivered at least once and in any order.
package message

import (
	"fmt"
	"time"
)

// KeyAttribute carries the sender's own id of a message. Pub/Sub gives a message
// that is sent twice two ids of its own, so this is what makes them one.
const KeyAttribute = "gv-key"

// TenantAttribute names the tenant that a message belongs to, where one is known.
const TenantAttribute = "gv-tenant"

// TopicAttribute names the topic that a message was sent to: a dead letter comes
// through a subscription whose name need not tell.
const TopicAttribute = "gv-topic"

// ReasonAttribute says, on a dead letter, why the last attempt failed, where the
// queue knows.
const ReasonAttribute = "gv-reason"

// SubjectAttribute says whose data a message is about, so that an erasure finds
// it wherever it is kept.
const SubjectAttribute = "gv-subject"

// ContactSubject is the subject of messages about a CRM contact.
func ContactSubject(portal, contact int64) string {
	return fmt.Sprintf("contact/%d/%d", portal, contact)
}

// Message is one message. A sender fills Topic, Data and Attributes; the rest is
// known on delivery.
type Message struct {
	Topic      string
	Data       []byte
	Attributes map[string]string

	// ID is what the queue calls the message.
	ID string
	// Subscription is the queue it came through.
	Subscription string
	PublishedAt  time.Time
	// Attempt counts deliveries from 1; 0 where the queue does not say.
	Attempt int
}

// Key returns what makes two deliveries the same message: the sender's key
// where it gave one, the queue's id otherwise.
func (m Message) Key() string {
	if key := m.Attributes[KeyAttribute]; key != "" {
		return key
	}
	return m.ID
}

// Tenant returns the tenant that the message belongs to, empty where it does not
// say.
func (m Message) Tenant() string { return m.Attributes[TenantAttribute] }

// Subject returns whose data the message is about, empty where it is nobody's.
func (m Message) Subject() string { return m.Attributes[SubjectAttribute] }
