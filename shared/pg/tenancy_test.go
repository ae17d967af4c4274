package pg_test

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// Every table is filled with a row of tenant B by its own constraints, so a new
// table cannot be forgotten here: a row that cannot be made up fails the test.
func TestATenantNeitherSeesNorWritesAnothersRowsInAnyTable(t *testing.T) {
	t.Parallel()
	made := pgtest.New(t)
	seed(t, made)
	admin := made.Admin(t)
	fill(t, admin, tenantB)
	db := openURL(t, made.AppURL, 2)
	for _, table := range tables(t, admin) {
		theirs := table + ` WHERE tenant_id = '` + tenantB + `'`
		if n := rows(t, db, tenantB, theirs); n == 0 && may(t, admin, "gv_app", table, "SELECT") {
			t.Errorf("%s: its own tenant sees nothing", table)
		}
		if n := rows(t, db, tenantA, theirs); n > 0 {
			t.Errorf("%s: another tenant sees %d rows", table, n)
		}
		if n := rows(t, db, "", table); n > 0 {
			t.Errorf("%s: without a tenant %d rows are seen", table, n)
		}
		for verb, sql := range map[string]string{
			"UPDATE": `UPDATE ` + table + ` SET tenant_id = tenant_id WHERE tenant_id = '` + tenantB + `'`,
			"DELETE": `DELETE FROM ` + table + ` WHERE tenant_id = '` + tenantB + `'`,
			"INSERT": `INSERT INTO ` + table + ` SELECT (jsonb_populate_record(r, '{"tenant_id": "` + tenantB + `"}')).* FROM (SELECT NULL::` + table + ` AS r) AS x`,
		} {
			if !may(t, admin, "gv_app", table, verb) {
				continue
			}
			var changed int64
			err := pg.InTenant(t.Context(), db, tenantA, func(tx pgx.Tx) error {
				done, err := tx.Exec(t.Context(), sql)
				changed = done.RowsAffected()
				return err
			})
			if changed != 0 || verb == "INSERT" && err == nil {
				t.Errorf("%s: another tenant's %s changed %d rows, %v", table, verb, changed, err)
			}
		}
	}
}

// A row cannot be given away either: in each table its own tenant's update to another
// tenant fails, and so does reaching a row through a function that sees its rows
// before the policy does.
func TestATenantGivesNoRowAwayAndItsFunctionsSeeNoneOfAnothers(t *testing.T) {
	t.Parallel()
	made := pgtest.New(t)
	seed(t, made)
	admin := made.Admin(t)
	fill(t, admin, tenantB)
	if _, err := admin.Exec(t.Context(), `
		CREATE SCHEMA attack; GRANT USAGE ON SCHEMA attack TO gv_app;
		CREATE FUNCTION attack.spy(owner uuid) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
		BEGIN IF owner <> gv.tenant() THEN RAISE EXCEPTION 'seen: %', owner; END IF; RETURN true; END $$;
		GRANT EXECUTE ON FUNCTION attack.spy TO gv_app`); err != nil {
		t.Fatal(err)
	}
	db := openURL(t, made.AppURL, 2)
	try := func(tenant, sql string) error {
		return pg.InTenant(t.Context(), db, tenant, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), sql)
			return err
		})
	}
	for _, table := range tables(t, admin) {
		if may(t, admin, "gv_app", table, "SELECT") {
			if err := try(tenantA, `SELECT FROM `+table+` WHERE attack.spy(tenant_id)`); err != nil {
				t.Errorf("%s: a cheap function is asked before the policy: %v", table, err)
			}
			if err := try(tenantA, `SELECT FROM `+table+` WHERE tenant_id = '`+tenantB+`' FOR KEY SHARE`); err != nil && !strings.Contains(err.Error(), "permission denied") {
				t.Errorf("%s: %v", table, err)
			}
		}
		if !may(t, admin, "gv_app", table, "UPDATE") {
			continue
		}
		if err := try(tenantB, `UPDATE `+table+` SET tenant_id = '`+tenantA+`'`); err == nil {
			t.Errorf("%s: a tenant gives its rows to another", table)
		}
	}
}

