package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
)

// fault is something that goes wrong, and the alerts that it must fire.
type fault struct {
	name   string
	alerts []string
	begin  func(ctx context.Context) error
	end    func(ctx context.Context) error
}

func faults(s *system, d *database) []fault {
	var blocker *pgx.Conn
	return []fault{
		{
			"Meta refuses",
			[]string{"MetaRefuses"},
			func(ctx context.Context) error {
				_, err := s.ask(ctx, http.MethodPost, "/_local/meta/control/faults", "",
					`{"times": 1000000, "status": 500, "code": 2, "message": "An unexpected error has occurred", "transient": true}`)
				return err
			},
			func(ctx context.Context) error {
				_, err := s.ask(ctx, http.MethodDelete, "/_local/meta/control/faults", "", "")
				return err
			},
		},
		{
			"the model fails",
			[]string{"GeminiFails"},
			func(context.Context) error {
				s.gemini.Break(fakegemini.Status(http.StatusServiceUnavailable, "UNAVAILABLE"))
				return nil
			},
			func(context.Context) error { s.gemini.Mend(); return nil },
		},
		{
			// Consumers wait for the inbox, which somebody has locked.
			"the queue stands still",
			[]string{"QueueStandsStill"},
			func(ctx context.Context) (err error) {
				if blocker, err = pgx.Connect(ctx, d.url); err != nil {
					return err
				}
				_, err = blocker.Exec(ctx, `BEGIN; LOCK TABLE gv.inbox IN ACCESS EXCLUSIVE MODE`)
				return err
			},
			func(ctx context.Context) error {
				_, err := blocker.Exec(ctx, `ROLLBACK`)
				return errors.Join(err, blocker.Close(ctx))
			},
		},
		{
			"the database is down",
			[]string{"RequestsFail", "IntakeFailsFast", "NothingIsMeasured"},
			func(context.Context) error { return d.stop() },
			d.start,
		},
	}
}
