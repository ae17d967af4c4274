package clicks

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// FuzzBeacon: whatever a page sends is a click that can be stored, or is refused by
// what it breaks.
func FuzzBeacon(f *testing.F) {
	f.Add("application/json", `{"tenant_id":"t","ad_id":"a","campaign_id":"c","fbclid":"x","consent":1,"clicked_at":"2026-11-30T09:00:00Z"}`, false)
	f.Add("text/plain;charset=UTF-8", `{"tenant_id":"t","ad_id":"{{ad.id}}","campaign_id":"c","fbc":"fb.1.1700000000000.X","timestamp":1764493200}`, true)
	f.Add("", `{"tenant_id":"t","ad_id":"a","campaign_id":"c","ip_address":"[::1]:80","fingerprint_components":{"a":[1e999]}}`, true)
	now := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, kind, text string, server bool) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
		r.Header.Set("Content-Type", kind)
		body, err := readBody(httptest.NewRecorder(), r, maxBody)
		if err != nil {
			refused(t, err)
			return
		}
		p, err := parseBeacon(body, sender{ip: "203.0.113.7", agent: "x", server: server}, now)
		if err != nil {
			refused(t, err)
			return
		}
		c := p.click
		for name, value := range map[string]string{
			"ad_id": c.AdID, "campaign_id": c.CampaignID, "click_id": c.ClickID, "fbclid": c.FBCLID, "gclid": c.GCLID, "gbraid": c.GBRAID,
			"wbraid": c.WBRAID, "ttclid": c.TTCLID, "ip": c.IP, "agent": c.UserAgent, "device": c.DeviceType, "page": c.LandingPageURL,
			"fingerprint": c.FingerprintHash, "fbp": c.FBP,
		} {
			if strings.ContainsRune(value, 0) || !utf8.ValidString(value) || len(value) > 5*4096 {
				t.Errorf("%s cannot be stored: %q", name, value)
			}
		}
		if c.ClickID == "" || c.ClickedAt.After(now) || now.Sub(c.ClickedAt) > maxAge {
			t.Errorf("click %q at %v", c.ClickID, c.ClickedAt)
		}
	})
}

// refused demands an answer that is the caller's to mend.
func refused(t *testing.T, err error) {
	t.Helper()
	var status interface{ GetStatus() int }
	if errors.As(err, &status) && status.GetStatus()/100 == 4 || fault.Of(err) == fault.Invalid {
		return
	}
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return
	}
	t.Fatalf("an unexpected error: %v", err)
}
