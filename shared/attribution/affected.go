package attribution

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// DealRef names a CRM deal.
type DealRef struct{ PortalID, DealID int64 }

// Affected returns the live deals and the conversions that a click, recorded just
// now, may change: it shares a key with them and comes before them. What each then
// comes to is for deriving it again; a deal may be returned whose credit stays,
// never the other way round.
func (s Store) Affected(ctx context.Context, c Click) ([]DealRef, []string, error) {
	c = c.normalised()
	deals, err := s.affectedDeals(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	conversions, err := s.affectedConversions(ctx, c)
	return deals, conversions, err
}

// affectedDeals leaves out deals that have recorded the click already. Outside the
// window a click changes a deal's touches only, and no credit.
func (s Store) affectedDeals(ctx context.Context, c Click) ([]DealRef, error) {
	kinds, values := c.Keys().listed()
	rows, _ := s.tx.Query(ctx, `
		SELECT DISTINCT d.portal_id, d.deal_id
		FROM   gv.contact_keys k
		JOIN   gv.contacts p USING (tenant_id, portal_id, contact_id)
		JOIN   gv.deal_contacts dc USING (tenant_id, portal_id, contact_id)
		JOIN   gv.deals d USING (tenant_id, portal_id, deal_id)
		WHERE  k.tenant_id = gv.tenant() AND d.state = 'live'
		AND    (k.kind, k.value) IN (SELECT kind, value FROM unnest(@kinds::text[], @values::text[]) AS mine (kind, value))
		AND    p.converted_at BETWEEN @at AND @at::timestamptz + @lookback::interval
		AND    NOT EXISTS (
			SELECT FROM gv.deal_touches t
			WHERE  t.tenant_id = gv.tenant() AND t.portal_id = d.portal_id AND t.deal_id = d.deal_id AND t.click_id = @click)
		ORDER  BY d.portal_id, d.deal_id`,
		pgx.StrictNamedArgs{"kinds": kinds, "values": values, "at": c.ClickedAt, "click": c.ClickID, "lookback": Lookback})
	deals, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DealRef])
	if err != nil {
		return nil, fmt.Errorf("find deals of a late click: %w", err)
	}
	return deals, nil
}

func (s Store) affectedConversions(ctx context.Context, c Click) ([]string, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT v.conversion_id
		FROM   gv.conversions v
		WHERE  v.tenant_id = gv.tenant()
		AND   (v.key_click_id = @click OR v.fbclid = nullif(@fbclid, '') OR v.gclid = nullif(@gclid, '') OR v.gbraid = nullif(@gbraid, '')
		       OR v.wbraid = nullif(@wbraid, '') OR v.ttclid = nullif(@ttclid, '') OR v.fingerprint_hash = nullif(@fingerprint, '')
		       OR (v.ip_address = nullif(@ip, '') AND md5(v.user_agent) = md5(@agent)))
		AND    v.converted_until >= @at AND v.converted_at <= @at::timestamptz + @window::interval
		ORDER  BY v.conversion_id`,
		pgx.StrictNamedArgs{
			"click": c.ClickID, "fbclid": c.FBCLID, "gclid": c.GCLID, "gbraid": c.GBRAID, "wbraid": c.WBRAID, "ttclid": c.TTCLID,
			"fingerprint": c.FingerprintHash, "ip": c.IP, "agent": c.UserAgent, "at": c.ClickedAt, "window": Window,
		})
	conversions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find conversions of a late click: %w", err)
	}
	return conversions, nil
}
