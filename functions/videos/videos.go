// Package videos takes tenants' videos, stores them in the bucket and says what
// became of their analysis. It serves /api/videos; the same bytes sent twice, or
// the same request, are one video.
package videos

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/bucket"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	"github.com/geminivideo/geminivideo/shared/video"
)

func init() { serve.HTTP("videos", build) }

type config struct {
	Postgres pg.Config
	Access   serve.AccessConfig
	Publish  publish.Config
	Bucket   bucket.Config
	Limits   Limits
}

// Limits bound what is taken.
type Limits struct {
	// How many bytes an upload's request may have. Cloud Run takes no more than 32 MiB over HTTP/1; larger files go into the bucket, and
	// gcs_uri names them.
	MaxRequest int64 `env:"VIDEO_MAX_REQUEST_BYTES, default=33554432"`
	// How many bytes a video in the bucket may have.
	MaxBytes int64 `env:"VIDEO_MAX_BYTES, default=1073741824"`
	// How many seconds a video may play.
	MaxSeconds int64 `env:"VIDEO_MAX_SECONDS, default=600"`
}

func build(ctx context.Context) (http.Handler, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, cfg.Postgres)
	if err != nil {
		return nil, err
	}
	files, err := bucket.Open(cfg.Bucket)
	if err != nil {
		return nil, err
	}
	return New(db, serve.NewAccess(cfg.Access, db), publish.New(cfg.Publish), files, cfg.Limits), nil
}

type function struct {
	db     *pg.DB
	queue  outbox.Publisher
	files  *bucket.Bucket
	limits Limits
}

// New returns the function's handler.
func New(db *pg.DB, access serve.Access, queue outbox.Publisher, files *bucket.Bucket, limits Limits) http.Handler {
	f := &function{db, queue, files, limits}
	api := serve.NewAPI(access)
	api.Check("postgres", db.Ping)
	api.Check("video store", files.Ping)
	serve.Raw(api, "POST "+uploadPath, auth.Editor, f.upload, serve.Summary("Takes a video, as a file or where it is in the bucket."),
		serve.Status(http.StatusAccepted), serve.Answers[accepted]("The video, whose analysis has been asked for."), describeUpload,
		serve.MaxBody(maxJSON), serve.Upload)
	serve.Get(api, "/api/videos", auth.Viewer, f.list, serve.Summary("Lists videos, the newest first."))
	serve.Get(api, "/api/videos/{id}", auth.Viewer, f.show, serve.Summary("Shows a video, and its creative DNA once it is analysed."))
	serve.Post(api, "/api/videos/{id}/analyze", auth.Editor, f.analyze, serve.Status(http.StatusAccepted),
		serve.Summary("Asks for a video's analysis again, where it has failed, waits, or holds only what the file says of itself."))
	return api
}

// flushFor bounds how long a caller waits for the message; the relay sends the rest.
const flushFor = 5 * time.Second

func (f *function) flush(ctx context.Context, tenant string) {
	within, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	outbox.Flush(within, f.db, tenant, f.queue)
}

type oneInput struct {
	ID string `path:"id" maxLength:"64" doc:"The video_id of the upload's answer."`
}

type showOutput struct{ Body Video }

func (f *function) show(ctx context.Context, in *oneInput) (*showOutput, error) {
	var found video.Video
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		found, err = video.NewStore(tx).Get(ctx, in.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &showOutput{shown(found)}, nil
}

type analyzeOutput struct{ Body accepted }

func (f *function) analyze(ctx context.Context, in *oneInput) (*analyzeOutput, error) {
	tenant := auth.From(ctx).Tenant
	answer, err := idempotency.Run(ctx, f.db, tenant, func(tx pgx.Tx) (accepted, error) {
		v, err := video.NewStore(tx).Ask(ctx, in.ID)
		return accepted{VideoID: v.VideoID, Status: v.Status, Known: true}, err
	})
	if err != nil {
		return nil, err
	}
	serve.Note(ctx, "video", answer.VideoID)
	f.flush(ctx, tenant)
	return &analyzeOutput{answer}, nil
}

type listInput struct {
	Status string `query:"status" enum:"uploaded,analyzing,waiting,analyzed,failed" doc:"Only those of this status."`
	After  string `query:"after" format:"uuid" doc:"The id behind which the list goes on: the next of the answer before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type listOutput struct {
	Body struct {
		Videos []Video `json:"videos" nullable:"false"`
		Next   string  `json:"next,omitempty" doc:"Where the list goes on: the after of the next request."`
	}
}

func (f *function) list(ctx context.Context, in *listInput) (*listOutput, error) {
	var found []video.Video
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		store := video.NewStore(tx)
		if in.After != "" {
			if _, err := store.Get(ctx, in.After); err != nil {
				return fault.Field("query.after", "must be the next of the answer before")
			}
		}
		found, err = store.List(ctx, in.After, in.Status, in.Limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &listOutput{}
	if len(found) > in.Limit {
		found, out.Body.Next = found[:in.Limit], found[in.Limit-1].VideoID
	}
	out.Body.Videos = make([]Video, len(found))
	for i, v := range found {
		out.Body.Videos[i] = shown(v)
	}
	return out, nil
}
