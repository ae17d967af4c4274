package attribution

import "time"

// ConvertedAt is when a conversion happened, as exactly as somebody said it.
type ConvertedAt struct {
	From  time.Time // as it was said
	Until time.Time // the last instant that it may mean
	// Lead, where it is later, is until when a lead form counts: a contact who has
	// converted before may fill one in, and the deal comes after it.
	Lead time.Time
}

// ofLead is the time that leads are compared with.
func (m ConvertedAt) ofLead() ConvertedAt {
	if !m.Lead.After(m.Until) {
		return m
	}
	return ConvertedAt{From: m.Lead, Until: m.Lead}
}

// At returns the ConvertedAt of an exact time.
func At(t time.Time) ConvertedAt {
	t = t.UTC().Truncate(time.Microsecond)
	return ConvertedAt{From: t, Until: t}
}

// ParseConvertedAt reads an RFC 3339 time. One written in whole seconds lasts a
// second, one with three decimals a millisecond: otherwise a click half a second
// before its conversion would seem to come after it.
func ParseConvertedAt(text string) (ConvertedAt, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return ConvertedAt{}, err
	}
	length := time.Second
	if len(text) > 19 && (text[19] == '.' || text[19] == ',') {
		for _, r := range text[20:] {
			if r < '0' || r > '9' || length == time.Microsecond {
				break
			}
			length /= 10
		}
	}
	m := At(t)
	return ConvertedAt{From: m.From, Until: m.From.Add(length - time.Microsecond)}, nil
}
