package videos

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/bucket"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/video"
)

const uploadPath = "/api/videos/upload"

// uploadFolder is where uploads go under the tenant's prefix; what a tenant puts
// into the bucket itself lies elsewhere.
const uploadFolder = "videos/"

func (f *function) upload(w http.ResponseWriter, r *http.Request) error {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var answer accepted
	switch {
	case kind == "application/json":
		answer, err = f.uploadURI(w, r)
	case kind != "multipart/form-data":
		return serve.Problem(http.StatusUnsupportedMediaType,
			"must be sent as multipart/form-data with the video in the part file, or as application/json with gcs_uri")
	case err != nil || params["boundary"] == "":
		return serve.Problem(http.StatusBadRequest, "the Content-Type multipart/form-data needs a boundary")
	default:
		answer, err = f.uploadFile(w, r, params["boundary"])
	}
	if err != nil {
		return err
	}
	serve.Note(r.Context(), "video", answer.VideoID, "known", answer.Known)
	f.flush(r.Context(), auth.From(r.Context()).Tenant)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	return json.NewEncoder(w).Encode(answer)
}

// uploadFile streams the file into the bucket, looks at what has arrived, and
// makes it a video. Whatever goes wrong, the file does not stay behind: a row
// says that it is on its way, and it is removed with it, now or by a later upload.
func (f *function) uploadFile(w http.ResponseWriter, r *http.Request, boundary string) (accepted, error) {
	ctx, tenant := r.Context(), auth.From(r.Context()).Tenant
	up, err := f.receive(w, r, boundary)
	if err != nil {
		return accepted{}, err
	}
	id := uuid.NewString()
	object := uploadFolder + id + up.kind.Extension()
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		return video.NewStore(tx).Begin(ctx, video.Upload{UploadID: id, Object: object})
	})
	if err != nil {
		return accepted{}, err
	}
	defer f.sweep(ctx, tenant, id)
	file, err := f.files.Write(ctx, tenant, object, string(up.kind), up)
	if err == nil {
		err = up.finish()
	}
	if err != nil {
		return accepted{}, f.tooLarge(tenant, err)
	}
	sum := up.sum.Sum(nil)
	if request, keyed := idempotency.From(ctx); keyed {
		request.BodyHash = sum // the boundary around it is made anew by every client
		ctx = idempotency.With(ctx, request)
	}
	return f.accept(ctx, tenant, file, "body.file", video.New{UploadID: id, ContentKey: "sha256:" + hex.EncodeToString(sum), Name: up.name})
}

// accept looks at a file in the bucket and makes it a video.
func (f *function) accept(ctx context.Context, tenant string, file bucket.File, field string, n video.New) (accepted, error) {
	window, err := f.files.Window(ctx, tenant, file)
	if err != nil {
		return accepted{}, err
	}
	info, err := video.Probe(window, file.Size)
	if err != nil {
		return accepted{}, unfit(field, err)
	}
	if longest := time.Duration(f.limits.MaxSeconds) * time.Second; info.Duration > longest {
		return accepted{}, fault.Field(field, fmt.Sprintf("must play at most %d seconds", f.limits.MaxSeconds))
	}
	n.URI, n.Object, n.Generation, n.Size = f.files.URI(tenant, file.Name), file.Name, file.Generation, file.Size
	n.Info, n.By = info, auth.From(ctx).Who()
	return idempotency.Run(ctx, f.db, tenant, func(tx pgx.Tx) (accepted, error) {
		v, known, err := video.NewStore(tx).Keep(ctx, n)
		return accepted{VideoID: v.VideoID, Status: v.Status, Known: known}, err
	})
}

// unfit gives what is wrong with a file its status.
func unfit(field string, err error) error {
	var broken *video.Broken
	switch {
	case errors.Is(err, video.ErrUnknown):
		return serve.Problem(http.StatusUnsupportedMediaType, field+" "+err.Error()+", by its content")
	case errors.As(err, &broken):
		return fault.Field(field, "is a video that "+broken.Reason)
	case errors.Is(err, bucket.ErrNone):
		return fault.Conflictf("the file was replaced or deleted while it was looked at")
	}
	return err
}

