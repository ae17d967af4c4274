package allocate_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/backtest"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

type replayed struct {
	AccountID    string   `json:"account_id"`
	Currency     string   `json:"currency"`
	Days         int      `json:"days"`
	From         string   `json:"from"`
	To           string   `json:"to"`
	DaysReplayed int      `json:"days_replayed"`
	NumAds       int      `json:"num_ads"`
	Spend        float64  `json:"spend"`
	Reason       string   `json:"reason"`
	Notes        []string `json:"notes"`
	Outcomes     []struct {
		Policy   string  `json:"policy"`
		Value    float64 `json:"estimated_value"`
		Interval struct {
			Low  float64 `json:"low"`
			High float64 `json:"high"`
		} `json:"interval"`
		Return float64 `json:"return"`
		Moved  float64 `json:"moved"`
	} `json:"outcomes"`
}

func (s *system) backtestReply(body any) reply {
	s.t.Helper()
	return s.do(call{path: "/api/ml/battle-hardened/backtest", role: auth.Viewer, body: body})
}

func (s *system) backtest(body any) replayed {
	s.t.Helper()
	got := s.backtestReply(body)
	if got.status != http.StatusOK || strings.Contains(string(got.body), "null") {
		s.t.Fatalf("%d %.600s", got.status, got.body)
	}
	return unmarshal[replayed](s, got)
}

// ran stores days of an ad that spends the same every day from 2026-10-01 on.
func (s *system) ran(ad string, days, spendMinor int) {
	s.exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
	        SELECT $1, $2, '2026-10-01'::date + d, 2000, 30, $4 FROM generate_series(0, $3 - 1) d`, s.tenant, ad, days, spendMinor)
}

// won stores a deal that was clicked on, shown up and won for so much, on those
// days of October at noon; its present value is computed as the ledger does it.
func (s *system) won(id int, ad string, clicked, shown, won, amountMinor int) {
	s.exec(`INSERT INTO gv.stage_maps (tenant_id, portal_id, pipeline_id, stage_id, stage_name)
	        SELECT $1, 7, 'p', v, v FROM unnest(ARRAY['lead','show_up','closed_won','closed_lost']) v ON CONFLICT DO NOTHING`, s.tenant)
	s.exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, pipeline_id, stage_id, stage_name, converted_at, ad_id, amount_minor, value_minor)
	        VALUES ($1, 7, $2, 'live', 'p', 'closed_won', 'closed_won', '2026-10-01T12:00Z'::timestamptz + make_interval(days => $4 - 1), $3, $5, $5)`,
		s.tenant, id, ad, clicked, amountMinor)
	s.exec(`INSERT INTO gv.deal_stages (tenant_id, portal_id, deal_id, stage_id, occurred_at)
	        SELECT $1, 7, $2, stage, '2026-10-01T12:00Z'::timestamptz + make_interval(days => day - 1)
	        FROM unnest(ARRAY['lead', 'show_up', 'closed_won'], ARRAY[$3, $4, $5]::int[]) AS s (stage, day)`, s.tenant, id, clicked, shown, won)
	s.exec(`UPDATE gv.ads SET value_source = 'ledger', attribution_confidence = 0.9 WHERE tenant_id = $1 AND ad_id = $2`, s.tenant, ad)
}

// A small account by hand: two ads for 20 days, one on 30 a day and one on 10;
// the second has a deal clicked on day 3, shown up on day 5, won for 20,000 on day 9.
func TestABacktestOfASmallAccountIsWhatAPencilSays(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		currency string
		minor    int
	}{{"USD", 100}, {"JPY", 1}, {"KWD", 1000}} {
		t.Run(tc.currency, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			s.tenant = s.newTenant(tc.currency)
			s.newAccount(s.tenant, "acc", tc.currency)
			s.newAd("acc", "big", nil)
			s.newAd("acc", "small", nil)
			s.ran("big", 20, 30*tc.minor)
			s.ran("small", 20, 10*tc.minor)
			s.won(1, "small", 3, 5, 9, 20000*tc.minor)
			got := s.backtest(m{"account_id": "acc", "days": 10})
			if got.From != "2026-10-11" || got.To != "2026-10-20" || got.DaysReplayed != 10 || got.Days != 10 ||
				got.NumAds != 2 || got.Spend != 400 || got.Currency != tc.currency || got.Reason != "" {
				t.Errorf("%+v", got)
			}
			want := backtest.Run(byHand(tc.currency, money.Amount(tc.minor), s.showUp()), 10)
			moved := map[string]float64{
				"as it was": 0,
				"uniform":   0.25, // 20 each instead of 30 and 10: 10 of 40 move
				// All of the value is the small ad's from the first morning on: 30 of 40 move.
				"greedy pipeline ROAS": 0.75,
			}
			if len(got.Outcomes) != 6 || got.Outcomes[0].Policy != "as it was" || got.Outcomes[5].Policy != "this sampler" {
				t.Fatalf("%+v", got.Outcomes)
			}
			for i, o := range got.Outcomes {
				if w := want.Outcomes[i]; o.Policy != w.Policy || o.Value != w.Value.Units(money.Currency(tc.currency)) || o.Return != w.Return || o.Moved != w.Moved {
					t.Errorf("%+v, by hand %+v", o, w)
				}
				if share, sure := moved[o.Policy]; sure && math.Abs(o.Moved-share) > 0.001 {
					t.Errorf("%s moved %v of the money, want %v", o.Policy, o.Moved, share)
				}
				if math.Abs(o.Return-o.Value/got.Spend) > 0.01 || o.Interval.Low >= o.Value || o.Interval.High <= o.Value {
					t.Errorf("%+v", o)
				}
			}
			if diff := cmp.Diff(got, s.backtest(m{"account_id": "acc", "days": 10})); diff != "" {
				t.Errorf("asked again (-first +again):\n%s", diff)
			}
			if len(got.Notes) < 5 || !strings.Contains(strings.Join(got.Notes, " "), "Nobody can know") {
				t.Errorf("%q", got.Notes)
			}
		})
	}
}

