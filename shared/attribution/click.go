// Package attribution finds the click that led to a conversion, in four layers: the
// lead form that Meta knows the ad of, what the URL carried, the browser's
// fingerprint, and its address and agent. A lead is stored as a click whose LeadID
// is set.
//
// Attribution chooses the best of a conversion's clicks under one order, so it
// depends on which clicks there are and not on when each became known, with one
// exception: an ad platform's click id belongs to the first known ad that was
// reported with it. Whoever records a click, and whoever attributes a conversion,
// first calls Lock: of a click and a conversion at the same time one always sees
// the other.
//
// A click of an ad that nobody knows wins only where no known one matches, and a
// click without an ad never wins. A match whose evidence retention or an erasure
// has cleared stands until a surer or later click replaces it
// (TestAMatchOutlivesWhatItWasFoundBy).
package attribution

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"
)

// Click is a click on an ad, as its landing page or the tenant's server reports it.
type Click struct {
	ClickID, AdID, CampaignID string // AdID is empty where the link's macro was not filled in
	ClickedAt                 time.Time
	PlatformIDs
	LeadKeys
	FingerprintHash            string
	IP, UserAgent              string
	FBP                        string // Meta's browser id; it matches nothing
	DeviceType, LandingPageURL string
	Extra                      map[string]any // utm_* and further members of the beacon
	Consent                    *bool          // nil: not asked
	ClaimedAt                  *time.Time     // when a page says that it was; it decides nothing

	Known bool // the ad is one of the tenant's; read with the click
}

// PlatformIDs are the ids that ad platforms put into a link.
type PlatformIDs struct{ FBCLID, GCLID, GBRAID, WBRAID, TTCLID string }

// LeadKeys are what a lead is recognised by: its id, and HMACs of the e-mail address
// and the phone number that its form was filled in with.
type LeadKeys struct{ LeadID, EmailHash, PhoneHash string }

// leads names the keys as their columns are.
var leads = []struct {
	column string
	of     func(*LeadKeys) *string
}{
	{"lead_id", func(l *LeadKeys) *string { return &l.LeadID }},
	{"email_hash", func(l *LeadKeys) *string { return &l.EmailHash }},
	{"phone_hash", func(l *LeadKeys) *string { return &l.PhoneHash }},
}

// platforms names the ids as their columns are.
var platforms = []struct {
	column string
	of     func(*PlatformIDs) *string
}{
	{"fbclid", func(p *PlatformIDs) *string { return &p.FBCLID }},
	{"gclid", func(p *PlatformIDs) *string { return &p.GCLID }},
	{"gbraid", func(p *PlatformIDs) *string { return &p.GBRAID }},
	{"wbraid", func(p *PlatformIDs) *string { return &p.WBRAID }},
	{"ttclid", func(p *PlatformIDs) *string { return &p.TTCLID }},
}

// Keys returns what a conversion of the click may be known by.
func (c Click) Keys() Keys {
	return Keys{
		ClickID: c.ClickID, PlatformIDs: c.PlatformIDs, LeadKeys: c.LeadKeys, FingerprintHash: c.FingerprintHash, IP: c.IP,
		UserAgent: c.UserAgent,
	}
}

// normalised returns c as it is stored and compared.
func (c Click) normalised() Click {
	k := c.Keys().normalised()
	c.ClickID, c.PlatformIDs, c.LeadKeys, c.FingerprintHash = k.ClickID, k.PlatformIDs, k.LeadKeys, k.FingerprintHash
	c.IP, c.UserAgent = k.IP, k.UserAgent
	c.ClickedAt = c.ClickedAt.UTC().Truncate(time.Microsecond)
	if c.Consent != nil && !*c.Consent {
		c.IP, c.UserAgent, c.FingerprintHash, c.FBP = "", "", "", ""
	}
	return c
}

// Keys is what a conversion may be recognised by; what is empty is not known.
type Keys struct {
	ClickID string // our own id of the click
	PlatformIDs
	LeadKeys
	FingerprintHash string
	IP, UserAgent   string // only both together recognise anything
}

