// Package deadletter keeps what failed its last attempt: it handles the messages
// of the topic dead-letter, where the queue itself sends them, and puts them
// where an admin finds and replays them. A letter is kept once, by the message's
// own key, so repeating one changes nothing.
package deadletter

import (
	"cmp"
	"context"
	"path"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/deadletter"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.PubSub("deadletter", build) }

type config struct {
	Worker pg.WorkerConfig
}

func build(ctx context.Context) (serve.Consumer, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	db, err := pg.OpenWorker(ctx, cfg.Worker)
	if err != nil {
		return nil, err
	}
	return New(db), nil
}

type function struct{ db *pg.Worker }

// New returns the function's consumer.
func New(db *pg.Worker) serve.Consumer { return &function{db} }

// Health reports whether the database answers.
func (f *function) Health(ctx context.Context) error { return f.db.Ping(ctx) }

// What the queue adds to a message that failed its last attempt.
const (
	sourceSubscription = "CloudPubSubDeadLetterSourceSubscription"
	sourceAttempts     = "CloudPubSubDeadLetterSourceDeliveryCount"
)

// Handle keeps the message under the topic that it was first sent to.
func (f *function) Handle(ctx context.Context, m message.Message) error {
	topic := topicOf(m)
	serve.Note(ctx, "topic", topic, "subscription", m.Attributes[sourceSubscription])
	// This delivery's own count says nothing of the attempts that failed.
	m.Attempt, _ = strconv.Atoi(m.Attributes[sourceAttempts])
	reason := cmp.Or(m.Attributes[message.ReasonAttribute], "every attempt to handle it failed; the function's log says why")
	return pg.Across(ctx, f.db, func(tx pgx.Tx) error { return deadletter.Keep(ctx, tx, topic, m, reason) })
}

// Reject stores a message that cannot be stored as what it was: there is nowhere else
// for it to go.
func (f *function) Reject(ctx context.Context, m message.Message, reason error) error {
	if fault.Of(reason) == fault.Internal {
		return reason
	}
	return deadletter.Reject(ctx, f.db, deadletter.Topic, m, reason)
}

// topicOf returns the topic that m says, or the one that its subscription is
// named after, within the prefixes and suffixes that such names have.
func topicOf(m message.Message) string {
	if topic := path.Base(m.Attributes[message.TopicAttribute]); topic != "." && topic != "/" {
		return topic
	}
	name := path.Base(m.Attributes[sourceSubscription])
	if name == "." || name == "/" {
		return deadletter.Topic
	}
	for _, prefix := range []string{"eventarc-", "geminivideo-", "gv-"} {
		name = strings.TrimPrefix(name, prefix)
	}
	for _, suffix := range []string{"-subscription", "-sub", "-push"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return cmp.Or(name, deadletter.Topic)
}
