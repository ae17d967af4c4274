package director

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
)

// RefreshTopic is where requests for a replacement creative are published.
const RefreshTopic = "creative-refresh"

// RefreshEvery is how long an ad rests after one request before the next: a new
// creative needs days to show what it does.
const RefreshEvery = 7 * 24 * time.Hour

// Refresh is the message that asks for a tired ad's replacement.
type Refresh struct {
	RefreshID string `json:"refresh_id"`
	AdID      string `json:"ad_id"`
	Reason    string `json:"reason"`
}

// AdReason is an ad and why its creative shall be replaced.
type AdReason struct {
	AdID   string
	Reason string
	// Again is for a member who insists: the ad need not have rested, only not
	// have a request open.
	Again bool
}

// Requested says what became of one ad's request.
type Requested struct {
	AdID string
	// RefreshID is the request's: the new one, or the one that is in its way;
	// empty where the tenant has no such ad.
	RefreshID string
	// Status is that request's: queued, planned or failed.
	Status string
	// New is set where the request was made now.
	New bool
	// Reason says why none was made, empty where one was.
	Reason string
}

// RequestRefreshes asks for new creatives, in the order given, and writes the
// messages beside the requests: one open request for an ad, and one every
// RefreshEvery but where the last failed. It takes the same two statements for
// any number of ads, and works for one tenant and across tenants. No ad may come
// twice.
func RequestRefreshes(ctx context.Context, tx pgx.Tx, tenant, by string, ads []AdReason) ([]Requested, error) {
	if len(ads) == 0 {
		return nil, nil
	}
	ids, reasons, again := make([]string, len(ads)), make([]string, len(ads)), make([]bool, len(ads))
	for i, a := range ads {
		ids[i], reasons[i], again[i] = a.AdID, a.Reason, a.Again
	}
	// The locks on the ads make twins wait for each other before they look.
	_, err := tx.Exec(ctx, `
		SELECT FROM gv.ads WHERE tenant_id = @tenant AND ad_id = ANY (@ads::text[]) ORDER BY ad_id FOR NO KEY UPDATE`,
		pgx.StrictNamedArgs{"tenant": tenant, "ads": ids})
	if err != nil {
		return nil, fmt.Errorf("lock the ads to refresh: %w", err)
	}
	rows, _ := tx.Query(ctx, `
		WITH asked AS (
			SELECT asked.*, ads.ad_id IS NOT NULL AS known
			FROM   unnest(@ads::text[], @reasons::text[], @again::boolean[]) WITH ORDINALITY AS asked (ad_id, reason, again, place)
			LEFT   JOIN gv.ads ON ads.tenant_id = @tenant AND ads.ad_id = asked.ad_id
		), standing AS (
			SELECT asked.ad_id, last.refresh_id, last.status
			FROM   asked, LATERAL (
				SELECT   refresh_id, status FROM gv.refreshes r
				WHERE    r.tenant_id = @tenant AND r.ad_id = asked.ad_id
				AND      (r.status = 'queued' OR NOT asked.again AND r.status = 'planned' AND r.requested_at > now() - @rest::interval)
				ORDER BY r.status = 'queued' DESC, r.requested_at DESC
				LIMIT    1
			) AS last
		), made AS (
			INSERT INTO gv.refreshes (tenant_id, ad_id, reason, requested_by)
			SELECT @tenant, ad_id, reason, @by FROM asked
			WHERE  known AND ad_id NOT IN (SELECT ad_id FROM standing)
			RETURNING ad_id, refresh_id, status
		)
		SELECT   asked.ad_id, coalesce(made.refresh_id, standing.refresh_id)::text AS refresh_id,
		         coalesce(made.status, standing.status, '') AS status, made.refresh_id IS NOT NULL AS new
		FROM     asked LEFT JOIN made USING (ad_id) LEFT JOIN standing USING (ad_id)
		ORDER BY asked.place`,
		pgx.StrictNamedArgs{"tenant": tenant, "by": by, "ads": ids, "reasons": reasons, "again": again, "rest": RefreshEvery})
	done := make([]Requested, 0, len(ads))
	var (
		one Requested
		id  *string
	)
	_, err = pgx.ForEachRow(rows, []any{&one.AdID, &id, &one.Status, &one.New}, func() error {
		one.RefreshID, one.Reason = "", ""
		if id != nil {
			one.RefreshID = *id
		}
		switch {
		case one.New:
		case id == nil:
			one.Reason = "there is no such ad"
		case one.Status == "queued":
			one.Reason = "a refresh is under way already"
		default:
			one.Reason = fmt.Sprintf("its creative was refreshed less than %d days ago", int(RefreshEvery.Hours()/24))
		}
		done = append(done, one)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("request refreshes for %s: %w", tenant, err)
	}
	return done, outbox.Put(ctx, tx, messages(tenant, ads, done)...)
}

// messages are those of the requests that were made.
func messages(tenant string, ads []AdReason, done []Requested) []message.Message {
	var all []message.Message
	for i, d := range done {
		if !d.New {
			continue
		}
		data, _ := json.Marshal(Refresh{RefreshID: d.RefreshID, AdID: d.AdID, Reason: ads[i].Reason}) // three strings
		all = append(all, message.Message{Topic: RefreshTopic, Data: data, Attributes: map[string]string{
			message.TenantAttribute: tenant, message.KeyAttribute: "refresh-" + d.RefreshID,
		}})
	}
	return all
}
