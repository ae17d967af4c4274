package tenants

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// Member is a member as it is shown.
type Member struct {
	Email   string    `json:"email"`
	Role    string    `json:"role" enum:"viewer,editor,admin"`
	AddedBy string    `json:"added_by"`
	AddedAt time.Time `json:"added_at"`
}

type membersOutput struct {
	Body struct {
		Members []Member `json:"members" nullable:"false" doc:"By e-mail address."`
	}
}

func (f *function) listMembers(ctx context.Context, _ *struct{}) (*membersOutput, error) {
	out := &membersOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `
			SELECT email, role, added_by, added_at FROM gv.members
			WHERE  tenant_id = gv.tenant() AND removed_at IS NULL ORDER BY email COLLATE "C"`)
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Member])
		if err != nil {
			return fmt.Errorf("list members: %w", err)
		}
		for i := range all {
			all[i].AddedAt = all[i].AddedAt.UTC()
		}
		out.Body.Members = append([]Member{}, all...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type memberInput struct {
	Body struct {
		Email string `json:"email" minLength:"3" maxLength:"254" doc:"As in the person's Supabase account; case does not count."`
		Role  string `json:"role" enum:"viewer,editor,admin"`
	}
}

type memberOutput struct{ Body Member }

func (f *function) postMember(ctx context.Context, in *memberInput) (*memberOutput, error) {
	id := auth.From(ctx)
	email, err := addressOf(in.Body.Email)
	if err != nil {
		return nil, err
	}
	serve.Note(ctx, "by", id.Subject, "role", in.Body.Role)
	answer, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (m Member, err error) {
		if err := lockMembers(ctx, tx); err != nil {
			return m, err
		}
		err = tx.QueryRow(ctx, `
			INSERT INTO gv.members AS m (tenant_id, email, role, added_by)
			VALUES (gv.tenant(), @email, @role, @who)
			ON CONFLICT (tenant_id, email) DO UPDATE
			SET role = excluded.role, removed_at = NULL,
			    added_by = CASE WHEN m.removed_at IS NULL THEN m.added_by ELSE excluded.added_by END,
			    added_at = CASE WHEN m.removed_at IS NULL THEN m.added_at ELSE now() END
			RETURNING email, role, added_by, added_at`,
			pgx.StrictNamedArgs{"email": email, "role": in.Body.Role, "who": id.Who()}).Scan(&m.Email, &m.Role, &m.AddedBy, &m.AddedAt)
		if err != nil {
			return m, fmt.Errorf("add a member: %w", err)
		}
		m.AddedAt = m.AddedAt.UTC()
		return m, someAdmin(ctx, tx)
	})
	if err != nil {
		return nil, err
	}
	return &memberOutput{answer}, nil
}

type removeInput struct {
	Body struct {
		Email string `json:"email" minLength:"3" maxLength:"254"`
	}
}

type removeOutput struct{ Body removeAnswer }

type removeAnswer struct {
	Email  string `json:"email"`
	Status string `json:"status" enum:"removed"`
}

func (f *function) removeMember(ctx context.Context, in *removeInput) (*removeOutput, error) {
	id := auth.From(ctx)
	email, err := addressOf(in.Body.Email)
	if err != nil {
		return nil, err
	}
	serve.Note(ctx, "by", id.Subject)
	answer, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (removeAnswer, error) {
		answer := removeAnswer{email, "removed"}
		if err := lockMembers(ctx, tx); err != nil {
			return answer, err
		}
		done, err := tx.Exec(ctx, `
			UPDATE gv.members SET removed_at = coalesce(removed_at, now()) WHERE tenant_id = gv.tenant() AND email = $1`, email)
		if err != nil {
			return answer, fmt.Errorf("remove a member: %w", err)
		}
		if done.RowsAffected() == 0 {
			return answer, fault.NotFoundf("no member has this e-mail address")
		}
		return answer, someAdmin(ctx, tx)
	})
	if err != nil {
		return nil, err
	}
	return &removeOutput{answer}, nil
}

// addressOf returns the address as gv.members has it.
func addressOf(text string) (string, error) {
	email := strings.ToLower(strings.TrimSpace(text))
	if parsed, err := mail.ParseAddress(email); err != nil || parsed.Address != email {
		return "", fault.Field("body.email", "must be an e-mail address such as name@example.com")
	}
	return email, nil
}

// lockMembers lets one change of members at a time go on, so that two admins do
// not remove each other.
func lockMembers(ctx context.Context, tx pgx.Tx) error {
	var id string
	err := tx.QueryRow(ctx, `SELECT tenant_id::text FROM gv.tenants WHERE tenant_id = gv.tenant() FOR NO KEY UPDATE`).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.Forbiddenf("your token's tenant is not set up here")
	}
	if err != nil {
		return fmt.Errorf("lock the tenant: %w", err)
	}
	return nil
}

// someAdmin returns a Conflict where a change would leave the tenant without an
// admin, and so undoes it.
func someAdmin(ctx context.Context, tx pgx.Tx) error {
	var some bool
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM gv.members WHERE tenant_id = gv.tenant() AND role = 'admin' AND removed_at IS NULL)`).Scan(&some)
	if err != nil {
		return fmt.Errorf("look for an admin: %w", err)
	}
	if !some {
		return fault.Conflictf("this is the tenant's last admin: make somebody else one first")
	}
	return nil
}