// What runs with its owner's rights sees every row: each such function that the
// functions' role may call is named here, with what it gives away.
func TestWhatRunsWithItsOwnersRightsIsListed(t *testing.T) {
	t.Parallel()
	admin := pgtest.New(t).Admin(t)
	found, _ := admin.Query(t.Context(), `
		SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ') ' || coalesce(array_to_string(p.proconfig, ' '), 'no search_path')
		FROM   pg_proc p
		WHERE  p.pronamespace = 'gv'::regnamespace AND p.prosecdef AND has_function_privilege('gv_app', p.oid, 'EXECUTE')
		ORDER  BY 1`)
	all, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range all {
		name, _, _ := strings.Cut(one, "(")
		names = append(names, name)
		if !strings.Contains(one, "search_path=") {
			t.Errorf("%s finds what its caller's search_path names", one)
		}
	}
	if diff := gocmp.Diff(ownersRights, names); diff != "" {
		t.Errorf("functions with their owner's rights: %s", diff)
	}
}

var ownersRights = []string{
	"cells_of_niche",     // a niche's patterns, as sums over accounts that agreed to it, without a tenant
	"key_tenant",         // whose publishable key it is
	"key_tenant",         // the same by the kind of key
	"member_role",        // the role of an address in a tenant
	"memberships_of",     // the tenants of an address whose user is confirmed
	"page_tenant",        // whose page it is
	"portal_connections", // whose portals they are, and the names of their secrets
	"portal_tenant",      // whose portal it is
	"source_tenant",      // whose source of deals it is, and the names of its secrets
}

func TestEveryTableIsUnderRowLevelSecurity(t *testing.T) {
	t.Parallel()
	admin := pgtest.New(t).Admin(t)
	found, err := admin.Query(t.Context(), `
		SELECT c.oid::regclass::text, c.relrowsecurity, c.relispartition,
		       (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid),
		       EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
		FROM pg_class c WHERE c.relnamespace = 'gv'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`)
	if err != nil {
		t.Fatal(err)
	}
	for found.Next() {
		var (
			table                     string
			secured, partition, owned bool
			policies                  int
		)
		if err := found.Scan(&table, &secured, &partition, &policies, &owned); err != nil {
			t.Fatal(err)
		}
		// A partition is reached through its table; without a policy nobody reads it by itself.
		if !secured || !owned || policies == 0 && !partition {
			t.Errorf("%s: secured %v, %d policies, tenant_id %v", table, secured, policies, owned)
		}
	}
}

// What the worker may do is written down here, so that more of it is a decision.
func TestTheWorkerHasWhatItNeedsAndNoMore(t *testing.T) {
	t.Parallel()
	admin := pgtest.New(t).Admin(t)
	want := map[string]string{
		"gv.accounts": "SELECT", "gv.ad_change_history": "INSERT SELECT", "gv.ad_observations": "DELETE SELECT", "gv.ad_fatigue": "INSERT SELECT UPDATE", "gv.ad_metrics": "INSERT SELECT UPDATE", "gv.ad_sets": "SELECT", "gv.ads": "SELECT UPDATE",
		"gv.budget_objects": "INSERT SELECT UPDATE", "gv.change_requests": "DELETE INSERT SELECT", "gv.embedding_models": "SELECT UPDATE",
		"gv.fatigue_remedies": "INSERT SELECT UPDATE", "gv.sweep_progress": "DELETE INSERT SELECT UPDATE",
		"gv.campaigns": "SELECT", "gv.dead_letters": "INSERT SELECT UPDATE", "gv.decisions": "SELECT", "gv.hubspot_connections": "SELECT",
		"gv.idempotency_keys": "DELETE SELECT", "gv.inbox": "DELETE SELECT", "gv.learning_cycles": "INSERT SELECT UPDATE", "gv.learning_steps": "SELECT",
		"gv.leases": "DELETE INSERT SELECT UPDATE", "gv.meta_connections": "SELECT UPDATE", "gv.model_registry": "DELETE INSERT SELECT UPDATE",
		"gv.outbox": "DELETE INSERT SELECT UPDATE", "gv.patterns": "DELETE INSERT SELECT UPDATE",
		"gv.pending_ad_changes": "DELETE INSERT SELECT UPDATE", "gv.refreshes": "INSERT SELECT", "gv.schedules": "SELECT", "gv.sweeps": "DELETE INSERT SELECT",
		"gv.tenants": "SELECT", "gv.webhooks": "SELECT", "gv.winners": "INSERT SELECT UPDATE", "gv.winner_codes": "DELETE INSERT SELECT UPDATE",
		// What retention clears: personal fields, unmatched clicks, and what hangs on them.
		"gv.clicks": "DELETE SELECT UPDATE", "gv.conversions": "SELECT UPDATE", "gv.deal_touches": "DELETE SELECT", "gv.deals": "SELECT",
		"gv.webhook_attempts": "DELETE SELECT",
		"gv.account_alerts":   "INSERT SELECT UPDATE", "gv.crm_syncs": "INSERT SELECT UPDATE", "gv.writebacks": "SELECT",
		"gv.slack_connections": "SELECT UPDATE", "gv.slack_notices": "DELETE INSERT SELECT",
		// Hashes of contacts' addresses, which retention deletes.
		"gv.contact_keys": "DELETE SELECT", "gv.contact_hashes": "DELETE SELECT", "gv.contacts": "SELECT", "gv.deal_contacts": "SELECT",
	}
	if diff := gocmp.Diff(want, grants(t, admin, "gv_worker")); diff != "" {
		t.Errorf("grants of gv_worker: %s", diff)
	}
	for role := range grants(t, admin, "PUBLIC") {
		t.Errorf("everybody has grants on %s", role)
	}
}

