package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// tenant is the one to make, none if its name is empty.
type tenant struct{ name, admin, currency string }

var currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)

func (t *tenant) check() error {
	t.name, t.admin, t.currency = strings.TrimSpace(t.name), strings.ToLower(strings.TrimSpace(t.admin)), strings.ToUpper(t.currency)
	switch {
	case t.name == "" && t.admin == "" && t.currency == "":
		return nil
	case t.name == "":
		return errors.New("-admin and -currency belong to a -tenant NAME")
	case t.admin == "":
		return errors.New("-tenant needs the e-mail address of its first admin: -admin EMAIL")
	}
	if address, err := mail.ParseAddress(t.admin); err != nil || address.Address != t.admin {
		return fmt.Errorf("-admin %q is not an e-mail address", t.admin)
	}
	if t.currency != "" && !currencyForm.MatchString(t.currency) {
		return fmt.Errorf("-currency %q is not an ISO 4217 code such as USD", t.currency)
	}
	return nil
}

// make makes the tenant and its admin, each where it is not there yet.
func (t *tenant) make(ctx context.Context, conn *pgx.Conn, out io.Writer) error {
	var id, currency string
	made := false
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// Names are not unique in the schema: one at a time, then.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('gv.tenants'))`); err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, `SELECT tenant_id::text, currency FROM gv.tenants WHERE name = $1`, t.name)
		found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ ID, Currency string }])
		switch {
		case err != nil:
			return err
		case len(found) > 1:
			return fmt.Errorf("%d tenants have this name: add the admin to the right one in gv.members", len(found))
		case len(found) == 1:
			id, currency = found[0].ID, found[0].Currency
			if t.currency != "" && t.currency != currency {
				return fmt.Errorf("it is there already, with the currency %s: the currency of a tenant that has deals does not change", currency)
			}
		default:
			made = true
			err = tx.QueryRow(ctx, `
				INSERT INTO gv.tenants (name, currency) VALUES ($1, coalesce(nullif($2, ''), 'USD')) RETURNING tenant_id::text, currency`,
				t.name, t.currency).Scan(&id, &currency)
			if err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO gv.members (tenant_id, email, role, added_by, accepted_at) VALUES ($1, $2, 'admin', 'infra/migrate', now())
			ON CONFLICT (tenant_id, email) DO UPDATE SET role = 'admin', removed_at = NULL,
			       accepted_at = coalesce(gv.members.accepted_at, now())`, id, t.admin)
		return err
	})
	if err != nil {
		return fmt.Errorf("make tenant %s: %w", t.name, err)
	}
	did := "found"
	if made {
		did = "made"
	}
	fmt.Fprintf(out, `
%s tenant %s (%s)
tenant_id %s
admin     %s

For the admin to log in, their Supabase user needs this app_metadata:
  {"tenant_id": "%s", "role": "admin"}
in the SQL editor:
  UPDATE auth.users SET raw_app_meta_data = raw_app_meta_data || '{"tenant_id": "%s", "role": "admin"}' WHERE email = '%s';
It counts from the next token on: log out and in again. For members that are
added later, name the function gv.access_token_hook as the project's custom
access token hook (Authentication, Hooks): gv.members then decides at each login.
`, did, t.name, currency, id, t.admin, id, id, strings.ReplaceAll(t.admin, "'", "''"))
	return nil
}
