package allocate_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

func TestCountsOfDealsAreTheSamplersAndStayKnown(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	won := func(i int) int64 { return int64(i) / 2 }
	past := make([][]sampler.Observation, 4)
	for d := 1; d <= 3; d++ {
		states, arms := several(4), make([]sampler.Arm, 4)
		for i, ad := range states {
			deals, wins, age := int64(i+d), won(i+d), float64(240+24*d)
			cash := money.Amount(20000 * wins)
			arms[i] = sampler.Arm{
				ID: ad["ad_id"].(string), Impressions: int64(40000 + 1000*d), Clicks: int64(400 + 10*d), Spend: money.Amount(30000 + 1000*d),
				Pipeline: cash + money.Amount(5000*(deals-wins)), Cash: &cash, Deals: &deals, WonDeals: &wins, AgeHours: age, Past: past[i],
			}
			a := &arms[i]
			ad["impressions"], ad["clicks"], ad["spend"], ad["age_hours"] = a.Impressions, a.Clicks, a.Spend.Units("USD"), age
			ad["pipeline_value"], ad["cash_revenue"] = a.Pipeline.Units("USD"), cash.Units("USD")
			ad["deals"], ad["won_deals"] = deals, wins
			past[i] = append(slices.Clip(past[i]), sampler.Observation{
				AgeHours: age, Impressions: a.Impressions, Clicks: a.Clicks, Spend: a.Spend, Pipeline: a.Pipeline, Cash: a.Cash,
				Deals: a.Deals, WonDeals: a.WonDeals,
			})
		}
		want := sampler.Allocate(sampler.Request{Currency: "USD", Total: 50000, Seed: uint64(d), Arms: arms})
		got := s.split(m{"ad_states": states, "total_budget": 500.0, "seed": d})
		for i, ad := range got.Recommendations {
			if ad.Recommended != want.Recommendations[i].Recommended.Units("USD") {
				t.Errorf("day %d: %s gets %v, from the sampler %v", d, ad.AdID, ad.Recommended, want.Recommendations[i].Recommended)
			}
		}
		if r := s.replay(got.DecisionID); r.status != http.StatusOK {
			t.Errorf("day %d: its replay answers %d: %.300s", d, r.status, r.body)
		}
	}
}

func TestOneLargeDealThatIsCountedMovesLessThanOneThatIsNot(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	median := func(ids string, counts bool) float64 {
		ask := func(age float64, large bool) result {
			states := make([]m, 8)
			for i := range states {
				deals, value := 9-i, 1000.0*float64(9-i)
				if large && i == 3 {
					deals, value = deals+1, value+20_000
				}
				states[i] = adState(ids+string(rune('a'+i)), m{
					"impressions": 130_000, "clicks": 1300, "spend": 1950.0, "pipeline_value": value, "age_hours": age,
				})
				if counts {
					states[i]["deals"] = deals
				}
			}
			return s.split(m{"ad_states": states, "total_budget": 500.0, "seed": 1})
		}
		ask(960, false)
		return ask(966, true).Recommendations[3].Recommended
	}
	counted, guessed := median("counted-", true), median("guessed-", false)
	if counted > 500*0.2 || counted >= guessed {
		t.Errorf("a median ad of eight with one large deal gets %v of 500 with counts, %v without", counted, guessed)
	}
}

func TestCountsThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for name, tc := range map[string]struct {
		ad    m
		field string
	}{
		"negative deals":        {m{"deals": -1}, "deals"},
		"half a deal":           {m{"deals": 1.5}, "deals"},
		"deals as text":         {m{"deals": "3"}, "deals"},
		"negative won deals":    {m{"won_deals": -1}, "won_deals"},
		"won deals beyond 2^53": {m{"won_deals": 1e17}, "won_deals"},
		"more won than deals":   {m{"deals": 2, "won_deals": 3}, "won_deals"},
	} {
		p := s.refused(s.do(call{body: m{"ad_states": []m{adState("ok"), adState("ad", tc.ad)}, "total_budget": 1.0}}), http.StatusUnprocessableEntity)
		if len(p.Errors) != 1 || p.Errors[0].Location != "body.ad_states[1]."+tc.field {
			t.Errorf("%s: %+v", name, p.Errors)
		}
	}
	p := s.refused(s.do(call{body: m{"ad_states": several(2), "total_budget": 1.0, "allow_unspent": "yes"}}), http.StatusUnprocessableEntity)
	if len(p.Errors) != 1 || p.Errors[0].Location != "body.allow_unspent" {
		t.Errorf("allow_unspent as text: %+v", p.Errors)
	}
	zero, null := adState("a", m{"deals": 0, "won_deals": 0}), adState("b")
	null["deals"], null["won_deals"] = nil, nil
	s.split(m{"ad_states": []m{zero, null}, "total_budget": 1.0})
}

func TestMoneyThatWouldNotPayStaysUnspentWhereThatIsAllowed(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	ask := func(value float64, allow any) (result, string) {
		states := make([]m, 4)
		for i := range states {
			states[i] = adState("ad-"+string(rune('a'+i)), m{
				"impressions": 500_000, "clicks": 5000, "spend": 5000.0, "pipeline_value": value * float64(i), "deals": i, "age_hours": 24 * 90,
			})
		}
		body := m{"ad_states": states, "total_budget": 400.0, "seed": 3}
		if allow != nil {
			body["allow_unspent"] = allow
		}
		got := s.do(call{body: body})
		account := unmarshal[struct {
			Account struct {
				Verdict string   `json:"verdict"`
				Total   *float64 `json:"total_at_break_even"`
			}
		}](s, got).Account
		r := s.check(got)
		if account.Verdict == "spend_less" && (account.Total == nil || *account.Total >= 400) {
			t.Errorf("spend_less at %v of 400", account.Total)
		} else if account.Verdict == "spend_less" && allow == true && r.TotalBudget-r.Unallocated > *account.Total+0.01 {
			t.Errorf("%v is spent, above the %v at break-even", r.TotalBudget-r.Unallocated, *account.Total)
		}
		return r, account.Verdict
	}
	for _, tc := range []struct {
		value   float64
		allow   any
		verdict string
		unspent bool
	}{
		{500, true, "spend_less", true},
		{500, false, "spend_less", false},
		{500, nil, "spend_less", false},
		{30_000, true, "spend_more", false},
	} {
		r, verdict := ask(tc.value, tc.allow)
		if verdict != tc.verdict || (r.Unallocated > 0) != tc.unspent || (r.Limit == "break_even") != tc.unspent {
			t.Errorf("deals of %v, allow_unspent %v: %s, %v unspent by %q", tc.value, tc.allow, verdict, r.Unallocated, r.Limit)
		}
	}
}
