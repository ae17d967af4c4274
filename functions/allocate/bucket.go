package allocate

import (
	"cmp"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math"
	"slices"
	"strings"
)

// What is stored of a tenant's earlier requests is bounded: each ad has its latest
// observations in one of the tenant's buckets, fewer where a bucket holds many ads.
const (
	buckets = 256
	// bucketRoom is how many observations a bucket has for its ads, in equal parts,
	// but no ad gets more than a request can use or fewer than a large one needs.
	bucketRoom    = 320
	mostPerAd     = mostObservations + 1
	leastPerAd    = leastObservations + 1
	mostPerBucket = 400 // of a bucket
	retentionDays = 400 // after which an ad goes that no request names any more
)

// bucketOf returns the bucket of an ad.
func bucketOf(id string) int16 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	sum := h.Sum32()
	return int16((sum ^ sum>>8 ^ sum>>16 ^ sum>>24) % buckets)
}

// bucket is a bucket as it was read: empty, of version 0, where there is none.
type bucket struct {
	version int64
	packed  []byte
}

// record is an ad's part of a bucket. Its bytes are the bucket's.
type record struct {
	id   string
	day  uint32 // of the last request that named it, since 1970
	data []byte // observations of obsSize each, in the order of arrival
}

// A bucket's bytes begin with 0 and the number of their form; in the first form,
// which had neither, they began with the length of an id, which is never 0.
// An observation is age, impressions, clicks, spend, pipeline value, cash revenue,
// deals and won deals; what is not known is not a number. The first form had no deals.
const (
	form       = 2
	obsSize    = 8 * 8
	oldObsSize = 6 * 8
)

var errBucket = errors.New("its bytes are not those of a bucket")

// records returns a bucket's ads by rising id.
func records(packed []byte) ([]record, error) {
	size := oldObsSize
	if len(packed) > 0 && packed[0] == 0 {
		if len(packed) < 2 || packed[1] != form {
			return nil, errBucket
		}
		packed, size = packed[2:], obsSize
	}
	var all []record
	for len(packed) > 0 {
		n, width := binary.Uvarint(packed)
		if width <= 0 || n == 0 || n > uint64(len(packed)-width) {
			return nil, errBucket
		}
		r := record{id: string(packed[width : width+int(n)])}
		packed = packed[width+int(n):]
		if len(packed) < 6 {
			return nil, errBucket
		}
		r.day = binary.LittleEndian.Uint32(packed)
		data := int(binary.LittleEndian.Uint16(packed[4:])) * size
		if packed = packed[6:]; len(packed) < data {
			return nil, errBucket
		}
		r.data, packed = packed[:data], packed[data:]
		if size == oldObsSize {
			r.data = upgraded(r.data)
		}
		all = append(all, r)
	}
	return all, nil
}

// upgraded turns observations of the first form into the present one's.
func upgraded(old []byte) []byte {
	unknown := math.Float64bits(math.NaN())
	data := make([]byte, 0, len(old)/oldObsSize*obsSize)
	for ; len(old) > 0; old = old[oldObsSize:] {
		data = append(data, old[:oldObsSize]...)
		data = binary.LittleEndian.AppendUint64(data, unknown)
		data = binary.LittleEndian.AppendUint64(data, unknown)
	}
	return data
}

// last returns up to n of the latest observations, in the order of arrival.
func (r record) last(n int) []observation {
	data := r.data[max(0, len(r.data)-n*obsSize):]
	all := make([]observation, len(data)/obsSize)
	for i := range all {
		all[i] = decode(r.id, data[i*obsSize:])
	}
	return all
}

func decode(id string, b []byte) observation {
	number := func(i int) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])) }
	known := func(i int) *float64 {
		if x := number(i); !math.IsNaN(x) {
			return &x
		}
		return nil
	}
	count := func(i int) *int64 {
		if x := known(i); x != nil {
			n := int64(*x)
			return &n
		}
		return nil
	}
	return observation{
		AdID: id, AgeHours: number(0), Impressions: int64(binary.LittleEndian.Uint64(b[8:])),
		Clicks: int64(binary.LittleEndian.Uint64(b[16:])),
		Spend:  number(3), PipelineValue: known(4), CashRevenue: known(5), Deals: count(6), WonDeals: count(7),
	}
}

func (o observation) append(b []byte) []byte {
	number := func(x *float64) uint64 {
		if x == nil {
			return math.Float64bits(math.NaN())
		}
		return math.Float64bits(*x)
	}
	count := func(n *int64) uint64 {
		if n == nil {
			return math.Float64bits(math.NaN())
		}
		return math.Float64bits(float64(*n))
	}
	for _, bits := range [...]uint64{
		math.Float64bits(o.AgeHours), uint64(o.Impressions), uint64(o.Clicks), math.Float64bits(o.Spend),
		number(o.PipelineValue), number(o.CashRevenue), count(o.Deals), count(o.WonDeals),
	} {
		b = binary.LittleEndian.AppendUint64(b, bits)
	}
	return b
}

// writtenBucket is a bucket to be written.
type writtenBucket struct {
	Bucket            int16
	Version           int64
	Ads, Observations int32
	Packed            []byte
}

// add returns the bucket with new observations of its own ads, which come by rising
// id. An observation that equals its ad's last one is not added.
func (s bucket) add(number int16, added []observation, today uint32) (writtenBucket, error) {
	before, err := records(s.packed)
	if err != nil {
		return writtenBucket{}, err
	}
	before = slices.DeleteFunc(before, func(r record) bool { return r.day+retentionDays < today })
	all := make([]record, 0, len(before)+len(added))
	for _, o := range added {
		at, found := slices.BinarySearchFunc(before, o.AdID, func(r record, id string) int { return strings.Compare(r.id, id) })
		all = append(all, before[:at]...)
		r := record{id: o.AdID}
		if before = before[at:]; found {
			r, before = before[0], before[1:]
		}
		r.day = today
		if last := r.last(1); len(last) == 0 || !last[0].equal(o) {
			r.data = o.append(slices.Clip(r.data))
		}
		all = append(all, r)
	}
	return pack(number, s.version+1, append(all, before...)), nil
}

// pack writes as many ads and observations as there is room for.
func pack(number int16, version int64, all []record) writtenBucket {
	if len(all) > mostPerBucket { // those that no request has named for longest go
		slices.SortStableFunc(all, func(a, b record) int { return cmp.Compare(b.day, a.day) })
		all = all[:mostPerBucket]
		slices.SortFunc(all, func(a, b record) int { return strings.Compare(a.id, b.id) })
	}
	w := writtenBucket{Bucket: number, Version: version, Ads: int32(len(all)), Packed: []byte{0, form}}
	room := min(mostPerAd, max(leastPerAd, bucketRoom/max(1, len(all)))) * obsSize
	for _, r := range all {
		data := r.data[max(0, len(r.data)-room):]
		w.Packed = binary.AppendUvarint(w.Packed, uint64(len(r.id)))
		w.Packed = append(w.Packed, r.id...)
		w.Packed = binary.LittleEndian.AppendUint32(w.Packed, r.day)
		w.Packed = binary.LittleEndian.AppendUint16(w.Packed, uint16(len(data)/obsSize))
		w.Packed = append(w.Packed, data...)
		w.Observations += int32(len(data) / obsSize)
	}
	return w
}
