package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// progress returns where the last sweep was cut off; the beginning where it was
// not.
func (s *Sweep) progress(ctx context.Context) (place, error) {
	at := place{tenant: nobody, started: s.now()}
	var kept []byte
	err := s.in(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			SELECT after_tenant::text, after_ad, started_at, report FROM gv.sweep_progress WHERE name = $1`, s.name).
			Scan(&at.tenant, &at.ad, &at.started, &kept)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		at.resumed = true
		return err
	})
	if err != nil {
		return place{}, fmt.Errorf("read the progress of the last sweep: %w", err)
	}
	if kept != nil {
		at.report = newReport(at.started)
		if err := json.Unmarshal(kept, at.report); err != nil {
			return place{}, fmt.Errorf("read the report of the last sweep: %w", err)
		}
		at.report.restore()
	}
	return at, nil
}

// putProgress writes how far the sweep has come, with the report of the tenant that
// it is in the middle of.
func (w *writer) putProgress(ctx context.Context, tx pgx.Tx, end key, open *Report) error {
	report, err := json.Marshal(open.shown())
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO gv.sweep_progress (name, tenant_id, after_tenant, after_ad, report, started_at, updated_at)
		VALUES (@name, gv.tenant(), @tenant, @ad, @report, @started, @now)
		ON CONFLICT (name) DO UPDATE
		SET after_tenant = excluded.after_tenant, after_ad = excluded.after_ad,
		    report = excluded.report, updated_at = excluded.updated_at`,
		pgx.StrictNamedArgs{
			"name": w.name, "tenant": end.tenant, "ad": end.ad,
			"report": report, "started": w.from.started, "now": w.now(),
		})
	if err != nil {
		return fmt.Errorf("write the progress of the sweep: %w", err)
	}
	return nil
}

// putReports writes the reports of tenants that are finished, and returns their ids.
func (w *writer) putReports(ctx context.Context, tx pgx.Tx, done map[string]*Report) (map[string]string, error) {
	if len(done) == 0 {
		return nil, nil
	}
	var tenants, reports []string
	var started []time.Time
	for tenant, r := range done {
		r.end(w.now())
		data, err := json.Marshal(r.shown())
		if err != nil {
			return nil, err
		}
		tenants, reports, started = append(tenants, tenant), append(reports, string(data)), append(started, r.StartedAt)
	}
	rows, _ := tx.Query(ctx, `
		INSERT INTO gv.sweeps (tenant_id, report, requested_by, started_at, completed_at)
		SELECT tenant_id, report::jsonb, @by, started_at, @now
		FROM   unnest(@tenants::uuid[], @reports::text[], @started::timestamptz[]) AS r (tenant_id, report, started_at)
		RETURNING tenant_id::text, sweep_id::text`,
		pgx.StrictNamedArgs{"by": w.by, "now": w.now(), "tenants": tenants, "reports": reports, "started": started})
	ids := map[string]string{}
	var tenant, id string
	_, err := pgx.ForEachRow(rows, []any{&tenant, &id}, func() error { ids[tenant] = id; return nil })
	if err != nil {
		return nil, fmt.Errorf("write the reports: %w", err)
	}
	return ids, nil
}

// clear deletes the progress: the sweep is finished.
func (w *writer) clear(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `DELETE FROM gv.sweep_progress WHERE name = $1`, w.name); err != nil {
		return fmt.Errorf("end the sweep: %w", err)
	}
	return nil
}

// setStatus writes the statuses that changed, and returns the places of ads that did
// not tire before: of two sweeps at once, only one gets each. A status judged from
// older figures than the stored one changes nothing, and an ad that was paused since
// it was read does not begin to tire.
func (b *ads) setStatus(ctx context.Context, tx pgx.Tx, paused map[int32]bool) (fresh map[int32]bool, err error) {
	var tire, first, other []int32
	for i := range b.keys {
		switch k := &b.keys[i]; {
		case k.is == k.was || paused[int32(i)]:
		case k.is.NeedsAction() && !k.was.NeedsAction():
			tire = append(tire, int32(i))
		case !k.stored:
			first = append(first, int32(i))
		default:
			other = append(other, int32(i))
		}
	}
	if fresh, err = b.putTiring(ctx, tx, tire); err == nil {
		err = b.putFirst(ctx, tx, first)
	}
	if err == nil && len(other) > 0 {
		_, err = tx.Exec(ctx, putStatus+unlessNewer, b.statuses(other))
	}
	if err != nil {
		return nil, fmt.Errorf("write the ads' status: %w", err)
	}
	return fresh, nil
}

const (
	putStatus = `
	INSERT INTO gv.ad_fatigue AS f (tenant_id, ad_id, status, changed_at)
	SELECT tenant_id, ad_id, status, @now
	FROM   unnest(@tenants::uuid[], @ads::text[], @statuses::text[]) AS k (tenant_id, ad_id, status)`
	unlessNewer = `
	ON     CONFLICT (tenant_id, ad_id) DO UPDATE SET status = excluded.status, changed_at = excluded.changed_at
	WHERE  f.status <> excluded.status AND f.changed_at <= excluded.changed_at`
)

// putFirst writes the status of ads that had none: all of a tenant's at its first
// sweep. Without ON CONFLICT Postgres takes half the time; where another sweep was
// faster, they are written like the others.
func (b *ads) putFirst(ctx context.Context, tx pgx.Tx, places []int32) error {
	if len(places) == 0 {
		return nil
	}
	args := b.statuses(places)
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, putStatus, args)
		return err
	})
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23505" { // another sweep was faster
		_, err = tx.Exec(ctx, putStatus+unlessNewer, args)
	}
	return err
}

// putTiring writes the status of ads that did not tire when they were read, and
// returns those that did not when they were written either.
func (b *ads) putTiring(ctx context.Context, tx pgx.Tx, places []int32) (map[int32]bool, error) {
	fresh := make(map[int32]bool, len(places))
	if len(places) == 0 {
		return fresh, nil
	}
	type id struct{ tenant, ad string }
	at := make(map[id]int32, len(places))
	for _, i := range places {
		at[id{b.keys[i].tenant, b.keys[i].ad}] = i
	}
	rows, _ := tx.Query(ctx, putStatus+unlessNewer+` AND f.status IN ('HEALTHY', 'INSUFFICIENT_DATA') RETURNING tenant_id::text, ad_id`, b.statuses(places))
	var k id
	_, err := pgx.ForEachRow(rows, []any{&k.tenant, &k.ad}, func() error { fresh[at[k]] = true; return nil })
	return fresh, err
}

// statuses are putStatus's arguments.
func (b *ads) statuses(places []int32) pgx.StrictNamedArgs {
	tenants, ids, statuses := make([]string, len(places)), make([]string, len(places)), make([]string, len(places))
	for i, at := range places {
		k := &b.keys[at]
		tenants[i], ids[i], statuses[i] = k.tenant, k.ad, string(k.is)
	}
	return pgx.StrictNamedArgs{"now": b.now, "tenants": tenants, "ads": ids, "statuses": statuses}
}