func TestNeitherRoleCanStepPastItsPolicies(t *testing.T) {
	t.Parallel()
	made := pgtest.New(t)
	admin := made.Admin(t)
	for _, role := range []string{"gv_app", "gv_worker"} {
		var super, bypass, creates, owns bool
		err := admin.QueryRow(t.Context(), `
			SELECT rolsuper, rolbypassrls, rolcreaterole OR rolcreatedb,
			       EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid) OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)
			FROM pg_roles r WHERE rolname = $1`, role).Scan(&super, &bypass, &creates, &owns)
		if err != nil || super || bypass || creates || owns {
			t.Errorf("%s: superuser %v, bypasses %v, creates %v, owns or is a member %v, %v", role, super, bypass, creates, owns, err)
		}
	}
	db := openURL(t, made.AppURL, 1)
	for _, sql := range []string{
		`SET LOCAL row_security = off; SELECT * FROM gv.tenants`, `CALL gv.protect('gv.tenants', 'DELETE')`, `SET ROLE gv_worker`,
		`CREATE TABLE gv.mine ()`, `ALTER TABLE gv.tenants DISABLE ROW LEVEL SECURITY`, `SELECT gv.partition_decisions('2030-01-01')`,
		`TRUNCATE gv.inbox`,
	} {
		err := pg.InTenant(t.Context(), db, tenantA, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
			return err
		})
		if err == nil {
			t.Errorf("gv_app may: %s", sql)
		}
	}
}

