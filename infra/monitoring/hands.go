package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
)

// runTime is how long a scheduled function may take; Cloud Scheduler waits longer.
const runTime = 3 * time.Minute

// run runs scheduled functions now, whatever a fault makes of their answers.
func (s *system) run(ctx context.Context, functions ...string) {
	for _, f := range functions {
		_, _ = s.askWithin(ctx, runTime, http.MethodPost, "/_local/run/"+f, "", "")
	}
}

// spoil has a fake answer badly; heal ends that.
func (s *system) spoil(ctx context.Context, fake, fault string) error {
	_, err := s.ask(ctx, http.MethodPost, fake+"/control/faults", "", fault)
	return err
}

func (s *system) heal(ctx context.Context, fake string) error {
	_, err := s.ask(ctx, http.MethodDelete, fake+"/control/faults", "", "")
	return err
}

// reconcile asks for a comparison of the portal with the CRM, which the schedule makes.
func (s *system) reconcile(ctx context.Context) error {
	_, err := s.ask(ctx, http.MethodPost, "/api/connections/hubspot/reconcile", "ADMIN_TOKEN", "{}")
	return err
}

// exec runs a statement as the database's owner.
func (d *database) exec(ctx context.Context, sql string, args ...any) error {
	return asOwner(ctx, d.url, func(conn *pgx.Conn) error { _, err := conn.Exec(ctx, sql, args...); return err })
}

// handleDeadLetters does with all dead letters what an operator does at last.
func (d *database) handleDeadLetters(ctx context.Context) error {
	return d.exec(ctx, `UPDATE gv.dead_letters SET replayed_at = now() WHERE replayed_at IS NULL`)
}

// held is a lock that somebody has.
type held struct{ conn *pgx.Conn }

func (d *database) lock(ctx context.Context, what string) (*held, error) {
	conn, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, `BEGIN; LOCK TABLE `+what); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return &held{conn}, nil
}

func (h *held) free(ctx context.Context) error {
	if h == nil {
		return nil
	}
	_, err := h.conn.Exec(ctx, `ROLLBACK`)
	return errors.Join(err, h.conn.Close(ctx))
}

// asOwner does what only time, or somebody with a console of the database, can do.
func asOwner(ctx context.Context, url string, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.Close(ctx))
}
