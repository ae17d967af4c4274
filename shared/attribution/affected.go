package attribution

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// DealRef names a CRM deal.
type DealRef struct{ PortalID, DealID int64 }

// Affected returns the live deals and the conversions that a click, recorded just
// now, may change: it shares a key with them and comes before them. What each then
// comes to is for deriving it again; a deal may be returned whose credit stays,
// never the other way round. A deal that has recorded the click already is left
// out.
func (s Store) Affected(ctx context.Context, c Click) ([]DealRef, []string, error) {
	return s.affected(ctx, []Click{c.normalised()}, false)
}

// Position is a place in the clicks of an ad, which are read from the latest on.
type Position struct {
	At      time.Time
	ClickID string
}

// AffectedByAd returns what the ad's clicks before a position may change, where the
// ad has become known after they were recorded: a platform's id may have been
// another ad's until then. It reads at most limit clicks and returns the position
// of the last; nil where there are none after it.
func (s Store) AffectedByAd(ctx context.Context, ad string, before Position,
	limit int,
) (deals []DealRef, conversions []string, next *Position, err error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT `+clickColumns+` FROM gv.clicks k
		WHERE  k.tenant_id = gv.tenant() AND k.ad_id = @ad AND (k.clicked_at, k.click_id) < (@at, @click)
		ORDER  BY k.clicked_at DESC, k.click_id DESC LIMIT @limit`,
		pgx.StrictNamedArgs{"ad": ad, "at": before.At, "click": before.ClickID, "limit": limit})
	clicks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Click, error) { return scanClick(row) })
	if err != nil {
		return nil, nil, nil, fmt.Errorf("read the clicks of ad %s: %w", ad, err)
	}
	if len(clicks) == 0 {
		return nil, nil, nil, nil
	}
	if len(clicks) == limit {
		last := clicks[limit-1]
		next = &Position{last.ClickedAt, last.ClickID}
	}
	deals, conversions, err = s.affected(ctx, clicks, true)
	return deals, conversions, next, err
}

func (s Store) affected(ctx context.Context, clicks []Click, recorded bool) (deals []DealRef, conversions []string, err error) {
	ofDeal, ofConversion, err := s.mayAffect(ctx, clicks)
	if err == nil && ofDeal {
		deals, err = s.affectedDeals(ctx, clicks, recorded)
	}
	if err == nil && ofConversion {
		conversions, err = s.affectedConversions(ctx, clicks)
	}
	return deals, conversions, err
}

// mayAffect says whether any deal's contact has a key of the clicks, and whether any
// conversion comes after them: nearly always neither, and then the two statements
// that find which are saved, whose planning alone costs more than the rest of a click.
func (s Store) mayAffect(ctx context.Context, clicks []Click) (deal, conversion bool, err error) {
	kinds, values, since := []string{}, []string{}, clicks[0].ClickedAt
	for _, c := range clicks {
		own, of := c.Keys().listed()
		kinds, values = append(kinds, own...), append(values, of...)
		if c.ClickedAt.Before(since) {
			since = c.ClickedAt
		}
	}
	err = s.tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM unnest(@kinds::text[], @values::text[]) AS mine (kind, value)
			CROSS  JOIN LATERAL (SELECT FROM gv.contact_keys k
			                     WHERE k.tenant_id = gv.tenant() AND k.kind = mine.kind AND k.value = mine.value LIMIT 1) AS k),
		       EXISTS (SELECT FROM gv.conversions v WHERE v.tenant_id = gv.tenant() AND v.converted_until >= @since)`,
		pgx.StrictNamedArgs{"kinds": kinds, "values": values, "since": since}).Scan(&deal, &conversion)
	if err != nil {
		return false, false, fmt.Errorf("look for what clicks may change: %w", err)
	}
	return deal, conversion, nil
}

