package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/reconcile"
	"github.com/geminivideo/geminivideo/functions/sync"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/meta"
)

// Our clock is two hours ahead, two hours behind, a day ahead and right again, between the
// deals of the story. A webhook that is refused meanwhile is sent again.
func TestTheMainFlowSurvivesAClockThatJumps(t *testing.T) {
	t.Parallel()
	f := onPostgres(t)
	jumps := []time.Duration{0, 2 * time.Hour, -2 * time.Hour, 26 * time.Hour}
	compare := reconcile.New(f.db, f.worker, f.publisher, f.sync, reconcile.Options{Now: f.clock.now})
	f.play(func(n int) {
		f.clock.jump(jumps[n%len(jumps)])
		f.exec(`UPDATE gv.crm_syncs SET due_at = now()`)
		if _, err := compare.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	f.clock.jump(0)
	f.exec(`UPDATE gv.crm_syncs SET due_at = now()`)
	if _, err := compare.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.holds()
	if ahead := one[int](f, `SELECT count(*) FROM gv.deals WHERE processed_at > now() OR converted_at > now()`); ahead > 0 {
		t.Errorf("%d deals lie in the future", ahead)
	}
}

// In New York the clocks go back and forth; the story and the days of the ad account lie
// around that night.
func TestTheMainFlowSurvivesADayOf25Hours(t *testing.T) { dayOf(t, 25*time.Hour) }

func TestTheMainFlowSurvivesADayOf23Hours(t *testing.T) { dayOf(t, 23*time.Hour) }

func dayOf(t *testing.T, length time.Duration) {
	t.Helper()
	t.Parallel()
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	night := lastDayOf(t, zone, length)
	f := onPostgres(t, func(f *flow) { f.begun, f.past = night, true })
	f.exec(`DELETE FROM gv.ad_metrics`)
	f.exec(`UPDATE gv.accounts SET time_zone = 'America/New_York', click_retention_days = 400`)
	f.exec(`INSERT INTO gv.meta_connections (tenant_id, account_id, access_token, connected_by) VALUES ($1, 'act_1', $2, 'test')`,
		tenant, secretsDir+"ads-token")
	f.setSecret("ads-token", "EAAads")
	account := f.meta.Connect(fakemeta.AccountConfig{ID: "act_1", TimeZone: "America/New_York", Tokens: []string{"EAAads"}})
	campaign := account.PutCampaign(fakemeta.Campaign{ID: "c1"})
	set := account.PutAdSet(fakemeta.AdSet{CampaignID: campaign, DailyBudget: 10_000})
	for _, ad := range adsOfTheStory {
		account.PutAd(fakemeta.Ad{ID: ad, AdSetID: set})
	}
	clock := &fixed{}
	job := sync.New(f.db, f.worker, meta.New(meta.Config{BaseURL: f.graph}, meta.Options{Now: clock.now}), f.store, sync.Options{Now: clock.now})

	// Each hour of three days every ad spends 1.00; Meta counts by the account's days.
	spent := map[string]int64{}
	hours := 0
	for at := night.AddDate(0, 0, -1); at.Before(night.AddDate(0, 0, 2)); at = at.Add(time.Hour) {
		day := at.In(zone).Format(time.DateOnly)
		spent[day] += 100
		hours++
		for _, ad := range adsOfTheStory {
			account.PutInsights(fakemeta.Insight{AdID: ad, Day: day, Impressions: 10 * spent[day], Clicks: spent[day] / 100, Spend: cents(spent[day])})
		}
		if n := hours - 25; n >= 0 && n/4 < deals && n%4 == 0 { // the story begins with the night
			f.deal(n/4, at)
		}
		if hours%5 == 0 {
			clock.at = at
			if _, err := job.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	clock.at = night.AddDate(0, 0, 2)
	if _, err := job.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.holds()
	if got, want := spent[night.In(zone).Format(time.DateOnly)], int64(length/time.Hour)*100; got != want {
		t.Errorf("the test's own day has %d cents, want %d", got, want)
	}
	for _, ad := range adsOfTheStory {
		got := one[string](f, `SELECT string_agg(concat_ws(' ', day, spend_minor), ', ' ORDER BY day) FROM gv.ad_metrics WHERE ad_id = $1`, ad)
		want := ""
		for i := -1; i <= 1; i++ {
			day := night.AddDate(0, 0, i).In(zone).Format(time.DateOnly)
			want += fmt.Sprintf(", %s %d", day, spent[day])
		}
		if got != want[2:] {
			t.Errorf("the days of ad %s are\n%s, want\n%s", ad, got, want[2:])
		}
		if total := one[int](f, `SELECT spend_minor FROM gv.ads WHERE ad_id = $1`, ad); total != hours*100 {
			t.Errorf("ad %s has spent %d, want %d", ad, total, hours*100)
		}
	}
	if n := one[int](f, `SELECT count(*) FROM gv.deals WHERE converted_at IS NULL`); n > 0 {
		t.Errorf("%d deals have no time of conversion", n)
	}
}

// lastDayOf returns the midnight with which the latest day of that length began.
func lastDayOf(t *testing.T, zone *time.Location, length time.Duration) time.Time {
	t.Helper()
	y, m, d := time.Now().In(zone).AddDate(0, 0, -3).Date()
	for day := range 400 {
		begins := time.Date(y, m, d-day, 0, 0, 0, 0, zone)
		if time.Date(y, m, d-day+1, 0, 0, 0, 0, zone).Sub(begins) == length {
			return begins
		}
	}
	t.Fatalf("no day of the last year has %v", length)
	return time.Time{}
}

// fixed is a clock that stands.
type fixed struct{ at time.Time }

func (c *fixed) now() time.Time { return c.at }
