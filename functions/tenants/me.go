package tenants

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/members"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// Me is who is asking and where they belong.
type Me struct {
	Email   string       `json:"email"`
	Tenants []Membership `json:"tenants" nullable:"false" doc:"By name. Empty too where Supabase has not confirmed the e-mail address yet."`
	Current string       `json:"current,omitempty" doc:"The token's tenant; none where it names none."`
}

// Membership is one tenant of somebody.
type Membership struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Role  string `json:"role" enum:"viewer,editor,admin"`
	State string `json:"state" enum:"invited,member" doc:"An invitation decides nothing until it is accepted."`
}

type meOutput struct{ Body Me }

func (f *function) getMe(ctx context.Context, _ *struct{}) (*meOutput, error) {
	return f.me(ctx)
}

func (f *function) me(ctx context.Context) (*meOutput, error) {
	id := auth.From(ctx)
	all, err := members.Of(ctx, f.db, id.Subject, id.Email)
	if err != nil {
		return nil, err
	}
	out := &meOutput{Body: Me{Email: strings.ToLower(id.Email), Tenants: []Membership{}, Current: id.Tenant}}
	for _, m := range all {
		out.Body.Tenants = append(out.Body.Tenants, Membership{ID: m.Tenant, Name: m.Name, Role: m.Role, State: stateOf(m.Accepted)})
	}
	return out, nil
}

func stateOf(accepted bool) string {
	if accepted {
		return "member"
	}
	return "invited"
}

type invitationInput struct {
	TenantID string `path:"tenant_id" maxLength:"36" doc:"The tenant of the invitation."`
}

func (f *function) acceptInvitation(ctx context.Context, in *invitationInput) (*meOutput, error) {
	return f.decide(ctx, in.TenantID, members.Store.Accept)
}

func (f *function) declineInvitation(ctx context.Context, in *invitationInput) (*meOutput, error) {
	return f.decide(ctx, in.TenantID, members.Store.Decline)
}

type chooseInput struct {
	Body struct {
		TenantID string `json:"tenant_id" maxLength:"36" doc:"One of your tenants."`
	}
}

// chooseTenant decides the tenant of the next token: the caller asks Supabase for
// a fresh one after it.
func (f *function) chooseTenant(ctx context.Context, in *chooseInput) (*meOutput, error) {
	return f.decide(ctx, in.Body.TenantID, members.Store.Choose)
}

// decide changes the caller's own membership of a tenant. A tenant that did not
// invite them is not found, whether it exists or not.
func (f *function) decide(ctx context.Context, tenant string,
	change func(members.Store, context.Context, string) (bool, error),
) (*meOutput, error) {
	id := auth.From(ctx)
	unknown := fault.NotFoundf("you are neither invited to this tenant nor a member of it")
	parsed, err := uuid.Parse(tenant)
	if err != nil {
		return nil, unknown
	}
	all, err := members.Of(ctx, f.db, id.Subject, id.Email)
	if err != nil {
		return nil, err
	}
	mine := false
	for _, m := range all {
		mine = mine || m.Tenant == parsed.String()
	}
	if !mine {
		return nil, unknown
	}
	serve.Note(ctx, "by", id.Subject, "tenant", parsed.String())
	err = pg.InTenant(ctx, f.db, parsed.String(), func(tx pgx.Tx) error {
		done, err := change(members.NewStore(tx), ctx, id.Email)
		if err == nil && !done {
			return fault.Conflictf("your membership of this tenant does not allow this: an invitation is accepted first, and a member is removed by an admin")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return f.me(ctx)
}
