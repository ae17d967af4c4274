package serve

import (
	"context"
	"net/http"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/members"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// AccessConfig is who may call an HTTP function.
type AccessConfig struct {
	Auth    auth.Config
	Origins []string `env:"CORS_ORIGINS"`
}

// Access decides who may call an HTTP function, and from which web origins.
type Access struct {
	Verifier *auth.Verifier
	// Members knows what role somebody has now. Without it the token alone
	// decides; NewAccess always sets it.
	Members interface {
		Role(ctx context.Context, tenant, email string) (string, error)
	}
	// Origins lists the web origins that browsers may call from; "*" is any.
	Origins []string
	// Credentials lets browsers send their own along: sendBeacon always does.
	Credentials bool
}

// NewAccess returns the access that cfg describes, with the memberships of db.
func NewAccess(cfg AccessConfig, db *pg.DB) Access {
	return Access{Verifier: auth.New(cfg.Auth), Members: members.In(db), Origins: cfg.Origins}
}

// route is what the edge knows of an operation before it runs.
type route struct {
	role     auth.Role
	limit    int64 // bytes of its body
	bounded  bool  // the operation sets the limit itself
	typed    bool  // its body is read and checked before it runs
	noTenant bool  // a token that names no tenant will do
	upload   bool  // its body may take longer than a minute
}

// admit checks who is asking, by nothing but the request's headers, and returns
// a context that says so.
func (a *API) admit(r *http.Request, to route) (context.Context, error) {
	ctx := r.Context()
	if to.role == auth.Public {
		return ctx, nil
	}
	id, err := a.access.Verifier.VerifyRequest(r)
	if err != nil {
		return ctx, err
	}
	note(ctx, func(o *outcome) { o.tenant = id.Tenant })
	if to.noTenant {
		return auth.With(ctx, id), nil
	}
	if id.Tenant == "" {
		return ctx, fault.Forbiddenf("your account belongs to no tenant: the token's app_metadata.tenant_id is missing")
	}
	if id.Role < to.role {
		return ctx, lacks(to.role, "your token has the role "+id.Role.String())
	}
	if a.access.Members != nil && writes(r, to.role) {
		if id.Role, err = a.roleNow(ctx, id, to.role); err != nil {
			return ctx, err
		}
	}
	return auth.With(ctx, id), nil
}

// writes reports a request whose caller's membership is looked up: a token is
// good for an hour, and a member who was removed must not write for that long.
func writes(r *http.Request, role auth.Role) bool {
	return role >= auth.Editor && r.Method != http.MethodGet && r.Method != http.MethodHead
}

// roleNow returns the caller's role as the membership has it now, which is never
// more than the token's.
func (a *API) roleNow(ctx context.Context, id auth.Identity, needed auth.Role) (auth.Role, error) {
	name, err := a.access.Members.Role(ctx, id.Tenant, id.Email)
	if err != nil {
		return 0, err
	}
	if name == "" {
		return 0, fault.Forbiddenf("you are no member of this tenant any more, or have not accepted the invitation yet")
	}
	if role := auth.RoleNamed(name); role < needed {
		return 0, lacks(needed, "your membership has the role "+name+" now")
	}
	return min(id.Role, auth.RoleNamed(name)), nil
}

func lacks(role auth.Role, has string) error {
	return fault.Forbiddenf("this needs the role %s; %s", role, has)
}
