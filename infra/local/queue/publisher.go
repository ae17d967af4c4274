package queue

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// publisher is the part of Pub/Sub's Publisher service that publishing clients use.
type publisher struct {
	pubsubpb.UnimplementedPublisherServer
	queue *Queue
}

// Pub/Sub's limits.
const (
	maxRequest        = 10 << 20
	maxMessages       = 1000
	maxAttributes     = 100
	maxAttributeKey   = 256
	maxAttributeValue = 1024
)

// Publish answers once the messages are committed.
func (p *publisher) Publish(ctx context.Context, r *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	topic, err := p.topic(r.GetTopic())
	if err != nil {
		return nil, err
	}
	if n := len(r.GetMessages()); n == 0 || n > maxMessages {
		return nil, status.Errorf(codes.InvalidArgument, "a request holds 1 to %d messages, not %d", maxMessages, n)
	}
	if size := proto.Size(r); size > maxRequest {
		return nil, status.Errorf(codes.InvalidArgument, "a request holds at most %d bytes, not %d", maxRequest, size)
	}
	messages := make([]message, len(r.GetMessages()))
	for i, m := range r.GetMessages() {
		if err := check(m); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "message %d: %v", i, err)
		}
		messages[i] = message{Data: m.GetData(), Attributes: m.GetAttributes(), OrderingKey: m.GetOrderingKey()}
	}
	ids, err := p.queue.journal.publish(ctx, topic, p.queue.subscribers(topic), messages)
	if err != nil {
		p.queue.Log.Error("queue: messages not taken", "topic", topic, "messages", len(messages), "error", err.Error())
		return nil, status.Error(codes.Unavailable, "the local queue's journal does not answer")
	}
	p.queue.ring(topic)
	answer := &pubsubpb.PublishResponse{MessageIds: make([]string, len(ids))}
	for i, id := range ids {
		answer.MessageIds[i] = strconv.FormatInt(id, 10)
	}
	return answer, nil
}

func check(m *pubsubpb.PubsubMessage) error {
	if len(m.GetData()) == 0 && len(m.GetAttributes()) == 0 {
		return fmt.Errorf("it has neither data nor attributes")
	}
	if len(m.GetAttributes()) > maxAttributes {
		return fmt.Errorf("it has more than %d attributes", maxAttributes)
	}
	for k, v := range m.GetAttributes() {
		if k == "" || len(k) > maxAttributeKey || len(v) > maxAttributeValue {
			return fmt.Errorf("attribute %q: a key has 1 to %d bytes, a value at most %d", k, maxAttributeKey, maxAttributeValue)
		}
	}
	return nil
}

// GetTopic returns a topic that a function subscribes to.
func (p *publisher) GetTopic(_ context.Context, r *pubsubpb.GetTopicRequest) (*pubsubpb.Topic, error) {
	if _, err := p.topic(r.GetTopic()); err != nil {
		return nil, err
	}
	return &pubsubpb.Topic{Name: r.GetTopic()}, nil
}

// CreateTopic makes none: the topics are those of functions.yaml.
func (p *publisher) CreateTopic(_ context.Context, r *pubsubpb.Topic) (*pubsubpb.Topic, error) {
	if _, err := p.topic(r.GetName()); err != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "topics come from functions/functions.yaml, which has none called %s", r.GetName())
	}
	return nil, status.Errorf(codes.AlreadyExists, "topic %s exists", r.GetName())
}

// ListTopics lists the topics that functions subscribe to.
func (p *publisher) ListTopics(context.Context, *pubsubpb.ListTopicsRequest) (*pubsubpb.ListTopicsResponse, error) {
	var names []string
	for _, s := range p.queue.Subscriptions {
		names = append(names, p.prefix()+s.Topic)
	}
	slices.Sort(names)
	answer := &pubsubpb.ListTopicsResponse{}
	for _, name := range slices.Compact(names) {
		answer.Topics = append(answer.Topics, &pubsubpb.Topic{Name: name})
	}
	return answer, nil
}

func (p *publisher) prefix() string { return "projects/" + p.queue.Project + "/topics/" }

// topic refuses a topic that nobody subscribes to, as Pub/Sub refuses one that
// does not exist: a message to it would be lost.
func (p *publisher) topic(name string) (string, error) {
	for _, s := range p.queue.Subscriptions {
		if name == p.prefix()+s.Topic {
			return s.Topic, nil
		}
	}
	return "", status.Errorf(codes.NotFound, "topic %s not found: no function subscribes to it", name)
}
