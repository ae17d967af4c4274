// Package auth verifies Supabase access tokens and says who is asking: the
// tenant and the role of the token's app_metadata, which a user cannot edit.
package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// Config is where tokens come from.
type Config struct {
	// SupabaseURL is the project's address; tokens are issued by its /auth/v1.
	SupabaseURL string `env:"SUPABASE_URL, required"`
	// LegacySecret, where set, also admits the HS256 tokens of an old project.
	LegacySecret string `env:"SUPABASE_JWT_SECRET"`
}

// Role is what a member may do. Each role may do all that the ones before it may.
type Role int

// The roles, from least to most. Public asks for no token at all.
const (
	Public Role = iota
	Viewer
	Editor
	Admin
)

// String returns the role's name in app_metadata.
func (r Role) String() string { return [...]string{"public", "viewer", "editor", "admin"}[r] }

// Identity is who is asking.
type Identity struct {
	Tenant  string // a UUID in its usual form; empty where the token names none
	Role    Role
	Subject string // the Supabase user's id
	Email   string
}

// Who names the identity in histories: the e-mail address, or the subject.
func (i Identity) Who() string {
	if i.Email != "" {
		return i.Email
	}
	return i.Subject
}

type identityKey struct{}

// With returns ctx with who is asking.
func With(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// From returns who is asking; behind the edge's check there always is somebody.
func From(ctx context.Context) Identity {
	id, _ := ctx.Value(identityKey{}).(Identity)
	return id
}

// Own returns nil where tenant, as a request names it, is the caller's own, and
// a Forbidden fault otherwise.
func Own(ctx context.Context, tenant string) error {
	if strings.EqualFold(tenant, From(ctx).Tenant) {
		return nil
	}
	return fault.Forbiddenf("tenant_id is not your token's tenant")
}

// Verifier checks tokens. It is safe for concurrent use.
type Verifier struct {
	secret []byte
	jwks   func() (*keySet, error)
	parser *jwt.Parser
}

const (
	audience  = "authenticated"
	clockSkew = 10 * time.Second
)

// New returns a verifier. Keys are fetched when the first token comes.
func New(cfg Config) *Verifier {
	issuer := strings.TrimSuffix(cfg.SupabaseURL, "/") + "/auth/v1"
	methods := []string{jwt.SigningMethodES256.Alg(), jwt.SigningMethodRS256.Alg()}
	if cfg.LegacySecret != "" {
		methods = append(methods, jwt.SigningMethodHS256.Alg())
	}
	return &Verifier{
		secret: []byte(cfg.LegacySecret),
		jwks:   sync.OnceValues(func() (*keySet, error) { return openKeySet(issuer + "/.well-known/jwks.json") }),
		parser: jwt.NewParser(jwt.WithValidMethods(methods), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
			jwt.WithExpirationRequired(), jwt.WithLeeway(clockSkew), jwt.WithIssuedAt()),
	}
}

type claims struct {
	jwt.RegisteredClaims
	Email       string `json:"email"`
	AppMetadata struct {
		TenantID string `json:"tenant_id"`
		Role     string `json:"role"`
	} `json:"app_metadata"`
}

// UnmarshalJSON refuses times that are texts, which the library takes for numbers.
func (c *claims) UnmarshalJSON(data []byte) error {
	var times struct {
		Exp, Nbf, Iat json.RawMessage
	}
	if err := json.Unmarshal(data, &times); err != nil {
		return err
	}
	for _, t := range []json.RawMessage{times.Exp, times.Nbf, times.Iat} {
		if len(t) > 0 && t[0] == '"' {
			return errors.New("a time claim is a text, not a number")
		}
	}
	type plain claims
	return json.Unmarshal(data, (*plain)(c))
}

// Verify returns who the token stands for. A bad token is an Unauthorized fault,
// and keys that cannot be fetched Unavailable. A token that names no tenant is
// good: its bearer may have invitations to accept.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	var c claims
	if _, err := v.parser.ParseWithClaims(token, &c, v.keyFor(ctx)); err != nil {
		return Identity{}, refusal(err)
	}
	id := Identity{Role: RoleNamed(c.AppMetadata.Role), Subject: c.Subject, Email: c.Email}
	if tenant, err := uuid.Parse(c.AppMetadata.TenantID); err == nil {
		id.Tenant = tenant.String()
	}
	return id, nil
}

// VerifyRequest verifies the bearer token of r.
func (v *Verifier) VerifyRequest(r *http.Request) (Identity, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token == "" || !strings.EqualFold(scheme, "Bearer") {
		return Identity{}, fault.Unauthorizedf("the Authorization header needs a Supabase access token: Bearer <token>")
	}
	return v.Verify(r.Context(), strings.TrimSpace(token))
}

// keyFor never hands an HMAC method a public key, nor the other way round. It
// refuses a header with crit, which demands an extension that is not known here
// (RFC 7515, 4.1.11), and one without kid where a project has several keys.
func (v *Verifier) keyFor(ctx context.Context) jwt.Keyfunc {
	return func(t *jwt.Token) (any, error) {
		if _, has := t.Header["crit"]; has {
			return nil, errors.New("the header's crit names an extension that is not known here")
		}
		if t.Method == jwt.SigningMethodHS256 {
			return v.secret, nil
		}
		if kid, _ := t.Header["kid"].(string); kid == "" {
			return nil, errors.New("the header names no key: kid is missing")
		}
		keys, err := v.jwks()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoKeys, err)
		}
		return keys.find(ctx, t)
	}
}

// refusal says what is wrong with a token in words that give nothing away.
func refusal(err error) error {
	switch {
	case errors.Is(err, errNoKeys):
		return fault.Down("access tokens cannot be verified right now", err)
	case errors.Is(err, jwt.ErrTokenExpired):
		return &fault.Error{Kind: fault.Unauthorized, Message: "the access token has expired", Cause: err}
	default:
		return &fault.Error{Kind: fault.Unauthorized, Message: "the access token is not valid here", Cause: err}
	}
}

// RoleNamed returns the role of that name, and Viewer for any other: an unknown
// role has the least rights.
func RoleNamed(name string) Role {
	switch name {
	case "admin":
		return Admin
	case "editor":
		return Editor
	default:
		return Viewer
	}
}
