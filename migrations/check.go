package migrations

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Problem is something that a database lacks, or has and must not have.
type Problem struct {
	What string // is wrong
	Mend string // does: a command or a statement
}

// Querier is a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Check says what of the database is missing or wrong for this code, in the order in
// which to mend it. It only reads.
func Check(ctx context.Context, db Querier) (problems []Problem, err error) {
	pending, unknown, err := compare(ctx, db)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		problems = append(problems, Problem{
			What: "the database has migrations that this code does not know: " + strings.Join(unknown, ", "),
			Mend: "use the code that they came with; older code works beside them, but must not migrate",
		})
	}
	if len(pending) > 0 {
		names := make([]string, len(pending))
		for i, m := range pending {
			names[i] = m.Version + "_" + m.Name
		}
		problems = append(problems, Problem{
			What: fmt.Sprintf("%d migrations are not applied: %s", len(pending), strings.Join(names, ", ")),
			Mend: "go run ./infra/migrate",
		})
		if len(pending) > 0 && pending[0].Version == first {
			return problems, nil // nothing else is there yet
		}
	}
	for _, one := range []func(context.Context, Querier) ([]Problem, error){roles, extension, reachable, guarded, indexes, hook, tenants} {
		found, err := one(ctx, db)
		if err != nil {
			return problems, fmt.Errorf("check the database: %w", err)
		}
		problems = append(problems, found...)
	}
	return problems, nil
}

// Pending returns the migrations that the database does not have yet, in order.
func Pending(ctx context.Context, db Querier) ([]Migration, error) {
	pending, _, err := compare(ctx, db)
	return pending, err
}

// first is the version of the first migration.
const first = "001"

// compare returns what the history lacks, and what it has beyond this code.
func compare(ctx context.Context, db Querier) (pending []Migration, unknown []string, err error) {
	all, err := All()
	if err != nil {
		return nil, nil, err
	}
	var there bool
	if err := db.QueryRow(ctx, `SELECT to_regclass('supabase_migrations.schema_migrations') IS NOT NULL`).Scan(&there); err != nil {
		return nil, nil, fmt.Errorf("look for the history of migrations: %w", err)
	}
	var applied []string
	if there {
		rows, _ := db.Query(ctx, `SELECT version FROM supabase_migrations.schema_migrations ORDER BY version`)
		if applied, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return nil, nil, fmt.Errorf("read the history of migrations: %w", err)
		}
	}
	for _, m := range all {
		if i := slices.Index(applied, m.Version); i >= 0 {
			applied = slices.Delete(applied, i, i+1)
		} else {
			pending = append(pending, m)
		}
	}
	return pending, applied, nil
}

func roles(ctx context.Context, db Querier) (problems []Problem, err error) {
	for _, name := range []string{"gv_app", "gv_worker"} {
		var login, above bool
		err := db.QueryRow(ctx, `SELECT rolcanlogin, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = $1`, name).Scan(&login, &above)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			problems = append(problems, Problem{"the role " + name + " is not there", "CREATE ROLE " + name + " LOGIN NOBYPASSRLS; and give it the rights of the migrations again"})
		case err != nil:
			return nil, err
		case above:
			problems = append(problems, Problem{"row-level security does not bind the role " + name, "ALTER ROLE " + name + " NOSUPERUSER NOBYPASSRLS"})
		case !login:
			problems = append(problems, Problem{"the role " + name + " may not log in", "ALTER ROLE " + name + " LOGIN PASSWORD '...'"})
		}
	}
	return problems, nil
}

// extension looks for pgvector and for the right to use it. A grant on a schema that
// belongs to somebody else gives a warning and nothing, so it has to be looked for.
func extension(ctx context.Context, db Querier) ([]Problem, error) {
	var (
		schema, owner, version string
		recent                 bool
	)
	err := db.QueryRow(ctx, `
		SELECT n.nspname, pg_get_userbyid(n.nspowner), e.extversion,
		       string_to_array(regexp_replace(e.extversion, '[^0-9.]', '', 'g'), '.')::int[] >= '{0,7}'
		FROM   pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
		WHERE  e.extname = 'vector'`).Scan(&schema, &owner, &version, &recent)
	if errors.Is(err, pgx.ErrNoRows) {
		return []Problem{{"the extension vector is not there", "CREATE EXTENSION vector WITH SCHEMA extensions"}}, nil
	}
	if err != nil {
		return nil, err
	}
	var problems []Problem
	if !recent {
		problems = append(problems, Problem{
			"the extension vector has version " + version + "; searches of large tenants compare codes, which need 0.7", "ALTER EXTENSION vector UPDATE",
		})
	}
	lacking, err := withoutUsage(ctx, db, schema)
	if err != nil {
		return nil, err
	}
	if len(lacking) > 0 {
		problems = append(problems, Problem{
			fmt.Sprintf("%s may not use the schema %s, where the extension vector is", strings.Join(lacking, " and "), schema),
			fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s; as its owner, %s", schema, strings.Join(lacking, ", "), owner),
		})
	}
	return problems, nil
}

