package migrations_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/migrations"
)

const (
	hookA = "00000000-0000-4000-8000-00000000000a"
	hookB = "00000000-0000-4000-8000-00000000000b"
)

// claims calls the hook as Supabase does and returns the token's app_metadata.
func claims(t *testing.T, conn *pgx.Conn, user, email, metadata string) string {
	t.Helper()
	event := fmt.Sprintf(`{"user_id": %q, "authentication_method": "password", "claims": {"email": %q, "role": "authenticated", "app_metadata": %s}}`, user, email, metadata)
	var got, role string
	err := conn.QueryRow(t.Context(), `SELECT answer #>> '{claims,app_metadata}', answer #>> '{claims,role}' FROM gv.access_token_hook($1::jsonb) AS answer`, event).Scan(&got, &role)
	if err != nil {
		t.Fatal(err)
	}
	if role != "authenticated" {
		t.Errorf("the claim role became %s", role)
	}
	return got
}

func TestATokenSaysWhatItsBearerIsAMemberOf(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.New(t))
	run(t, conn, `INSERT INTO gv.tenants (tenant_id, name) VALUES ('`+hookA+`', 'A'), ('`+hookB+`', 'B')`)
	run(t, conn, `INSERT INTO gv.members (tenant_id, email, role, added_by, added_at, accepted_at) VALUES
		('`+hookA+`', 'ana@example.com', 'admin', 'test', '2026-01-01', now()), ('`+hookB+`', 'ana@example.com', 'viewer', 'test', '2026-02-01', now()),
		('`+hookB+`', 'ivo@example.com', 'admin', 'test', '2026-02-01', NULL)`)
	const user = "11111111-1111-4111-8111-111111111111"
	for _, c := range []struct{ email, has, want string }{
		{"Ana@Example.com", `{"provider": "email"}`, `{"role": "admin", "provider": "email", "tenant_id": "` + hookA + `"}`},
		{"ana@example.com", `{"tenant_id": "` + hookB + `", "role": "admin"}`, `{"role": "viewer", "tenant_id": "` + hookB + `"}`},
		{"ana@example.com", `{"tenant_id": "nonsense"}`, `{"role": "admin", "tenant_id": "` + hookA + `"}`},
		{"ana@example.com", `null`, `{"role": "admin", "tenant_id": "` + hookA + `"}`},
		{"ivo@example.com", `{"tenant_id": "` + hookB + `"}`, `{}`}, // invited, which decides nothing
		{"eve@example.com", `{"tenant_id": "` + hookA + `", "role": "admin", "provider": "email"}`, `{"provider": "email"}`},
		{"", `{}`, `{}`},
	} {
		if got := claims(t, conn, user, c.email, c.has); got != c.want {
			t.Errorf("%s with %s: %s, want %s", c.email, c.has, got, c.want)
		}
	}
	run(t, conn, `UPDATE gv.members SET chosen_at = now() WHERE tenant_id = '`+hookB+`' AND email = 'ana@example.com'`)
	if got := claims(t, conn, user, "ana@example.com", `{"tenant_id": "`+hookA+`"}`); got != `{"role": "viewer", "tenant_id": "`+hookB+`"}` {
		t.Errorf("B chosen: %s", got)
	}
	run(t, conn, `UPDATE gv.members SET removed_at = now() WHERE tenant_id = '`+hookA+`'`)
	if got := claims(t, conn, user, "ana@example.com", `{"tenant_id": "`+hookA+`"}`); got != `{"role": "viewer", "tenant_id": "`+hookB+`"}` {
		t.Errorf("removed from A: %s", got)
	}
}

func TestAnAddressCountsOnceSupabaseHasConfirmedIt(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.New(t))
	const user, other = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	run(t, conn, `CREATE SCHEMA auth`)
	run(t, conn, `CREATE TABLE auth.users (id uuid PRIMARY KEY, email text, email_confirmed_at timestamptz)`)
	run(t, conn, `INSERT INTO auth.users VALUES ('`+user+`', 'Ana@example.com', NULL), ('`+other+`', 'eve@example.com', now())`)
	run(t, conn, `INSERT INTO gv.tenants (tenant_id, name) VALUES ('`+hookA+`', 'A')`)
	run(t, conn, `INSERT INTO gv.members (tenant_id, email, role, added_by, accepted_at) VALUES ('`+hookA+`', 'ana@example.com', 'admin', 'test', now())`)
	if got := claims(t, conn, user, "ana@example.com", `{}`); got != `{}` {
		t.Errorf("unconfirmed: %s", got)
	}
	if got := claims(t, conn, other, "ana@example.com", `{}`); got != `{}` {
		t.Errorf("another's address: %s", got)
	}
	run(t, conn, `UPDATE auth.users SET email_confirmed_at = now() WHERE id = '`+user+`'`)
	if got := claims(t, conn, user, "ana@example.com", `{}`); got != `{"role": "admin", "tenant_id": "`+hookA+`"}` {
		t.Errorf("confirmed: %s", got)
	}
}

// makeAuthServersRole makes the role that Supabase's auth server has. It belongs to the
// cluster: another test may be making it, and a migration grants it what is there when it
// runs.
func makeAuthServersRole(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	var known *pgconn.PgError
	_, err := conn.Exec(t.Context(), `CREATE ROLE supabase_auth_admin NOLOGIN`)
	if err != nil && (!errors.As(err, &known) || known.Code != "42710" && known.Code != "23505") {
		t.Fatal(err)
	}
}

func TestOnlySupabasesAuthServerMayAskTheHook(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	conn := connect(t, db)
	makeAuthServersRole(t, conn)
	if _, err := migrations.Apply(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	for role, want := range map[string]bool{"supabase_auth_admin": true, "gv_app": false, "gv_worker": false} {
		var may bool
		if err := conn.QueryRow(t.Context(), `SELECT has_function_privilege($1, 'gv.access_token_hook(jsonb)', 'EXECUTE') AND has_schema_privilege($1, 'gv', 'USAGE')`, role).Scan(&may); err != nil {
			t.Fatal(err)
		}
		if may != want {
			t.Errorf("%s: %v", role, may)
		}
	}
	run(t, conn, `SET ROLE supabase_auth_admin`)
	if got := claims(t, conn, "11111111-1111-4111-8111-111111111111", "a@example.com", `{}`); got != `{}` {
		t.Error(got)
	}
	if _, err := conn.Exec(t.Context(), `SELECT FROM gv.members`); err == nil {
		t.Error("it reads the members themselves")
	}
}

func run(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
