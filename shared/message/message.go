// Package message is what travels between functions: bytes with attributes, on
// a topic, delivered at least once and in any order.
package message

import (
	"errors"
	"fmt"
	"time"
)

// KeyAttribute carries the sender's own id of a message. Pub/Sub gives a message
// that is sent twice two ids of its own, so this is what makes them one.
const KeyAttribute = "gv-key"

// TenantAttribute names the tenant that a message belongs to, where one is known.
const TenantAttribute = "gv-tenant"

// TopicAttribute names the topic that a message was sent to: a dead letter comes
// through a subscription whose name does not show it.
const TopicAttribute = "gv-topic"

// ReasonAttribute says, on a dead letter, why the last attempt failed, where the
// queue knows.
const ReasonAttribute = "gv-reason"

// TraceAttribute says, as W3C's traceparent does, which trace a message belongs to: what
// its sender was at when it wrote the message, however much later it is sent.
const TraceAttribute = "gv-traceparent"

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

// Unsent is a publisher's error that tells which of the messages it was given
// are not stored; the others are.
type Unsent struct {
	Indexes []int
	Cause   error
}

// Error returns the cause.
func (u *Unsent) Error() string {
	return fmt.Sprintf("%d messages not stored: %v", len(u.Indexes), u.Cause)
}

// Unwrap returns the cause.
func (u *Unsent) Unwrap() error { return u.Cause }

// UnsentOf returns which of n messages err, a publisher's answer, leaves unsent:
// none where it is nil, all where it does not say.
func UnsentOf(err error, n int) map[int]bool {
	unsent := map[int]bool{}
	if err == nil {
		return unsent
	}
	var partly *Unsent
	if errors.As(err, &partly) {
		for _, i := range partly.Indexes {
			unsent[i] = true
		}
		return unsent
	}
	for i := range n {
		unsent[i] = true
	}
	return unsent
}