func (k Keys) normalised() Keys {
	ip, _ := NormaliseIP(k.IP)
	n := Keys{
		ClickID: strings.TrimSpace(k.ClickID), PlatformIDs: k.PlatformIDs, LeadKeys: k.LeadKeys,
		FingerprintHash: strings.TrimSpace(k.FingerprintHash), IP: ip, UserAgent: NormaliseAgent(k.UserAgent),
	}
	for _, p := range platforms {
		id := p.of(&n.PlatformIDs)
		*id = strings.TrimSpace(*id)
	}
	n.FBCLID, n.LeadID = FBCLIDOf(n.FBCLID), LeadIDOf(n.LeadID)
	return n
}

// KeyOf returns the keys that hold one value, by the name of its column; false
// where there is no such key.
func KeyOf(kind, value string) (k Keys, ok bool) {
	switch kind {
	case "click_id":
		k.ClickID = value
		return k, true
	case "fingerprint":
		k.FingerprintHash = value
		return k, true
	}
	for _, p := range platforms {
		if p.column == kind {
			*p.of(&k.PlatformIDs) = value
			return k, true
		}
	}
	for _, l := range leads {
		if l.column == kind {
			*l.of(&k.LeadKeys) = value
			return k, true
		}
	}
	return k, false
}

// ofLead reports whether the keys hold one that a lead is recognised by.
func (k Keys) ofLead() bool { return k.LeadKeys != LeadKeys{} }

// LeadIDOf returns a lead's id as Meta's API writes it: exports and CRMs put l: before it.
func LeadIDOf(value string) string {
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(value), "l:"))
}

// LeadClick returns the id of the click that stands for a lead.
func LeadClick(lead string) string { return leadPrefix + lead }

const leadPrefix = "lead-"

// ParseFBC returns the click id of Meta's cookie _fbc: fb.1.<ms>.X is of X.
func ParseFBC(cookie string) (fbclid string, ok bool) {
	parts := strings.SplitN(strings.TrimSpace(cookie), ".", 4)
	if len(parts) != 4 || parts[0] != "fb" || parts[3] == "" || !digits(parts[1]) || !digits(parts[2]) {
		return "", false
	}
	return parts[3], true
}

// FBCLIDOf returns the click id of a value that may be one, or a cookie _fbc: some
// forms store the cookie where the id belongs.
func FBCLIDOf(value string) string {
	if id, ok := ParseFBC(value); ok {
		return id
	}
	return value
}

func digits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// NormaliseIP writes an address in its one usual form: IPv6 in short form and
// without zone, an IPv4 address that is written as IPv6 as IPv4. It reports false, and
// returns "", for what is no address.
func NormaliseIP(text string) (string, bool) {
	addr, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil {
		return "", false
	}
	return addr.Unmap().WithZone("").String(), true
}

// maxAgent is longer than any browser's name for itself.
const maxAgent = 1024

// NormaliseAgent trims a user agent, cuts what is longer than 1,024 bytes and
// drops what is not text: a header may hold any bytes.
func NormaliseAgent(agent string) string {
	agent = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return -1
		}
		return r
	}, agent))
	if len(agent) <= maxAgent {
		return agent
	}
	cut := maxAgent
	for !utf8.RuneStart(agent[cut]) {
		cut--
	}
	return strings.TrimSpace(agent[:cut])
}

// FingerprintHash returns the SHA-256 of a browser's components as canonical
// JSON, salted so that two tenants' hashes of one browser differ. Components
// without a value count as absent; without any component there is no hash, since
// it would make strangers one person.
func FingerprintHash(components map[string]any, salt string) string {
	given := make(map[string]any, len(components))
	for name, value := range components {
		if value != nil && value != "" {
			given[name] = value
		}
	}
	if len(given) == 0 {
		return ""
	}
	canonical, err := json.Marshal(given) // members in order, numbers in one form
	if err != nil {
		return "" // only what JSON cannot hold, and it came as JSON
	}
	sum := sha256.Sum256(append([]byte(salt+"\n"), canonical...))
	return hex.EncodeToString(sum[:])
}

// KeyHash returns what is stored of a publishable or server key.
func KeyHash(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}
