package video

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
)

// Upload is a file that is on its way, or that was left behind.
type Upload struct {
	UploadID string
	Object   string
}

// Begin puts down that a file is about to be written, before it is.
func (s Store) Begin(ctx context.Context, u Upload) error {
	_, err := s.q.Exec(ctx, `INSERT INTO gv.uploads (tenant_id, upload_id, object) VALUES (gv.tenant(), @id, @object)`,
		pgx.StrictNamedArgs{"id": u.UploadID, "object": u.Object})
	if err != nil {
		return fmt.Errorf("begin upload %s: %w", u.UploadID, err)
	}
	return nil
}

// uploadLasts is longer than any upload may take: what is older was left behind.
const uploadLasts = 2 * time.Hour

// Abandon gives up the upload called id, where it has not become a video, and
// returns it and what else was left behind, a few at a time. None of them can
// become a video from now on, so that their files may be removed.
func (s Store) Abandon(ctx context.Context, id string) ([]Upload, error) {
	rows, _ := s.q.Query(ctx, `
		UPDATE gv.uploads SET abandoned_at = coalesce(abandoned_at, now())
		WHERE  tenant_id = gv.tenant() AND upload_id IN (
		       SELECT upload_id FROM gv.uploads
		       WHERE  tenant_id = gv.tenant() AND (upload_id::text = @id OR abandoned_at IS NOT NULL OR started_at < now() - @lasts::interval)
		       ORDER BY upload_id::text = @id DESC, started_at LIMIT 5 FOR UPDATE SKIP LOCKED)
		RETURNING upload_id, object`,
		pgx.StrictNamedArgs{"id": id, "lasts": uploadLasts})
	left, err := pgx.CollectRows(rows, pgx.RowToStructByName[Upload])
	if err != nil {
		return nil, fmt.Errorf("abandon uploads: %w", err)
	}
	return left, nil
}

// Forget removes the rows of abandoned uploads whose files are gone.
func (s Store) Forget(ctx context.Context, ids []string) error {
	_, err := s.q.Exec(ctx, `DELETE FROM gv.uploads WHERE tenant_id = gv.tenant() AND upload_id = ANY (@ids::uuid[]) AND abandoned_at IS NOT NULL`,
		pgx.StrictNamedArgs{"ids": ids})
	if err != nil {
		return fmt.Errorf("forget uploads: %w", err)
	}
	return nil
}

// New is a file that is to be a video.
type New struct {
	UploadID   string // "" for a file that its owner has put into the bucket
	ContentKey string // what makes two files one video
	Name       string
	URI        string
	Object     string
	Generation int64
	Size       int64
	Info       Info
	By         string
}

// Keep makes the file a video and asks for its analysis, in one. A file that is
// one already stays that video: known is true, and the new file is left behind.
// Where that video's analysis has failed, the new file takes the old one's place
// and the analysis is asked for again.
func (s Store) Keep(ctx context.Context, n New) (v Video, known bool, err error) {
	facts, err := json.Marshal(n.Info.Facts())
	if err != nil {
		return Video{}, false, err
	}
	args := pgx.StrictNamedArgs{
		"key": n.ContentKey, "name": n.Name, "uri": n.URI, "object": n.Object, "generation": n.Generation, "type": string(n.Info.Type),
		"size": n.Size, "facts": facts, "by": n.By,
	}
	v, err = s.one(ctx, `
		INSERT INTO gv.videos (tenant_id, content_key, name, uri, object, generation, content_type, size_bytes, facts, uploaded_by)
		VALUES (gv.tenant(), @key, @name, @uri, @object, @generation, @type, @size, @facts, @by)
		ON CONFLICT (tenant_id, content_key) DO NOTHING
		RETURNING `+columns, args)
	if fault.Of(err) == fault.NotFound { // the same content, uploaded before
		return s.again(ctx, n)
	}
	if err != nil {
		return Video{}, false, err
	}
	if err := s.arrived(ctx, n.UploadID, ""); err != nil {
		return Video{}, false, err
	}
	return v, false, s.announce(ctx, v.VideoID)
}

// again takes a file whose content is a video already.
func (s Store) again(ctx context.Context, n New) (Video, bool, error) {
	v, err := s.one(ctx, `SELECT `+columns+` FROM gv.videos WHERE tenant_id = gv.tenant() AND content_key = @key FOR UPDATE`,
		pgx.StrictNamedArgs{"key": n.ContentKey})
	if err != nil || v.Status != StatusFailed {
		return v, true, err
	}
	if n.UploadID != "" && v.Object != n.Object {
		if err := s.arrived(ctx, n.UploadID, v.Object); err != nil {
			return v, true, err
		}
	}
	v, err = s.one(ctx, `
		UPDATE gv.videos SET status = 'uploaded', failure = NULL, attempts = 0, uri = @uri, object = @object, generation = @generation
		WHERE  tenant_id = gv.tenant() AND video_id = @id RETURNING `+columns,
		pgx.StrictNamedArgs{"id": v.VideoID, "uri": n.URI, "object": n.Object, "generation": n.Generation})
	if err != nil {
		return v, true, err
	}
	return v, true, s.announce(ctx, v.VideoID)
}

// arrived ends an upload whose file has become a video's; replaced is a file that
// it takes the place of, which is left behind instead.
func (s Store) arrived(ctx context.Context, id, replaced string) error {
	if id == "" {
		return nil
	}
	var object string
	err := s.q.QueryRow(ctx, `
		DELETE FROM gv.uploads WHERE tenant_id = gv.tenant() AND upload_id = @id AND abandoned_at IS NULL RETURNING object`,
		pgx.StrictNamedArgs{"id": id}).Scan(&object)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fault.Down("the upload took too long and was given up: send it again", nil)
	case err != nil:
		return fmt.Errorf("end upload %s: %w", id, err)
	case replaced == "":
		return nil
	}
	_, err = s.q.Exec(ctx, `INSERT INTO gv.uploads (tenant_id, upload_id, object, abandoned_at) VALUES (gv.tenant(), gen_random_uuid(), @object, now())`,
		pgx.StrictNamedArgs{"object": replaced})
	if err != nil {
		return fmt.Errorf("leave a replaced file behind: %w", err)
	}
	return nil
}

// announce asks for the analysis of a video, in the transaction that made it.
func (s Store) announce(ctx context.Context, id string) error {
	m, err := asking(id)
	if err != nil {
		return err
	}
	return outbox.Put(ctx, s.q, m)
}

func asking(id string) (message.Message, error) {
	data, err := json.Marshal(Message{VideoID: id})
	return message.Message{Topic: Uploaded, Data: data}, err
}
