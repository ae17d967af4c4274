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
	LeadID        = "lead_id"
	URLParam      = "url_param"
	Fingerprint   = "fingerprint"
	Probabilistic = "probabilistic"
	Unattributed  = "unattributed"
)

// Lookback is how long before a conversion clicks are recorded: those before the
// window are credited with nothing and show which ads the contact had clicked.
const Lookback = 90 * 24 * time.Hour

// Touch is a click that somebody made before a conversion.
type Touch struct {
	ClickID, AdID, CampaignID string
	ClickedAt                 time.Time
	Method                    string
	Layer                     int // in layers; a smaller one is surer
	Confidence                float64
	Reason                    string
	Eligible                  bool // within its layer's window
	Known                     bool // the ad is one of the tenant's
}

// Result is what a conversion is credited to. Where Method is Unattributed there
// is no click, and the rest but Reason is empty.
type Result struct {
	ClickID, AdID, CampaignID string
	ClickedAt                 time.Time
	Method                    string
	Layer                     int
	Confidence                float64
	WindowHours               float64 // from the click to the conversion
	Reason                    string  // in words
}

// layer is one way to recognise a conversion's click. Earlier layers win.
type layer struct {
	number int // as it is stored; a smaller one is surer
	method string
	window time.Duration
	says   string
	match  func(Keys, Click, owners) bool
}

// compared is the time that the layer compares clicks with.
func (l layer) compared(m ConvertedAt) ConvertedAt {
	if l.method == LeadID {
		return m.ofLead()
	}
	return m
}

func (l layer) reason(hours float64) string {
	if l.method == LeadID {
		return fmt.Sprintf("the contact filled in the ad's lead form %s before", span(hours))
	}
	return fmt.Sprintf("the latest click with %s came %s before the conversion", l.says, span(hours))
}

// owners says which ad a platform's click id belongs to, where one is known that
// was reported with it.
type owners map[platformID]string

type platformID struct{ column, value string }

var layers = []layer{
	{0, LeadID, Lookback, "the same lead", func(k Keys, c Click, _ owners) bool {
		return c.LeadID != "" && (k.LeadID == c.LeadID || same(k.EmailHash, c.EmailHash) || same(k.PhoneHash, c.PhoneHash))
	}},
	{1, URLParam, Window, "the same click id", func(k Keys, c Click, _ owners) bool { return same(k.ClickID, c.ClickID) }},
	{2, URLParam, Window, "the same ad platform's click id", func(k Keys, c Click, o owners) bool {
		for _, p := range platforms {
			id := *p.of(&k.PlatformIDs)
			if !same(id, *p.of(&c.PlatformIDs)) {
				continue
			}
			if owner, owned := o[platformID{p.column, id}]; !owned || owner == c.AdID {
				return true
			}
		}
		return false
	}},
	{3, Fingerprint, Window, "the same browser fingerprint", func(k Keys, c Click, _ owners) bool {
		return same(k.FingerprintHash, c.FingerprintHash)
	}},
	{4, Probabilistic, deviceWindow, "the same address and browser", func(k Keys, c Click, _ owners) bool {
		return same(k.IP, c.IP) && same(k.UserAgent, c.UserAgent)
	}},
}

func same(a, b string) bool { return a != "" && a == b }

// unfilledMacro is why a conversion whose only clicks have no ad is unattributed.
const unfilledMacro = "the link's macro was not filled in: the clicks that match name no ad"

// touches returns the clicks that keys recognise before m, each by its surest
// layer, best first. noAd says whether a click without an ad matches as well.
func touches(keys []Keys, m ConvertedAt, clicks []Click, o owners) (found []Touch, noAd bool) {
	seen := map[string]bool{}
	for _, c := range clicks {
		if seen[c.ClickID] {
			continue
		}
		i := slices.IndexFunc(layers, func(l layer) bool {
			at := l.compared(m)
			return !c.ClickedAt.After(at.Until) && !c.ClickedAt.Before(at.From.Add(-Lookback)) &&
				(l.window >= Window || !c.ClickedAt.Before(at.From.Add(-l.window))) &&
				slices.ContainsFunc(keys, func(k Keys) bool { return l.match(k, c, o) })
		})
		if i < 0 {
			continue
		}
		seen[c.ClickID] = true
		l := layers[i]
		at := l.compared(m)
		eligible := !c.ClickedAt.Before(at.From.Add(-l.window))
		if c.AdID == "" {
			noAd = noAd || eligible
			continue
		}
		hours := max(at.From.Sub(c.ClickedAt).Hours(), 0)
		found = append(found, Touch{
			ClickID: c.ClickID, AdID: c.AdID, CampaignID: c.CampaignID, ClickedAt: c.ClickedAt, Method: l.method, Layer: l.number,
			Confidence: confidence(l.method, hours), Eligible: eligible, Known: c.Known,
			Reason: l.reason(hours),
		})
	}
	slices.SortFunc(found, Touch.compare)
	return found, noAd
}

