package attribution

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// DealRef names a CRM deal.
type DealRef struct{ PortalID, DealID int64 }

// Affected returns the live deals and the conversions that a click, recorded
// just now, takes over: it shares a key with them, lies in their window, and
// comes before the click that they are credited to. A deal may be returned whose
// credit then turns out to stay, never the other way round.
func (s Store) Affected(ctx context.Context, c Click) ([]DealRef, []string, error) {
	c = c.normalised()
	deals, err := s.affectedDeals(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	conversions, err := s.affectedConversions(ctx, c)
	return deals, conversions, err
}

// current is what something is credited to now, with what decides whether
// another click is better. Its click is nil where it has none.
type current struct {
	keys   []Keys
	moment Moment
	click  *Click
}

// takenOver reports whether c is better than the click that has it now. The
// best of all clicks is the better of the best until now and the new one.
func (cur current) takenOver(c Click) bool {
	clicks := []Click{c}
	if cur.click != nil && cur.click.ClickID != c.ClickID {
		clicks = append(clicks, *cur.click)
	}
	best, _ := choose(cur.keys, cur.moment, clicks)
	return best != nil && best.ClickID == c.ClickID
}

// affectedDeals asks contact by contact, since each has a first conversion of its own.
func (s Store) affectedDeals(ctx context.Context, c Click) ([]DealRef, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT d.portal_id, d.deal_id, p.converted_at, mine.kinds, mine.values,
		       k.click_id, k.clicked_at, coalesce(k.fbclid, ''), coalesce(k.gclid, ''), coalesce(k.fingerprint_hash, '')
		FROM  (SELECT DISTINCT portal_id, contact_id FROM gv.contact_keys
		       WHERE tenant_id = gv.tenant()
		       AND   (kind, value) IN (('click_id', @click), ('fbclid', @fbclid), ('gclid', @gclid), ('fingerprint', @fingerprint))) AS known
		JOIN   gv.contacts p ON p.tenant_id = gv.tenant() AND p.portal_id = known.portal_id AND p.contact_id = known.contact_id
		JOIN   gv.deal_contacts dc ON dc.tenant_id = gv.tenant() AND dc.portal_id = p.portal_id AND dc.contact_id = p.contact_id
		JOIN   gv.deals d ON d.tenant_id = gv.tenant() AND d.portal_id = dc.portal_id AND d.deal_id = dc.deal_id AND d.state = 'live'
		CROSS  JOIN LATERAL (
			SELECT array_agg(kind) AS kinds, array_agg(value) AS values FROM gv.contact_keys ck
			WHERE  ck.tenant_id = gv.tenant() AND ck.portal_id = p.portal_id AND ck.contact_id = p.contact_id) AS mine
		LEFT   JOIN gv.clicks k ON k.tenant_id = gv.tenant() AND k.click_id = d.click_id
		WHERE  p.converted_at BETWEEN @at AND @at::timestamptz + interval '7 days'
		ORDER  BY d.portal_id, d.deal_id`,
		pgx.StrictNamedArgs{"click": c.ClickID, "fbclid": c.FBCLID, "gclid": c.GCLID, "fingerprint": c.FingerprintHash, "at": c.ClickedAt})
	var deals []DealRef
	for rows.Next() {
		var (
			d             DealRef
			cur           current
			kinds, values []string
			has           nullableClick
		)
		err := rows.Scan(&d.PortalID, &d.DealID, &cur.moment.From, &kinds, &values,
			&has.ClickID, &has.ClickedAt, &has.FBCLID, &has.GCLID, &has.FingerprintHash)
		if err != nil {
			return nil, fmt.Errorf("read deal of a late click: %w", err)
		}
		cur.moment.Until, cur.keys, cur.click = cur.moment.From, contactKeys(kinds, values), has.click()
		repeated := len(deals) > 0 && deals[len(deals)-1] == d
		if !repeated && cur.takenOver(c) {
			deals = append(deals, d)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("find deals of a late click: %w", err)
	}
	return deals, nil
}

func contactKeys(kinds, values []string) []Keys {
	keys := make([]Keys, len(kinds))
	for i, kind := range kinds {
		switch kind {
		case "click_id":
			keys[i].ClickID = values[i]
		case "fbclid":
			keys[i].FBCLID = values[i]
		case "gclid":
			keys[i].GCLID = values[i]
		case "fingerprint":
			keys[i].FingerprintHash = values[i]
		}
	}
	return keys
}

func (s Store) affectedConversions(ctx context.Context, c Click) ([]string, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT v.conversion_id, v.converted_at, v.converted_until,
		       coalesce(v.key_click_id, ''), coalesce(v.fbclid, ''), coalesce(v.gclid, ''), coalesce(v.fingerprint_hash, ''),
		       coalesce(v.ip_address, ''), coalesce(v.user_agent, ''),
		       k.click_id, k.clicked_at, coalesce(k.fbclid, ''), coalesce(k.gclid, ''), coalesce(k.fingerprint_hash, ''),
		       coalesce(k.ip_address, ''), coalesce(k.user_agent, '')
		FROM   gv.conversions v
		LEFT   JOIN gv.clicks k ON k.tenant_id = gv.tenant() AND k.click_id = v.click_id
		WHERE  v.tenant_id = gv.tenant()
		AND   (v.key_click_id = @click OR v.fbclid = nullif(@fbclid, '') OR v.gclid = nullif(@gclid, '')
		       OR v.fingerprint_hash = nullif(@fingerprint, '')
		       OR (v.ip_address = nullif(@ip, '') AND md5(v.user_agent) = md5(@agent)))
		AND    v.converted_until >= @at AND v.converted_at <= @at::timestamptz + interval '7 days'
		ORDER  BY v.conversion_id`,
		pgx.StrictNamedArgs{
			"click": c.ClickID, "fbclid": c.FBCLID, "gclid": c.GCLID, "fingerprint": c.FingerprintHash,
			"ip": c.IP, "agent": c.UserAgent, "at": c.ClickedAt,
		})
	var conversions []string
	for rows.Next() {
		var (
			id  string
			k   Keys
			m   Moment
			has nullableClick
		)
		err := rows.Scan(&id, &m.From, &m.Until, &k.ClickID, &k.FBCLID, &k.GCLID, &k.FingerprintHash, &k.IP, &k.UserAgent,
			&has.ClickID, &has.ClickedAt, &has.FBCLID, &has.GCLID, &has.FingerprintHash, &has.IP, &has.UserAgent)
		if err != nil {
			return nil, fmt.Errorf("read conversion of a late click: %w", err)
		}
		if (current{[]Keys{k}, m, has.click()}).takenOver(c) {
			conversions = append(conversions, id)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("find conversions of a late click: %w", err)
	}
	return conversions, nil
}

// nullableClick is a click of an outer join.
type nullableClick struct {
	ClickID   pgtype.Text
	ClickedAt pgtype.Timestamptz
	Keys
}

func (n nullableClick) click() *Click {
	if !n.ClickID.Valid {
		return nil
	}
	return &Click{
		ClickID: n.ClickID.String, ClickedAt: n.ClickedAt.Time, FBCLID: n.FBCLID, GCLID: n.GCLID,
		FingerprintHash: n.FingerprintHash, IP: n.IP, UserAgent: n.UserAgent,
	}
}
