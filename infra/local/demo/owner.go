package demo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/local/demo/sim"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// owner does, as the database's owner, the little that has no address yet: what
// the functions connections and tenants will do, clicks older than the beacon
// takes, and the memory of how far a seed has come.
type owner struct{ db *pg.DB }

func openOwner(ctx context.Context, url string) (owner, error) {
	db, err := pg.Open(ctx, pg.Config{URL: url, MaxConns: 4})
	if err != nil {
		return owner{}, fmt.Errorf("open the owner's database: %w", err)
	}
	return owner{db}, nil
}

func (o owner) close() { o.db.Close() }

// makeTenant makes a tenant with an admin and an ad account, as go run ./infra/migrate
// -tenant and the first sync of an account do.
func (o owner) makeTenant(ctx context.Context, t Tenant, admin string) error {
	err := pg.InTenant(ctx, o.db, t.ID, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{"tenant": t.ID, "name": t.Name, "currency": t.Currency, "admin": admin, "account": t.AccountID, "zone": t.TimeZone}
		for _, sql := range []string{
			`INSERT INTO gv.tenants (tenant_id, name, currency) VALUES (@tenant, @name, @currency)`,
			`INSERT INTO gv.members (tenant_id, email, role, added_by, accepted_at) VALUES (@tenant, @admin, 'admin', 'demo', now())`,
			`INSERT INTO gv.accounts (tenant_id, account_id, name, currency, time_zone) VALUES (@tenant, @account, @name, @currency, @zone)`,
		} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("make tenant %s: %w", t.Name, err)
	}
	return nil
}

// handled counts the tenant's messages whose work is done.
func (o owner) handled(ctx context.Context, tenant string) (n int, err error) {
	err = pg.InTenant(ctx, o.db, tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*)::int FROM gv.inbox WHERE tenant_id = gv.tenant() AND consumer = 'crmevent'`).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("count handled messages: %w", err)
	}
	return n, nil
}

// begin returns since when the tenant's data is being made, and whether it is
// complete. The time stays the same until then: it is what the data hangs on.
func (o owner) begin(ctx context.Context, tenant string, now time.Time) (begun time.Time, complete bool, err error) {
	err = pg.InTenant(ctx, o.db, tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			SELECT pg_advisory_xact_lock(hashtext('gv_demo'));
			CREATE SCHEMA IF NOT EXISTS gv_demo;
			CREATE TABLE IF NOT EXISTS gv_demo.seeds (
				tenant_id   uuid        PRIMARY KEY REFERENCES gv.tenants ON DELETE CASCADE,
				begun_at    timestamptz NOT NULL,
				finished_at timestamptz
			)`)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			INSERT INTO gv_demo.seeds AS s (tenant_id, begun_at) VALUES (gv.tenant(), $1)
			ON CONFLICT (tenant_id) DO UPDATE SET begun_at = s.begun_at
			RETURNING begun_at, finished_at IS NOT NULL`, now.UTC().Truncate(time.Millisecond)).Scan(&begun, &complete)
	})
	if err != nil {
		return begun, false, fmt.Errorf("look up the demo data: %w", err)
	}
	return begun, complete, nil
}

func (o owner) finish(ctx context.Context, tenant string) error {
	err := pg.InTenant(ctx, o.db, tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE gv_demo.seeds SET finished_at = now() WHERE tenant_id = gv.tenant()`)
		return err
	})
	if err != nil {
		return fmt.Errorf("record that the demo data is complete: %w", err)
	}
	return nil
}

// mapStages maps the portal's own stages, as PUT /api/connections/hubspot/stages
// will; those that every portal has map themselves.
func (o owner) mapStages(ctx context.Context, t Tenant) error {
	err := pg.InTenant(ctx, o.db, t.ID, func(tx pgx.Tx) error {
		for _, stage := range []sim.Stage{sim.Lead, sim.ShowUp} {
			_, err := tx.Exec(ctx, `
				INSERT INTO gv.stage_maps (tenant_id, portal_id, pipeline_id, stage_id, stage_name, label, mapped_by)
				VALUES (gv.tenant(), @portal, @pipeline, @id, @name, @label, 'demo')
				ON CONFLICT DO NOTHING`,
				pgx.StrictNamedArgs{
					"portal": t.PortalID, "pipeline": Pipeline.ID, "id": stageIDs[stage], "name": string(stage), "label": label(stageIDs[stage]),
				})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("map the stages of portal %d: %w", t.PortalID, err)
	}
	return nil
}

func label(stageID string) string {
	i := slices.IndexFunc(Pipeline.Stages, func(s fakehubspot.Stage) bool { return s.ID == stageID })
	return Pipeline.Stages[i].Label
}

// record stores clicks that are too old for the beacon, as the beacon does.
func (o owner) record(ctx context.Context, tenant string, clicks []attribution.Click) error {
	for part := range slices.Chunk(clicks, 500) {
		err := pg.InTenant(ctx, o.db, tenant, func(tx pgx.Tx) error {
			store := attribution.NewStore(tx)
			for _, c := range part {
				if _, _, err := store.Record(ctx, c); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("record clicks of the past: %w", err)
		}
	}
	return nil
}

// entry is what the ledger holds of a deal.
type entry struct {
	DealID     int64
	State      string
	StageID    string
	StageName  *string
	Value      int64
	AdID       *string
	ClickID    *string
	Method     string
	Confidence float64
	Reason     string
}

// ledger returns the tenant's deals by id.
func (o owner) ledger(ctx context.Context, t Tenant) (map[int64]entry, error) {
	all := map[int64]entry{}
	err := pg.InTenant(ctx, o.db, t.ID, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `
			SELECT deal_id, state, stage_id, stage_name, value_minor AS value, ad_id, click_id, attribution_method AS method,
			       attribution_confidence AS confidence, attribution_reason AS reason
			FROM   gv.deals WHERE tenant_id = gv.tenant() AND portal_id = $1`, t.PortalID)
		entries, err := pgx.CollectRows(rows, pgx.RowToStructByName[entry])
		for _, e := range entries {
			all[e.DealID] = e
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the deal ledger: %w", err)
	}
	return all, nil
}

// days returns an ad's ad set and its stored days, oldest first.
func (o owner) days(ctx context.Context, t Tenant, ad string) (adset string, days []day, err error) {
	err = pg.InTenant(ctx, o.db, t.ID, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT adset_id FROM gv.ads WHERE tenant_id = gv.tenant() AND ad_id = $1`, ad).Scan(&adset); err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, `
			SELECT   day, impressions, clicks, spend_minor AS spend, coalesce(reach, 0) AS reach, coalesce(frequency, 0)::float8 AS frequency
			FROM     gv.ad_metrics WHERE tenant_id = gv.tenant() AND ad_id = $1 ORDER BY day`, ad)
		days, err = pgx.CollectRows(rows, pgx.RowToStructByName[day])
		return err
	})
	if err != nil {
		return "", nil, fmt.Errorf("read the days of ad %s: %w", ad, err)
	}
	return adset, days, nil
}