// affectedDeals takes deals that have recorded a click only where asked to. Outside
// the window a click changes a deal's touches only, and no credit.
func (s Store) affectedDeals(ctx context.Context, clicks []Click, recorded bool) ([]DealRef, error) {
	var (
		kinds, values, ids []string
		at                 []time.Time
		lead               []bool
	)
	for _, c := range clicks {
		own, of := c.Keys().listed()
		for i, kind := range own {
			kinds, values, ids, at = append(kinds, kind), append(values, of[i]), append(ids, c.ClickID), append(at, c.ClickedAt)
			lead = append(lead, c.LeadID != "")
		}
	}
	rows, _ := s.tx.Query(ctx, `
		SELECT DISTINCT d.portal_id, d.deal_id
		FROM   unnest(@kinds::text[], @values::text[], @clicks::text[], @at::timestamptz[], @lead::boolean[])
		       AS mine (kind, value, click_id, at, lead)
		JOIN   gv.contact_keys k ON k.tenant_id = gv.tenant() AND k.kind = mine.kind AND k.value = mine.value
		JOIN   gv.contacts p USING (tenant_id, portal_id, contact_id)
		JOIN   gv.deal_contacts dc USING (tenant_id, portal_id, contact_id)
		JOIN   gv.deals d USING (tenant_id, portal_id, deal_id)
		WHERE  d.state = 'live'
		AND    CASE WHEN mine.lead THEN greatest(p.converted_at, d.created_at) ELSE p.converted_at END
		       BETWEEN mine.at AND mine.at + @lookback::interval
		AND   (@recorded OR NOT EXISTS (
			SELECT FROM gv.deal_touches t
			WHERE  t.tenant_id = gv.tenant() AND t.portal_id = d.portal_id AND t.deal_id = d.deal_id AND t.click_id = mine.click_id))
		ORDER  BY d.portal_id, d.deal_id`,
		pgx.StrictNamedArgs{
			"kinds": kinds, "values": values, "clicks": ids, "at": at, "lookback": Lookback, "recorded": recorded,
			"lead": lead,
		})
	deals, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DealRef])
	if err != nil {
		return nil, fmt.Errorf("find deals that clicks may change: %w", err)
	}
	return deals, nil
}

func (s Store) affectedConversions(ctx context.Context, clicks []Click) ([]string, error) {
	n := len(clicks)
	column := func(of func(Click) string) []string {
		values := make([]string, n)
		for i, c := range clicks {
			values[i] = of(c)
		}
		return values
	}
	at := make([]time.Time, n)
	for i, c := range clicks {
		at[i] = c.ClickedAt
	}
	rows, _ := s.tx.Query(ctx, `
		SELECT DISTINCT found.conversion_id
		FROM   unnest(@click::text[], @fbclid::text[], @gclid::text[], @gbraid::text[], @wbraid::text[], @ttclid::text[], @fingerprint::text[],
		              @ip::text[], @agent::text[], @at::timestamptz[], @lead::text[])
		       AS c (click, fbclid, gclid, gbraid, wbraid, ttclid, fingerprint, ip, agent, at, lead)
		CROSS  JOIN LATERAL (
			SELECT v.conversion_id
			FROM   gv.conversions v
			WHERE  v.tenant_id = gv.tenant()
			AND   (v.key_click_id = c.click OR v.fbclid = nullif(c.fbclid, '') OR v.gclid = nullif(c.gclid, '') OR v.gbraid = nullif(c.gbraid, '')
			       OR v.wbraid = nullif(c.wbraid, '') OR v.ttclid = nullif(c.ttclid, '') OR v.lead_id = nullif(c.lead, '')
			       OR v.fingerprint_hash = nullif(c.fingerprint, '')
			       OR (v.ip_address = nullif(c.ip, '') AND md5(v.user_agent) = md5(c.agent)))
			AND    v.converted_until >= c.at
			AND    v.converted_at <= c.at + CASE WHEN v.lead_id = c.lead THEN @lookback ELSE @window END::interval) AS found
		ORDER  BY found.conversion_id`,
		pgx.StrictNamedArgs{
			"click":       column(func(c Click) string { return c.ClickID }),
			"fbclid":      column(func(c Click) string { return c.FBCLID }),
			"gclid":       column(func(c Click) string { return c.GCLID }),
			"gbraid":      column(func(c Click) string { return c.GBRAID }),
			"wbraid":      column(func(c Click) string { return c.WBRAID }),
			"ttclid":      column(func(c Click) string { return c.TTCLID }),
			"fingerprint": column(func(c Click) string { return c.FingerprintHash }),
			"ip":          column(func(c Click) string { return c.IP }),
			"agent":       column(func(c Click) string { return c.UserAgent }),
			"lead":        column(func(c Click) string { return c.LeadID }),
			"at":          at, "window": Window, "lookback": Lookback,
		})
	conversions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find conversions that clicks may change: %w", err)
	}
	return conversions, nil
}
