package director

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// videoRetry is when a video that waits for its analysis may have it.
const videoRetry = 15 * time.Second

// Request is a request for a tired ad's replacement, and what became of it.
type Request struct {
	RefreshID   string     `json:"refresh_id"`
	AdID        string     `json:"ad_id"`
	Reason      string     `json:"reason" doc:"Why the ad is to be replaced."`
	Status      string     `json:"status" enum:"queued,planned,failed"`
	PlanID      string     `json:"plan_id,omitempty" doc:"The replacement's plan, once there is one."`
	Failure     string     `json:"failure,omitempty" doc:"Why it failed, or, while it is queued, why the last attempt did."`
	RequestedBy string     `json:"requested_by"`
	RequestedAt time.Time  `json:"requested_at"`
	FinishedAt  *time.Time `json:"finished_at,omitempty"`
}

const requestColumns = `r.refresh_id::text, r.ad_id, r.reason, r.status, coalesce(p.plan_id::text, '') AS plan_id, coalesce(r.failure, '') AS failure,
	r.requested_by, r.requested_at, r.finished_at`

// Request returns a refresh.
func (s Store) Request(ctx context.Context, id string) (Request, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT `+requestColumns+`
		FROM   gv.refreshes r LEFT JOIN gv.plans p ON p.tenant_id = r.tenant_id AND p.refresh_id = r.refresh_id
		WHERE  r.tenant_id = gv.tenant() AND r.refresh_id = $1`, id)
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Request])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Request{}, fault.NotFoundf("there is no refresh with this id")
	case err != nil:
		return Request{}, fmt.Errorf("read refresh %s: %w", id, err)
	}
	return found.inUTC(), nil
}

func (r Request) inUTC() Request {
	r.RequestedAt = r.RequestedAt.UTC()
	if r.FinishedAt != nil {
		at := r.FinishedAt.UTC()
		r.FinishedAt = &at
	}
	return r
}

// RequestFilter says which refreshes to list. Empty members ask for all.
type RequestFilter struct {
	Status, AdID string
	AfterTime    time.Time // only those older than this and AfterID; zero from the newest on
	AfterID      string
	Limit        int
}

// Requests lists refreshes, newest first.
func (s Store) Requests(ctx context.Context, f RequestFilter) ([]Request, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   `+requestColumns+`
		FROM     gv.refreshes r LEFT JOIN gv.plans p ON p.tenant_id = r.tenant_id AND p.refresh_id = r.refresh_id
		WHERE    r.tenant_id = gv.tenant() AND (@status = '' OR r.status = @status) AND (@ad = '' OR r.ad_id = @ad)
		AND      (@first OR (r.requested_at, r.refresh_id) < (@after_time::timestamptz, @after_id::uuid))
		ORDER BY r.requested_at DESC, r.refresh_id DESC
		LIMIT    @limit`,
		pgx.StrictNamedArgs{
			"status": f.Status, "ad": f.AdID, "limit": f.Limit,
			"first": f.AfterID == "", "after_time": f.AfterTime, "after_id": orNil(f.AfterID),
		})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Request])
	if err != nil {
		return nil, fmt.Errorf("list refreshes: %w", err)
	}
	for i := range found {
		found[i] = found[i].inUTC()
	}
	return found, nil
}

// Planned marks a refresh as done: its plan is written in the same transaction.
func (s Store) Planned(ctx context.Context, id string) error {
	return s.mark(ctx, id, "planned", "")
}

// Failed marks a refresh as one that will have no plan, and why. One that has a
// plan stays as it is.
func (s Store) Failed(ctx context.Context, id, why string) error {
	return s.mark(ctx, id, "failed", why)
}

// Waits notes why an attempt at a queued refresh failed that will be made again.
func (s Store) Waits(ctx context.Context, id, why string) error {
	return s.mark(ctx, id, "queued", why)
}

func (s Store) mark(ctx context.Context, id, status, why string) error {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.refreshes SET status = @status, failure = nullif(@why, ''), finished_at = CASE WHEN @status <> 'queued' THEN now() END
		WHERE  tenant_id = gv.tenant() AND refresh_id = @id AND status <> 'planned' AND (@status <> 'queued' OR status = 'queued')`,
		pgx.StrictNamedArgs{"id": id, "status": status, "why": why})
	if err != nil {
		return fmt.Errorf("mark refresh %s as %s: %w", id, status, err)
	}
	return nil
}