func TestTheWorkerSeesEveryTenant(t *testing.T) {
	t.Parallel()
	made := pgtest.New(t)
	seed(t, made)
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: made.WorkerURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	err = pg.Across(t.Context(), worker, func(tx pgx.Tx) error {
		var n int
		err := tx.QueryRow(t.Context(), `SELECT count(*) FROM gv.tenants`).Scan(&n)
		if n != 2 {
			t.Errorf("it sees %d tenants", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// tables returns gv's tables, parents before what refers to them.
func tables(t *testing.T, admin *pgxpool.Pool) []string {
	t.Helper()
	found, _ := admin.Query(t.Context(), `
		SELECT c.oid::regclass::text FROM pg_class c
		WHERE c.relnamespace = 'gv'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.oid`)
	all, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// special are the columns whose constraint a made-up text or number breaks, and
// that is no list of words.
var special = map[string]string{
	"currency": `'USD'`, "method": `'unattributed'`, "email": `'a@example.com'`, "key_hash": `decode(repeat('00', 32), 'hex')`,
	"target_minor": `1`, "accounts": `5`, "unallocated_minor": `0`, "stage_name": `'lead'`, "budget_object": `'adset/x'`,
	"page_id": `'1001'`, "lead_property": `'gv_lead_id'`, "first_day": `'2026-01-01'`, "share_from": `0`, "gv.deal_touches.method": `'url_param'`, "gv.contact_hashes.hash": `decode(repeat('00', 32), 'hex')`,
	"embedding": `(SELECT array_agg(1)::extensions.vector FROM generate_series(1, 768))`,
}

var oneOf = regexp.MustCompile(`\(\(?(\w+) = ANY \(ARRAY\[('[^']*')`)

// words returns a permitted word for each column that must have one of a list.
func words(t *testing.T, admin *pgxpool.Pool, table string) map[string]string {
	t.Helper()
	found, _ := admin.Query(t.Context(), `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conrelid = $1::regclass`, table)
	checks, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	permitted := map[string]string{}
	for _, check := range checks {
		if m := oneOf.FindStringSubmatch(check); m != nil {
			permitted[m[1]] = m[2]
		}
	}
	return permitted
}

// fill makes one row of tenant in each table that has none of it.
func fill(t *testing.T, admin *pgxpool.Pool, tenant string) {
	t.Helper()
	for _, table := range tables(t, admin) {
		var n int
		if err := admin.QueryRow(t.Context(), `SELECT count(*) FROM `+table+` WHERE tenant_id = $1`, tenant).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			continue
		}
		found, _ := admin.Query(t.Context(), `
			SELECT attname, CASE typcategory WHEN 'N' THEN '1' WHEN 'S' THEN '''x''' WHEN 'D' THEN 'now()' WHEN 'B' THEN 'false'
			                WHEN 'A' THEN '''{}''' ELSE CASE typname WHEN 'uuid' THEN 'gen_random_uuid()' WHEN 'jsonb' THEN '''{}''' ELSE '''''' END END
			FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
			WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = ''
			AND (attnotnull AND NOT atthasdef OR attname IN ('target_minor', 'tenant_id', 'merged_into'))`, table)
		var names, values []string
		var column, value string
		permitted := words(t, admin, table)
		if _, err := pgx.ForEachRow(found, []any{&column, &value}, func() error {
			value = cmp.Or(special[table+"."+column], special[column], permitted[column], value)
			if column == "tenant_id" {
				value = `'` + tenant + `'`
			}
			names, values = append(names, column), append(values, value)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		sql := fmt.Sprintf(`INSERT INTO %s (%s) VALUES (%s)`, table, strings.Join(names, ", "), strings.Join(values, ", "))
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s cannot be filled (add its column to special): %v\n%s", table, err, sql)
		}
	}
}

func rows(t *testing.T, db *pg.DB, tenant, table string) (n int) {
	t.Helper()
	count := func(ask pg.Asker) error { return ask.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n) }
	var err error
	if tenant == "" {
		err = pg.WithoutTenant(t.Context(), db, count)
	} else {
		err = pg.InTenant(t.Context(), db, tenant, func(tx pgx.Tx) error { return count(tx) })
	}
	if err != nil && !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("%s: %v", table, err)
	}
	return n
}

func may(t *testing.T, admin *pgxpool.Pool, role, table, verb string) (may bool) {
	t.Helper()
	if err := admin.QueryRow(t.Context(), `SELECT has_table_privilege($1, $2, $3)`, role, table, verb).Scan(&may); err != nil {
		t.Fatal(err)
	}
	return may
}

func grants(t *testing.T, admin *pgxpool.Pool, role string) map[string]string {
	t.Helper()
	found, _ := admin.Query(t.Context(), `
		SELECT table_schema || '.' || table_name, privilege_type::text FROM information_schema.role_table_grants
		WHERE grantee = $1 AND table_schema = 'gv'`, role)
	all := map[string][]string{}
	var table, verb string
	if _, err := pgx.ForEachRow(found, []any{&table, &verb}, func() error {
		all[table] = append(all[table], verb)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	sorted := map[string]string{}
	for table, verbs := range all {
		slices.Sort(verbs)
		sorted[table] = strings.Join(verbs, " ")
	}
	return sorted
}
