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
	"github.com/geminivideo/geminivideo/shared/members"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// Member is a member as it is shown.
type Member struct {
	Email   string    `json:"email"`
	Role    string    `json:"role" enum:"viewer,editor,admin"`
	AddedBy string    `json:"added_by"`
	AddedAt time.Time `json:"added_at"`
	State   string    `json:"state" enum:"invited,member" doc:"An invitation decides nothing until the person accepts it."`
}

func memberOf(m members.Member) Member {
	return Member{Email: m.Email, Role: m.Role, AddedBy: m.AddedBy, AddedAt: m.AddedAt, State: stateOf(m.Accepted)}
}

type membersOutput struct {
	Body struct {
		Members []Member `json:"members" nullable:"false" doc:"By e-mail address."`
	}
}

func (f *function) listMembers(ctx context.Context, _ *struct{}) (*membersOutput, error) {
	out := &membersOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		all, err := members.NewStore(tx).List(ctx)
		if err != nil {
			return err
		}
		out.Body.Members = make([]Member, len(all))
		for i, m := range all {
			out.Body.Members[i] = memberOf(m)
		}
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
		added, err := members.NewStore(tx).Add(ctx, email, in.Body.Role, id.Who())
		if err != nil {
			return m, err
		}
		m = memberOf(added)
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
		found, err := members.NewStore(tx).Remove(ctx, email)
		if err != nil {
			return answer, err
		}
		if !found {
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
		return fault.NotFoundf("your token's tenant is not set up here")
	}
	if err != nil {
		return fmt.Errorf("lock the tenant: %w", err)
	}
	return nil
}

// someAdmin returns a Conflict where a change would leave the tenant without an
// admin who has accepted, and so undoes it.
func someAdmin(ctx context.Context, tx pgx.Tx) error {
	some, err := members.NewStore(tx).HasAdmin(ctx)
	if err != nil {
		return err
	}
	if !some {
		return fault.Conflictf("this is the tenant's last admin who has accepted: make somebody else one first")
	}
	return nil
}
