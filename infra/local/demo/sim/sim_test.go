package sim

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/geminivideo/geminivideo/infra/testkit/simulation"
	"github.com/geminivideo/geminivideo/shared/adreport"
	"github.com/geminivideo/geminivideo/shared/money"
)

var chicago = func() *time.Location {
	zone, err := time.LoadLocation("America/Chicago")
	if err != nil {
		panic(err)
	}
	return zone
}()

func gym(seed uint64) Config {
	return Config{Seed: seed, Now: time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC), Zone: chicago, Currency: "USD", Business: Gym}
}

func TestTheSameConfigGivesTheSameWorld(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(New(gym(7)), New(gym(7)), cmp.AllowUnexported(Click{})); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(New(gym(7)).Ads[0].Days, New(gym(8)).Ads[0].Days) {
		t.Error("another seed gave the same days")
	}
}

// anyConfig draws a configuration of a world.
func anyConfig(t *rapid.T) Config {
	zones := []string{"America/Chicago", "Europe/Berlin", "Etc/UTC", "Pacific/Auckland"}
	zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Seed: rapid.Uint64().Draw(t, "seed"), Zone: zone,
		Now:      time.UnixMilli(rapid.Int64Range(1_700_000_000_000, 2_000_000_000_000).Draw(t, "now")),
		Currency: money.Currency(rapid.SampledFrom([]string{"USD", "EUR", "JPY", "KWD"}).Draw(t, "currency")),
		Business: rapid.SampledFrom([]Business{Gym, Dental}).Draw(t, "business"),
	}
}

func TestEveryWorldIsPossible(t *testing.T) {
	simulation.Test(t)
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := anyConfig(t)
		w := New(c)
		today := Midnight(c.Now, c.Zone, 0)
		ids := map[string]bool{}
		for _, ad := range w.Ads {
			if ids[ad.ID] || len(ad.Days) == 0 || len(ad.Days) > Days || ad.DailyBudget <= 0 {
				t.Fatalf("ad %s: twice, or %d days, or budget %d", ad.ID, len(ad.Days), ad.DailyBudget)
			}
			ids[ad.ID] = true
			last := ad.Days[len(ad.Days)-1].Date
			if !last.Before(today) || ad.Active && !last.Equal(Midnight(c.Now, c.Zone, -1)) {
				t.Fatalf("ad %s: active %t and its last day is %s", ad.ID, ad.Active, last)
			}
			for _, d := range ad.Days {
				if d.Clicks > d.Impressions || d.Reach > d.Impressions || d.Spend < 0 || d.Clicks < 0 {
					t.Fatalf("ad %s on %s: %+v", ad.ID, d.Date, d)
				}
				if d.Impressions > 0 && math.Abs(float64(d.Impressions)/float64(d.Reach)/d.Frequency-1) > 0.02 {
					t.Fatalf("ad %s on %s: frequency %f of %d impressions and %d people", ad.ID, d.Date, d.Frequency, d.Impressions, d.Reach)
				}
			}
		}
		for i, click := range w.Clicks {
			if i > 0 && click.At.Before(w.Clicks[i-1].At) || !click.At.Before(today) || !ids[click.AdID] || click.Consent == (click.Fingerprint == nil) {
				t.Fatalf("click %d: %+v", i, click)
			}
		}
		for i, d := range w.Deals {
			contact := w.Contacts[d.Contact]
			if contact.Click >= 0 && contact.ConvertedAt.Before(w.Clicks[contact.Click].At) {
				t.Fatalf("deal %d: its contact converted before the click", i)
			}
			at := contact.ConvertedAt
			for _, m := range d.Moves {
				if m.At.Before(at) || m.At.After(c.Now) {
					t.Fatalf("deal %d: %s at %s, after %s and up to %s expected", i, m.Stage, m.At, at, c.Now)
				}
				at = m.At
			}
			if units, err := strconv.ParseFloat(d.Amount, 64); d.Stage() == Won && (err != nil || units <= 0) {
				t.Fatalf("deal %d is won for %q", i, d.Amount)
			}
		}
	})
}