// tooLarge tells a caller with a large file what to do instead.
func (f *function) tooLarge(tenant string, err error) error {
	var large *http.MaxBytesError
	if !errors.As(err, &large) {
		return err
	}
	return serve.Problem(http.StatusRequestEntityTooLarge, fmt.Sprintf(
		"the upload is larger than %d bytes: put the file into the bucket under %s and send its address as gcs_uri instead", large.Limit,
		f.files.Prefix(tenant)))
}

// sweepFor bounds how long is spent on removing what nobody needs.
const sweepFor = 10 * time.Second

// sweep removes the upload's file where it has not become a video, and others
// that were left behind. What fails is left for the next upload.
func (f *function) sweep(ctx context.Context, tenant, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepFor)
	defer cancel()
	var left []video.Upload
	err := pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) (err error) {
		left, err = video.NewStore(tx).Abandon(ctx, id)
		return err
	})
	var gone []string
	for _, u := range left {
		if removed := f.files.Remove(ctx, tenant, u.Object); removed != nil {
			err = errors.Join(err, removed)
			continue
		}
		gone = append(gone, u.UploadID)
	}
	if len(gone) > 0 {
		err = errors.Join(err, pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error { return video.NewStore(tx).Forget(ctx, gone) }))
	}
	if err != nil {
		slog.WarnContext(ctx, "uploads left behind for the next one to remove", "tenant", tenant, "upload", id, "error", err.Error())
	}
}

// uploadURI makes a video of what its tenant has put into the bucket.
func (f *function) uploadURI(w http.ResponseWriter, r *http.Request) (accepted, error) {
	ctx, tenant := r.Context(), auth.From(r.Context()).Tenant
	uri, err := readURI(w, r)
	if err != nil {
		return accepted{}, err
	}
	var kept accepted
	done := false
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) (err error) {
		kept, done, err = idempotency.Stored[accepted](ctx, tx)
		return err
	})
	if err != nil || done {
		return kept, err
	}
	name, err := f.files.Name(tenant, uri)
	switch {
	case errors.Is(err, bucket.ErrForeign):
		return accepted{}, fault.Forbiddenf("body.gcs_uri is not under your organisation's own prefix, %s", f.files.Prefix(tenant))
	case err != nil:
		return accepted{}, fault.Field("body.gcs_uri", err.Error())
	case strings.HasPrefix(name, uploadFolder):
		return f.uploaded(ctx, tenant, uri)
	}
	file, err := f.files.Stat(ctx, tenant, name)
	switch {
	case errors.Is(err, bucket.ErrNone):
		return accepted{}, fault.NotFoundf("there is nothing at body.gcs_uri")
	case err != nil:
		return accepted{}, err
	case file.Size > f.limits.MaxBytes:
		return accepted{}, serve.Problem(http.StatusRequestEntityTooLarge,
			fmt.Sprintf("body.gcs_uri names a file of more than %d bytes", f.limits.MaxBytes))
	}
	base := name[strings.LastIndex(name, "/")+1:]
	return f.accept(ctx, tenant, file, "body.gcs_uri", video.New{ContentKey: fmt.Sprintf("%s#%d", name, file.Generation), Name: base})
}

// uploaded finds the video of a file that came through here.
func (f *function) uploaded(ctx context.Context, tenant, uri string) (accepted, error) {
	return idempotency.Run(ctx, f.db, tenant, func(tx pgx.Tx) (accepted, error) {
		v, err := video.NewStore(tx).At(ctx, uri)
		if fault.Of(err) == fault.NotFound {
			err = fault.NotFoundf("there is nothing at body.gcs_uri")
		}
		return accepted{VideoID: v.VideoID, Status: v.Status, Known: true}, err
	})
}
