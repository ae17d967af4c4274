package allocate_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// given reads what the ledger says that a decision was computed from.
func (s *system) given(r result) m {
	s.t.Helper()
	return unmarshal[m](s, s.do(call{method: http.MethodGet, path: "/api/decisions/" + r.DecisionID, role: auth.Viewer}))["inputs"].(m)
}

func TestTheAccountGivesTheCurrency(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	ask := func(with m) result {
		t.Helper()
		request := m{"ad_states": several(3), "total_budget": 900.0}
		for k, v := range with {
			request[k] = v
		}
		return s.split(request)
	}
	if r := ask(nil); r.Currency != "USD" {
		t.Errorf("without accounts: %s, want the tenant's", r.Currency)
	}
	s.newAccount(s.tenant, "tokyo", "JPY")
	if r := ask(nil); r.Currency != "JPY" {
		t.Errorf("with one account: %s, want its own", r.Currency)
	}
	s.newAccount(s.tenant, "kuwait", "KWD")
	if r := ask(nil); r.Currency != "USD" {
		t.Errorf("with several accounts: %s, want the tenant's", r.Currency)
	}
	if r := ask(m{"account_id": "kuwait"}); r.Currency != "KWD" {
		t.Errorf("with a named account: %s, want its own", r.Currency)
	}
	s.newAd("tokyo", "ad-01", nil)
	if r := ask(nil); r.Currency != "JPY" {
		t.Errorf("with an ad of one account: %s, want that account's", r.Currency)
	}
	other := s.newTenant("EUR")
	s.newAccount(other, "berlin", "EUR")
	for _, id := range []string{"berlin", "nowhere"} {
		s.refused(s.do(call{body: m{"ad_states": several(3), "total_budget": 9.0, "account_id": id}}), http.StatusNotFound)
	}
}

func TestAnObservationIsKeptOnceAndNeverItsOwnPast(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	request := m{"ad_states": several(4), "total_budget": 100.0, "seed": 1}
	first := s.split(request)
	for range 3 {
		again := s.split(request)
		again.DecisionID = first.DecisionID
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("(-first +again):\n%s", diff)
		}
	}
	if n := scalar[int](s, `SELECT coalesce(sum(observations), 0) FROM gv.ad_observations`); n != 4 {
		t.Errorf("four ads in four requests make %d observations, want 4", n)
	}
	request["ad_states"].([]m)[2]["spend"] = 301.0 // a correction at the same age
	if given := s.given(s.split(request)); given["observations"] != 0.0 {
		t.Errorf("a correction has a past: %v", given)
	}
	if n := scalar[int](s, `SELECT coalesce(sum(observations), 0) FROM gv.ad_observations`); n != 5 {
		t.Errorf("a correction of one ad makes %d observations, want 5", n)
	}
}

func TestSixtyDaysOfDailyCallsAreStoredByAge(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	day := func(d int) result {
		states := several(10)
		for i, ad := range states {
			ad["age_hours"], ad["impressions"], ad["clicks"] = float64(24*d), 3000*d, 30*d
			ad["spend"], ad["pipeline_value"], ad["cash_revenue"] = 30.5*float64(d), float64(40*i*d), float64(10*i*d)
		}
		return s.split(m{"ad_states": states, "total_budget": 900.0, "seed": d})
	}
	var last result
	for d := range 60 {
		last = day(d)
	}
	if given := s.given(last); given["observations"] != 590.0 || given["ads_with_history"] != 10.0 {
		t.Errorf("on day 59 the sampler was given %v, want 59 observations of each of 10 ads", given)
	}
	again := day(59)
	again.DecisionID = last.DecisionID
	if diff := cmp.Diff(last, again); diff != "" {
		t.Errorf("the last day asked again (-first +again):\n%s", diff)
	}
	// The same ids, young again: another life, which nothing of the first is part of.
	if given := s.given(day(1)); given["observations"] != 10.0 {
		t.Errorf("on the second day 1 the sampler was given %v, want just the day 0 before it", given)
	}
	if given := s.given(day(2)); given["observations"] != 20.0 {
		t.Errorf("on the second day 2 the sampler was given %v, want days 0 and 1", given)
	}
}

