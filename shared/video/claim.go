package video

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/outbox"
)

// Claim is a run's right to say what became of a video's analysis. A run that
// has lost it, to another that took over, changes nothing.
type Claim struct {
	Video Video
	token string
}

// ErrBusy is returned where another run analyses the video; it may yet fail.
var ErrBusy = fault.Down("another run is analysing this video", nil)

// Claim takes the video called id to be analysed, for ttl. It returns nil where
// there is nothing to do: it is analysed, or has failed.
func (s Store) Claim(ctx context.Context, id string, ttl time.Duration) (*Claim, error) {
	token := uuid.NewString()
	v, err := s.one(ctx, `
		UPDATE gv.videos SET status = 'analyzing', waiting_for = NULL, claim = @token, claimed_until = clock_timestamp() + @ttl::interval,
		       attempts = attempts + 1
		WHERE  tenant_id = gv.tenant() AND video_id = @id
		AND    (status IN ('uploaded', 'waiting') OR status = 'analyzing' AND claimed_until < clock_timestamp())
		RETURNING `+columns, pgx.StrictNamedArgs{"id": id, "token": token, "ttl": ttl})
	if fault.Of(err) != fault.NotFound {
		return &Claim{v, token}, err
	}
	if v, err = s.Get(ctx, id); err != nil {
		return nil, err
	}
	if v.Status == StatusAnalyzing {
		return nil, ErrBusy
	}
	return nil, nil
}

// Renew lets the claim hold for ttl from now on, where it still is the run's own.
func (s Store) Renew(ctx context.Context, c *Claim, ttl time.Duration) error {
	_, err := s.q.Exec(ctx, `
		UPDATE gv.videos SET claimed_until = clock_timestamp() + @ttl::interval
		WHERE  tenant_id = gv.tenant() AND video_id = @id AND status = 'analyzing' AND claim = @token`,
		pgx.StrictNamedArgs{"id": c.Video.VideoID, "token": c.token, "ttl": ttl})
	if err != nil {
		return fmt.Errorf("renew the claim of video %s: %w", c.Video.VideoID, err)
	}
	return nil
}

// Analyzed stores what the video was found to be made of, and who says so.
func (s Store) Analyzed(ctx context.Context, c *Claim, dna creative.DNA, by string) error {
	_, err := s.recordOutcome(ctx, c, outcome{status: StatusAnalyzed, dna: dna.JSON(), by: &by})
	return err
}

// Failed stores why the video cannot be analysed.
func (s Store) Failed(ctx context.Context, c *Claim, reason string) error {
	_, err := s.recordOutcome(ctx, c, outcome{status: StatusFailed, failure: &reason})
	return err
}

// Waits stores why the analysis has to be tried again later.
func (s Store) Waits(ctx context.Context, c *Claim, reason string) error {
	_, err := s.recordOutcome(ctx, c, outcome{status: StatusWaiting, waiting: &reason})
	return err
}

// Rests stores why the analysis may not be tried before until, and asks for it
// then. What was not tried is not counted.
func (s Store) Rests(ctx context.Context, c *Claim, reason string, until time.Time) error {
	own, err := s.recordOutcome(ctx, c, outcome{status: StatusWaiting, waiting: &reason, untried: 1})
	if err != nil || !own {
		return err
	}
	m, err := asking(c.Video.VideoID)
	if err != nil {
		return err
	}
	return outbox.PutAt(ctx, s.q, until, m)
}

type outcome struct {
	status               string
	untried              int // attempts that were none
	dna                  []byte
	by, failure, waiting *string
}

// recordOutcome reports false where the claim is no longer the run's own.
func (s Store) recordOutcome(ctx context.Context, c *Claim, o outcome) (own bool, err error) {
	done, err := s.q.Exec(ctx, `
		UPDATE gv.videos
		SET    status = @status, failure = @failure, waiting_for = @waiting, attempts = greatest(attempts - @untried::int, 0),
		       claim = NULL, claimed_until = NULL,
		       creative_dna = coalesce(@dna::jsonb, creative_dna), generated_by = coalesce(@by, generated_by),
		       analyzed_at = CASE WHEN @dna::jsonb IS NULL THEN analyzed_at ELSE now() END
		WHERE  tenant_id = gv.tenant() AND video_id = @id AND status = 'analyzing' AND claim = @token`,
		pgx.StrictNamedArgs{
			"id": c.Video.VideoID, "token": c.token, "status": o.status, "dna": o.dna, "by": o.by, "failure": o.failure,
			"waiting": o.waiting,
			"untried": o.untried,
		})
	if err != nil {
		return false, fmt.Errorf("record the outcome of video %s: %w", c.Video.VideoID, err)
	}
	return done.RowsAffected() == 1, nil
}
