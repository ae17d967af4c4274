package video

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/fault"
)

// Uploaded is the topic of the messages that ask for an analysis; each holds a
// Message.
const Uploaded = "video-uploaded"

// Message says which video is to be analysed.
type Message struct {
	VideoID string `json:"video_id"`
}

// The statuses of a video.
const (
	StatusUploaded  = "uploaded"  // waits for its turn
	StatusAnalyzing = "analyzing" // a run works on it
	StatusWaiting   = "waiting"   // what analyses it is not there; it is tried again
	StatusAnalyzed  = "analyzed"
	StatusFailed    = "failed" // and is not tried again unless somebody asks
)

// Facts are what a video's file says of itself, as they are stored.
type Facts struct {
	DurationSeconds float64 `json:"duration_seconds"`
	Width           int     `json:"width"`
	Height          int     `json:"height"`
	FramesPerSecond float64 `json:"frames_per_second"`
	HasAudio        bool    `json:"has_audio"`
	Codec           string  `json:"codec"`
}

// Facts are the part of the info that is stored.
func (i Info) Facts() Facts {
	return Facts{i.Duration.Seconds(), i.Width, i.Height, i.FrameRate, i.HasAudio, i.Codec}
}

// Video is a tenant's video.
type Video struct {
	VideoID     string
	Name        string // its owner's, may be ""
	URI         string
	Object      string // its file's name under the tenant's prefix
	Generation  int64  // of the object
	ContentType string
	SizeBytes   int64
	Status      string
	Facts       Facts
	CreativeDNA creative.DNA // nil until analysed
	GeneratedBy *string      // a model's name, or container
	Failure     *string
	WaitingFor  *string
	Attempts    int // analyses begun since it was last asked for
	UploadedBy  string
	CreatedAt   time.Time
	AnalyzedAt  *time.Time
}

// Store is the videos of one tenant, on its transaction.
type Store struct{ q pgx.Tx }

// NewStore returns the store of tx's tenant.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

const columns = `video_id, name, uri, object, generation, content_type, size_bytes, status, facts, creative_dna, generated_by,
	failure, waiting_for, attempts, uploaded_by, created_at, analyzed_at`

// Get returns the video called id.
func (s Store) Get(ctx context.Context, id string) (Video, error) {
	if _, err := uuid.Parse(id); err != nil {
		return Video{}, errUnknownVideo
	}
	return s.one(ctx, `SELECT `+columns+` FROM gv.videos WHERE tenant_id = gv.tenant() AND video_id = @id`, pgx.StrictNamedArgs{"id": id})
}

// At returns the video whose file the address names.
func (s Store) At(ctx context.Context, uri string) (Video, error) {
	return s.one(ctx, `SELECT `+columns+` FROM gv.videos WHERE tenant_id = gv.tenant() AND uri = @uri`, pgx.StrictNamedArgs{"uri": uri})
}

var errUnknownVideo = fault.NotFoundf("there is no video with this id")

func (s Store) one(ctx context.Context, sql string, args pgx.StrictNamedArgs) (Video, error) {
	rows, _ := s.q.Query(ctx, sql, args)
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Video])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Video{}, errUnknownVideo
	case err != nil:
		return Video{}, fmt.Errorf("read a video: %w", err)
	}
	return v, nil
}

// List returns up to n videos, the newest first, older than the one called after
// where it is not "", of one status where that is not "".
func (s Store) List(ctx context.Context, after, status string, n int) ([]Video, error) {
	rows, _ := s.q.Query(ctx, `
		SELECT   `+columns+` FROM gv.videos
		WHERE    tenant_id = gv.tenant() AND (@status::text = '' OR status = @status)
		AND      (@after::text = '' OR (created_at, video_id) < (SELECT created_at, video_id FROM gv.videos
		                                                          WHERE tenant_id = gv.tenant() AND video_id = nullif(@after, '')::uuid))
		ORDER BY created_at DESC, video_id DESC
		LIMIT    @n`,
		pgx.StrictNamedArgs{"after": after, "status": status, "n": n})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Video])
	if err != nil {
		return nil, fmt.Errorf("list videos: %w", err)
	}
	return found, nil
}

// Ask asks for the video's analysis, again where it has failed, waits, or holds
// only what the file says of itself. A Conflict says why not.
func (s Store) Ask(ctx context.Context, id string) (Video, error) {
	v, err := s.reopen(ctx, id)
	if err != nil {
		return v, err
	}
	return v, s.announce(ctx, v.VideoID)
}

func (s Store) reopen(ctx context.Context, id string) (Video, error) {
	if _, err := uuid.Parse(id); err != nil {
		return Video{}, errUnknownVideo
	}
	v, err := s.one(ctx, `
		UPDATE gv.videos SET status = 'uploaded', failure = NULL, waiting_for = NULL, claim = NULL, claimed_until = NULL, attempts = 0
		WHERE  tenant_id = gv.tenant() AND video_id = @id
		AND    (status IN ('uploaded', 'waiting', 'failed') OR status = 'analyzing' AND claimed_until < now()
		        OR status = 'analyzed' AND generated_by = @container)
		RETURNING `+columns, pgx.StrictNamedArgs{"id": id, "container": ByContainer})
	if fault.Of(err) != fault.NotFound {
		return v, err
	}
	if v, err = s.Get(ctx, id); err != nil {
		return v, err
	}
	if v.Status == StatusAnalyzing {
		return v, fault.Conflictf("the video is being analysed right now")
	}
	return v, fault.Conflictf("the video has been analysed by %s", *v.GeneratedBy)
}

// ByContainer is who made a DNA that no model has made: the file itself.
const ByContainer = "container"