func TestTheSamplerIsGivenExactlyWhatWasSaid(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	past := make([][]sampler.Observation, 6)
	for d := range 15 {
		states, arms := several(6), make([]sampler.Arm, 6)
		for i, ad := range states {
			impressions, spend, value, won := 2500*d, 2175*d, 30000*i*(d/3), 15000*i*(d/5)
			cash := money.Amount(won)
			arms[i] = sampler.Arm{
				ID: ad["ad_id"].(string), Impressions: int64(impressions), Clicks: int64(25 * d), Spend: money.Amount(spend),
				Pipeline: money.Amount(max(value, won)), Cash: &cash, AgeHours: float64(24 * d), Past: past[i],
			}
			ad["impressions"], ad["clicks"], ad["spend"], ad["age_hours"] = impressions, 25*d, float64(spend)/100, 24*d
			ad["pipeline_value"], ad["cash_revenue"] = float64(value)/100, float64(won)/100
			past[i] = append(slices.Clip(past[i]), sampler.Observation{
				AgeHours: arms[i].AgeHours, Impressions: arms[i].Impressions, Clicks: arms[i].Clicks, Spend: arms[i].Spend,
				Pipeline: arms[i].Pipeline, Cash: arms[i].Cash,
			})
		}
		want := sampler.Allocate(sampler.Request{Currency: "USD", Total: 50000, Seed: uint64(d), Arms: arms})
		got := s.split(m{"ad_states": states, "total_budget": 500.0, "seed": d})
		for i, ad := range got.Recommendations {
			if ad.Recommended != want.Recommendations[i].Recommended.Units("USD") {
				t.Errorf("day %d: %s gets %v through the function, %v from the sampler", d, ad.AdID, ad.Recommended, want.Recommendations[i].Recommended)
			}
		}
	}
}

func TestWhatOthersSaidOfTheSameIdsIsNotKnown(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	request := func(age float64) m {
		states := several(6)
		for i, ad := range states {
			ad["age_hours"], ad["clicks"] = age, 100*i
		}
		return m{"ad_states": states, "total_budget": 300.0, "seed": 9}
	}
	for d := range 5 {
		s.split(request(float64(24 * d)))
	}
	mine := s.tenant
	s.tenant = s.newTenant("USD")
	theirs := s.split(request(240))
	if given := s.given(theirs); given["observations"] != 0.0 {
		t.Errorf("another tenant's observations are known: %v", given)
	}
	s.tenant = mine
	if given := s.given(s.split(request(240))); given["observations"] != 30.0 {
		t.Errorf("the tenant's own observations: %v, want 30", given)
	}
}

// history stores ads of an account with days, deals and their moves.
func (s *system) history(account string, ads int) {
	s.newAccount(s.tenant, account, "USD")
	for i := range ads {
		id := fmt.Sprintf("%s-%02d", account, i)
		s.newAd(account, id, 2500)
		s.exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
		        SELECT $1, $2, '2026-10-01'::date + d, 2000, 40 - d, 2500 FROM generate_series(0, 19) d`, s.tenant, id)
	}
	s.exec(`INSERT INTO gv.stage_maps (tenant_id, portal_id, pipeline_id, stage_id, stage_name)
	        SELECT $1, 7, 'p', v, v FROM unnest(ARRAY['lead','show_up','closed_won','closed_lost']) v ON CONFLICT DO NOTHING`, s.tenant)
	s.exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, pipeline_id, stage_id, stage_name, created_at, converted_at, ad_id,
	                              amount_minor, value_minor, attribution_confidence)
	        SELECT $1, 7, d, 'live', 'p', 'closed_won', 'closed_won', '2026-10-02Z', '2026-10-02Z', $2 || '-00', 80000, 80000, 0.9 FROM generate_series(1, 5) d`,
		s.tenant, account)
	s.exec(`INSERT INTO gv.deal_stages (tenant_id, portal_id, deal_id, stage_id, occurred_at)
	        SELECT $1, 7, d, st.stage, '2026-10-02Z'::timestamptz + st.after FROM generate_series(1, 5) d,
	        (VALUES ('lead', interval '0'), ('show_up', interval '4 days'), ('closed_won', interval '9 days')) st (stage, after)`, s.tenant)
	s.exec(`UPDATE gv.ads SET pipeline_minor = 400000, revenue_minor = 400000, attribution_confidence = 0.9, value_source = 'ledger'
	        WHERE tenant_id = $1 AND ad_id = $2 || '-00'`, s.tenant, account)
}

