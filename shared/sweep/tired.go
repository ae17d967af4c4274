package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// tiredAd is an ad of the batch that needs action.
type tiredAd struct {
	at     int32 // its key's place
	paused bool  // since it was read
	fresh  bool  // it did not tire at the last sweep
	due    bool  // it gets a cut and a new creative
	// waits says why it gets neither.
	waits    string
	reason   string
	budgets  []time.Time // when its budget was changed, other than by a fatigue cut
	learning bool        // Meta still learns how to deliver it
}

// swings says why the ad's figures swing by themselves now; "" where they do not.
func (t *tiredAd) swings(now time.Time) string {
	switch n := len(t.budgets); {
	case t.learning:
		return "its ad set is in Meta's learning phase: no cut before that is over"
	case n > 0 && now.Sub(t.budgets[n-1]) < afterBudgetChange:
		return "its budget was changed at " + t.budgets[n-1].UTC().Format("2006-01-02 15:04") + " UTC: no cut within 3 days of that"
	}
	return ""
}

// onlyTried is whether the cut of remedy r was a dry run, in an account that writes
// by now.
const onlyTried = `EXISTS (
	SELECT FROM gv.pending_ad_changes p JOIN gv.accounts c USING (tenant_id, account_id)
	WHERE  p.change_id = r.change_id AND p.status = 'dry_run' AND c.mode <> 'dry_run')`