// compare orders touches, the one to be credited first: eligible ones before
// others, those of known ads before those of unknown ones, then the surer layer,
// then the later click, and of clicks at the same instant the greater id. The
// probabilistic layer's score only falls with the hours, so there too.
func (t Touch) compare(o Touch) int {
	first := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return -1
		}
		return 1
	}
	return cmp.Or(
		first(t.Eligible, o.Eligible), first(t.Known, o.Known), cmp.Compare(t.Layer, o.Layer),
		o.ClickedAt.Compare(t.ClickedAt), strings.Compare(o.ClickID, t.ClickID),
	)
}

// Best returns the touch to be credited under the last-click rule, nil where none
// is eligible.
func Best(all []Touch) *Touch {
	if len(all) == 0 {
		return nil
	}
	best := slices.MinFunc(all, Touch.compare)
	if !best.Eligible {
		return nil
	}
	return &best
}

// credit says what the touches come to.
func credit(keys []Keys, m ConvertedAt, clicks []Click, o owners) Result {
	found, noAd := touches(keys, m, clicks, o)
	best := Best(found)
	switch {
	case best != nil:
		return Result{
			ClickID: best.ClickID, AdID: best.AdID, CampaignID: best.CampaignID, ClickedAt: best.ClickedAt, Method: best.Method, Layer: best.Layer,
			Confidence: best.Confidence, WindowHours: tidy(max(m.From.Sub(best.ClickedAt).Hours(), 0)), Reason: best.Reason,
		}
	case noAd:
		return Result{Method: Unattributed, Reason: unfilledMacro}
	}
	return Result{Method: Unattributed, Reason: unattributed(keys)}
}

// outlasts reports whether a match whose evidence was cleared stands against what
// the clicks that are left come to: only a surer layer replaces it, or a later
// click by the same.
func (r Result) outlasts(now Result) bool {
	if r.Method == Unattributed {
		return false
	}
	return now.Method == Unattributed || now.Layer > r.Layer || now.Layer == r.Layer && !now.ClickedAt.After(r.ClickedAt)
}

// WindowOf returns how long before a conversion a click of the method may lie.
func WindowOf(method string) time.Duration {
	if method == LeadID {
		return Lookback
	}
	return Window
}

// layerOf returns the layer of a stored method, the less sure one where it has two.
func layerOf(method string) int {
	for i := len(layers) - 1; i >= 0; i-- {
		if layers[i].method == method {
			return layers[i].number
		}
	}
	return 0
}

// confidence returns how sure a layer's match is.
func confidence(method string, hours float64) float64 {
	switch method {
	case LeadID, URLParam:
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

// unattributed says what was looked for. It does not mention clicks outside the
// window: they never change a result, not even its words.
func unattributed(keys []Keys) string {
	var sought []string
	add := func(name string, known func(Keys) bool) {
		if slices.ContainsFunc(keys, known) {
			sought = append(sought, name)
		}
	}
	add("lead", Keys.ofLead)
	add("click id", func(k Keys) bool { return k.ClickID != "" })
	for _, p := range platforms {
		add(p.column, func(k Keys) bool { return *p.of(&k.PlatformIDs) != "" })
	}
	add("fingerprint", func(k Keys) bool { return k.FingerprintHash != "" })
	add("address and browser (within 24 hours)", func(k Keys) bool { return k.IP != "" && k.UserAgent != "" })
	if len(sought) == 0 {
		return "nothing is known that a click could be recognised by: no click id, fingerprint, or address with user agent"
	}
	return "no click in the 7 days before the conversion has the same " + strings.Join(sought, " or ")
}