func TestStoredAdsBringWhatIsKnownOfThem(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.history("acc", 3)
	states := []m{adState("acc-00", m{"pipeline_value": nil}), adState("acc-01"), adState("acc-02", m{"age_hours": 100})}
	r := s.split(m{"ad_states": states, "total_budget": 75.0})
	if ad := r.of(t, "acc-00"); ad.Metrics.PipelineROAS != 4000.0/300 || ad.Current != 25 {
		t.Errorf("pipeline ROAS %v from the ledger's 4,000, current budget %v from the stored 25", ad.Metrics.PipelineROAS, ad.Current)
	}
	if given := s.given(r); given["stored_days"] != 60.0 || given["deals"] != 5.0 || given["known_budgets"] != 3.0 {
		t.Errorf("the sampler was given %v", given)
	}
	// One stranger among them: the account's deals are those of the ads asked about.
	states = append(states[1:], adState("stranger"))
	if given := s.given(s.split(m{"ad_states": states, "total_budget": 75.0})); given["deals"] != 0.0 || given["stored_days"] != 40.0 {
		t.Errorf("with a stranger the sampler was given %v", given)
	}
	// In another account's currency stored money means nothing.
	s.newAccount(s.tenant, "tokyo", "JPY")
	if given := s.given(s.split(m{"ad_states": states, "total_budget": 75.0, "account_id": "tokyo"})); given["stored_days"] != 0.0 || given["known_budgets"] != 0.0 {
		t.Errorf("in yen the sampler was given %v", given)
	}
}

func TestStrangersAreJudgedByWhatTheRequestSaysAlone(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	request := m{"ad_states": several(8), "total_budget": 640.0, "seed": 4}
	before := s.split(request)
	s.history("acc", 6)
	after := s.split(request)
	after.DecisionID = before.DecisionID
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("stored ads changed what strangers get (-before +after):\n%s", diff)
	}
}

func TestTheClockOnTheWallDecidesNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.history("acc", 3)
	request := m{"ad_states": []m{adState("acc-00"), adState("acc-01"), adState("acc-02")}, "total_budget": 75.0, "seed": 4}
	first := s.split(request)
	time.Sleep(1100 * time.Millisecond)
	again := s.split(request)
	again.DecisionID = first.DecisionID
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("a second later (-first +again):\n%s", diff)
	}
}

func TestThresholdsOfTheAccountSetTheVerdicts(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.newAccount(s.tenant, "acc", "USD")
	loser := adState("loser", m{"impressions": 500000, "clicks": 5000, "spend": 5000.0, "pipeline_value": 5.0, "age_hours": 900})
	request := m{"ad_states": append(several(6), loser), "total_budget": 100.0, "seed": 1}
	if v := s.split(request).of(t, "loser").Verdict; v != "kill" {
		t.Errorf("5,000 spent for 5: %s, want kill", v)
	}
	s.exec(`UPDATE gv.accounts SET settings = '{"verdict_spend": 3000, "winner_roas": "high"}'`)
	if v := s.split(request).of(t, "loser").Verdict; v == "kill" {
		t.Error("killed under twice the account's verdict_spend")
	}
}