// readTired looks at the ads that need action: which are still active, and which had
// a cut or a new creative lately.
func (b *ads) readTired(ctx context.Context, tx pgx.Tx) ([]tiredAd, error) {
	var (
		tenants, ids []string
		places       []int32
	)
	for i := range b.keys {
		if k := &b.keys[i]; k.is.NeedsAction() {
			tenants, ids, places = append(tenants, k.tenant), append(ids, k.ad), append(places, int32(i))
		}
	}
	if len(places) == 0 {
		return nil, nil
	}
	rows, _ := tx.Query(ctx, `
		SELECT k.place, a.status = 'ACTIVE', r.ad_id IS NOT NULL, coalesce(r.skipped, ''), r.refresh_id IS NOT NULL
		FROM   unnest(@tenants::uuid[], @ads::text[], @places::int4[]) AS k (tenant_id, ad_id, place)
		JOIN   gv.ads a USING (tenant_id, ad_id)
		LEFT   JOIN gv.fatigue_remedies r ON r.tenant_id = k.tenant_id AND r.ad_id = k.ad_id AND r.until > @now AND NOT `+onlyTried,
		pgx.StrictNamedArgs{"tenants": tenants, "ads": ids, "places": places, "now": b.now})
	tired := make([]tiredAd, 0, len(places))
	var (
		place                      int32
		active, resting, refreshed bool
		skipped                    string
	)
	_, err := pgx.ForEachRow(rows, []any{&place, &active, &resting, &skipped, &refreshed}, func() error {
		t := tiredAd{at: place, paused: !active, due: active && !resting}
		switch {
		case !active:
			t.waits = "it was paused while the sweep ran"
		case resting && skipped == "":
			t.waits = fmt.Sprintf("a cut of its budget was queued in the last %d days", int(rest.Hours()/24))
		case resting && refreshed:
			t.waits = "a new creative was asked for within the last day; no cut: " + skipped
		case resting:
			t.waits = "tried within the last day; no cut: " + skipped
		}
		tired = append(tired, t)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the remedies of tired ads: %w", err)
	}
	return tired, nil
}

// readBudgets reads when the budgets of some ads were changed, other than by a fatigue
// cut, which comes after the fall; and whether Meta still learns how to deliver them.
func (b *ads) readBudgets(ctx context.Context, tx pgx.Tx, tired []*tiredAd) error {
	if len(tired) == 0 {
		return nil
	}
	tenants, ids, places := make([]string, len(tired)), make([]string, len(tired)), make([]int32, len(tired))
	for i, t := range tired {
		k := &b.keys[t.at]
		tenants[i], ids[i], places[i] = k.tenant, k.ad, int32(i)
	}
	rows, _ := tx.Query(ctx, `
		WITH k AS (
			SELECT k.*, a.adset_id
			FROM   unnest(@tenants::uuid[], @ads::text[], @places::int4[]) AS k (tenant_id, ad_id, place)
			JOIN   gv.ads a USING (tenant_id, ad_id)
		)
		SELECT k.place, coalesce(s.learning, false), coalesce((SELECT array_agg(DISTINCT at ORDER BY at) FROM (
			SELECT at FROM gv.ad_change_history h
			WHERE  h.tenant_id = k.tenant_id AND h.ad_id = k.ad_id AND h.at > @since AND h.at <= @now
			AND    h.outcome = 'applied' AND h.after_minor IS NOT NULL AND `+notACut+`
			UNION  ALL
			SELECT at FROM gv.ad_change_history h
			WHERE  k.adset_id <> '' AND h.tenant_id = k.tenant_id AND h.budget_object = 'adset/' || k.adset_id AND h.at > @since AND h.at <= @now
			AND    h.outcome = 'applied' AND h.after_minor IS NOT NULL AND `+notACut+`
		) AS changed), '{}')
		FROM   k LEFT JOIN gv.ad_sets s ON s.tenant_id = k.tenant_id AND s.adset_id = k.adset_id`,
		pgx.StrictNamedArgs{"tenants": tenants, "ads": ids, "places": places, "now": b.now, "since": b.now.AddDate(0, 0, -window)})
	var at int32
	var times []time.Time
	var learning bool
	_, err := pgx.ForEachRow(rows, []any{&at, &learning, &times}, func() error {
		tired[at].learning = learning
		tired[at].budgets, times = times, nil
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the tired ads' budget changes: %w", err)
	}
	return nil
}

// notACut is whether a line of the history is of another change than a fatigue cut.
const notACut = `NOT EXISTS (SELECT FROM gv.pending_ad_changes p WHERE p.change_id = h.change_id AND p.source = 'fatigue')`

// claim writes, before anything is done for these ads, that it is done: of two sweeps
// at once, only one gets each ad.
func (b *ads) claim(ctx context.Context, tx pgx.Tx, tenant string, due []*tiredAd) ([]*tiredAd, error) {
	ids := make([]string, len(due))
	by := map[string]*tiredAd{}
	for i, t := range due {
		ids[i] = b.keys[t.at].ad
		by[ids[i]] = t
	}
	rows, _ := tx.Query(ctx, `
		INSERT INTO gv.fatigue_remedies AS r (tenant_id, ad_id, remedied_at, until)
		SELECT   @tenant, ad_id, @now, @until
		FROM     unnest(@ads::text[]) AS k (ad_id)
		ORDER BY ad_id
		ON CONFLICT (tenant_id, ad_id) DO UPDATE SET remedied_at = excluded.remedied_at, until = excluded.until
		WHERE    r.until <= excluded.remedied_at OR `+onlyTried+`
		RETURNING ad_id`,
		pgx.StrictNamedArgs{"tenant": tenant, "ads": ids, "now": b.now, "until": b.now.Add(rest)})
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("claim tired ads: %w", err)
	}
	claimed := make([]*tiredAd, len(got))
	for i, id := range got {
		claimed[i] = by[id]
	}
	return claimed, nil
}

// putRemedies writes what was done for the ads that were claimed, and until when
// nothing more is.
func (b *ads) putRemedies(ctx context.Context, tx pgx.Tx, tenant string, all []Tired, cuts, refreshes []Outcome) error {
	n := len(all)
	ids, changes, renewed, skipped, until := make([]string, n), make([]string, n), make([]string, n), make([]string, n),
		make([]time.Time, n)
	for i, t := range all {
		ids[i], changes[i], renewed[i], skipped[i], until[i] = t.AdID, cuts[i].ID, refreshes[i].ID, cuts[i].Reason, b.now.Add(rest)
		if cuts[i].ID == "" {
			until[i] = b.now.Add(retry)
		} else {
			skipped[i] = ""
		}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO gv.fatigue_remedies (tenant_id, ad_id, remedied_at, until, skipped, change_id, refresh_id)
		SELECT @tenant, ad_id, @now, until, nullif(skipped, ''), nullif(change_id, '')::uuid, nullif(refresh_id, '')::uuid
		FROM   unnest(@ads::text[], @changes::text[], @refreshes::text[], @skipped::text[], @until::timestamptz[])
		       AS k (ad_id, change_id, refresh_id, skipped, until)
		ON     CONFLICT (tenant_id, ad_id) DO UPDATE
		SET    until = excluded.until, skipped = excluded.skipped, change_id = excluded.change_id, refresh_id = excluded.refresh_id`,
		pgx.StrictNamedArgs{
			"tenant": tenant, "now": b.now, "ads": ids, "changes": changes, "refreshes": renewed, "skipped": skipped, "until": until,
		})
	if err != nil {
		return fmt.Errorf("write the remedies of tired ads: %w", err)
	}
	return nil
}

// broken reports an error of the connection or the transaction, which ends the whole
// sweep, and not one of a statement.
func broken(err error) bool {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		switch refused.Code[:2] {
		case "40", "53", "57", "58", "08", "25":
			return true
		}
		return false
	}
	return pgconn.SafeToRetry(err) || pgconn.Timeout(err) || errors.Is(err, pgx.ErrTxClosed)
}
