package publish_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/geminivideo/geminivideo/infra/testkit/meter"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

func TestMessagesAreStoredOnReturn(t *testing.T) {
	t.Parallel()
	for name, addr := range servers(t) {
		c := client(t, addr)
		admin := open(t, addr)
		subscribe(t, admin, "alpha")
		subscribe(t, admin, "beta")
		var sent []message.Message
		for i := range 200 {
			sent = append(sent, message.Message{Topic: []string{"alpha", "beta"}[i%2], Data: fmt.Append(nil, i), Attributes: map[string]string{"gv-key": fmt.Sprint("k", i)}})
		}
		if err := c.Publish(t.Context(), sent...); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, topic := range []string{"alpha", "beta"} {
			got := pull(t, admin, topic, 100)
			for _, m := range got {
				if m.Attributes["gv-topic"] != topic || m.Attributes["gv-key"] != "k"+string(m.Data) {
					t.Errorf("%s: %s arrived with %v", name, m.Data, m.Attributes)
				}
			}
		}
	}
}

func TestALoneMessageDoesNotWaitForCompany(t *testing.T) {
	t.Parallel()
	c := client(t, fake(t).Addr)
	if wait, err := c.BatchDelay("a"); err != nil || wait > time.Millisecond {
		t.Errorf("a lone message waits %v for others, %v; want 1 ms at most", wait, err)
	}
}

func TestATopicThatIsNotThereFailsOnlyItsOwnMessages(t *testing.T) {
	t.Parallel()
	meter.Start(t)
	for name, addr := range servers(t) {
		c := client(t, addr)
		admin := open(t, addr)
		subscribe(t, admin, "there")
		ctx := telemetry.WithFunction(t.Context(), "publish "+name)
		err := c.Publish(ctx,
			message.Message{Topic: "there", Data: []byte("1")}, message.Message{Topic: "not-there", Data: []byte("2")}, message.Message{Topic: "there", Data: []byte("3")})
		if fault.Of(err) != fault.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		if unsent := message.UnsentOf(err, 3); len(unsent) != 1 || !unsent[1] {
			t.Errorf("%s: unsent %v", name, unsent)
		}
		pull(t, admin, "there", 2)
		if err := c.Publish(ctx, message.Message{Topic: "there", Data: []byte("4")}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, class := range []string{"4xx", "2xx"} {
			if n := meter.Value(t, "gv_call_duration_seconds", "function=publish "+name, "service=pubsub", "class="+class); n != 1 {
				t.Errorf("%s: %v calls of class %s are measured", name, n, class)
			}
		}
	}
}

func TestARefusalIsUnavailableAndTheNextTryWorks(t *testing.T) {
	t.Parallel()
	for _, code := range []codes.Code{codes.PermissionDenied, codes.ResourceExhausted, codes.NotFound} {
		server := pstest.NewServer(pstest.WithErrorInjection("Publish", code, "quota project hunter2"))
		t.Cleanup(func() { server.Close() })
		create(t, open(t, server.Addr), "a")
		err := client(t, server.Addr).Publish(t.Context(), message.Message{Topic: "a", Data: []byte("x")})
		if fault.Of(err) != fault.Unavailable {
			t.Errorf("%v: %v", code, err)
		}
		var f *fault.Error
		if errors.As(err, &f) && strings.Contains(f.Message, "hunter2") {
			t.Errorf("the caller reads %q", f.Message)
		}
	}
}

func TestAQueueThatIsNotThereIsGivenUpWithinHubSpotsPatience(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	if publish.Deadline >= 5*time.Second {
		t.Errorf("a message is tried for %v, and HubSpot waits 5 s for its answer", publish.Deadline)
	}
	var wg sync.WaitGroup
	for name, addr := range map[string]string{"refused": "127.0.0.1:1", "silent": silent.Addr().String()} {
		wg.Go(func() {
			err := client(t, addr).Publish(t.Context(), message.Message{Topic: "a", Data: []byte("x")})
			if fault.Of(err) != fault.Unavailable {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
}

func TestAClientIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	server := fake(t)
	c := client(t, server.Addr)
	admin := open(t, server.Addr)
	for i := range 4 {
		create(t, admin, fmt.Sprint("topic-", i))
	}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if err := c.Publish(t.Context(), message.Message{Topic: fmt.Sprint("topic-", i%4), Data: fmt.Append(nil, i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(server.Messages()); n != 40 {
		t.Errorf("%d messages stored", n)
	}
}

func TestNothingIsSentForNothing(t *testing.T) {
	t.Parallel()
	if err := publish.New(publish.Config{Project: "p"}).Publish(t.Context()); err != nil {
		t.Error(err)
	}
}

func fake(t *testing.T) *pstest.Server {
	t.Helper()
	server := pstest.NewServer()
	t.Cleanup(func() { server.Close() })
	return server
}

// servers returns the client library's own server and, where it is installed,
// Google's emulator.
func servers(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"pstest": fake(t).Addr}
	if addr := emulator(t); addr != "" {
		all["emulator"] = addr
	}
	return all
}

func options(addr string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}

func client(t *testing.T, addr string) *publish.Client {
	t.Helper()
	c := publish.New(publish.Config{Project: project(t)}, options(addr)...)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// project is a test's own, so that tests share an emulator and meet nobody.
func project(t *testing.T) string {
	return "p-" + strings.ToLower(t.Name())[4:min(len(t.Name()), 28)]
}

func open(t *testing.T, addr string) *pubsub.Client {
	t.Helper()
	c, err := pubsub.NewClient(t.Context(), project(t), options(addr)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func create(t *testing.T, c *pubsub.Client, topic string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := c.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: "projects/" + project(t) + "/topics/" + topic}); err != nil {
		t.Fatal(err)
	}
}

func subscribe(t *testing.T, c *pubsub.Client, topic string) {
	t.Helper()
	create(t, c, topic)
	_, err := c.SubscriptionAdminClient.CreateSubscription(t.Context(), &pubsubpb.Subscription{
		Name:  "projects/" + project(t) + "/subscriptions/" + topic,
		Topic: "projects/" + project(t) + "/topics/" + topic,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pull returns the n messages of a subscription, and fails where there are others.
func pull(t *testing.T, c *pubsub.Client, topic string, n int) (got []*pubsub.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	var mu sync.Mutex
	s := c.Subscriber(topic)
	s.ReceiveSettings.NumGoroutines = 10 // pstest hands out little on one stream
	err := s.Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		m.Ack()
		mu.Lock()
		defer mu.Unlock()
		if got = append(got, m); len(got) >= n {
			cancel()
		}
	})
	distinct := map[string]bool{}
	for _, m := range got {
		distinct[m.ID] = true
	}
	if err != nil || len(distinct) != n {
		t.Errorf("%s: pulled %d messages, want %d, %v", topic, len(distinct), n, err)
	}
	return slices.Clone(got)
}
