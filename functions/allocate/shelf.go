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

// A tenant's memory of what requests told is bounded: each ad stands on one of
// its shelves, with its latest observations, fewer where a shelf holds many ads.
const (
	shelves = 256
	// room is how many observations a shelf has for its ads, in equal parts, but
	// no ad gets more than a request can use or fewer than a large one needs.
	room      = 320
	mostKept  = deepest + 1
	leastKept = shallowest + 1
	// mostOnShelf bounds the ads of a shelf, and daysKept how long one stays that is
	// not told of any more.
	mostOnShelf = 400
	daysKept    = 400
)

// shelfOf returns the shelf of an ad.
func shelfOf(id string) int16 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	sum := h.Sum32()
	return int16((sum ^ sum>>8 ^ sum>>16 ^ sum>>24) % shelves)
}

// shelf is one shelf as it was read: empty, of version 0, where there is none.
type shelf struct {
	version int64
	seen    []byte
}

// record is an ad's place on a shelf. Its bytes are the shelf's.
type record struct {
	id   string
	day  uint32 // on which it was last told of, since 1970
	told []byte // observations of size each, in the order of arrival
}

// size is an observation's bytes: age, impressions, clicks, spend, pipeline value
// and cash revenue, which is not a number where it was not told.
const size = 6 * 8

var errShelf = errors.New("its bytes are not those of a shelf")

// records returns a shelf's ads by rising id.
func records(seen []byte) ([]record, error) {
	var all []record
	for len(seen) > 0 {
		n, width := binary.Uvarint(seen)
		if width <= 0 || n > uint64(len(seen)-width) {
			return nil, errShelf
		}
		r := record{id: string(seen[width : width+int(n)])}
		seen = seen[width+int(n):]
		if len(seen) < 6 {
			return nil, errShelf
		}
		r.day = binary.LittleEndian.Uint32(seen)
		told := int(binary.LittleEndian.Uint16(seen[4:])) * size
		if seen = seen[6:]; len(seen) < told {
			return nil, errShelf
		}
		r.told, seen = seen[:told], seen[told:]
		all = append(all, r)
	}
	return all, nil
}

// last returns up to n of the latest observations, in the order of arrival.
func (r record) last(n int) []observation {
	told := r.told[max(0, len(r.told)-n*size):]
	all := make([]observation, len(told)/size)
	for i := range all {
		all[i] = decode(r.id, told[i*size:])
	}
	return all
}

func decode(id string, b []byte) observation {
	number := func(i int) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])) }
	o := observation{
		AdID: id, AgeHours: number(0), Impressions: int64(binary.LittleEndian.Uint64(b[8:])), Clicks: int64(binary.LittleEndian.Uint64(b[16:])),
		Spend: number(3), PipelineValue: number(4),
	}
	if cash := number(5); !math.IsNaN(cash) {
		o.CashRevenue = &cash
	}
	return o
}

func (o observation) append(b []byte) []byte {
	cash := math.NaN()
	if o.CashRevenue != nil {
		cash = *o.CashRevenue
	}
	for _, bits := range [...]uint64{
		math.Float64bits(o.AgeHours), uint64(o.Impressions), uint64(o.Clicks),
		math.Float64bits(o.Spend), math.Float64bits(o.PipelineValue), math.Float64bits(cash),
	} {
		b = binary.LittleEndian.AppendUint64(b, bits)
	}
	return b
}

// tidied is a shelf to be written.
type tidied struct {
	Shelf             int16
	Version           int64
	Ads, Observations int32
	Seen              []byte
}

// put returns the shelf with news on it, which are of its own ads, by rising id.
// An ad that says again what it said last says nothing.
func (s shelf) put(number int16, news []observation, today uint32) (tidied, error) {
	before, err := records(s.seen)
	if err != nil {
		return tidied{}, err
	}
	before = slices.DeleteFunc(before, func(r record) bool { return r.day+daysKept < today })
	all := make([]record, 0, len(before)+len(news))
	for _, o := range news {
		at, found := slices.BinarySearchFunc(before, o.AdID, func(r record, id string) int { return strings.Compare(r.id, id) })
		all = append(all, before[:at]...)
		r := record{id: o.AdID}
		if before = before[at:]; found {
			r, before = before[0], before[1:]
		}
		r.day = today
		if last := r.last(1); len(last) == 0 || !last[0].equal(o) {
			r.told = o.append(slices.Clip(r.told))
		}
		all = append(all, r)
	}
	return tidy(number, s.version+1, append(all, before...)), nil
}

// tidy keeps of the ads and of their observations what there is room for.
func tidy(number int16, version int64, all []record) tidied {
	if len(all) > mostOnShelf { // those that have been silent for longest go
		slices.SortStableFunc(all, func(a, b record) int { return cmp.Compare(b.day, a.day) })
		all = all[:mostOnShelf]
		slices.SortFunc(all, func(a, b record) int { return strings.Compare(a.id, b.id) })
	}
	t := tidied{Shelf: number, Version: version, Ads: int32(len(all))}
	kept := min(mostKept, max(leastKept, room/max(1, len(all)))) * size
	for _, r := range all {
		told := r.told[max(0, len(r.told)-kept):]
		t.Seen = binary.AppendUvarint(t.Seen, uint64(len(r.id)))
		t.Seen = append(t.Seen, r.id...)
		t.Seen = binary.LittleEndian.AppendUint32(t.Seen, r.day)
		t.Seen = binary.LittleEndian.AppendUint16(t.Seen, uint16(len(told)/size))
		t.Seen = append(t.Seen, told...)
		t.Observations += int32(len(told) / size)
	}
	return t
}