// showUp is what the tenant's show_up is worth, in minor units.
func (s *system) showUp() money.Amount {
	return scalar[money.Amount](s, `SELECT value_minor FROM gv.stage_values WHERE tenant_id = $1 AND stage_name = 'show_up'`, s.tenant)
}

// byHand is that account as the sampler is to be given it.
func byHand(currency string, unit, showUp money.Amount) sampler.Request {
	arm := func(id string, spend money.Amount, value, cash func(day int) money.Amount) sampler.Arm {
		var all []sampler.Observation
		for day := 1; day <= 20; day++ {
			won := cash(day)
			all = append(all, sampler.Observation{
				AgeHours: 24 * float64(day), Impressions: 2000 * int64(day), Clicks: 30 * int64(day), Spend: spend * money.Amount(day),
				Pipeline: value(day), Cash: &won,
			})
		}
		now := all[19]
		return sampler.Arm{
			ID: id, AgeHours: 480, Impressions: now.Impressions, Clicks: now.Clicks, Spend: now.Spend, Pipeline: now.Pipeline,
			Cash: now.Cash, Past: all[:19],
		}
	}
	nothing := func(int) money.Amount { return 0 }
	big := arm("big", 30*unit, nothing, nothing)
	small := arm("small", 10*unit, func(day int) money.Amount {
		switch {
		case day >= 9:
			return 20000 * unit
		case day >= 5:
			return showUp
		}
		return 0
	}, func(day int) money.Amount {
		if day >= 9 {
			return 20000 * unit
		}
		return 0
	})
	small.Attribution = float64(float32(0.9))
	// Clicked at noon of day 3; the 20 days end 17.5 days later.
	deal := sampler.Deal{
		Ad:       "small",
		Steps:    []sampler.Step{{Hours: 0}, {Hours: 48, Value: showUp}, {Hours: 144, Value: 20000 * unit}},
		Observed: 17.5 * 24, Won: true,
	}
	return sampler.Request{
		Currency: money.Currency(currency), Arms: []sampler.Arm{big, small}, Account: sampler.Account{Deals: []sampler.Deal{deal}},
	}
}