func TestTheGymIsAnAccountWorthLookingAt(t *testing.T) {
	t.Parallel()
	w := New(gym(1))
	if len(w.Campaigns) != 5 || len(w.Ads) != 60 || len(w.Clicks) < 2000 || len(w.Clicks) > 6000 || len(w.Deals) < 150 || len(w.Deals) > 500 {
		t.Errorf("%d campaigns, %d ads, %d clicks, %d deals", len(w.Campaigns), len(w.Ads), len(w.Clicks), len(w.Deals))
	}
	count := map[string]int{}
	for _, d := range w.Deals {
		count[string(d.Stage())]++
		if d.Currency != "USD" {
			count["foreign"]++
		}
		if d.MergedInto >= 0 {
			count["merged"]++
		}
		if d.Deleted {
			count["deleted"]++
		}
		if w.Contacts[d.Contact].KnownBy == KnownNot {
			count["unknown"]++
		}
	}
	for _, ad := range w.Ads {
		if ad.Tiring {
			count["tiring"]++
		}
		if !ad.Active {
			count["paused"]++
		}
		if ad.Days[len(ad.Days)-1].Impressions == 0 {
			count["unspent"]++
		}
	}
	for _, what := range []string{
		string(Lead), string(Appointment), string(ShowUp), string(Won), string(Lost),
		"foreign", "merged", "deleted", "unknown", "tiring", "paused",
	} {
		if count[what] == 0 {
			t.Errorf("there is no %s: %v", what, count)
		}
	}
}

func TestCreativesTrulyDecide(t *testing.T) {
	t.Parallel()
	type sum struct{ impressions, clicks, leads, moved float64 }
	by := map[string]*sum{}
	for _, hook := range hookTypes {
		by[hook] = &sum{}
	}
	for seed := range uint64(8) { // one account alone is luck
		w := New(gym(seed))
		for _, ad := range w.Ads {
			for _, d := range ad.Days {
				by[ad.DNA.HookType].impressions += float64(d.Impressions)
				by[ad.DNA.HookType].clicks += float64(d.Clicks)
			}
		}
		for _, d := range w.Deals {
			if click := w.Contacts[d.Contact].Click; click >= 0 {
				s := by[w.Ads[w.Clicks[click].ad].DNA.HookType]
				s.leads++
				if len(d.Moves) > 1 && d.Moves[1].Stage == Appointment {
					s.moved++
				}
			}
		}
	}
	bait, honest := by["clickbait"], by["testimonial"]
	if bait.clicks/bait.impressions < 1.5*honest.clicks/honest.impressions {
		t.Errorf("clickbait gets %.4f clicks per impression, testimonials %.4f", bait.clicks/bait.impressions, honest.clicks/honest.impressions)
	}
	if bait.moved/bait.leads > 0.6*honest.moved/honest.leads {
		t.Errorf("%.2f of clickbait's leads move on, %.2f of testimonials'", bait.moved/bait.leads, honest.moved/honest.leads)
	}
}

func TestTiringAdsLoseTheirPublicAndOthersDoNot(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		for _, ad := range New(gym(seed)).Ads {
			if len(ad.Days) < Days {
				continue
			}
			first, last := rate(ad.Days[:5]), rate(ad.Days[Days-5:])
			if ad.Tiring && (last > 0.6*first || ad.Days[Days-1].Frequency < 3.2) {
				t.Errorf("seed %d, tiring ad %s: click rate from %.4f to %.4f, frequency %.2f", seed, ad.ID, first, last, ad.Days[Days-1].Frequency)
			}
			if !ad.Tiring && last < 0.4*first {
				t.Errorf("seed %d, ad %s: click rate from %.4f to %.4f", seed, ad.ID, first, last)
			}
		}
	}
}

func rate(days []Day) float64 {
	var impressions, clicks float64
	for _, d := range days {
		impressions += float64(d.Impressions)
		clicks += float64(d.Clicks)
	}
	return clicks / impressions
}

func TestTheImportReadsEveryRowOfTheCSV(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{gym(1), {Seed: 2, Now: gym(1).Now, Zone: chicago, Currency: "JPY", Business: Dental}} {
		w := New(c)
		var file bytes.Buffer
		if err := w.WriteCSV(&file, c.Currency); err != nil {
			t.Fatal(err)
		}
		r, err := adreport.Open(&file)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Start(adreport.Terms{Account: "1", Currency: c.Currency, Now: c.Now}); err != nil {
			t.Fatal(err)
		}
		if ignored := r.Ignored(); len(ignored) > 0 {
			t.Errorf("columns %v are ignored", ignored)
		}
		for _, ad := range w.Ads {
			for _, d := range ad.Days {
				row, err := r.Next()
				if err != nil {
					t.Fatal(err)
				}
				if row.AdID != ad.ID || row.Impressions != d.Impressions || row.Clicks != d.Clicks || row.Spend != d.Spend ||
					row.AdsetBudget == nil || *row.AdsetBudget != ad.DailyBudget || (row.Status == "ACTIVE") != ad.Active ||
					row.CreatedAt == nil || !row.CreatedAt.Equal(ad.Days[0].Date) || len(row.CreativeDNA) == 0 ||
					row.First.Format(time.DateOnly) != d.Date.Format(time.DateOnly) {
					t.Fatalf("ad %s on %s is read as %+v", ad.ID, d.Date, row)
				}
			}
		}
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("after the last row: %v", err)
		}
	}
}
