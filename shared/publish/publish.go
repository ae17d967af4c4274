// Package publish sends messages to Google Cloud Pub/Sub. With
// PUBSUB_EMULATOR_HOST set it talks to an emulator, or to the local system's own
// durable queue, through the same client.
package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/api/option"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/telemetry"
	"github.com/geminivideo/geminivideo/shared/telemetry/rpc"
)

// Config is where topics are.
type Config struct {
	Project string `env:"GOOGLE_CLOUD_PROJECT, required"`
}

// Client publishes. Its connection is made on first use; it is safe for
// concurrent use.
type Client struct {
	project string
	opts    []option.ClientOption

	mu     sync.Mutex
	client *pubsub.Client
	topics map[string]*pubsub.Publisher
}

// New returns a client for the project's topics.
func New(cfg Config, opts ...option.ClientOption) *Client {
	return &Client{project: cfg.Project, opts: opts, topics: map[string]*pubsub.Publisher{}}
}

// deadline bounds one call: HubSpot listens for 5 s.
const deadline = 4 * time.Second

// Publish returns nil once Pub/Sub has stored every message, and an Unavailable
// fault if any could not be stored; those that were stored stay so, and
// message.UnsentOf tells which were not. Each message carries its topic's name,
// so that its dead letter has the topic.
func (c *Client) Publish(ctx context.Context, messages ...message.Message) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	began := time.Now()
	ctx, span := telemetry.Begin(ctx, telemetry.Producer, "publish", attribute.Int("messaging.batch.message_count", len(messages)))
	class, err := c.publish(ctx, messages)
	failure := ""
	if err != nil {
		failure = "not stored"
	}
	span.End(failure)
	// Batches are sent outside of any request, so a call is measured here, not by rpc.Measured.
	telemetry.CallSeconds.Record(ctx, time.Since(began).Seconds(), telemetry.FunctionOf(ctx), "pubsub", class)
	unsent := message.UnsentOf(err, len(messages))
	for i, m := range messages {
		outcome := "stored"
		if unsent[i] {
			outcome = "failed"
		}
		telemetry.MessagesPublished.Add(ctx, 1, m.Topic, outcome)
	}
	return err
}

// publish also returns the class of the answer, of a failure where there is one.
func (c *Client) publish(ctx context.Context, messages []message.Message) (class string, err error) {
	traceparent := telemetry.Traceparent(ctx)
	results := make([]*pubsub.PublishResult, len(messages))
	for i, m := range messages {
		topic, err := c.topic(m.Topic)
		if err != nil {
			return "none", fault.Down("the message queue cannot be reached", err)
		}
		attributes := map[string]string{message.TopicAttribute: m.Topic}
		if traceparent != "" {
			attributes[message.TraceAttribute] = traceparent
		}
		maps.Copy(attributes, m.Attributes) // an older message names its own trace
		results[i] = topic.Publish(ctx, &pubsub.Message{Data: m.Data, Attributes: attributes})
	}
	var (
		unsent message.Unsent
		causes []string
	)
	for i, r := range results { // CPU may stop after the answer: wait for every one
		if _, err := r.Get(ctx); err != nil {
			class = rpc.Class(err)
			unsent.Indexes = append(unsent.Indexes, i)
			if cause := fmt.Sprintf("publish to %s: %v", messages[i].Topic, err); !slices.Contains(causes, cause) {
				causes = append(causes, cause)
			}
		}
	}
	if len(causes) > 0 {
		unsent.Cause = errors.New(strings.Join(causes, "; "))
		return class, fault.Down("the message queue does not take messages right now", &unsent)
	}
	return rpc.Class(nil), nil
}

// Close sends what is buffered and closes the connection.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.topics {
		t.Stop()
	}
	if c.client == nil {
		return nil
	}
	return c.client.Close()
}

func (c *Client) topic(name string) (*pubsub.Publisher, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil {
		client, err := pubsub.NewClient(context.Background(), c.project, c.opts...)
		if err != nil {
			return nil, err
		}
		c.client = client
	}
	t, ok := c.topics[name]
	if !ok {
		t = c.client.Publisher(name)
		// A lone message would otherwise wait 10 ms for company, and one that
		// cannot be sent would be tried for a minute.
		t.PublishSettings.DelayThreshold = time.Millisecond
		t.PublishSettings.Timeout = deadline
		c.topics[name] = t
	}
	return t, nil
}
