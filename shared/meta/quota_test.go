package meta_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/meta"
)

// TestUsageIsHonouredBeforeTheLimitIsReached has the headers of one answer decide
// which further calls are made at all, and when they are made again.
func TestUsageIsHonouredBeforeTheLimitIsReached(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		usage               fakemeta.Usage
		lists, days, writes bool          // whether they still go out
		after               time.Duration // when all do
	}{
		"all is quiet":              {fakemeta.Usage{App: 40, Management: 79, Insights: 10, Account: 5}, true, true, true, 0},
		"management fills up":       {fakemeta.Usage{Management: 85}, false, true, true, 5 * time.Minute},
		"management is nearly full": {fakemeta.Usage{Management: 96}, false, true, false, 5 * time.Minute},
		"insights fill up":          {fakemeta.Usage{Insights: 85}, true, false, true, 5 * time.Minute},
		"the account's score":       {fakemeta.Usage{Account: 97, ResetSeconds: 120}, false, false, false, 2 * time.Minute},
		"the app's hour":            {fakemeta.Usage{App: 99}, false, false, false, 5 * time.Minute},
		"access is lost":            {fakemeta.Usage{Management: 100, RegainMinutes: 17}, false, true, false, 17 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.held.SetUsage(c.usage)
			w.know() // its answer carries the headers
			w.held.SetUsage(fakemeta.Usage{})
			for what, one := range map[string]struct {
				goes bool
				call func(context.Context) error
			}{
				"lists": {c.lists, func(ctx context.Context) error { _, err := w.account.Ads(ctx, false); return err }},
				"days": {c.days, func(ctx context.Context) error {
					return w.account.Insights(ctx, meta.Window{Since: w.clock.Now(), Until: w.clock.Now()}, func([]meta.Insight) error { return nil })
				}},
				"writes": {c.writes, func(ctx context.Context) error {
					_, err := w.account.SetStatus(ctx, "ad/"+w.ad, "PAUSED", false)
					return err
				}},
			} {
				before := w.fake.Requests("")
				err := one.call(t.Context())
				wait, throttled := meta.Throttled(err)
				if sent := w.fake.Requests("") > before; sent != one.goes || throttled == one.goes || !one.goes && wait != c.after {
					t.Errorf("%s: sent %t, wait %s, %v", what, sent, wait, err)
				}
			}
			w.clock.pass(c.after + time.Second)
			if _, err := w.account.Ads(t.Context(), false); err != nil {
				t.Errorf("after %s: %v", c.after, err)
			}
			if _, err := w.account.SetStatus(t.Context(), "ad/"+w.ad, "ACTIVE", false); err != nil {
				t.Errorf("after %s: %v", c.after, err)
			}
		})
	}
}

func TestAThrottledAccountIsLeftAloneAndOthersAreNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault fakemeta.Fault
		wait  time.Duration
		app   bool // whether every account is held back
	}{
		"the user's limit": {fakemeta.Fault{Code: 17}, 5 * time.Minute, false},
		"management":       {fakemeta.Fault{Code: 80004, Status: 200}, 5 * time.Minute, false},
		"a second's posts": {fakemeta.Fault{Code: 613, Subcode: 5044001}, time.Second, false},
		"the app's limit":  {fakemeta.Fault{Code: 4}, 5 * time.Minute, true},
		"with the time it takes": {fakemeta.Fault{Code: 80004, Headers: map[string]string{
			"X-Business-Use-Case-Usage": `{"77":[{"type":"ads_management","call_count":100,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":42}]}`,
		}}, 42 * time.Minute, false},
		"headers of nonsense": {fakemeta.Fault{Code: 17, Headers: map[string]string{
			"X-Business-Use-Case-Usage": `{"77":`, "X-App-Usage": "many", "X-Ad-Account-Usage": `{"acc_id_util_pct":"x"}`,
		}}, 5 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			other := w.fake.Connect(fakemeta.AccountConfig{ID: "88", Tokens: []string{"token-of-88"}})
			w.know()
			w.fake.Inject(c.fault)
			_, err := w.account.SetBudget(t.Context(), "adset/"+w.adset, 4000, false)
			if wait, ok := meta.Throttled(err); !ok || wait != c.wait {
				t.Fatalf("wait %s, %v", wait, err)
			}
			w.clock.pass(c.wait - time.Millisecond)
			before := w.fake.Requests("")
			_, err = w.account.SetBudget(t.Context(), "adset/"+w.adset, 4000, false)
			if wait, ok := meta.Throttled(err); !ok || wait != time.Millisecond || w.fake.Requests("") != before || meta.Outcome(err) != meta.Refused {
				t.Errorf("while it waits: %s, %v", wait, err)
			}
			_, err = w.client.Account(other.ID(), "token-of-88").Info(t.Context())
			if _, held := meta.Throttled(err); held != c.app {
				t.Errorf("another account: %v", err)
			}
			w.clock.pass(time.Millisecond)
			if _, err := w.account.SetBudget(t.Context(), "adset/"+w.adset, 4000, false); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestAnAdSetsBudgetLimitHoldsBackNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	second := w.held.PutAdSet(fakemeta.AdSet{CampaignID: w.campaign, DailyBudget: 100})
	for i := range int64(4) {
		if _, err := w.account.SetBudget(t.Context(), "adset/"+w.adset, 5000+i+1, false); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.account.SetBudget(t.Context(), "adset/"+w.adset, 6000, false)
	wait, _ := meta.Throttled(err)
	if !meta.BudgetLimited(err) || wait != time.Hour || meta.Outcome(err) != meta.Refused {
		t.Errorf("the fifth within the hour: %v", err)
	}
	if _, err := w.account.SetBudget(t.Context(), "adset/"+second, 200, false); err != nil {
		t.Errorf("another ad set: %v", err)
	}
	w.clock.pass(time.Hour)
	if _, err := w.account.SetBudget(t.Context(), "adset/"+w.adset, 6000, false); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}

func TestPostsAreSpacedBeforeMetaHasTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, spacedPosts)
}

func spacedPosts(t *testing.T) {
	w := newWorld(t, nil)
	w.know()
	sent, held := 0, 0
	for range 40 {
		soon, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if sent >= 10 { // the bucket is empty: the next one's turn is 20 ms away
			soon, cancel = context.WithTimeout(t.Context(), time.Millisecond)
		}
		_, err := w.account.SetStatus(soon, "ad/"+w.ad, "PAUSED", true)
		cancel()
		switch meta.Outcome(err) {
		case meta.Applied, meta.Unknown:
			sent++
		case meta.Refused:
			held++
		}
	}
	if held == 0 || w.fake.Requests(http.MethodPost+" ad") > sent {
		t.Error(fmt.Sprint(sent, " were sent and ", held, " held back"))
	}
}
