package attribution

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// perKey bounds how many clicks of one key are looked at, the latest first.
const perKey = 100

// known tells whether the tenant has the ad of click k.
const known = `EXISTS (SELECT FROM gv.ads a WHERE a.tenant_id = k.tenant_id AND a.ad_id = k.ad_id)`

const clickColumns = `k.click_id, k.ad_id, k.campaign_id, k.clicked_at, coalesce(k.fbclid, ''), coalesce(k.gclid, ''), coalesce(k.gbraid, ''),
	coalesce(k.wbraid, ''), coalesce(k.ttclid, ''), coalesce(k.fingerprint_hash, ''), coalesce(k.ip_address, ''), coalesce(k.user_agent, ''),
	coalesce(k.lead_id, ''), coalesce(k.email_hash, ''), coalesce(k.phone_hash, ''), ` + known + ` AS known`

// search is the SQL that finds clicks by the kinds of keys that there are: each
// kind has an index of its own, and a part of its own.
type search struct {
	parts []string
	args  pgx.StrictNamedArgs
}

func newSearch() *search { return &search{args: pgx.StrictNamedArgs{}} }

func (s *search) add(sql string, args pgx.StrictNamedArgs) {
	s.parts = append(s.parts, sql)
	for name, value := range args {
		s.args[name] = value
	}
}

func (s *search) sql() string { return strings.Join(s.parts, " UNION ALL ") }

// owners finds whose each platform id is: the first known ad's that was reported
// with it, by our own clock.
func (s Store) owners(ctx context.Context, keys []Keys) (owners, error) {
	find := newSearch()
	for _, p := range platforms {
		ids := distinct(keys, func(k Keys) string { return *p.of(&k.PlatformIDs) })
		if len(ids) == 0 {
			continue
		}
		find.add(`
			SELECT '`+p.column+`' AS kind, id.value, first.ad_id
			FROM   unnest(@`+p.column+`::text[]) AS id (value)
			CROSS  JOIN LATERAL (
				SELECT k.ad_id FROM gv.clicks k WHERE k.tenant_id = gv.tenant() AND k.`+p.column+` = id.value AND `+known+`
				ORDER  BY k.recorded_at, k.click_id LIMIT 1) AS first`,
			pgx.StrictNamedArgs{p.column: ids})
	}
	if len(find.parts) == 0 {
		return nil, nil
	}
	rows, _ := s.tx.Query(ctx, find.sql(), find.args)
	o := owners{}
	var (
		id platformID
		ad string
	)
	if _, err := pgx.ForEachRow(rows, []any{&id.column, &id.value, &ad}, func() error { o[id] = ad; return nil }); err != nil {
		return nil, fmt.Errorf("find whose the click ids are: %w", err)
	}
	return o, nil
}

// candidates returns the clicks among which the best is, and whose their platform
// ids are. touches decides between them.
func (s Store) candidates(ctx context.Context, keys []Keys, m ConvertedAt) ([]Click, owners, error) {
	o, err := s.owners(ctx, keys)
	if err != nil {
		return nil, nil, err
	}
	find := newSearch()
	// Few clicks share a platform's id, so those of known ads are put first among them.
	between := func(condition, since, until, order string, args pgx.StrictNamedArgs) {
		find.add(fmt.Sprintf(`(SELECT %s FROM gv.clicks k
			WHERE  k.tenant_id = gv.tenant() AND %s AND k.clicked_at BETWEEN %s AND %s
			ORDER  BY %sk.clicked_at DESC, k.click_id COLLATE "C" DESC LIMIT %d)`, clickColumns, condition, since, until, order, perKey), args)
	}
	part := func(condition, since, order string, args pgx.StrictNamedArgs) {
		between(condition, since, "@until", order, args)
		find.args["until"] = m.Until
	}
	for _, l := range leads {
		if values := distinct(keys, func(k Keys) string { return *l.of(&k.LeadKeys) }); len(values) > 0 {
			at := m.ofLead()
			between(fmt.Sprintf(`k.%[1]s = ANY (@%[1]s)`, l.column), "@lead_since", "@lead_until", "",
				pgx.StrictNamedArgs{l.column: values, "lead_since": at.From.Add(-Lookback), "lead_until": at.Until})
		}
	}
	lookback := m.From.Add(-Lookback)
	if ids := distinct(keys, func(k Keys) string { return k.ClickID }); len(ids) > 0 {
		part(`k.click_id = ANY (@clicks)`, "@since", "", pgx.StrictNamedArgs{"clicks": ids, "since": lookback})
	}
	for _, p := range platforms {
		ids := distinct(keys, func(k Keys) string { return *p.of(&k.PlatformIDs) })
		if len(ids) == 0 {
			continue
		}
		owned, ads := []string{}, []string{}
		for _, id := range ids {
			if ad, known := o[platformID{p.column, id}]; known {
				owned, ads = append(owned, id), append(ads, ad)
			}
		}
		// Another ad's click with an id that has an owner never wins, however often it comes.
		part(fmt.Sprintf(`k.%[1]s = ANY (@%[1]s) AND NOT EXISTS (
				SELECT FROM unnest(@%[1]s_owned::text[], @%[1]s_ads::text[]) AS o (id, ad) WHERE o.id = k.%[1]s AND o.ad <> k.ad_id)`, p.column),
			"@since", `known DESC, (k.ad_id <> '') DESC, `,
			pgx.StrictNamedArgs{p.column: ids, p.column + "_owned": owned, p.column + "_ads": ads, "since": lookback})
	}
	for i, print := range distinct(keys, func(k Keys) string { return k.FingerprintHash }) {
		name := fmt.Sprintf("print%d", i)
		part(`k.fingerprint_hash = @`+name, "@since", "", pgx.StrictNamedArgs{name: print, "since": lookback})
	}
	for i, k := range keys {
		if k.IP == "" || k.UserAgent == "" {
			continue
		}
		ip, agent := fmt.Sprintf("ip%d", i), fmt.Sprintf("agent%d", i)
		part(fmt.Sprintf(`k.ip_address = @%s AND md5(k.user_agent) = md5(@%s::text)`, ip, agent), "@device_since", "",
			pgx.StrictNamedArgs{ip: k.IP, agent: k.UserAgent, "device_since": m.From.Add(-deviceWindow)})
	}
	if len(find.parts) == 0 {
		return nil, o, nil
	}
	rows, _ := s.tx.Query(ctx, find.sql(), find.args)
	clicks, err := pgx.CollectRows(rows, scanClick)
	if err != nil {
		return nil, nil, fmt.Errorf("find clicks of a conversion: %w", err)
	}
	return clicks, o, nil
}

// scanClick reads a row of clickColumns.
func scanClick(row pgx.CollectableRow) (c Click, err error) {
	err = row.Scan(&c.ClickID, &c.AdID, &c.CampaignID, &c.ClickedAt, &c.FBCLID, &c.GCLID, &c.GBRAID, &c.WBRAID, &c.TTCLID,
		&c.FingerprintHash, &c.IP, &c.UserAgent, &c.LeadID, &c.EmailHash, &c.PhoneHash, &c.Known)
	return c, err
}

// distinct returns the values of one kind that there are, each once.
func distinct(keys []Keys, of func(Keys) string) []string {
	var values []string
	for _, k := range keys {
		if value := of(k); value != "" && !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	return values
}
