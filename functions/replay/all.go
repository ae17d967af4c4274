package replay

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/deadletter"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/serve"
)

type replayAllInput struct {
	Body struct {
		Topic          string     `json:"topic,omitempty" maxLength:"255" doc:"Only letters of this topic."`
		Reason         string     `json:"reason,omitempty" maxLength:"500" doc:"Only letters whose reason holds this text, whatever its case."`
		ReceivedAfter  *time.Time `json:"received_after,omitempty" doc:"Only letters received at this time or later."`
		ReceivedBefore *time.Time `json:"received_before,omitempty" doc:"Only letters received before this time."`
		DryRun         *bool      `json:"dry_run,omitempty" doc:"Only counts; true where it is not given: send false to replay."`
		Limit          int        `json:"limit,omitempty" minimum:"1" maximum:"1000" doc:"The most letters of one request, the oldest first; 1000 where it is not given."`
	}
}

type replayAllOutput struct{ Body replayAllAnswer }

type replayAllAnswer struct {
	DryRun   bool `json:"dry_run"`
	Matched  int  `json:"matched" doc:"Open letters that the filter matched before this request."`
	Replayed int  `json:"replayed"`
	Left     int  `json:"left" doc:"Open letters that still match: ask again."`
}

// replayAll marks letters and puts their messages into the outbox in one
// transaction, so that each is sent once however often the request comes.
func (f *function) replayAll(ctx context.Context, in *replayAllInput) (*replayAllOutput, error) {
	id := auth.From(ctx)
	b := in.Body
	if b.ReceivedAfter != nil && b.ReceivedBefore != nil && !b.ReceivedAfter.Before(*b.ReceivedBefore) {
		return nil, fault.Field("body.received_before", "must be later than received_after")
	}
	choice := deadletter.Choice{Topic: b.Topic, Reason: b.Reason, After: b.ReceivedAfter, Before: b.ReceivedBefore, Limit: b.Limit}
	if choice.Limit == 0 {
		choice.Limit = 1000
	}
	dry := b.DryRun == nil || *b.DryRun
	answer, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (replayAllAnswer, error) {
		store := deadletter.NewStore(tx)
		answer := replayAllAnswer{DryRun: dry}
		var err error
		if answer.Matched, err = store.Count(ctx, choice); err != nil || dry {
			answer.Left = answer.Matched
			return answer, err
		}
		letters, err := store.ReplayAll(ctx, choice, id.Who())
		if err != nil {
			return answer, err
		}
		messages := make([]message.Message, len(letters))
		for i, l := range letters {
			messages[i] = l.Message()
		}
		answer.Replayed, answer.Left = len(letters), answer.Matched-len(letters)
		return answer, outbox.Put(ctx, tx, messages...)
	})
	if err != nil {
		return nil, err
	}
	outbox.Flush(ctx, f.db, id.Tenant, f.queue)
	serve.Note(ctx, "by", id.Subject, "dry_run", dry, "matched", answer.Matched, "replayed", answer.Replayed)
	return &replayAllOutput{answer}, nil
}
