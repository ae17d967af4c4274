package sweep

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"
)

// row is one day of an ad, as the database has it.
type row struct {
	day                        int32 // since the millennium
	frequency                  float32
	impressions, clicks, spend int64
}

// millennium is the day that Postgres counts from.
var millennium = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func dayOf(t time.Time) int32  { return int32(t.Sub(millennium).Hours() / 24) }
func (r *row) date() time.Time { return millennium.Add(time.Duration(r.day) * 24 * time.Hour) }

// since is the first day that is read: a day ahead of UTC's, or behind it, is some
// account's today.
func (b *ads) since() time.Time { return b.now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -window) }

// packed reads the days of ad a through the primary key: however many years of days
// are kept, these are all that it sees. They come as one value, packed as they go
// over the wire, because a row of their own for each would take longer to send and
// to take in than to find.
const packed = `
	SELECT string_agg(date_send(day) || float4send(
	       coalesce(frequency, 0)) || int8send(impressions) || int8send(clicks) || int8send(spend_minor), '') AS days
	FROM   gv.ad_metrics
	WHERE  tenant_id = a.tenant_id AND ad_id = a.ad_id AND day BETWEEN @since::date AND @since::date + @days::int`

// packedSize is that of one day in packed.
const packedSize = 4 + 4 + 8 + 8 + 8

// arena is where a batch's days stand, in pieces: one for each ad would be many.
type arena []row

// unpack returns an ad's days, oldest first.
func (a *arena) unpack(packed []byte) []row {
	n := len(packed) / packedSize
	if len(*a)+n > cap(*a) {
		*a = make(arena, 0, max(n, 8192))
	}
	from := len(*a)
	for ; len(packed) >= packedSize; packed = packed[packedSize:] {
		*a = append(*a, row{
			day:         int32(binary.BigEndian.Uint32(packed)),
			frequency:   math.Float32frombits(binary.BigEndian.Uint32(packed[4:])),
			impressions: int64(binary.BigEndian.Uint64(packed[8:])),
			clicks:      int64(binary.BigEndian.Uint64(packed[16:])),
			spend:       int64(binary.BigEndian.Uint64(packed[24:])),
		})
	}
	days := (*a)[from:len(*a):len(*a)]
	byDay := func(x, y row) int { return cmp.Compare(x.day, y.day) }
	if !slices.IsSortedFunc(days, byDay) { // the index hands them out by day, but promised nothing
		slices.SortFunc(days, byDay)
	}
	return days
}
