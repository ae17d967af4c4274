// Package members knows who belongs to a tenant. A membership is a row of
// gv.members: an e-mail address and a role. It counts once the person has
// accepted it; until then it is an invitation, which decides nothing.
//
// A token carries the role that the membership had when the token was issued.
// Writes ask Role, so that a member who was removed or demoted loses them at
// once (TestADemotedMemberLosesWritesAtOnce in functions/tenants).
package members

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fair"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// Lookup answers what role somebody has now.
type Lookup struct {
	db    *pg.DB
	looks *fair.Looks[who, string]
}

type who struct{ tenant, email string }

// In returns the lookup on db.
func In(db *pg.DB) Lookup { return Lookup{db, &fair.Looks[who, string]{}} }

// Role returns the role that the address has in tenant now, or "" where it is no
// accepted member. A tenant that does not exist is NotFound. Who asks of the same person
// at once shares a look at the database, which begins after he asked.
func (l Lookup) Role(ctx context.Context, tenant, email string) (role string, err error) {
	return l.looks.Share(ctx, who{tenant, strings.ToLower(email)}, l.role)
}

func (l Lookup) role(ctx context.Context, of who) (role string, err error) {
	err = pg.WithoutTenant(ctx, l.db, func(ask pg.Asker) error {
		return ask.QueryRow(ctx, `SELECT coalesce(gv.member_role($1::uuid, $2), '')`, of.tenant, of.email).Scan(&role)
	})
	if err != nil {
		return "", fmt.Errorf("look up a membership of tenant %s: %w", of.tenant, err)
	}
	if role == "" {
		return "", l.exists(ctx, of.tenant)
	}
	return role, nil
}

func (l Lookup) exists(ctx context.Context, tenant string) error {
	return pg.InTenant(ctx, l.db, tenant, func(tx pgx.Tx) error {
		var found bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM gv.tenants WHERE tenant_id = gv.tenant())`).Scan(&found); err != nil {
			return fmt.Errorf("look up tenant %s: %w", tenant, err)
		}
		if !found {
			return fault.NotFoundf("your token's tenant is not set up here")
		}
		return nil
	})
}

// Membership is one tenant that somebody belongs to or is invited to.
type Membership struct {
	Tenant, Name, Role string
	Accepted, Chosen   bool
}

// Of returns the memberships and invitations of a Supabase user whose address is
// confirmed, by tenant name; none for an address that is not.
func Of(ctx context.Context, db *pg.DB, subject, email string) (all []Membership, err error) {
	err = pg.WithoutTenant(ctx, db, func(ask pg.Asker) (err error) {
		rows, _ := ask.Query(ctx, `
			SELECT tenant_id::text AS tenant, name, role, accepted, chosen FROM gv.memberships_of($1, $2)
			ORDER  BY name COLLATE "C", tenant_id`, subject, strings.ToLower(email))
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Membership])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the memberships of user %s: %w", subject, err)
	}
	return all, nil
}

// Store is the tenant's memberships in one transaction.
type Store struct{ tx pgx.Tx }

// NewStore returns the store on tx, which sees one tenant.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

// Member is a row of gv.members that is not removed.
type Member struct {
	Email    string
	Role     string
	AddedBy  string
	AddedAt  time.Time
	Accepted bool
}

const columns = `email, role, added_by, added_at, accepted_at IS NOT NULL AS accepted`

// List returns the members and invitations by e-mail address.
func (s Store) List(ctx context.Context) ([]Member, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT `+columns+` FROM gv.members
		WHERE  tenant_id = gv.tenant() AND removed_at IS NULL ORDER BY email COLLATE "C"`)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Member])
	if err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	for i := range all {
		all[i].AddedAt = all[i].AddedAt.UTC()
	}
	return all, nil
}

// Add invites the address, or gives a member another role. Somebody who was
// removed is invited anew.
func (s Store) Add(ctx context.Context, email, role, who string) (Member, error) {
	rows, _ := s.tx.Query(ctx, `
		INSERT INTO gv.members AS m (tenant_id, email, role, added_by)
		VALUES (gv.tenant(), @email, @role, @who)
		ON CONFLICT (tenant_id, email) DO UPDATE
		SET role = excluded.role, removed_at = NULL,
		    added_by    = CASE WHEN m.removed_at IS NULL THEN m.added_by ELSE excluded.added_by END,
		    added_at    = CASE WHEN m.removed_at IS NULL THEN m.added_at ELSE now() END,
		    accepted_at = CASE WHEN m.removed_at IS NULL THEN m.accepted_at END,
		    chosen_at   = CASE WHEN m.removed_at IS NULL THEN m.chosen_at END
		RETURNING `+columns, pgx.StrictNamedArgs{"email": email, "role": role, "who": who})
	m, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Member])
	if err != nil {
		return m, fmt.Errorf("add a member: %w", err)
	}
	m.AddedAt = m.AddedAt.UTC()
	return m, nil
}

// Remove takes the address out; found is false where it never was a member.
func (s Store) Remove(ctx context.Context, email string) (found bool, err error) {
	done, err := s.tx.Exec(ctx, `
		UPDATE gv.members SET removed_at = coalesce(removed_at, now()) WHERE tenant_id = gv.tenant() AND email = $1`, email)
	if err != nil {
		return false, fmt.Errorf("remove a member: %w", err)
	}
	return done.RowsAffected() > 0, nil
}

// Accept makes an invitation a membership; a second time it changes nothing.
func (s Store) Accept(ctx context.Context, email string) (found bool, err error) {
	return s.own(ctx, "accept an invitation", `SET accepted_at = coalesce(accepted_at, now())`, email, "")
}

// Decline takes an invitation away. An accepted membership stays as it is, and
// found is false: a member leaves by being removed.
func (s Store) Decline(ctx context.Context, email string) (found bool, err error) {
	return s.own(ctx, "decline an invitation", `SET removed_at = now()`, email, ` AND accepted_at IS NULL`)
}

// Choose makes this the tenant of the member's next token.
func (s Store) Choose(ctx context.Context, email string) (found bool, err error) {
	return s.own(ctx, "choose a tenant", `SET chosen_at = clock_timestamp()`, email, ` AND accepted_at IS NOT NULL`)
}

func (s Store) own(ctx context.Context, doing, set, email, more string) (bool, error) {
	done, err := s.tx.Exec(ctx, `
		UPDATE gv.members `+set+` WHERE tenant_id = gv.tenant() AND email = $1 AND removed_at IS NULL`+more, strings.ToLower(email))
	if err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	return done.RowsAffected() > 0, nil
}

// HasAdmin reports whether an accepted member is admin.
func (s Store) HasAdmin(ctx context.Context) (some bool, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM gv.members
		WHERE tenant_id = gv.tenant() AND role = 'admin' AND removed_at IS NULL AND accepted_at IS NOT NULL)`).Scan(&some)
	if err != nil {
		return false, fmt.Errorf("look for an admin: %w", err)
	}
	return some, nil
}
