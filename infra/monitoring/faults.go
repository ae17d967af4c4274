package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
)

// fault is something that goes wrong, and the alerts that it must fire: while it lasts,
// and once it has ended, by what comes late then.
type fault struct {
	name         string
	alerts, late []string
	lasts        time.Duration // at least
	begin        func(ctx context.Context) error
	again        func(ctx context.Context) error // every few seconds while it lasts; nil for nothing
	end          func(ctx context.Context) error
}

// faults are all of them; between them they fire every alert.
func faults(s *system, d *database) []fault {
	return append([]fault{queueStops(s, d), databaseStops(d), tableIsLocked(s, d), jobsStop(s, d)}, faultsOfOthers(s, d)...)
}

// queueStops has somebody lock the inbox, for which consumers wait: the messages stay
// in the queue, and are late afterwards.
func queueStops(s *system, d *database) fault {
	var lock *held
	return fault{
		name: "the queue stands still", alerts: []string{"QueueStandsStill"},
		late: []string{"LedgerFallsBehindFast", "LedgerFallsBehindSlowly"}, lasts: 75 * time.Second,
		begin: func(ctx context.Context) (err error) {
			if lock, err = d.lock(ctx, "gv.inbox IN ACCESS EXCLUSIVE MODE"); err != nil {
				return err
			}
			for i := range 30 { // deals move on meanwhile, and nobody hears of it
				go s.clickAndDeal(ctx, 1_000_000+i)
			}
			return nil
		},
		end: func(ctx context.Context) error { return lock.free(ctx) },
	}
}

func databaseStops(d *database) fault {
	return fault{
		name: "the database is down", alerts: []string{"RequestsFail", "IntakeFailsFast", "IntakeFailsSlowly", "NothingIsMeasured"},
		begin: func(context.Context) error { return d.stop() }, end: d.start,
	}
}

// tableIsLocked has somebody lock the campaigns again and again, for which requests
// wait that have the pool's connections; more requests wait for a connection.
func tableIsLocked(s *system, d *database) fault {
	return fault{
		name: "a table is locked", alerts: []string{"ConnectionsAreScarce"},
		begin: func(context.Context) error { return nil },
		again: func(ctx context.Context) error {
			lock, err := d.lock(ctx, "gv.campaigns IN ACCESS EXCLUSIVE MODE")
			if err != nil {
				return err
			}
			var people sync.WaitGroup
			for range 30 {
				people.Go(func() { _, _ = s.ask(ctx, http.MethodGet, "/api/campaigns", "TOKEN", "") })
			}
			time.Sleep(4 * time.Second)
			err = lock.free(ctx)
			people.Wait()
			return err
		},
		end: func(context.Context) error { return nil },
	}
}

// jobsStop leaves everything that is due undone: somebody has the jobs' table, a topic
// has been deleted, and a message that nobody understands is in the queue.
func jobsStop(s *system, d *database) fault {
	var lock *held
	return fault{
		name: "jobs and messages are left undone", alerts: []string{"JobsWait", "OutboxStandsStill", "DeadLettersWait"},
		begin: func(ctx context.Context) (err error) {
			if err := d.exec(ctx, `UPDATE gv.crm_syncs SET due_at = now() - interval '1 hour', claimed_until = NULL`); err != nil {
				return err
			}
			if lock, err = d.lock(ctx, "gv.crm_syncs IN EXCLUSIVE MODE"); err != nil { // it can be read
				return err
			}
			s.deliverOdd(ctx, "last")
			return d.exec(ctx, `INSERT INTO gv.outbox (tenant_id, topic, data, created_at) VALUES ($1, 'a-topic-that-is-gone', 'm', now() - interval '1 hour')`,
				s.env["TENANT_ID"])
		},
		again: func(ctx context.Context) error { s.run(ctx, "relay"); return nil },
		end: func(ctx context.Context) error {
			return errors.Join(lock.free(ctx), d.handleDeadLetters(ctx), d.exec(ctx, `DELETE FROM gv.outbox WHERE topic = 'a-topic-that-is-gone'`))
		},
	}
}

