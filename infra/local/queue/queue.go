// Package queue is Pub/Sub on one machine, and a durable one: functions publish
// to it with Google's own client, a publish is acknowledged once its messages
// are committed to a journal in Postgres, and a dispatcher delivers them as push
// subscriptions do, with back-off, attempts and dead letters. What a crash left
// unacknowledged is offered again at the next start.
package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
)

// Subscription is one function's push subscription.
type Subscription struct {
	Name    string
	Topic   string
	Handler http.Handler
	// AckDeadline is how long Handler may take; 600 s, Pub/Sub's longest, if zero.
	AckDeadline time.Duration
	// A message that failed waits MinBackoff, then twice that, up to MaxBackoff.
	MinBackoff, MaxBackoff time.Duration
	// MaxAttempts is after how many deliveries a message goes to the dead-letter
	// topic; 0 is never.
	MaxAttempts int
	// Concurrency is how many messages are handled at once; 1 if zero.
	Concurrency int
}

// Options say what a queue serves.
type Options struct {
	Project       string
	Subscriptions []Subscription
	// DeadLetterTopic receives what failed its last attempt.
	DeadLetterTopic string
	// Log is slog.Default() if nil.
	Log *slog.Logger
}

// Queue is a running queue.
type Queue struct {
	Options
	journal journal
	lock    *pgx.Conn
	server  *grpc.Server
	addr    string
	wake    map[string]chan struct{} // by subscription: there may be something to deliver
}

// ErrInUse is wrapped by the error of a database whose queue another process runs.
var ErrInUse = errors.New("in use")

const (
	longestAck = 10 * time.Minute
	// lockWait lets the connection of a process that was killed a moment ago end.
	lockWait = 3 * time.Second
	// drainFor is how long a stop waits for the messages that are being handled.
	drainFor = 8 * time.Second
)

// Open opens the journal in the database of the owner's adminURL, takes back the
// messages that the last process did not finish, and serves publishers. Run
// delivers.
func Open(ctx context.Context, adminURL string, o Options) (*Queue, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	q := &Queue{Options: o, wake: map[string]chan struct{}{}}
	for i := range q.Subscriptions {
		s := &q.Subscriptions[i]
		s.Concurrency = max(s.Concurrency, 1)
		if s.AckDeadline <= 0 || s.AckDeadline > longestAck {
			s.AckDeadline = longestAck
		}
		q.wake[s.Name] = make(chan struct{}, 1)
	}
	if err := q.open(ctx, adminURL); err != nil {
		q.Close()
		return nil, fmt.Errorf("open the local queue: %w", err)
	}
	return q, nil
}

func (q *Queue) open(ctx context.Context, adminURL string) error {
	var err error
	if q.lock, err = lockDatabase(ctx, adminURL); err != nil {
		return err
	}
	cfg, err := pgxpool.ParseConfig(adminURL)
	if err != nil {
		return errors.New("the database's URL is not a Postgres URL") // pgx's text may hold the password
	}
	cfg.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return err
	}
	q.journal = journal{pool}
	back, err := q.journal.prepare(ctx)
	if err != nil {
		return err
	}
	if back > 0 {
		q.Log.Info("queue: messages that the last run did not finish are offered again", "messages", back)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	q.addr = listener.Addr().String()
	q.server = grpc.NewServer(grpc.MaxRecvMsgSize(maxRequest + 1<<20))
	pubsubpb.RegisterPublisherServer(q.server, &publisher{queue: q})
	go func() { _ = q.server.Serve(listener) }()
	return nil
}

// lockDatabase keeps a second queue out of the database for as long as the
// connection lives. Losing it later does no harm worth a restart: a second queue
// would offer messages again that this one is handling, as Pub/Sub may.
func lockDatabase(ctx context.Context, adminURL string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(lockWait)
	for {
		var got bool
		if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtext('local_queue'))`).Scan(&got); err != nil {
			return nil, errors.Join(err, conn.Close(ctx))
		}
		if got {
			return conn, nil
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("another local system uses this database: %w", ErrInUse), conn.Close(ctx))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Addr is the publishers' PUBSUB_EMULATOR_HOST.
func (q *Queue) Addr() string { return q.addr }

// Run delivers messages until ctx ends, then waits a moment for those that are
// being handled.
func (q *Queue) Run(ctx context.Context) {
	handling, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var all sync.WaitGroup
	for _, s := range q.Subscriptions {
		d := &dispatcher{queue: q, Subscription: s, slots: make(chan struct{}, s.Concurrency), inHand: map[int64]bool{}}
		all.Go(func() { d.run(ctx, handling) })
	}
	<-ctx.Done()
	timer := time.AfterFunc(drainFor, stop)
	defer timer.Stop()
	all.Wait()
}

// Close ends the queue. What was not acknowledged stays in the journal.
func (q *Queue) Close() {
	if q.server != nil {
		q.server.Stop()
	}
	if q.journal.pool != nil {
		q.journal.pool.Close()
	}
	if q.lock != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = q.lock.Close(ctx)
	}
}

// State is how one subscription stands.
type State struct {
	Subscription string `json:"subscription"`
	Due          int    `json:"due"`         // to be delivered now
	Handling     int    `json:"handling"`    // being handled now
	BackingOff   int    `json:"backing_off"` // failed, and to be tried again later
	// Oldest is the age of the oldest message, in seconds.
	Oldest float64 `json:"oldest_seconds"`
}

// States returns how every subscription stands.
func (q *Queue) States(ctx context.Context) ([]State, error) {
	found, err := q.journal.states(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]State, 0, len(q.Subscriptions))
	for _, s := range q.Subscriptions {
		one := found[s.Name]
		one.Subscription = s.Name
		all = append(all, one)
	}
	return all, nil
}

// subscribers returns the names of topic's subscriptions.
func (q *Queue) subscribers(topic string) []string {
	var names []string
	for _, s := range q.Subscriptions {
		if s.Topic == topic {
			names = append(names, s.Name)
		}
	}
	return names
}

// ring wakes the dispatchers of topic.
func (q *Queue) ring(topic string) {
	for _, name := range q.subscribers(topic) {
		select {
		case q.wake[name] <- struct{}{}:
		default: // it is awake already
		}
	}
}
