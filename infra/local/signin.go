package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// directory lets everybody sign in who is a member of some tenant, and asks the
// database's access token hook what their tokens say, as Supabase Auth would.
type directory struct{ url string }

func (d directory) Known(ctx context.Context, email string) (known bool, err error) {
	err = d.query(ctx, &known, `SELECT EXISTS (SELECT FROM gv.members WHERE email = $1)`, email)
	return known, err
}

func (d directory) Claims(ctx context.Context, userID string, claims map[string]any) (map[string]any, error) {
	event, err := json.Marshal(map[string]any{"user_id": userID, "claims": claims, "authentication_method": "password"})
	if err != nil {
		return nil, err
	}
	var answer []byte
	if err := d.query(ctx, &answer, `SELECT gv.access_token_hook($1::text::jsonb)::text`, string(event)); err != nil {
		return nil, err
	}
	var hooked struct {
		Claims map[string]any `json:"claims"`
	}
	return hooked.Claims, json.Unmarshal(answer, &hooked)
}

func (d directory) query(ctx context.Context, out any, sql string, args ...any) error {
	conn, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", plain(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return conn.QueryRow(ctx, sql, args...).Scan(out)
}

// demoUser is somebody whom the console lets sign in by a click.
type demoUser struct {
	Email  string `json:"email"`
	Role   string `json:"role"`
	Tenant string `json:"tenant"`
}

// demoUsers lists the members of all tenants, the demo ones first.
func (s *system) demoUsers(w http.ResponseWriter, r *http.Request) {
	if err := ownPage(r); err != nil {
		serve.WriteError(w, r, err)
		return
	}
	conn, err := pgx.Connect(r.Context(), s.database.adminURL)
	if err != nil {
		serve.WriteError(w, r, fault.Down("the database does not answer", err))
		return
	}
	defer conn.Close(context.WithoutCancel(r.Context()))
	rows, _ := conn.Query(r.Context(), `
		SELECT   m.email, m.role, t.name AS tenant
		FROM     gv.members m JOIN gv.tenants t USING (tenant_id)
		WHERE    m.removed_at IS NULL
		ORDER BY m.added_by <> 'infra/local', m.tenant_id, m.role, m.email
		LIMIT    24`)
	users, err := pgx.CollectRows(rows, pgx.RowToStructByName[demoUser])
	if err != nil {
		serve.WriteError(w, r, fault.Down("the database does not answer", err))
		return
	}
	answer(w, map[string]any{"users": users, "password": s.password})
}

// mails shows what the sign-in would have sent.
func (s *system) mails(w http.ResponseWriter, r *http.Request) {
	if err := ownPage(r); err != nil {
		serve.WriteError(w, r, err)
		return
	}
	answer(w, map[string]any{"mails": s.signIn.Mails()})
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(body)
}

// ownPage refuses a page that has its own name lead to this machine.
func ownPage(r *http.Request) error {
	host := r.Host
	if bare, _, err := net.SplitHostPort(host); err == nil {
		host = bare
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	from := r.Header.Get("Sec-Fetch-Site")
	if host != "localhost" && (ip == nil || !ip.IsLoopback()) || from != "" && from != "same-origin" && from != "none" {
		return fault.Forbiddenf("this is only for this machine's own console")
	}
	return nil
}
