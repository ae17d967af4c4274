package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/geminivideo/geminivideo/shared/fatigue"
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
// has judged it, stays as it is. The others are returned, by their place.
func (b *ads) setStatus(ctx context.Context, tx pgx.Tx) (written map[int32]bool, err error) {
	type change struct{ was, is fatigue.Status }
	groups := map[change][]int32{}
	for i := range b.keys {
		if k := &b.keys[i]; k.is != k.was || !k.stamped {
			groups[change{k.was, k.is}] = append(groups[change{k.was, k.is}], int32(i))
		}
	}
	written = map[int32]bool{}
	for c, places := range groups { // a handful: from each status to each
		done, err := b.setOne(ctx, tx, c.was, c.is, places)
		if err != nil {
			return nil, fmt.Errorf("write the ads' status: %w", err)
		}
		if done < len(places) { // some have moved since they were read: their figures changed
			if places, err = b.locate(ctx, tx, c.was, places); err == nil {
				_, err = b.setOne(ctx, tx, c.was, c.is, places)
			}
			if err != nil {
				return nil, fmt.Errorf("write the ads' status: %w", err)
			}
		}
		for _, at := range places {
			written[at] = true
		}
	}
	return written, nil
}

// setOne writes ads where they were read. It joins nothing, so no plan can be a bad
// one; that a row is still that of one of these ads is asked of it.
func (b *ads) setOne(ctx context.Context, tx pgx.Tx, was, is fatigue.Status, places []int32) (int, error) {
	ids, rows := make([]string, len(places)), make([]pgtype.TID, len(places))
	for i, at := range places {
		ids[i], rows[i] = b.keys[at].tenant+b.keys[at].ad, b.keys[at].row
	}
	done, err := tx.Exec(ctx, `
		UPDATE gv.ads SET fatigue_status = @is, fatigue_checked_at = @now
		WHERE  ctid = ANY (@rows::tid[]) AND status = 'ACTIVE' AND fatigue_status = @was
		AND    tenant_id::text || ad_id = ANY (@ids::text[])`,
		pgx.StrictNamedArgs{"is": is, "was": was, "now": b.now, "rows": rows, "ids": ids})
	return int(done.RowsAffected()), err
}

// locate finds where ads are now, and keeps them there until the transaction ends;
// those that are still as they were read, or written already.
func (b *ads) locate(ctx context.Context, tx pgx.Tx, was fatigue.Status, places []int32) ([]int32, error) {
	tenants, ids := make([]string, len(places)), make([]string, len(places))
	for i, at := range places {
		tenants[i], ids[i] = b.keys[at].tenant, b.keys[at].ad
	}
	rows, _ := tx.Query(ctx, `
		SELECT k.place, a.ctid
		FROM   unnest(@tenants::uuid[], @ads::text[], @places::int4[]) AS k (tenant_id, ad_id, place)
		CROSS  JOIN LATERAL (
			SELECT ctid FROM gv.ads
			WHERE  tenant_id = k.tenant_id AND ad_id = k.ad_id AND status = 'ACTIVE' AND (fatigue_status = @was OR fatigue_checked_at = @now)
			LIMIT  1 FOR NO KEY UPDATE
		) AS a`,
		pgx.StrictNamedArgs{"tenants": tenants, "ads": ids, "places": places, "was": was, "now": b.now.Truncate(time.Microsecond)})
	var (
		at    int32
		row   pgtype.TID
		found []int32
	)
	_, err := pgx.ForEachRow(rows, []any{&at, &row}, func() error {
		b.keys[at].row = row
		found = append(found, at)
		return nil
	})
	return found, err
}