func faultsOfOthers(s *system, d *database) []fault {
	return []fault{
		{
			// Both accounts were last read hours ago, and cannot be read now.
			name: "Meta refuses", alerts: []string{"MetaRefuses", "AccountsAreStale"},
			begin: func(ctx context.Context) error {
				return errors.Join(s.spoil(ctx, "/_local/meta", `{"times": 1000000, "status": 500, "code": 2, "message": "An unexpected error has occurred", "transient": true}`),
					d.exec(ctx, `UPDATE gv.meta_connections SET synced_at = now() - interval '5 hours', connected_at = least(connected_at, now() - interval '5 hours')`))
			},
			again: func(ctx context.Context) error { s.run(ctx, "sync", "relay"); return nil },
			end:   func(ctx context.Context) error { return s.heal(ctx, "/_local/meta") },
		},
		{
			name: "HubSpot refuses", alerts: []string{"HubSpotRefuses", "PortalsAreStale"},
			begin: func(ctx context.Context) error {
				return errors.Join(s.spoil(ctx, "/_local/hubspot", `{"times": 1000000, "status": 502}`), d.exec(ctx, portalsWereRead+` '7 hours'`))
			},
			again: func(ctx context.Context) error { s.run(ctx, "reconcile", "relay"); return nil },
			end: func(ctx context.Context) error {
				return errors.Join(s.heal(ctx, "/_local/hubspot"), d.exec(ctx, portalsWereRead+` '0 hours'`))
			},
		},
		{
			name: "events of the CRM are lost", alerts: []string{"EventsAreMissed"},
			begin: func(context.Context) error { return nil },
			again: func(ctx context.Context) error { // what is stored is not what the CRM says
				err := errors.Join(d.exec(ctx, `UPDATE gv.deals SET value_minor = value_minor + 100, stage_at = stage_at - interval '1 day' WHERE state = 'live'`),
					s.reconcile(ctx))
				s.run(ctx, "reconcile")
				return err
			},
			end: func(context.Context) error { return nil },
		},
		{
			name: "the model fails", alerts: []string{"GeminiFails"},
			begin: func(context.Context) error {
				s.gemini.Break(fakegemini.Status(http.StatusServiceUnavailable, "UNAVAILABLE"))
				return nil
			},
			end: func(context.Context) error { s.gemini.Mend(); return nil },
		},
		{
			name: "the day's money is spent", alerts: []string{"GeminiCapReached"},
			begin: func(ctx context.Context) error {
				return d.exec(ctx, `UPDATE gv.accounts SET settings = settings || '{"gemini_daily_cap_usd": 0}'`)
			},
			end: func(ctx context.Context) error {
				return d.exec(ctx, `UPDATE gv.accounts SET settings = settings - 'gemini_daily_cap_usd'`)
			},
		},
		changesFail(s, d), predictionsAreWrong(s, d),
	}
}

// portalsWereRead says since when, but for the interval itself.
const portalsWereRead = `
	UPDATE gv.crm_syncs SET due_at = now(), last_finished_at = now() - interval`

// changesFail has Meta refuse every change that a member asks for.
func changesFail(s *system, d *database) fault {
	mode := func(ctx context.Context, mode string) error {
		return d.exec(ctx, `UPDATE gv.accounts SET mode = $1 WHERE account_id = $2`, mode, s.env["ACCOUNT_ID"])
	}
	return fault{
		name: "Meta refuses changes", alerts: []string{"ChangesFail"},
		begin: func(ctx context.Context) error {
			return errors.Join(mode(ctx, "live"),
				s.spoil(ctx, "/_local/meta", `{"method": "POST", "times": 1000000, "status": 400, "code": 100, "message": "Invalid parameter"}`))
		},
		again: func(ctx context.Context) error {
			var ads []string
			err := asOwner(ctx, d.url, func(conn *pgx.Conn) error {
				rows, _ := conn.Query(ctx, `
					SELECT ad_id FROM gv.ads a WHERE account_id = $1 AND status = 'ACTIVE'
					AND    NOT EXISTS (SELECT FROM gv.pending_ad_changes c WHERE c.tenant_id = a.tenant_id AND c.ad_id = a.ad_id)
					ORDER  BY ad_id LIMIT 3`, s.env["ACCOUNT_ID"])
				found, err := pgx.CollectRows(rows, pgx.RowTo[string])
				ads = found
				return err
			})
			for _, ad := range ads {
				_, failed := s.ask(ctx, http.MethodPost, "/api/ads/changes", "TOKEN", fmt.Sprintf(`{"ad_id": %q, "status": "PAUSED"}`, ad))
				err = errors.Join(err, failed)
			}
			s.run(ctx, "execute")
			return err
		},
		end: func(ctx context.Context) error { return errors.Join(s.heal(ctx, "/_local/meta"), mode(ctx, "dry_run")) },
	}
}

// predictionsAreWrong makes the predictions ten times as high as they were.
func predictionsAreWrong(s *system, d *database) fault {
	times := func(ctx context.Context, factor float64) error {
		err := d.exec(ctx, `UPDATE gv.predictions SET ctr = ctr * $1, ctr_low = ctr_low * $1, ctr_high = ctr_high * $1`, factor)
		if err == nil {
			_, err = s.learn(ctx)
		}
		s.run(ctx, "relay")
		return err
	}
	return fault{
		name: "predictions are wrong", alerts: []string{"PredictionsAreWrong"},
		begin: func(ctx context.Context) error { return times(ctx, 10) },
		end:   func(ctx context.Context) error { return times(ctx, 0.1) },
	}
}
