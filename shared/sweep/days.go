package sweep

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// row is one day of an ad, as the database has it.
type row struct {
	place, day                 int32 // of its key; since the millennium
	impressions, clicks, spend int64
	frequency                  float32
}

// millennium is the day that Postgres counts from.
var millennium = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func dayOf(t time.Time) int32     { return int32(t.Sub(millennium).Hours() / 24) }
func (r *row) date() time.Time    { return millennium.Add(time.Duration(r.day) * 24 * time.Hour) }
func (b *ads) rowsOf(i int) []row { return b.rows[b.keys[i].first:b.keys[i].end] }

// since is the first day that is read: a day ahead of UTC's, or behind it, is some
// account's today.
func (b *ads) since() time.Time { return b.now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -window) }

// readDays reads the days of all keys, ad by ad through the primary key: however
// many years of days are kept, these are all that it sees, and those of an ad
// mostly stand together.
func (b *ads) readDays(ctx context.Context, tx pgx.Tx) error {
	first, last := &b.keys[0], &b.keys[len(b.keys)-1]
	rows, err := tx.Query(ctx, `
		SELECT a.tenant_id, a.ad_id, m.day, m.impressions, m.clicks, m.spend_minor, m.frequency
		FROM   gv.ads a
		CROSS  JOIN LATERAL (
			SELECT day, impressions, clicks, spend_minor, coalesce(frequency, 0) AS frequency
			FROM   gv.ad_metrics
			WHERE  tenant_id = a.tenant_id AND ad_id = a.ad_id AND day BETWEEN @since::date AND @since::date + @days::int
			OFFSET 0
		) AS m
		WHERE  a.status = 'ACTIVE'
		AND    (a.tenant_id, a.ad_id) BETWEEN (@first_tenant::uuid, @first_ad) AND (@last_tenant::uuid, @last_ad)`,
		pgx.QueryResultFormats{pgx.BinaryFormatCode},
		pgx.StrictNamedArgs{
			"since": b.since(), "days": window + 1, "first_tenant": first.tenant, "first_ad": first.ad, "last_tenant": last.tenant, "last_ad": last.ad,
		})
	if err != nil {
		return fmt.Errorf("read daily metrics: %w", err)
	}
	return b.collectDays(rows)
}

// readDaysOf reads the days of keys that are no range.
func (b *ads) readDaysOf(ctx context.Context, tx pgx.Tx) error {
	tenants, ids := make([]string, len(b.keys)), make([]string, len(b.keys))
	for i := range b.keys {
		tenants[i], ids[i] = b.keys[i].tenant, b.keys[i].ad
	}
	rows, err := tx.Query(ctx, `
		SELECT k.tenant_id, k.ad_id, m.day, m.impressions, m.clicks, m.spend_minor, m.frequency
		FROM   unnest(@tenants::uuid[], @ads::text[]) AS k (tenant_id, ad_id)
		CROSS  JOIN LATERAL (
			SELECT   day, impressions, clicks, spend_minor, coalesce(frequency, 0) AS frequency
			FROM     gv.ad_metrics
			WHERE    tenant_id = k.tenant_id AND ad_id = k.ad_id AND day >= @since::date
			ORDER BY day
			LIMIT    @days
		) AS m`,
		pgx.QueryResultFormats{pgx.BinaryFormatCode},
		pgx.StrictNamedArgs{"tenants": tenants, "ads": ids, "since": b.since(), "days": window + 2})
	if err != nil {
		return fmt.Errorf("read daily metrics: %w", err)
	}
	return b.collectDays(rows)
}

// collectDays puts the rows to their ads, oldest first. It takes them as they come
// over the wire: scanning so many values one by one would take longer than judging
// them.
func (b *ads) collectDays(rows pgx.Rows) error {
	defer rows.Close()
	for i := range b.keys { // a transaction may run again
		b.keys[i].first, b.keys[i].end = 0, 0
	}
	find := b.finder()
	came := make([]row, 0, 8*len(b.keys))
	for rows.Next() {
		raw := rows.RawValues()
		at, ok := find(raw[0], raw[1])
		if !ok {
			continue // no active ad
		}
		b.keys[at].end++
		came = append(came, row{
			place:       int32(at),
			day:         int32(binary.BigEndian.Uint32(raw[2])),
			impressions: int64(binary.BigEndian.Uint64(raw[3])),
			clicks:      int64(binary.BigEndian.Uint64(raw[4])),
			spend:       int64(binary.BigEndian.Uint64(raw[5])),
			frequency:   math.Float32frombits(binary.BigEndian.Uint32(raw[6])),
		})
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read daily metrics: %w", err)
	}
	n := 0
	for i := range b.keys {
		k := &b.keys[i]
		k.first, k.end, n = n, n, n+k.end
	}
	b.rows = make([]row, len(came))
	for _, r := range came {
		k := &b.keys[r.place]
		b.rows[k.end] = r
		k.end++
	}
	byDay := func(x, y row) int { return cmp.Compare(x.day, y.day) }
	for i := range b.keys {
		if of := b.rowsOf(i); !slices.IsSortedFunc(of, byDay) {
			slices.SortFunc(of, byDay)
		}
	}
	return nil
}

// finder returns what finds the place of a key. The rows mostly come in the order
// of the keys, so the next is that of the last row, or the one behind it.
func (b *ads) finder() func(tenant, ad []byte) (int, bool) {
	type id struct {
		tenant [16]byte
		ad     string
	}
	ids := make([]id, len(b.keys))
	places := make(map[id]int32, len(b.keys))
	var of string
	var tenant uuid.UUID
	for i := range b.keys {
		k := &b.keys[i]
		if k.tenant != of {
			of, tenant = k.tenant, uuid.MustParse(k.tenant)
		}
		ids[i] = id{tenant, k.ad}
		places[ids[i]] = int32(i)
	}
	last := 0
	is := func(i int, tenant, ad []byte) bool {
		return ids[i].ad == string(ad) && bytes.Equal(ids[i].tenant[:], tenant)
	}
	return func(tenant, ad []byte) (int, bool) {
		if is(last, tenant, ad) {
			return last, true
		}
		if last+1 < len(ids) && is(last+1, tenant, ad) {
			last++
			return last, true
		}
		at, ok := places[id{[16]byte(tenant), string(ad)}]
		if ok {
			last = int(at)
		}
		return int(at), ok
	}
}
