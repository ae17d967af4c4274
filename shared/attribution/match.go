package attribution

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Window is how long before a conversion a click may lie. It is closed: a click
// exactly seven days old still counts, as does one at the conversion's own moment.
const Window = 7 * 24 * time.Hour

// deviceWindow is how long an address and an agent mean the same person; closed too.
const deviceWindow = 24 * time.Hour

// The methods, by which layer found the click.
const (
	URLParam      = "url_param"
	Fingerprint   = "fingerprint"
	Probabilistic = "probabilistic"
	Unattributed  = "unattributed"
)

// Result is what a conversion is credited to. Where Method is Unattributed there
// is no click, and the rest but Reason is empty.
type Result struct {
	ClickID, AdID, CampaignID string
	Method                    string
	Confidence                float64
	WindowHours               float64 // from the click to the conversion
	Reason                    string  // in words
}

// Moment is when a conversion happened, as exactly as somebody said it.
type Moment struct {
	From  time.Time // as it was said
	Until time.Time // the last instant that it may mean
}

// At returns the moment of an exact time.
func At(t time.Time) Moment {
	t = t.UTC().Truncate(time.Microsecond)
	return Moment{t, t}
}

// ParseMoment reads an RFC 3339 time. One written in whole seconds lasts a
// second, one with three decimals a millisecond: otherwise a click half a second
// before its conversion would seem to come after it.
func ParseMoment(text string) (Moment, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return Moment{}, err
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
	return Moment{m.From, m.From.Add(length - time.Microsecond)}, nil
}

// layer is one way to recognise a conversion's click. Earlier layers win.
type layer struct {
	method string
	window time.Duration
	says   string
	match  func(Keys, Click) bool
}

var layers = []layer{
	{URLParam, Window, "the same click id", func(k Keys, c Click) bool { return same(k.ClickID, c.ClickID) }},
	{URLParam, Window, "the same ad platform's click id", func(k Keys, c Click) bool {
		return same(k.FBCLID, c.FBCLID) || same(k.GCLID, c.GCLID)
	}},
	{Fingerprint, Window, "the same browser fingerprint", func(k Keys, c Click) bool {
		return same(k.FingerprintHash, c.FingerprintHash)
	}},
	{Probabilistic, deviceWindow, "the same address and browser", func(k Keys, c Click) bool {
		return same(k.IP, c.IP) && same(k.UserAgent, c.UserAgent)
	}},
}

func same(a, b string) bool { return a != "" && a == b }

// choose returns the click of clicks that a conversion at m is credited to, and
// the layer that found it; nil where there is none. Within a layer the latest
// click wins, and of clicks at the same instant the one with the greatest id.
// The probabilistic layer's score only falls with the hours, so there too.
func choose(keys []Keys, m Moment, clicks []Click) (*Click, layer) {
	for _, l := range layers {
		var best *Click
		for i, c := range clicks {
			if c.ClickedAt.After(m.Until) || c.ClickedAt.Before(m.From.Add(-l.window)) {
				continue
			}
			if !slices.ContainsFunc(keys, func(k Keys) bool { return l.match(k, c) }) {
				continue
			}
			if best == nil || later(c, *best) > 0 {
				best = &clicks[i]
			}
		}
		if best != nil {
			return best, l
		}
	}
	return nil, layer{}
}

func later(a, b Click) int {
	return cmp.Or(a.ClickedAt.Compare(b.ClickedAt), strings.Compare(a.ClickID, b.ClickID))
}

// credit says what choose found.
func credit(keys []Keys, m Moment, clicks []Click) Result {
	c, l := choose(keys, m, clicks)
	if c == nil {
		return Result{Method: Unattributed, Reason: unattributed(keys)}
	}
	hours := max(m.From.Sub(c.ClickedAt).Hours(), 0)
	return Result{
		ClickID: c.ClickID, AdID: c.AdID, CampaignID: c.CampaignID,
		Method: l.method, Confidence: confidence(l.method, hours), WindowHours: tidy(hours),
		Reason: fmt.Sprintf("the latest click with %s came %s before the conversion", l.says, span(hours)),
	}
}

// confidence returns how sure a layer's match is.
func confidence(method string, hours float64) float64 {
	switch method {
	case URLParam:
		return 1
	case Fingerprint:
		return 0.9
	default:
		return tidy(min(0.7, score(hours)-0.2))
	}
}

// score ranks the probabilistic layer's candidates: 0.5 for the address, 0.3 for
// the agent, and up to 0.2 for how recent the click was.
func score(hours float64) float64 { return 0.5 + 0.3 + 0.2*(1-hours/24) }

// tidy takes float64's noise off: 0.65, not 0.6499999999999999.
func tidy(x float64) float64 { return math.Round(x*1e9) / 1e9 }

func span(hours float64) string {
	switch {
	case hours < 1:
		return fmt.Sprintf("%.0f minutes", math.Floor(hours*60))
	case hours < 48:
		return fmt.Sprintf("%.1f hours", hours)
	default:
		return fmt.Sprintf("%.1f days", hours/24)
	}
}

// unattributed says what was looked for. It says nothing of clicks outside the
// window: they never change a result, not even its words.
func unattributed(keys []Keys) string {
	var sought []string
	add := func(name string, known func(Keys) bool) {
		if slices.ContainsFunc(keys, known) {
			sought = append(sought, name)
		}
	}
	add("click id", func(k Keys) bool { return k.ClickID != "" })
	add("fbclid", func(k Keys) bool { return k.FBCLID != "" })
	add("gclid", func(k Keys) bool { return k.GCLID != "" })
	add("fingerprint", func(k Keys) bool { return k.FingerprintHash != "" })
	add("address and browser (within 24 hours)", func(k Keys) bool { return k.IP != "" && k.UserAgent != "" })
	if len(sought) == 0 {
		return "nothing is known that a click could be recognised by: no click id, fbclid, gclid, fingerprint, or address with user agent"
	}
	return "no click in the 7 days before the conversion has the same " + strings.Join(sought, " or ")
}
