package sim

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Click is a visit that a landing page reported.
type Click struct {
	ID, AdID, CampaignID string
	At                   time.Time
	FBCLID               string
	IP, UserAgent        string
	Device               string
	URL                  string
	UTM                  map[string]string
	// Fingerprint is empty where the visitor did not agree to it.
	Fingerprint map[string]any
	Consent     bool

	ad   int  // in World.Ads
	lead bool // this visitor left a name
}

type device struct{ agent, kind, screen string }

var devices = []device{
	{"Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/530.0]", "mobile", "390x844"},
	{"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/530.0]", "mobile", "412x915"},
	{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1", "mobile", "430x932"},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36", "desktop", "1920x1080"},
	{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15", "desktop", "1512x982"},
}

// visit invents the clicks on an ad that landing pages saw: a sample of all, and
// everyone who became a lead.
func (w *World) visit(c Config, n int) {
	ad := &w.Ads[n]
	r := stream(c.Seed, "clicks", n)
	leads := c.Business.Leads * ad.DNA.effect().leads * around(r, 0.2)
	for _, day := range ad.Days {
		seen := min(poisson(r, c.Business.Seen*float64(day.Clicks)), day.Clicks)
		asked := min(poisson(r, leads*float64(day.Clicks)), seen)
		for i := range seen {
			click := newClick(r, c, ad, day)
			click.ad, click.lead = n, i < asked
			w.Clicks = append(w.Clicks, click)
		}
	}
}

func newClick(r *rand.Rand, c Config, ad *Ad, day Day) Click {
	d := pick(r, devices)
	click := Click{
		ID: "clk_" + letters(r, 20), AdID: ad.ID, CampaignID: ad.CampaignID, At: moment(r, day.Date),
		FBCLID: "IwZXh0bgNhZW0" + letters(r, 48), IP: address(r), UserAgent: d.agent, Device: d.kind,
		UTM:     map[string]string{"utm_source": "facebook", "utm_medium": "paid_social", "utm_campaign": ad.CampaignID, "utm_content": ad.ID},
		Consent: chance(r, 0.9),
	}
	click.URL = c.Business.Site + "/" + ad.DNA.CTAType + "?ad_id=" + ad.ID + "&fbclid=" + click.FBCLID
	print := map[string]any{"screen": d.screen, "time_zone": c.Zone.String(), "language": "en", "canvas": letters(r, 16)}
	if click.Consent {
		click.Fingerprint = print
	}
	return click
}

// moment is a time of that day; people scroll in the evening.
func moment(r *rand.Rand, day time.Time) time.Time {
	hour := 7 + 16*(r.Float64()+r.Float64())/2
	if chance(r, 0.4) {
		hour = 18 + 5*r.Float64()
	}
	return day.Add(hours(hour)).UTC().Truncate(time.Millisecond)
}

// address is one of the networks that are kept for tests, so nobody's.
func address(r *rand.Rand) string {
	if chance(r, 0.3) {
		return fmt.Sprintf("2001:db8:%x:%x::%x", r.IntN(1<<16), r.IntN(1<<16), 1+r.IntN(1<<16-1))
	}
	return fmt.Sprintf("198.%d.%d.%d", 18+r.IntN(2), r.IntN(256), 1+r.IntN(254))
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func letters(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}
