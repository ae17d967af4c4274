package attribution

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// DeviceRetention is how long a click's address, agent and fingerprint are stored:
// the window in which they can match, and a day.
const DeviceRetention = Window + 24*time.Hour

// reviewEvery is how often an old click that was credited is looked at again: its
// deal may have lost it.
const reviewEvery = 30 * 24 * time.Hour

// Cleared is how many rows a run of retention changed.
type Cleared struct{ Devices, Deleted, Conversions, People int64 }

// PeopleRetention is how long hashes of e-mail addresses and phone numbers are stored.
const PeopleRetention = 90 * 24 * time.Hour

// Retain clears, across tenants, up to n rows of each kind whose time is over at
// now: addresses, agents and fingerprints after DeviceRetention, hashes of people's
// addresses after PeopleRetention, clicks that nobody
// is credited to after their account's click_retention_days, and what conversions
// are known by with them. tx is a worker's. It reports whether there may be more.
func Retain(ctx context.Context, tx pgx.Tx, now time.Time, n int) (c Cleared, more bool, err error) {
	for _, step := range []struct {
		what  string
		count *int64
		sql   string
	}{
		{"devices of clicks", &c.Devices, `
			UPDATE gv.clicks SET ip_address = NULL, user_agent = NULL, fingerprint_hash = NULL, fbp = NULL, cleared_at = coalesce(cleared_at, @now)
			WHERE  ctid IN (
				SELECT ctid FROM gv.clicks
				WHERE  clicked_at < @devices AND (ip_address IS NOT NULL OR user_agent IS NOT NULL OR fingerprint_hash IS NOT NULL OR fbp IS NOT NULL)
				ORDER  BY clicked_at LIMIT @n FOR UPDATE SKIP LOCKED)`},
		{"devices of conversions", &c.Conversions, `
			UPDATE gv.conversions SET ip_address = NULL, user_agent = NULL, fingerprint_hash = NULL, cleared_at = coalesce(cleared_at, @now)
			WHERE  ctid IN (
				SELECT ctid FROM gv.conversions
				WHERE  converted_until < @devices AND (ip_address IS NOT NULL OR user_agent IS NOT NULL OR fingerprint_hash IS NOT NULL)
				ORDER  BY converted_until LIMIT @n FOR UPDATE SKIP LOCKED)`},
		{"people of leads", &c.People, `
			UPDATE gv.clicks SET email_hash = NULL, phone_hash = NULL
			WHERE  ctid IN (
				SELECT ctid FROM gv.clicks WHERE clicked_at < @people AND (email_hash IS NOT NULL OR phone_hash IS NOT NULL)
				ORDER  BY clicked_at LIMIT @n FOR UPDATE SKIP LOCKED)`},
		// A credited click stays, with the ids that later clicks are compared with; what else a page sent goes.
		{"old clicks", &c.Deleted, `
			WITH due AS MATERIALIZED (
				SELECT c.tenant_id, c.click_id
				FROM   ` + retention + ` AS r
				CROSS  JOIN LATERAL (
					SELECT k.tenant_id, k.click_id FROM gv.clicks k
					LEFT   JOIN gv.ads a ON a.tenant_id = k.tenant_id AND a.ad_id = k.ad_id
					LEFT   JOIN gv.accounts acc ON acc.tenant_id = a.tenant_id AND acc.account_id = a.account_id
					WHERE  k.tenant_id = r.tenant_id AND k.clicked_at < @now::timestamptz - make_interval(days => r.shortest)
					AND    k.clicked_at < @now::timestamptz - make_interval(days => coalesce(acc.click_retention_days, r.longest))
					AND    (k.reviewed_at IS NULL OR k.reviewed_at < @review)
					ORDER  BY k.clicked_at LIMIT @n) AS c
				LIMIT  @n
			), judged AS MATERIALIZED (
				SELECT d.*, EXISTS (SELECT FROM gv.deals x WHERE x.tenant_id = d.tenant_id AND x.click_id = d.click_id)
				         OR EXISTS (SELECT FROM gv.deal_touches x WHERE x.tenant_id = d.tenant_id AND x.click_id = d.click_id AND x.eligible)
				         OR EXISTS (SELECT FROM gv.conversions x WHERE x.tenant_id = d.tenant_id AND x.click_id = d.click_id) AS credited
				FROM   due d
			), kept AS (
				UPDATE gv.clicks k
				SET    reviewed_at = @now, landing_page_url = NULL, device_type = NULL,
				       extra = coalesce((SELECT jsonb_object_agg(key, value) FROM jsonb_each(k.extra) WHERE key LIKE 'utm\_%'), '{}')
				FROM   judged j WHERE j.credited AND k.tenant_id = j.tenant_id AND k.click_id = j.click_id
				RETURNING 1
			)
			DELETE FROM gv.clicks k USING judged j WHERE NOT j.credited AND k.tenant_id = j.tenant_id AND k.click_id = j.click_id`},
		{"keys of old conversions", &c.Conversions, `
			UPDATE gv.conversions SET key_click_id = NULL, fbclid = NULL, gclid = NULL, gbraid = NULL, wbraid = NULL, ttclid = NULL, lead_id = NULL,
			       cleared_at = coalesce(cleared_at, @now)
			WHERE  ctid IN (
				SELECT v.ctid FROM ` + retention + ` AS r
				JOIN   gv.conversions v ON v.tenant_id = r.tenant_id AND v.converted_until < @now::timestamptz - make_interval(days => r.longest)
				WHERE  v.click_id IS NULL AND (v.key_click_id IS NOT NULL OR v.fbclid IS NOT NULL OR v.gclid IS NOT NULL
				       OR v.gbraid IS NOT NULL OR v.wbraid IS NOT NULL OR v.ttclid IS NOT NULL OR v.lead_id IS NOT NULL)
				LIMIT  @n FOR UPDATE OF v SKIP LOCKED)`},
	} {
		args := pgx.NamedArgs{
			"now": now, "devices": now.Add(-DeviceRetention), "review": now.Add(-reviewEvery),
			"people": now.Add(-PeopleRetention), "n": n,
		}
		done, err := tx.Exec(ctx, step.sql, args)
		if err != nil {
			return c, false, fmt.Errorf("clear %s: %w", step.what, err)
		}
		*step.count += done.RowsAffected()
		more = more || done.RowsAffected() >= int64(n)
	}
	return c, more, nil
}

// retention is each tenant's shortest and longest click_retention_days.
const retention = `(
	SELECT t.tenant_id, coalesce(min(a.click_retention_days), 90) AS shortest, coalesce(max(a.click_retention_days), 90) AS longest
	FROM   gv.tenants t LEFT JOIN gv.accounts a USING (tenant_id) GROUP BY t.tenant_id)`
