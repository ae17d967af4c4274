package attribution

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

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
		var ids []string
		for _, k := range keys {
			if id := *p.of(&k.PlatformIDs); id != "" && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
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

// Subject is somebody who converted, and all that they are known by.
type Subject struct {
	Keys []Keys
	At   ConvertedAt
}

// sought are the values of one kind of key that clicks are looked for by: whose each
// is, between which times the clicks lie, and what else they must have.
type sought struct {
	of           []int32
	values, also []string
	since, until []time.Time
}

func (s *sought) add(of int, value, also string, since, until time.Time) {
	s.of, s.values, s.also = append(s.of, int32(of)), append(s.values, value), append(s.also, also)
	s.since, s.until = append(s.since, since), append(s.until, until)
}

// part adds to the search the clicks that meet condition, up to perKey of each value,
// those that are first in order.
func (s *search) part(name string, by sought, condition, order string) {
	if len(by.of) == 0 {
		return
	}
	s.add(fmt.Sprintf(`
		SELECT mine.subject, k.* FROM unnest(@%[1]s_of::int[], @%[1]s::text[], @%[1]s_also::text[], @%[1]s_since::timestamptz[],
		       @%[1]s_until::timestamptz[])
		       AS mine (subject, value, also, since, until)
		CROSS  JOIN LATERAL (
			SELECT %[2]s FROM gv.clicks k
			WHERE  k.tenant_id = gv.tenant() AND %[3]s AND k.clicked_at BETWEEN mine.since AND mine.until
			ORDER  BY %[4]sk.clicked_at DESC, k.click_id COLLATE "C" DESC LIMIT %[5]d) AS k`, name, clickColumns, condition, order, perKey),
		pgx.StrictNamedArgs{
			name + "_of": by.of, name: by.values, name + "_also": by.also, name + "_since": by.since, name + "_until": by.until,
		})
}

// candidates returns for each subject the clicks among which the best is, and whose
// their platform ids are. touches decides between them.
func (s Store) candidates(ctx context.Context, subjects []Subject) ([][]Click, owners, error) {
	var all []Keys
	for _, one := range subjects {
		all = append(all, one.Keys...)
	}
	o, err := s.owners(ctx, all)
	if err != nil {
		return nil, nil, err
	}
	find := newSearch()
	// by collects a kind of key; also returns what else its clicks must have.
	by := func(of func(Keys) string, also func(Keys) string, lookback time.Duration, at func(ConvertedAt) ConvertedAt) (found sought) {
		for i, one := range subjects {
			m := at(one.At)
			for _, pair := range distinct(one.Keys, of, also) {
				found.add(i, pair[0], pair[1], m.From.Add(-lookback), m.Until)
			}
		}
		return found
	}
	converted := func(m ConvertedAt) ConvertedAt { return m }
	nothing := func(Keys) string { return "" }
	for _, l := range leads {
		find.part(l.column, by(func(k Keys) string { return *l.of(&k.LeadKeys) }, nothing, Lookback, ConvertedAt.ofLead),
			`k.`+l.column+` = mine.value`, "")
	}
	find.part("clicks", by(func(k Keys) string { return k.ClickID }, nothing, Lookback, converted), `k.click_id = mine.value`, "")
	for _, p := range platforms {
		id := func(k Keys) string { return *p.of(&k.PlatformIDs) }
		owner := func(k Keys) string { return o[platformID{p.column, id(k)}] }
		// Another ad's click with an id that has an owner never wins, however often it comes.
		// Few clicks share a platform's id, so those of known ads are put first among them.
		find.part(p.column, by(id, owner, Lookback, converted), `k.`+p.column+` = mine.value AND mine.also IN ('', k.ad_id)`,
			`known DESC, (k.ad_id <> '') DESC, `)
	}
	find.part("prints", by(func(k Keys) string { return k.FingerprintHash }, nothing, Lookback, converted), `k.fingerprint_hash = mine.value`, "")
	address := func(k Keys) string {
		if k.UserAgent == "" {
			return ""
		}
		return k.IP
	}
	find.part("addresses", by(address, func(k Keys) string { return k.UserAgent }, deviceWindow, converted),
		`k.ip_address = mine.value AND md5(k.user_agent) = md5(mine.also)`, "")
	clicks := make([][]Click, len(subjects))
	if len(find.parts) == 0 {
		return clicks, o, nil
	}
	rows, _ := s.tx.Query(ctx, find.sql(), find.args)
	defer rows.Close()
	for rows.Next() {
		var of int32
		c, err := scanClick(rows, &of)
		if err != nil {
			return nil, nil, fmt.Errorf("find clicks of conversions: %w", err)
		}
		clicks[of] = append(clicks[of], c)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, fmt.Errorf("find clicks of conversions: %w", err)
	}
	return clicks, o, nil
}

// scanClick reads a row of clickColumns, after what comes before them.
func scanClick(row pgx.CollectableRow, before ...any) (c Click, err error) {
	err = row.Scan(append(before, &c.ClickID, &c.AdID, &c.CampaignID, &c.ClickedAt, &c.FBCLID, &c.GCLID, &c.GBRAID, &c.WBRAID, &c.TTCLID,
		&c.FingerprintHash, &c.IP, &c.UserAgent, &c.LeadID, &c.EmailHash, &c.PhoneHash, &c.Known)...)
	return c, err
}

// distinct returns the values of one kind that there are, each once, with what also
// returns of their keys.
func distinct(keys []Keys, of, also func(Keys) string) [][2]string {
	var pairs [][2]string
	for _, k := range keys {
		if pair := [2]string{of(k), also(k)}; pair[0] != "" && !slices.Contains(pairs, pair) {
			pairs = append(pairs, pair)
		}
	}
	return pairs
}
