package index

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/winners"
)

const (
	// changeFor is how long one message goes on with a change; the relay sends the
	// next one.
	changeFor   = time.Minute
	changeBatch = 100
	clearBatch  = 1000
	// dropOldAfter is how long the vectors of the model before are kept.
	dropOldAfter = 24 * time.Hour
	// notOurs is when a change that another version of this function wants is looked
	// at again.
	notOurs = 5 * time.Minute
	// A model that does not answer is asked again after these.
	minPause, maxPause = time.Minute, time.Hour
	// putDown bounds how long it takes to put down that it did not.
	putDown = 5 * time.Second
)

// change goes on with a tenant's change of the embedding model, under the claim
// that the message carries. What it has done is kept batch by batch; a model that
// does not answer puts it off and loses nothing.
func (f *function) change(ctx context.Context, tenant string, attempt int64) error {
	ctx, cancel := context.WithTimeout(ctx, changeFor+30*time.Second)
	defer cancel()
	for end := time.Now().Add(changeFor); time.Now().Before(end); {
		more, err := f.step(ctx, tenant, attempt)
		if err != nil || !more {
			return err
		}
	}
	return f.in(ctx, tenant, func(s winners.Store) error { return s.Resume(ctx, attempt, 0, "") })
}

// step does one batch and reports whether there is another.
func (f *function) step(ctx context.Context, tenant string, attempt int64) (more bool, err error) {
	var (
		m     winners.Models
		texts []winners.Text
	)
	err = f.in(ctx, tenant, func(s winners.Store) error {
		var mine bool
		if m, mine, err = f.claimed(ctx, s, attempt); err != nil || !mine {
			return err
		}
		if m.Target == "" {
			more, err = f.clear(ctx, s, attempt)
			return err
		}
		if texts, err = s.Lacking(ctx, m.Active, m.Target, changeBatch); err != nil || len(texts) > 0 {
			return err
		}
		switched, err := s.Switch(ctx, m, dropOldAfter)
		if switched {
			slog.InfoContext(ctx, "searches use another embedding model", "tenant", tenant, "from", m.Active, "to", m.Target)
		}
		more = !switched // something has come in between
		return err
	})
	if err != nil || len(texts) == 0 {
		return more, err
	}
	embedded, err := f.embed(ctx, tenant, m.Target, texts)
	if err != nil {
		slog.WarnContext(ctx, "a change of the embedding model waits", "tenant", tenant, "to", m.Target, "error", err.Error())
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putDown)
		defer cancel()
		return false, f.in(ctx, tenant, func(s winners.Store) error { return s.Resume(ctx, attempt, pause(err), reason(err)) })
	}
	return true, f.in(ctx, tenant, func(s winners.Store) error { return s.Copy(ctx, m.Active, m.Target, embedded) })
}

// claimed returns the models of a change that is this message's to go on with.
func (f *function) claimed(ctx context.Context, s winners.Store, attempt int64) (m winners.Models, mine bool, err error) {
	c, found, err := s.Change(ctx)
	if err != nil || !found || c.Attempt != attempt {
		return m, false, err
	}
	if m, err = s.Models(ctx, f.models.Configured()); err != nil || m.Target == "" || m.Target == f.models.Configured() {
		return m, err == nil, err
	}
	if m.Active == f.models.Configured() {
		return m, false, s.Abandon(ctx)
	}
	return m, false, s.Resume(ctx, attempt, notOurs, "another version of the system is changing the model")
}

// clear removes the vectors that nothing uses, once they have been kept long
// enough.
func (f *function) clear(ctx context.Context, s winners.Store, attempt int64) (more bool, err error) {
	c, _, err := s.Change(ctx)
	if err != nil {
		return false, err
	}
	if c.Switched != nil {
		if left := time.Until(c.Switched.Add(dropOldAfter)); left > 0 {
			return false, s.Resume(ctx, attempt, left, "")
		}
	}
	n, err := s.Clear(ctx, clearBatch)
	if err != nil || n == clearBatch {
		return err == nil, err
	}
	return false, s.Resume(ctx, attempt, winners.Never, "")
}

// unreadable is embedded in the place of a text that the model refuses: one such
// must not keep all the others from being searched.
const unreadable = "an ad that cannot be described"

func (f *function) embed(ctx context.Context, tenant, model string, texts []winners.Text) ([]winners.Embedded, error) {
	e, ok := f.models.Of(tenant, model)
	if !ok {
		return nil, fmt.Errorf("there is no embedding model %s here", model)
	}
	said := make([]string, len(texts))
	for i, t := range texts {
		said[i] = t.Text
	}
	vectors, err := e.Documents(ctx, said)
	if err != nil && fault.Permanent(err) {
		if len(texts) > 1 { // which of them is it?
			half := len(texts) / 2
			first, err := f.embed(ctx, tenant, model, texts[:half])
			if err != nil {
				return nil, err
			}
			second, err := f.embed(ctx, tenant, model, texts[half:])
			return append(first, second...), err
		}
		slog.WarnContext(ctx, "the model refuses a winner's text: it is embedded as one without", "tenant", tenant, "ad", texts[0].AdID,
			"model", model, "error", err.Error())
		vectors, err = e.Documents(ctx, []string{unreadable})
	}
	if err != nil {
		return nil, err
	}
	if len(vectors) != len(texts) {
		return nil, fmt.Errorf("%d vectors for %d texts", len(vectors), len(texts))
	}
	embedded := make([]winners.Embedded, len(texts))
	for i, v := range vectors {
		embedded[i] = winners.Embedded{Text: texts[i], Vector: v}
	}
	return embedded, nil
}

func (f *function) in(ctx context.Context, tenant string, fn func(winners.Store) error) error {
	return pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error { return fn(winners.NewStore(tx)) })
}

// pause is as long as the model asks for, within reason.
func pause(err error) time.Duration {
	var public *fault.Error
	if errors.As(err, &public) {
		return min(max(public.RetryAfter, minPause), maxPause)
	}
	return minPause
}

// reason is what of err may be shown.
func reason(err error) string {
	var public *fault.Error
	if errors.As(err, &public) {
		return public.Message
	}
	return "the embedding model answers in an unknown way"
}
