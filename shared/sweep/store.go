package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// progress returns where the last sweep was cut short; the beginning where it was
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
		return place{}, fmt.Errorf("read how far the last one came: %w", err)
	}
	if kept != nil {
		at.report = newReport(at.started)
		if err := json.Unmarshal(kept, at.report); err != nil {
			return place{}, fmt.Errorf("read the report of the last one: %w", err)
		}
		at.report.restore()
	}
	return at, nil
}

// putProgress puts down how far it has come, with the report of the tenant that
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
		return fmt.Errorf("put down how far it has come: %w", err)
	}
	return nil
}

// keep keeps the reports of tenants that are done, and returns what they are kept
// as.
func (w *writer) keep(ctx context.Context, tx pgx.Tx, done map[string]*Report) (map[string]string, error) {
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
		return nil, fmt.Errorf("keep the reports: %w", err)
	}
	return ids, nil
}

// clear forgets how far it has come: it is through.
func (w *writer) clear(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `DELETE FROM gv.sweep_progress WHERE name = $1`, w.name); err != nil {
		return fmt.Errorf("end the sweep: %w", err)
	}
	return nil
}

// setStatus writes what changed, and for the rest at times that it was looked at.
// An ad that is no longer as it was read, because it was paused or another sweep
// has judged it, stays as it is; the others are returned by their place.
func (b *ads) setStatus(ctx context.Context, tx pgx.Tx) (written map[int]bool, err error) {
	var (
		tenants, ids, was, is []string
		places                []int32
	)
	for i := range b.keys {
		if k := &b.keys[i]; k.is != k.was || !k.stamped {
			tenants, ids, places = append(tenants, k.tenant), append(ids, k.ad), append(places, int32(i))
			was, is = append(was, string(k.was)), append(is, string(k.is))
		}
	}
	written = map[int]bool{}
	if len(places) == 0 {
		return written, nil
	}
	rows, _ := tx.Query(ctx, `
		UPDATE gv.ads a SET fatigue_status = k.becomes, fatigue_checked_at = @now
		FROM   unnest(@tenants::uuid[], @ads::text[], @was::text[], @is::text[], @places::int4[]) AS k (tenant_id, ad_id, was, becomes, place)
		WHERE  a.tenant_id = k.tenant_id AND a.ad_id = k.ad_id AND a.status = 'ACTIVE' AND a.fatigue_status = k.was
		RETURNING k.place`,
		pgx.StrictNamedArgs{"now": b.now, "tenants": tenants, "ads": ids, "was": was, "is": is, "places": places})
	var at int32
	_, err = pgx.ForEachRow(rows, []any{&at}, func() error { written[int(at)] = true; return nil })
	if err != nil {
		return nil, fmt.Errorf("write the ads' status: %w", err)
	}
	return written, nil
}
