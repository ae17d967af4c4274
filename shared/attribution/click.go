// Package attribution finds the click that led to a conversion, in three layers:
// what the URL carried, the browser's fingerprint, and its address and agent.
//
// Attribution is a choice of the best of a conversion's clicks under one order,
// so it depends on which clicks there are and not on when each became known.
// Whoever records a click, and whoever attributes a conversion, first calls
// Lock: then of a click and a conversion at the same moment one always sees the
// other.
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

// Click is a click on an ad, as its landing page told of it.
type Click struct {
	ClickID, AdID, CampaignID  string
	ClickedAt                  time.Time
	FBCLID, GCLID              string
	FingerprintHash            string
	IP, UserAgent              string
	DeviceType, LandingPageURL string
	Extra                      map[string]any // utm_* and whatever else was told
	Consent                    *bool          // nil: not said
}

// Keys returns what a conversion of the click may be known by.
func (c Click) Keys() Keys {
	return Keys{
		ClickID: c.ClickID, FBCLID: c.FBCLID, GCLID: c.GCLID,
		FingerprintHash: c.FingerprintHash, IP: c.IP, UserAgent: c.UserAgent,
	}
}

// normalised returns c as it is stored and compared.
func (c Click) normalised() Click {
	k := c.Keys().normalised()
	c.ClickID, c.FBCLID, c.GCLID, c.FingerprintHash = k.ClickID, k.FBCLID, k.GCLID, k.FingerprintHash
	c.IP, c.UserAgent = k.IP, k.UserAgent
	c.ClickedAt = c.ClickedAt.UTC().Truncate(time.Microsecond)
	if c.Consent != nil && !*c.Consent {
		c.IP, c.UserAgent, c.FingerprintHash = "", "", ""
	}
	return c
}

// Keys is what a conversion may be recognised by; what is empty is not known.
type Keys struct {
	ClickID         string // our own id of the click
	FBCLID, GCLID   string
	FingerprintHash string
	IP, UserAgent   string // only both together recognise anything
}

func (k Keys) normalised() Keys {
	ip, _ := NormaliseIP(k.IP)
	return Keys{
		ClickID: strings.TrimSpace(k.ClickID), FBCLID: strings.TrimSpace(k.FBCLID), GCLID: strings.TrimSpace(k.GCLID),
		FingerprintHash: strings.TrimSpace(k.FingerprintHash), IP: ip, UserAgent: NormaliseAgent(k.UserAgent),
	}
}

// NormaliseIP writes an address in its one usual form: IPv6 in short form and
// without zone, an IPv4 address in IPv6 clothes as IPv4. It reports false, and
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
	told := make(map[string]any, len(components))
	for name, value := range components {
		if value != nil && value != "" {
			told[name] = value
		}
	}
	if len(told) == 0 {
		return ""
	}
	canonical, err := json.Marshal(told) // members in order, numbers in one form
	if err != nil {
		return "" // only what JSON cannot hold, which JSON never told
	}
	sum := sha256.Sum256(append([]byte(salt+"\n"), canonical...))
	return hex.EncodeToString(sum[:])
}

// KeyHash returns what is stored of a publishable key.
func KeyHash(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}
