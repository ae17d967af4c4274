package serve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
)

// Consumer handles the messages of a topic.
type Consumer interface {
	// Handle does a message's work. It may be called any number of times for one
	// message, at once even, and must take effect once.
	Handle(ctx context.Context, m message.Message) error
	// Reject stores a message that can never succeed as a dead letter, with the reason.
	Reject(ctx context.Context, m message.Message, reason error) error
}

// maxMessage is Pub/Sub's 10 MB in base64, and the envelope.
const maxMessage = 14 << 20

// Consume returns the handler that a Pub/Sub push subscription calls. A message
// that failed is answered so that it comes again; one that can never succeed is
// kept as a dead letter and acknowledged.
func Consume(name string, c Consumer) http.Handler {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m, err := DecodeMessage(http.MaxBytesReader(w, r.Body, maxMessage), r.Header)
		if err != nil {
			if large := new(http.MaxBytesError); !errors.As(err, &large) {
				err = Problem(http.StatusBadRequest, err.Error())
			}
			WriteError(w, r, err)
			return
		}
		Note(r.Context(), "key", m.Key(), "attempt", m.Attempt)
		ctx, end := received(r.Context(), name, m)
		came := "failed" // a panic too
		defer func() { end(came) }()
		err = c.Handle(ctx, m)
		rejected := err != nil && fault.Permanent(err)
		if rejected {
			slog.WarnContext(ctx, "message can never succeed: kept as a dead letter",
				"function", name, "message", m.Key(), "error", err.Error())
			err = c.Reject(ctx, m, err)
		}
		switch {
		case err == nil && rejected:
			came = "rejected"
		case err == nil:
			came = "handled"
		}
		if err != nil {
			WriteError(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if k, ok := c.(checker); ok {
		return checked{h, k}
	}
	return h
}

// envelope is Pub/Sub's push body, which Eventarc sends as a CloudEvent's data.
type envelope struct {
	Message *struct {
		Data        []byte            `json:"data"`
		Attributes  map[string]string `json:"attributes"`
		MessageID   string            `json:"messageId"`
		OldID       string            `json:"message_id"`
		PublishTime time.Time         `json:"publishTime"`
	} `json:"message"`
	Subscription    string `json:"subscription"`
	DeliveryAttempt int    `json:"deliveryAttempt"`
}

// DecodeMessage reads a message in any of the forms it is delivered in: a push
// envelope, the same as an Eventarc CloudEvent (binary or structured), or an
// unwrapped body with its metadata in headers.
func DecodeMessage(body io.Reader, h http.Header) (message.Message, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return message.Message{}, fmt.Errorf("read message: %w", err)
	}
	if id := h.Get("X-Goog-Pubsub-Message-Id"); id != "" {
		return unwrapped(data, h, id), nil
	}
	wrapped := data
	if kind, _, _ := mime.ParseMediaType(h.Get("Content-Type")); kind == "application/cloudevents+json" {
		var event struct {
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(data, &event); err != nil || len(event.Data) == 0 {
			return message.Message{}, errors.New("the body is not a CloudEvent with data")
		}
		wrapped = event.Data
	}
	var e envelope
	if err := json.Unmarshal(wrapped, &e); err == nil && e.Message != nil {
		return e.decoded(h)
	}
	if len(data) == 0 || h.Get("Ce-Type") != "" || pushed(wrapped) {
		return message.Message{}, errors.New("the body is not a Pub/Sub message")
	}
	// An unwrapped body without metadata: the sender's key names it, or else its content does.
	sum := sha256.Sum256(data)
	return unwrapped(data, h, hex.EncodeToString(sum[:])), nil
}

// pushed reports a push's envelope: one that cannot be read is no message, and
// above all not one whose data it is.
func pushed(body []byte) bool {
	var e struct {
		Message      json.RawMessage `json:"message"`
		Subscription json.RawMessage `json:"subscription"`
	}
	return json.Unmarshal(body, &e) == nil && e.Message != nil && e.Subscription != nil
}

func (e envelope) decoded(h http.Header) (message.Message, error) {
	m := message.Message{
		ID: e.Message.MessageID, Data: e.Message.Data, Attributes: e.Message.Attributes,
		Subscription: e.Subscription, PublishedAt: e.Message.PublishTime, Attempt: e.DeliveryAttempt,
	}
	if m.ID == "" {
		m.ID = e.Message.OldID
	}
	if m.ID == "" {
		m.ID = h.Get("Ce-Id")
	}
	if m.Key() == "" {
		return m, errors.New("the message has no messageId")
	}
	return m, nil
}

// unwrapped reads the attributes that are ours; any other header is transport.
func unwrapped(data []byte, h http.Header, id string) message.Message {
	m := message.Message{
		ID: id, Data: data, Subscription: h.Get("X-Goog-Pubsub-Subscription-Name"), Attributes: map[string]string{},
	}
	m.PublishedAt, _ = time.Parse(time.RFC3339Nano, h.Get("X-Goog-Pubsub-Publish-Time"))
	for name := range h {
		if key := strings.ToLower(name); strings.HasPrefix(key, "gv-") {
			m.Attributes[key] = h.Get(name)
		}
	}
	return m
}