func TestADayIsTheAccountsOwnAndAnUnfinishedOneWaits(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.newAccount(s.tenant, "acc", "USD")
	s.exec(`UPDATE gv.accounts SET time_zone = 'Pacific/Kiritimati'`) // 14 hours ahead
	for _, id := range []string{"a", "b"} {
		s.newAd("acc", id, nil)
		s.exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor, conversions, value_minor)
		        SELECT $1, $2, (now() AT TIME ZONE 'Pacific/Kiritimati')::date - d, 1000, 20, 1000, 1, 5000 FROM generate_series(0, 11) d`, s.tenant, id)
	}
	got := s.backtest(m{"account_id": "acc"})
	yesterday := scalar[string](s, `SELECT ((now() AT TIME ZONE 'Pacific/Kiritimati')::date - 1)::text`)
	if got.To != yesterday || got.Days != 30 || got.DaysReplayed != 11 || got.Spend != 220 {
		t.Errorf("%+v, want the 11 days to %s", got, yesterday)
	}
}

func TestABacktestWithoutHistorySaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.newAccount(s.tenant, "acc", "USD")
	ask := func(want string) replayed {
		t.Helper()
		got := s.backtest(m{"account_id": "acc", "days": nil})
		if !strings.Contains(got.Reason, want) || len(got.Outcomes) != 0 {
			t.Errorf("%q, %d outcomes; want %q and none", got.Reason, len(got.Outcomes), want)
		}
		return got
	}
	if got := ask("No finished day"); got.From != "" || got.To != "" {
		t.Errorf("%+v", got)
	}
	s.newAd("acc", "a", nil)
	s.newAd("acc", "b", nil)
	s.ran("a", 20, 1000)
	s.ran("b", 4, 1000)
	ask("None of these ads has brought any value")
	s.won(1, "a", 2, 3, 4, 90000)
	if got := ask("only 4 had at least two ads"); got.DaysReplayed != 4 || got.Spend != 80 {
		t.Errorf("%+v", got)
	}
	// Value that is known as a total only cannot be put on a day.
	s.newAd("acc", "c", nil)
	s.ran("c", 20, 1000)
	s.exec(`UPDATE gv.ads SET value_source = 'feedback', pipeline_minor = 5000 WHERE ad_id = 'c'`)
	if got := ask("only 4"); len(got.Notes) != 1 || !strings.HasPrefix(got.Notes[0], "1 ads are left out") {
		t.Errorf("%q", got.Notes)
	}
}

func TestADealThatAdsShareCountsWithEachAdsPart(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.newAccount(s.tenant, "acc", "USD")
	for ad, spend := range map[string]int{"big": 3000, "small": 1000} {
		s.newAd("acc", ad, nil)
		s.ran(ad, 20, spend)
	}
	s.won(1, "small", 3, 5, 9, 2000000)
	s.exec(`UPDATE gv.ads SET value_source = 'ledger', attribution_confidence = 0.9 WHERE tenant_id = $1`, s.tenant)
	moved := func() float64 {
		for _, o := range s.backtest(m{"account_id": "acc", "days": 10}).Outcomes {
			if o.Policy == "greedy pipeline ROAS" {
				return o.Moved
			}
		}
		t.Fatal("the greedy policy was not replayed")
		return 0
	}
	if got := moved(); math.Abs(got-0.75) > 0.001 {
		t.Errorf("with the deal the small ad's alone %v of the money moves, want 0.75", got)
	}
	s.exec(`UPDATE gv.deals SET split = true WHERE tenant_id = $1`, s.tenant)
	s.exec(`INSERT INTO gv.deal_credits (tenant_id, portal_id, deal_id, ad_id, share_from, share_to)
	        VALUES ($1, 7, 1, 'small', 0, 0.1), ($1, 7, 1, 'big', 0.1, 1)`, s.tenant)
	// The big ad returns 18,000 on 600, the small one 2,000 on 200: as 3 to 1, which is what they spend.
	if got := moved(); math.Abs(got) > 0.001 {
		t.Errorf("with nine tenths the big ad's %v of the money moves, want none", got)
	}
}

func TestADealOfAnEarlierClickOrOneThatIsGoneIsNotCounted(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.newAccount(s.tenant, "acc", "USD")
	for i, id := range []string{"a", "b"} {
		s.newAd("acc", id, nil)
		s.ran(id, 20, 50000)
		s.won(i, id, 2, 4, 6, 1800000)
	}
	ask := func() float64 { return s.backtest(m{"account_id": "acc"}).Outcomes[0].Value }
	before := ask()
	for i := range 4 {
		s.won(10+i, "a", -3, 4, 6, 1800000) // what clicks before the first stored day cost is not known
		s.won(20+i, "a", 3, 5, 7, 1800000)
	}
	s.exec(`UPDATE gv.deals SET state = 'gone', value_minor = 0 WHERE deal_id >= 20`)
	// How long deals take may be learned from the earlier ones.
	if after := ask(); math.Abs(after/before-1) > 0.3 {
		t.Errorf("estimated %v, before those deals %v", after, before)
	}
	s.exec(`UPDATE gv.deals SET state = 'live', value_minor = 1800000 WHERE deal_id >= 20`)
	if after := ask(); after < 1.5*before {
		t.Errorf("with four more deals that count: %v, before them %v", after, before)
	}
}

func TestABacktestIsTheTenantsOwn(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.newAccount(s.tenant, "acc", "USD")
	s.newAd("acc", "a", nil)
	s.ran("a", 20, 1000)
	s.tenant = s.newTenant("USD")
	s.refused(s.backtestReply(m{"account_id": "acc"}), http.StatusNotFound)
	s.refused(s.backtestReply(m{"account_id": "nowhere"}), http.StatusNotFound)
	for _, bad := range []struct {
		body  m
		field string
	}{
		{m{}, "body.account_id"},
		{m{"account_id": ""}, "body.account_id"},
		{m{"account_id": " \u0000"}, "body.account_id"},
		{m{"account_id": "acc", "days": 6}, "body.days"},
		{m{"account_id": "acc", "days": 91}, "body.days"},
		{m{"account_id": "acc", "days": 7.5}, "body.days"},
		{m{"account_id": "acc", "seed": 1}, "body.seed"},
	} {
		if p := s.refused(s.backtestReply(bad.body), http.StatusUnprocessableEntity); len(p.Errors) == 0 || p.Errors[0].Location != bad.field {
			t.Errorf("%s: %+v", fmt.Sprint(bad.body), p.Errors)
		}
	}
}
