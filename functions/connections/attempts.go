package connections

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// Attempt is one try to deliver a notice.
type Attempt struct {
	NoticeID  string     `json:"notice_id" doc:"The webhook-id that was sent."`
	Attempt   int        `json:"attempt" doc:"From 1."`
	Kind      string     `json:"kind"`
	At        time.Time  `json:"at"`
	Delivered bool       `json:"delivered"`
	Status    *int       `json:"status,omitempty" doc:"What the receiver answered; absent where it did not."`
	Reason    *string    `json:"reason,omitempty" doc:"Why it was not delivered."`
	TookMS    int        `json:"took_ms" db:"took_ms"`
	NextAt    *time.Time `json:"next_at,omitempty" doc:"When the notice is sent again; absent where it was delivered or given up."`
}

type attemptsInput struct {
	NoticeID string `query:"notice_id" maxLength:"200" doc:"Only attempts of this notice."`
	Failed   bool   `query:"failed" doc:"Only attempts that failed."`
	Limit    int    `query:"limit" default:"50" minimum:"1" maximum:"200"`
}

type attemptsOutput struct {
	Body struct {
		Attempts []Attempt `json:"attempts" nullable:"false"`
	}
}

func (f *function) listAttempts(ctx context.Context, in *attemptsInput) (*attemptsOutput, error) {
	out := &attemptsOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		rows, _ := tx.Query(ctx, `
			SELECT notice_id, attempt, kind, at, delivered, status, reason, took_ms, next_at
			FROM   gv.webhook_attempts
			WHERE  tenant_id = gv.tenant() AND (notice_id = @notice OR @notice = '') AND NOT (delivered AND @failed)
			ORDER  BY at DESC, notice_id, attempt DESC LIMIT @limit`,
			pgx.StrictNamedArgs{"notice": in.NoticeID, "failed": in.Failed, "limit": in.Limit})
		if out.Body.Attempts, err = pgx.CollectRows(rows, pgx.RowToStructByName[Attempt]); err != nil {
			return fmt.Errorf("list attempts to deliver notices: %w", err)
		}
		for i := range out.Body.Attempts {
			a := &out.Body.Attempts[i]
			a.At, a.NextAt = a.At.UTC(), inUTC(a.NextAt)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
