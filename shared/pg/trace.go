package pg

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"

	"github.com/geminivideo/geminivideo/shared/fair"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// tracer makes a span of each statement and batch within a trace that is exported.
// Statements hold no values, for those are parameters; the one that begins a
// transaction names the tenant, and is left out.
type tracer struct{}

type spanKey struct{}

// TraceQueryStart begins a statement's span.
func (tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !telemetry.Traced(ctx) {
		return ctx
	}
	text := strings.Join(strings.Fields(data.SQL), " ")
	if strings.HasPrefix(text, "BEGIN;") {
		text = "BEGIN"
	}
	return begin(ctx, summary(text), text)
}

// TraceQueryEnd ends it.
func (tracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	end(ctx, data.Err)
}

// TraceBatchStart begins a batch's span.
func (tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	if !telemetry.Traced(ctx) {
		return ctx
	}
	return begin(ctx, "BATCH", "")
}

// TraceBatchQuery does nothing: a batch is one span.
func (tracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd ends the batch's span.
func (tracer) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	end(ctx, data.Err)
}

const longestText = 2000

func begin(ctx context.Context, name, text string) context.Context {
	attributes := []attribute.KeyValue{attribute.String("db.system.name", "postgresql")}
	if text != "" {
		attributes = append(attributes, attribute.String("db.query.text", strings.ToValidUTF8(text[:min(len(text), longestText)], "")))
	}
	ctx, span := telemetry.Begin(ctx, telemetry.Client, name, attributes...)
	return context.WithValue(ctx, spanKey{}, span)
}

func end(ctx context.Context, err error) {
	span, ok := ctx.Value(spanKey{}).(telemetry.Span)
	if !ok {
		return
	}
	failure := ""
	if err != nil {
		failure = "failed"
		if pgErr := (*pgconn.PgError)(nil); errors.As(err, &pgErr) {
			failure = pgErr.Code // its text may quote a value
		}
	}
	span.End(failure)
}

// summary is a statement's verb and its first table, such as "INSERT gv.outbox".
func summary(text string) string {
	words := strings.Fields(text)
	if len(words) == 0 {
		return "SQL"
	}
	for _, word := range words {
		if word = strings.TrimRight(word, "(),;"); strings.HasPrefix(word, "gv.") && !strings.Contains(word, "(") {
			return words[0] + " " + word
		}
	}
	return words[0]
}

// watch measures the pool before each export of metrics, for the function that opened it.
// turns is where requests wait before they ask the pool; nil where they ask it at once.
func watch(ctx context.Context, pool *pgxpool.Pool, turns *fair.Queue, role string) (stop func()) {
	function := telemetry.FunctionOf(ctx)
	return telemetry.Watch(func() {
		s := pool.Stat()
		telemetry.PoolConnections.Set(float64(s.AcquiredConns()), function, role, "used")
		telemetry.PoolConnections.Set(float64(s.IdleConns()), function, role, "idle")
		telemetry.PoolConnections.Set(float64(s.MaxConns()), function, role, "max")
		waits, waited := s.EmptyAcquireCount(), s.EmptyAcquireWaitTime()
		if turns != nil {
			n, total := turns.Waited()
			waits, waited = waits+n, waited+total
		}
		telemetry.PoolWaits.Set(float64(waits), function, role)
		telemetry.PoolWaitSeconds.Set(waited.Seconds(), function, role)
	})
}
