// Package analyze finds out what a video is made of: it handles the messages of
// the topic video-uploaded, has the video watched by a model, or, without one,
// tells what the file says of itself. A run claims the video first and records its outcome
// under that claim, so repeating a message, or two at once, changes nothing.
package analyze

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/bucket"
	"github.com/geminivideo/geminivideo/shared/deadletter"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/live"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	"github.com/geminivideo/geminivideo/shared/video"
)

func init() { serve.PubSub("analyze", build) }

type config struct {
	Postgres pg.Config
	Worker   pg.WorkerConfig
	Bucket   bucket.Config
	Gemini   gemini.Config
	Live     live.Config
}

func build(ctx context.Context) (serve.Consumer, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, cfg.Postgres)
	if err != nil {
		return nil, err
	}
	worker, err := pg.OpenWorker(ctx, cfg.Worker)
	if err != nil {
		return nil, err
	}
	files, err := bucket.Open(cfg.Bucket)
	if err != nil {
		return nil, err
	}
	cfg.Gemini.Timeout = max(cfg.Gemini.Timeout, watchFor)
	client, err := gemini.Open(ctx, cfg.Gemini, db)
	if err != nil {
		return nil, err
	}
	return New(db, worker, files, client, live.Open(ctx, cfg.Live)), nil
}

const (
	// watchFor is how long a model may take to watch a video.
	watchFor = 4 * time.Minute
	// claimFor is how long a claim holds: a run that died frees its video then. One
	// that lives renews it every renewEvery.
	claimFor   = time.Minute
	renewEvery = 15 * time.Second
	// longest is what a run may take where its caller sets no end.
	longest = 10 * time.Minute
	// putDown is kept of a run's time to say what became of it.
	putDown = 10 * time.Second
	// tries is how many analyses are begun before a video is given up; nonsense is
	// how many of them may end in an answer that cannot be used.
	tries    = 12
	nonsense = 4
)

type function struct {
	db     *pg.DB
	worker *pg.Worker
	files  *bucket.Bucket
	client *gemini.Client
	renew  time.Duration
	view   *live.View
}

// New returns the function's consumer. client may be nil: then the file alone is
// asked. worker stores the dead letters, view shows how far analyses are, nil for none.
func New(db *pg.DB, worker *pg.Worker, files *bucket.Bucket, client *gemini.Client, view *live.View) serve.Consumer {
	return &function{db, worker, files, client, renewEvery, view}
}

// Health reports whether the database and the bucket answer.
func (f *function) Health(ctx context.Context) error {
	if err := f.db.Ping(ctx); err != nil {
		return err
	}
	return f.files.Ping(ctx)
}

// Reject stores a message that can never succeed as a dead letter.
func (f *function) Reject(ctx context.Context, m message.Message, reason error) error {
	return deadletter.Reject(ctx, f.worker, video.Uploaded, m, reason)
}

// Handle does one message's work.
func (f *function) Handle(ctx context.Context, m message.Message) error {
	tenant, err := uuid.Parse(m.Tenant())
	if err != nil {
		return fault.Invalidf("the message does not say whose video it is about")
	}
	var uploaded video.Message
	if err := json.Unmarshal(m.Data, &uploaded); err != nil || uploaded.VideoID == "" {
		return fault.Invalidf("the message does not say which video it is about")
	}
	serve.Note(ctx, "tenant", tenant.String(), "video", uploaded.VideoID)
	var claim *video.Claim
	err = pg.InTenant(ctx, f.db, tenant.String(), func(tx pgx.Tx) (err error) {
		claim, err = video.NewStore(tx).Claim(ctx, uploaded.VideoID, claimFor)
		return err
	})
	if err != nil || claim == nil {
		return err
	}
	work, cancel := context.WithTimeout(ctx, timeFor(ctx))
	defer cancel()
	defer f.view.Flush(ctx)
	f.show(tenant.String(), claim, "analyzing", false, "")
	go f.extend(work, tenant.String(), claim)
	found, err := f.describe(work, tenant.String(), claim.Video)
	return f.recordOutcome(ctx, tenant.String(), claim, found, err)
}

// show shows in the live view how far a video's analysis is; ended is set where the
// run ends.
func (f *function) show(tenant string, c *video.Claim, status string, ended bool, why string) {
	data := map[string]any{"video_id": c.Video.VideoID, "attempts": c.Video.Attempts}
	if why != "" {
		data["reason"] = why
	}
	f.view.Put(tenant, live.Progress{Kind: live.Video, ID: c.Video.VideoID, Status: status, Ended: ended, Data: data})
}

// timeFor is what a run has, without what is kept to put down its outcome.
func timeFor(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return longest
	}
	return max(time.Until(end)-putDown, time.Second)
}

// extend renews the claim until ctx ends. Where that fails, another run may take the
// video over, and this one will change nothing.
func (f *function) extend(ctx context.Context, tenant string, c *video.Claim) {
	tick := time.NewTicker(f.renew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error { return video.NewStore(tx).Renew(ctx, c, claimFor) })
		if err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "a claim was not renewed", "tenant", tenant, "video", c.Video.VideoID, "error", err.Error())
		}
	}
}

// recordOutcome stores what became of the analysis. What is worth another try stays
// an error, so that the message comes again; what is not is acknowledged, as the
// video itself says why it failed and can be asked for again.
func (f *function) recordOutcome(ctx context.Context, tenant string, c *video.Claim, found description, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putDown)
	defer cancel()
	var (
		capped *gemini.Capped
		rests  = errors.As(cause, &capped)
		again  bool
		status = "analyzed"
		why    string
	)
	err := pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		again = false
		store := video.NewStore(tx)
		switch reason, hopeless := judge(cause, c.Video.Attempts); {
		case cause == nil:
			return store.Analyzed(ctx, c, found.dna, found.by)
		case rests: // the day may last longer than a message is delivered again
			status, why = "waiting", capped.Error()
			return store.Rests(ctx, c, capped.Error(), capped.Until)
		case hopeless:
			status, why = "failed", reason
			return store.Failed(ctx, c, reason)
		default:
			again, status, why = true, "waiting", reason
			return store.Waits(ctx, c, reason)
		}
	})
	if err == nil {
		f.show(tenant, c, status, true, why)
	}
	switch {
	case err != nil:
		return errors.Join(err, cause)
	case cause == nil:
		serve.Note(ctx, "by", found.by)
		return nil
	case again:
		return cause
	case rests:
		serve.Note(ctx, "rests", capped.Until)
		return nil
	}
	slog.WarnContext(ctx, "a video cannot be analysed", "tenant", tenant, "video", c.Video.VideoID, "attempts", c.Video.Attempts,
		"error", cause.Error())
	return nil
}
