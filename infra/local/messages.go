package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/infra/local/queue"
)

// atOnce is how many messages a function handles at a time: each works on the
// two connections of its pool.
const atOnce = 4

// openQueue opens the durable queue and points publishers at it, unless the
// environment names Google's emulator.
func (s *system) openQueue(ctx context.Context) error {
	if host := os.Getenv("PUBSUB_EMULATOR_HOST"); host != "" {
		s.say("Pub/Sub: the emulator at %s", host)
		return nil
	}
	o := queue.Options{Project: project, DeadLetterTopic: functions.DeadLetterTopic}
	for _, f := range s.manifest.Functions {
		h, err := s.handler(f.Name, functions.PubSub)
		if err != nil {
			continue // another trigger, or not built in
		}
		sub := queue.Subscription{
			Name: f.Name, Topic: f.Topic, Handler: h, Concurrency: min(f.Concurrency, atOnce),
			MinBackoff: f.Retry.MinBackoff, MaxBackoff: f.Retry.MaxBackoff, MaxAttempts: f.Retry.MaxAttempts,
		}
		if f.Topic == functions.DeadLetterTopic {
			sub.MaxAttempts = 0 // there is no further place to put it
		}
		o.Subscriptions = append(o.Subscriptions, sub)
	}
	var err error
	if s.queue, err = queue.Open(ctx, s.database.adminURL, o); err != nil {
		return err
	}
	s.onStop("queue", func() error { s.queue.Close(); return nil })
	return os.Setenv("PUBSUB_EMULATOR_HOST", s.queue.Addr())
}

// deliver begins the deliveries, once the gateway serves.
func (s *system) deliver(ctx context.Context) error {
	if s.queue == nil {
		return s.subscribeEmulator(ctx)
	}
	s.inBackground(func() { s.queue.Run(ctx) })
	return nil
}

// idle waits until no webhook, message or outbox row is due or on its way.
func (s *system) idle(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.database.adminURL)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", plain(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for calm := 0; ; {
		left, err := s.underWay(ctx, conn)
		switch {
		case err != nil:
			return err
		case left == "":
			calm++
		default:
			calm = 0
		}
		if calm == 2 { // twice, for what one hands to the other between two looks
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not idle: %s: %w", left, ctx.Err())
		case <-time.After(30 * time.Millisecond):
		}
	}
}

func (s *system) underWay(ctx context.Context, conn *pgx.Conn) (string, error) {
	if n := s.hubspot.Undelivered(); n > 0 {
		return fmt.Sprintf("%d webhooks to deliver", n), nil
	}
	var outbox int
	err := conn.QueryRow(ctx, `SELECT count(*) FROM gv.outbox WHERE last_error IS NULL OR due_at <= now()`).Scan(&outbox)
	if err != nil || outbox > 0 {
		return fmt.Sprintf("%d messages in the outbox", outbox), err
	}
	if s.queue == nil {
		return "", nil
	}
	states, err := s.queue.States(ctx)
	for _, one := range states {
		if one.Due+one.Handling > 0 {
			return fmt.Sprintf("%d messages for %s", one.Due+one.Handling, one.Subscription), err
		}
	}
	return "", err
}
