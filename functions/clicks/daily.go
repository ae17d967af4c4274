package clicks

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// daily bounds how many clicks strangers may store for a tenant in a day (UTC). An
// instance reserves a thousandth of the limit at a time, so that clicks do not queue
// for one row; what an ended instance had left of its part is lost until the next day.
type daily struct {
	db    *pg.DB
	limit int64

	mu   sync.Mutex
	left map[string]*reserve // by tenant
}

// reserve is what an instance may still take for one tenant.
type reserve struct {
	mu   sync.Mutex
	day  string
	left int64
	full bool // nothing is left of the day's limit
}

func newDaily(db *pg.DB, limit int64) *daily {
	return &daily{db: db, limit: limit, left: map[string]*reserve{}}
}

// again is the longest that a refused caller is asked to wait: the limit may be raised.
const again = time.Hour

// take lets tenant have one more click at now, or returns a TooMany fault.
func (d *daily) take(ctx context.Context, tenant string, now time.Time) error {
	if d.limit <= 0 {
		return nil
	}
	d.mu.Lock()
	r := d.left[tenant]
	if r == nil {
		r = &reserve{}
		d.left[tenant] = r // one a tenant that has a key
	}
	d.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if day := now.Format(time.DateOnly); r.day != day {
		r.day, r.left, r.full = day, 0, false
	}
	if r.left == 0 && !r.full {
		part, err := d.reserve(ctx, tenant, r.day)
		if err != nil {
			return err
		}
		if r.left, r.full = part, part == 0; r.full {
			slog.WarnContext(ctx, "clicks of strangers are refused until tomorrow: CLICKS_PER_DAY is reached", "tenant", tenant, "limit", d.limit)
		}
	}
	if r.full {
		midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
		return fault.Limited("no more clicks with a publishable key are taken today (UTC): the organisation's daily limit is reached",
			min(midnight.Sub(now), again))
	}
	r.left--
	return nil
}

// reserve takes a part of the day's limit, or what is left of it; 0 is nothing.
func (d *daily) reserve(ctx context.Context, tenant, day string) (part int64, err error) {
	err = pg.InTenant(ctx, d.db, tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO gv.click_days (tenant_id, day, reserved) VALUES (gv.tenant(), $1::date, 0) ON CONFLICT DO NOTHING`, day)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			UPDATE gv.click_days d SET reserved = greatest(least(o.reserved + @part::bigint, @limit::bigint), o.reserved)
			FROM   (SELECT tenant_id, day, reserved FROM gv.click_days WHERE tenant_id = gv.tenant() AND day = @day::date FOR UPDATE) o
			WHERE  d.tenant_id = o.tenant_id AND d.day = o.day
			RETURNING d.reserved - o.reserved`,
			pgx.StrictNamedArgs{"day": day, "part": max(d.limit/1000, 1), "limit": d.limit}).Scan(&part)
	})
	if err != nil {
		return 0, fmt.Errorf("reserve clicks of %s for tenant %s: %w", day, tenant, err)
	}
	return part, nil
}
