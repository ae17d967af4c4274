package attribution

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Store reads and writes a tenant's clicks and conversions in its transaction.
type Store struct{ tx pgx.Tx }

// NewStore returns the store of tx.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

// Lock keeps others who share any of the keys waiting until the transaction ends.
// Who records a click or attributes a conversion calls it before reading or
// writing either, and before locking any row.
func (s Store) Lock(ctx context.Context, keys ...Keys) error {
	var names []string
	for _, k := range keys {
		names = append(names, k.normalised().lockNames()...)
	}
	return s.lock(ctx, names)
}

func (k Keys) lockNames() []string {
	var names []string
	add := func(kind, value string) {
		if value != "" {
			names = append(names, kind+" "+value)
		}
	}
	add("click", k.ClickID)
	add("fbclid", k.FBCLID)
	add("gclid", k.GCLID)
	add("fingerprint", k.FingerprintHash)
	if k.UserAgent != "" {
		add("address", k.IP)
	}
	return names
}

// lock takes its locks in one order, so that two transactions cannot deadlock.
func (s Store) lock(ctx context.Context, names []string) error {
	_, err := s.tx.Exec(ctx, `
		SELECT pg_advisory_xact_lock(key)
		FROM  (SELECT DISTINCT hashtextextended('attribution ' || gv.tenant()::text || ' ' || name, 0) AS key
		       FROM unnest(@names::text[]) AS name ORDER BY key) AS ordered`,
		pgx.StrictNamedArgs{"names": names})
	if err != nil {
		return fmt.Errorf("lock attribution keys: %w", err)
	}
	return nil
}

// Record stores c and reports whether it is new. A click id that is known
// already keeps what was said first: a beacon sent twice is one click.
func (s Store) Record(ctx context.Context, c Click) (inserted bool, err error) {
	c = c.normalised()
	extra := c.Extra
	if extra == nil {
		extra = map[string]any{}
	}
	done, err := s.tx.Exec(ctx, `
		INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid, gclid, fingerprint_hash,
		                       ip_address, user_agent, device_type, landing_page_url, extra, consent)
		VALUES (gv.tenant(), @click, @ad, @campaign, @at, nullif(@fbclid, ''), nullif(@gclid, ''), nullif(@fingerprint, ''),
		        nullif(@ip, ''), nullif(@agent, ''), nullif(@device, ''), nullif(@page, ''), @extra, @consent)
		ON CONFLICT DO NOTHING`,
		pgx.StrictNamedArgs{
			"click": c.ClickID, "ad": c.AdID, "campaign": c.CampaignID, "at": c.ClickedAt, "fbclid": c.FBCLID, "gclid": c.GCLID,
			"fingerprint": c.FingerprintHash, "ip": c.IP, "agent": c.UserAgent, "device": c.DeviceType, "page": c.LandingPageURL,
			"extra": extra, "consent": c.Consent,
		})
	if err != nil {
		return false, fmt.Errorf("record click %s: %w", c.ClickID, err)
	}
	return done.RowsAffected() == 1, nil
}

// Match returns what a conversion with these keys at that time is credited to.
func (s Store) Match(ctx context.Context, keys Keys, at time.Time) (Result, error) {
	return s.MatchAny(ctx, []Keys{keys}, At(at))
}

// MatchAny is Match for somebody known by several keys of a kind: the best match
// of any of them counts.
func (s Store) MatchAny(ctx context.Context, keys []Keys, m Moment) (Result, error) {
	known := make([]Keys, len(keys))
	for i, k := range keys {
		known[i] = k.normalised()
	}
	clicks, err := s.candidates(ctx, known, m)
	if err != nil {
		return Result{}, err
	}
	return credit(known, m, clicks), nil
}

// candidates returns the clicks among which the best is: for each kind of key
// the latest in its window. choose decides between them.
func (s Store) candidates(ctx context.Context, keys []Keys, m Moment) ([]Click, error) {
	a := gather(keys)
	rows, _ := s.tx.Query(ctx, `
		SELECT click_id, ad_id, campaign_id, clicked_at, coalesce(fbclid, ''), coalesce(gclid, ''), coalesce(fingerprint_hash, ''),
		       coalesce(ip_address, ''), coalesce(user_agent, '')
		FROM (
			(SELECT * FROM gv.clicks
			 WHERE  tenant_id = gv.tenant() AND click_id = ANY (@clicks) AND clicked_at BETWEEN @since AND @until
			 ORDER  BY clicked_at DESC, click_id COLLATE "C" DESC LIMIT 1)
			UNION ALL
			(SELECT * FROM gv.clicks
			 WHERE  tenant_id = gv.tenant() AND fbclid = ANY (@fbclids) AND clicked_at BETWEEN @since AND @until
			 ORDER  BY clicked_at DESC, click_id COLLATE "C" DESC LIMIT 1)
			UNION ALL
			(SELECT * FROM gv.clicks
			 WHERE  tenant_id = gv.tenant() AND gclid = ANY (@gclids) AND clicked_at BETWEEN @since AND @until
			 ORDER  BY clicked_at DESC, click_id COLLATE "C" DESC LIMIT 1)
			UNION ALL
			(SELECT * FROM gv.clicks
			 WHERE  tenant_id = gv.tenant() AND fingerprint_hash = ANY (@fingerprints) AND clicked_at BETWEEN @since AND @until
			 ORDER  BY clicked_at DESC, click_id COLLATE "C" DESC LIMIT 1)
			UNION ALL
			(SELECT c.* FROM unnest(@ips::text[], @agents::text[]) AS device (ip, agent)
			 JOIN   gv.clicks c ON c.tenant_id = gv.tenant() AND c.ip_address = device.ip
			                   AND md5(c.user_agent) = md5(device.agent) AND c.user_agent = device.agent
			 WHERE  c.clicked_at BETWEEN @device_since AND @until
			 ORDER  BY c.clicked_at DESC, c.click_id COLLATE "C" DESC LIMIT 1)
		) AS c`,
		pgx.StrictNamedArgs{
			"clicks": a.clicks, "fbclids": a.fbclids, "gclids": a.gclids, "fingerprints": a.fingerprints, "ips": a.ips, "agents": a.agents,
			"since": m.From.Add(-Window), "device_since": m.From.Add(-deviceWindow), "until": m.Until,
		})
	clicks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Click, err error) {
		err = row.Scan(&c.ClickID, &c.AdID, &c.CampaignID, &c.ClickedAt, &c.FBCLID, &c.GCLID, &c.FingerprintHash, &c.IP, &c.UserAgent)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("find clicks of a conversion: %w", err)
	}
	return clicks, nil
}

// gathered is keys by kind, as SQL takes them; ips and agents go in pairs.
type gathered struct{ clicks, fbclids, gclids, fingerprints, ips, agents []string }

func gather(keys []Keys) gathered {
	g := gathered{[]string{}, []string{}, []string{}, []string{}, []string{}, []string{}}
	add := func(to *[]string, value string) {
		if value != "" {
			*to = append(*to, value)
		}
	}
	for _, k := range keys {
		add(&g.clicks, k.ClickID)
		add(&g.fbclids, k.FBCLID)
		add(&g.gclids, k.GCLID)
		add(&g.fingerprints, k.FingerprintHash)
		if k.IP != "" && k.UserAgent != "" {
			g.ips, g.agents = append(g.ips, k.IP), append(g.agents, k.UserAgent)
		}
	}
	return g
}