// extensionUsable fails where the functions could not use pgvector.
func extensionUsable(ctx context.Context, db Querier) error {
	problems, err := extension(ctx, db)
	if err != nil {
		return fmt.Errorf("check the extension vector: %w", err)
	}
	for _, p := range problems {
		if strings.Contains(p.Mend, "GRANT") {
			return fmt.Errorf("%s: run %s", p.What, p.Mend)
		}
	}
	return nil
}

// withoutUsage returns those of the functions' roles that may not use a schema.
func withoutUsage(ctx context.Context, db Querier, schema string) ([]string, error) {
	rows, _ := db.Query(ctx, `
		SELECT rolname::text FROM pg_roles
		WHERE  rolname IN ('gv_app', 'gv_worker') AND NOT has_schema_privilege(oid, $1, 'USAGE') ORDER BY 1`, schema)
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// reachable looks at who may use the schema: the functions' roles, and of Supabase's
// none that a browser's key stands for.
func reachable(ctx context.Context, db Querier) (problems []Problem, err error) {
	lacking, err := withoutUsage(ctx, db, "gv")
	if err != nil {
		return nil, err
	}
	for _, role := range lacking {
		problems = append(problems, Problem{role + " may not use the schema gv", "GRANT USAGE ON SCHEMA gv TO " + role})
	}
	rows, _ := db.Query(ctx, `
		SELECT rolname::text FROM pg_roles
		WHERE  rolname IN ('anon', 'authenticated') AND has_schema_privilege(oid, 'gv', 'USAGE') ORDER BY 1`)
	open, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, role := range open {
		problems = append(problems, Problem{
			role + " may use the schema gv: everybody with the project's public key is " + role,
			"REVOKE ALL ON SCHEMA gv FROM " + role + "; and take gv off Supabase's exposed schemas (Settings, API)",
		})
	}
	return problems, err
}

// guarded looks for tables without row-level security.
func guarded(ctx context.Context, db Querier) (problems []Problem, err error) {
	rows, _ := db.Query(ctx, `
		SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE  n.nspname = 'gv' AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity ORDER BY 1`)
	bare, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, table := range bare {
		problems = append(problems, Problem{
			"gv." + table + " has no row-level security",
			"ALTER TABLE gv." + table + " ENABLE ROW LEVEL SECURITY",
		})
	}
	return problems, err
}

// indexes looks for indexes whose making broke off.
func indexes(ctx context.Context, db Querier) (problems []Problem, err error) {
	rows, _ := db.Query(ctx, `
		SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE  n.nspname = 'gv' AND NOT i.indisvalid ORDER BY 1`)
	broken, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range broken {
		problems = append(problems, Problem{"the index gv." + name + " is not valid", "REINDEX INDEX CONCURRENTLY gv." + name})
	}
	return problems, err
}

// hook looks at the access token hook where there is Supabase Auth: whether it is
// switched on is a setting of the project, which no query shows.
func hook(ctx context.Context, db Querier) ([]Problem, error) {
	var there, may bool
	err := db.QueryRow(ctx, `
		SELECT to_regprocedure('gv.access_token_hook(jsonb)') IS NOT NULL,
		       coalesce((SELECT has_schema_privilege(r.oid, 'gv', 'USAGE')
		                        AND has_function_privilege(r.oid, to_regprocedure('gv.access_token_hook(jsonb)')::oid, 'EXECUTE')
		                 FROM pg_roles r WHERE r.rolname = 'supabase_auth_admin'), true)`).Scan(&there, &may)
	if err != nil || there && may {
		return nil, err
	}
	if !there {
		return []Problem{{"the function gv.access_token_hook is not there", "apply the migrations"}}, nil
	}
	return []Problem{{
		"supabase_auth_admin may not call gv.access_token_hook: every sign-in would fail once the hook is switched on",
		"GRANT USAGE ON SCHEMA gv TO supabase_auth_admin; GRANT EXECUTE ON FUNCTION gv.access_token_hook TO supabase_auth_admin",
	}}, nil
}

// tenants looks for somebody who can sign in.
func tenants(ctx context.Context, db Querier) ([]Problem, error) {
	var admins int
	err := db.QueryRow(ctx, `SELECT count(*) FROM gv.members WHERE role = 'admin' AND removed_at IS NULL`).Scan(&admins)
	if err != nil || admins > 0 {
		return nil, err
	}
	return []Problem{{"no tenant has an admin: nobody can sign in", `go run ./infra/migrate -tenant NAME -admin EMAIL`}}, nil
}
