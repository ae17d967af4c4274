package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

const traceTenant = "00000000-0000-4000-8000-00000000000a"

// sent keeps what a publisher is given, as Pub/Sub would push it.
type sent struct{ messages []message.Message }

func (s *sent) Publish(_ context.Context, all ...message.Message) error {
	s.messages = append(s.messages, all...)
	return nil
}

func (s *sent) push(t *testing.T) *http.Request {
	t.Helper()
	if len(s.messages) != 1 {
		t.Fatalf("%d messages were sent", len(s.messages))
	}
	body, err := json.Marshal(map[string]any{"subscription": "s", "message": map[string]any{
		"data": s.messages[0].Data, "attributes": s.messages[0].Attributes, "messageId": "1", "publishTime": "2026-03-01T12:00:00Z",
	}})
	if err != nil {
		t.Fatal(err)
	}
	return httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
}

type storing struct{ db *pg.DB }

func (c storing) Handle(ctx context.Context, _ message.Message) error {
	return pg.InTenant(ctx, c.db, traceTenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT name FROM gv.tenants WHERE name <> @secret`, pgx.StrictNamedArgs{"secret": "ana@example.com"})
		return err
	})
}

func (storing) Reject(context.Context, message.Message, error) error { return nil }

// TestOneTraceGoesFromARequestThroughTheOutboxAndThePushToTheStatement sends the message
// later, by the relay, within another trace.
func TestOneTraceGoesFromARequestThroughTheOutboxAndThePushToTheStatement(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
	telemetry.UseTracer(provider.Tracer("test"))
	t.Cleanup(func() { telemetry.UseTracer(nil) })
	made := pgtest.New(t)
	db, err := pg.Open(t.Context(), pg.Config{URL: made.AppURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: made.WorkerURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	if _, err := made.Admin(t).Exec(t.Context(), `INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'A')`, traceTenant); err != nil {
		t.Fatal(err)
	}

	webhook := serve.Wrap("hubspot", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := pg.InTenant(r.Context(), db, traceTenant, func(tx pgx.Tx) error {
			return outbox.Put(r.Context(), tx, message.Message{Topic: "crm-events", Data: []byte("x")})
		})
		if err != nil {
			serve.WriteError(w, r, err)
		}
	}))
	const trace, caller = "1af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	r := httptest.NewRequest(http.MethodPost, "/webhooks/hubspot", nil)
	r.Header.Set("Traceparent", "00-"+trace+"-"+caller+"-01")
	webhook.ServeHTTP(httptest.NewRecorder(), r)
	queue := &sent{}
	relay := telemetry.WithTrace(t.Context(), telemetry.Trace{ID: strings.Repeat("1", 32), Span: strings.Repeat("2", 16)})
	if _, err := outbox.Relay(relay, worker, queue); err != nil {
		t.Fatal(err)
	}
	serve.Consume("crmevent", storing{db}).ServeHTTP(httptest.NewRecorder(), queue.push(t))

	parents, of := map[string]string{}, map[string]string{} // by span id, and by name
	for _, s := range spans.GetSpans() {
		if s.SpanContext.TraceID().String() != trace {
			continue // another test's
		}
		parents[s.SpanContext.SpanID().String()] = s.Parent.SpanID().String()
		of[s.Name] = s.SpanContext.SpanID().String()
		for _, a := range s.Attributes {
			if text := a.Value.String(); strings.Contains(text, "ana@") || strings.Contains(text, traceTenant) {
				t.Errorf("%s has the value %s", s.Name, text)
			}
		}
	}
	for _, name := range []string{"hubspot POST", "INSERT gv.outbox", "crmevent handle", "SELECT gv.tenants"} {
		if of[name] == "" {
			t.Fatalf("%s is not in the trace: %v", name, of)
		}
	}
	for child, parent := range map[string]string{
		of["hubspot POST"]: caller, of["INSERT gv.outbox"]: of["hubspot POST"], of["crmevent handle"]: of["hubspot POST"],
		of["SELECT gv.tenants"]: of["crmevent handle"],
	} {
		if parents[child] != parent {
			t.Errorf("%s is below %s, want %s; of %v", child, parents[child], parent, of)
		}
	}
}
