package hubspot

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// object is a CRM record in the v3 form.
type object struct {
	ID         number     `json:"id"`
	Properties properties `json:"properties"`
	// Past holds the history of the properties that were asked for with it.
	Past map[string][]struct {
		Value text `json:"value"`
	} `json:"propertiesWithHistory"`
	CreatedAt timestamp `json:"createdAt"`
	UpdatedAt timestamp `json:"updatedAt"`
}

// ever returns every value that the property has or had, sorted.
func (o object) ever(name string) []string {
	values := []string{o.Properties.get(name)}
	for _, past := range o.Past[name] {
		values = append(values, string(past.Value))
	}
	values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
	slices.Sort(values)
	return slices.Compact(values)
}

// properties are a record's values, all of them strings or null.
type properties map[string]text

func (p properties) get(name string) string { return string(p[name]) }

func (p properties) time(name string) time.Time { return parseTime(p.get(name)) }

// mergedIDs are the records that were merged into this one, which HubSpot writes as
// "12;34".
func (p properties) mergedIDs() []int64 {
	var ids []int64
	for part := range strings.SplitSeq(p.get("hs_merged_object_ids"), ";") {
		if id, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64); err == nil && id > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// timestamp is a time as an answer writes it.
type timestamp time.Time

func (t *timestamp) UnmarshalJSON(raw []byte) error {
	*t = timestamp(parseTime(strings.Trim(string(raw), `"`)))
	return nil
}

// parseTime reads the forms that HubSpot uses: RFC 3339, milliseconds since
// 1970, and a plain date. What is none of them is the zero time.
func parseTime(s string) time.Time {
	s = strings.TrimSpace(s)
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC()
	}
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil && ms > 0 && ms <= maxMillis {
		return time.UnixMilli(ms).UTC()
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t.UTC()
	}
	return time.Time{}
}

// probability reads "0".."1". Some portals hold percents; what is neither is nil.
func probability(s string) *float64 {
	p, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || math.IsNaN(p) || p < 0 || p > 100 {
		return nil
	}
	if p > 1 {
		p /= 100
	}
	return &p
}
