package allocate_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestTheBetterAdsGetTheMoney(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.split(m{"ad_states": several(10), "total_budget": 1000.0, "seed": 7})
	better := 0.0
	for i, ad := range r.Recommendations {
		t.Log(ad.AdID, ad.Recommended, ad.Reason)
		if ad.AdID != fmt.Sprintf("ad-%02d", i) {
			t.Errorf("recommendation %d is for %s: not the request's order", i, ad.AdID)
		}
		if i >= 5 {
			better += ad.Recommended
		}
	}
	if better < 600 || r.Unallocated != 0 || r.TotalBudget != 1000 {
		t.Errorf("the better half gets %.2f of %v, unallocated %v", better, r.TotalBudget, r.Unallocated)
	}
}

func TestWhatIsShownFollowsTheContract(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	weights := map[float64]float64{
		0: 1, 5.9: 1, 6: 1, 15: 0.85, 24: 0.7, 48: 0.5, 72: 0.3,
		96: 0.3 * math.Exp(-0.1), 400: 0.1, 20000: 0.1,
	}
	var states []m
	for age := range weights {
		states = append(states, adState(fmt.Sprint(age), m{"age_hours": age, "impressions": 50000, "clicks": 2000, "spend": 200.0, "pipeline_value": 300.0}))
	}
	for _, ad := range s.split(m{"ad_states": states, "total_budget": 500.0}).Recommendations {
		got, weight := ad.Metrics, weights[ad.Metrics.AgeHours]
		want := got
		want.Impressions, want.Clicks, want.CTR, want.PipelineROAS = 50000, 2000, 4, 1.5
		want.CTRWeight, want.ROASWeight = weight, 1-weight
		want.BlendedScore, want.DecayFactor = weight*0.8+(1-weight)*0.5, math.Exp(-5)
		if diff := cmp.Diff(want, got, cmpopts.EquateApprox(1e-9, 1e-12)); diff != "" {
			t.Errorf("metrics at %v hours (-want +got):\n%s", ad.Metrics.AgeHours, diff)
		}
		if days := max(1, ad.Metrics.AgeHours/24); math.Abs(ad.Current-200/days) > 0.01 {
			t.Errorf("at %v hours the estimated budget is %v", ad.Metrics.AgeHours, ad.Current)
		}
		if want := 100 * (ad.Recommended - ad.Current) / ad.Current; math.Abs(ad.Change-want) > 0.01 {
			t.Errorf("from %v to %v the change is %v%%, want %v%%", ad.Current, ad.Recommended, ad.Change, want)
		}
	}
}

func TestBudgetsSumToTheMinorUnit(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, c := range []string{"USD", "JPY", "KWD"} {
		s.newAccount(s.tenant, c, c)
	}
	for _, tc := range []struct {
		currency    string
		total, want float64
	}{
		{"USD", 1000.01, 1000.01},
		{"USD", 0.01, 0.01},
		{"USD", 0, 0},
		{"USD", 99.999, 99.99},
		{"JPY", 100003, 100003},
		{"JPY", 3, 3},
		{"JPY", 10.9, 10},
		{"KWD", 10.001, 10.001},
		{"KWD", 7777.777, 7777.777},
	} {
		r := s.split(m{"ad_states": several(7), "total_budget": tc.total, "account_id": tc.currency})
		if r.TotalBudget != tc.want || r.Currency != tc.currency || r.Unallocated != 0 {
			t.Errorf("%v %s: total %v %s, unallocated %v", tc.total, tc.currency, r.TotalBudget, r.Currency, r.Unallocated)
		}
	}
}

func TestAKnownBudgetChangesByHalfAtMost(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.newAccount(s.tenant, "acc", "USD")
	s.newAd("acc", "ad-03", 4000)
	states := several(5)
	for i, ad := range states {
		if i != 3 {
			ad["current_budget"] = 10.0 * float64(i+1) // ad-03 says nothing: it is stored with 40.00
		}
	}
	r := s.split(m{"ad_states": states, "total_budget": 1000.0})
	if r.Unallocated != 775 || r.Limit != "change_limit" || !strings.Contains(r.UnallocatedReason, "50%") {
		t.Errorf("unallocated %v: %q %q", r.Unallocated, r.Limit, r.UnallocatedReason)
	}
	for _, total := range []float64{100, 150, 200} {
		r := s.split(m{"ad_states": states, "total_budget": total})
		for i, ad := range r.Recommendations {
			if known := 10 * float64(i+1); ad.Current != known || ad.Recommended < known/2 || ad.Recommended > known*1.5 || math.Abs(ad.Change) > 50 {
				t.Errorf("of %v %s goes from %v (want %v) to %v", total, ad.AdID, ad.Current, known, ad.Recommended)
			}
		}
		if r.Unallocated != 0 {
			t.Errorf("of %v %v is unallocated", total, r.Unallocated)
		}
	}
}

func TestCeilingsFloorsAndExclusionsHold(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	states := several(4)
	states[0]["min_budget"], states[1]["max_budget"] = 100.0, 50.0
	states[2]["excluded"], states[2]["current_budget"] = true, 70.0
	r := s.split(m{"ad_states": states, "total_budget": 500.0})
	if a, b, c := r.of(t, "ad-00"), r.of(t, "ad-01"), r.of(t, "ad-02"); a.Recommended < 100 || b.Recommended > 50 || c.Recommended != 70 {
		t.Errorf("floor 100 gets %v, ceiling 50 gets %v, excluded keeps %v", a.Recommended, b.Recommended, c.Recommended)
	}
	for _, ad := range states {
		ad["max_budget"], ad["min_budget"] = 20.0, nil
	}
	if r := s.split(m{"ad_states": states, "total_budget": 500.0}); r.Limit != "max_budget" || r.Unallocated != 370 {
		t.Errorf("with ceilings of 20: unallocated %v because of %q: %s", r.Unallocated, r.Limit, r.UnallocatedReason)
	}
	for _, ad := range states {
		ad["excluded"], ad["current_budget"] = true, nil
	}
	if r := s.split(m{"ad_states": states, "total_budget": 500.0}); r.Limit != "all_excluded" || r.Unallocated != 500 {
		t.Errorf("with all excluded: unallocated %v because of %q: %s", r.Unallocated, r.Limit, r.UnallocatedReason)
	}
}

func TestNobodyStartsAtZeroForEver(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	states := append(several(9), adState("new", m{"impressions": 0, "clicks": 0, "spend": 0, "pipeline_value": 0, "age_hours": 0}))
	ad := s.split(m{"ad_states": states, "total_budget": 900.0}).of(t, "new")
	if ad.Recommended <= 0 || ad.Current != 0 || ad.Change != 100 {
		t.Errorf("a new ad goes from %v to %v (%v%%): %s", ad.Current, ad.Recommended, ad.Change, ad.Reason)
	}
	ad = s.split(m{"ad_states": states, "total_budget": 0}).of(t, "new")
	if ad.Recommended != 0 || ad.Change != 0 {
		t.Errorf("of nothing a new ad gets %v (%v%%)", ad.Recommended, ad.Change)
	}
}

func TestASeedRepeatsTheAnswerInEveryInstance(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	other := s.instance()
	request := m{"ad_states": several(12), "total_budget": 777.77}
	first := s.split(request)
	if first.Seed < 0 || first.Seed >= 1<<53 {
		t.Errorf("seed %d is not one that JavaScript holds", first.Seed)
	}
	request["seed"] = first.Seed
	for i, to := range []http.Handler{s.handler, other, s.instance(), other} {
		again := s.check(s.do(call{body: request, to: to}))
		if again.DecisionID == first.DecisionID {
			t.Error("two decisions have one id")
		}
		again.DecisionID = first.DecisionID
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("repeat %d differs (-first +again):\n%s", i, diff)
		}
	}
}

func TestTheOrderOfTheAdsDecidesNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	states := several(20)
	first := s.split(m{"ad_states": states, "total_budget": 1000.0, "seed": 5})
	shuffled := slices.Clone(states)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	second := s.split(m{"ad_states": shuffled, "total_budget": 1000.0, "seed": 5})
	for i, ad := range second.Recommendations {
		if ad.AdID != shuffled[i]["ad_id"] {
			t.Fatalf("recommendation %d is for %s", i, ad.AdID)
		}
		if diff := cmp.Diff(first.of(t, ad.AdID), ad); diff != "" {
			t.Errorf("(-first +shuffled):\n%s", diff)
		}
	}
}

func TestABetterAdNeverGetsLess(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for i := range 8 {
		states := several(8)
		before := s.split(m{"ad_states": states, "total_budget": 1000.0, "seed": 3}).Recommendations[i].Recommended
		states[i]["pipeline_value"] = states[i]["pipeline_value"].(float64) + 700
		after := s.split(m{"ad_states": states, "total_budget": 1000.0, "seed": 3}).Recommendations[i].Recommended
		if after < before-10 {
			t.Errorf("with 700 more of value ad %d gets %v instead of %v", i, after, before)
		}
	}
}

func TestExtremesAreAnswered(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	nothing := m{"impressions": 0, "clicks": 0, "spend": 0, "pipeline_value": 0, "age_hours": 0}
	for name, states := range map[string][]m{
		"one ad":                    {adState("a")},
		"one ad of nothing":         {adState("a", nothing)},
		"nothing anywhere":          {adState("a", nothing), adState("b", nothing), adState("c", nothing)},
		"a whale":                   append(several(5), adState("w", m{"impressions": 9e12, "clicks": 8e11, "spend": 9e12, "pipeline_value": 9e12})),
		"a whale of value only":     append(several(5), adState("w", m{"impressions": 10, "clicks": 1, "spend": 0.01, "pipeline_value": 9e12})),
		"spend without impressions": {adState("a", m{"impressions": 0, "clicks": 0}), adState("b")},
		"value without anything":    {adState("a", nothing, m{"pipeline_value": 5000.0}), adState("b", nothing)},
		"every view a click":        {adState("a", m{"impressions": 500, "clicks": 500}), adState("b")},
		"ages from 0 to a century":  {adState("a", m{"age_hours": 0}), adState("b", m{"age_hours": 876000}), adState("c", m{"age_hours": 1e-9})},
		"won more than the value":   {adState("a", m{"pipeline_value": 10.0, "cash_revenue": 500.0}), adState("b")},
		"only won value":            {adState("a", m{"pipeline_value": nil, "cash_revenue": 500.0}), adState("b")},
		"nulls where left out":      {adState("a", m{"pipeline_value": json.RawMessage("null"), "max_budget": json.RawMessage("null"), "cash_revenue": json.RawMessage("null")}), adState("b")},
		"ceilings of nothing":       {adState("a", m{"max_budget": 0}), adState("b", m{"max_budget": 0})},
		"floors above the total":    {adState("a", m{"min_budget": 4e6}), adState("b", m{"min_budget": 1e9})},
		"budget known to be 0":      {adState("a", m{"current_budget": 0}), adState("b")},
		"tiny known budgets":        {adState("a", m{"current_budget": 0.01}), adState("b", m{"current_budget": 0.01})},
		"whole numbers with a dot":  {adState("a", m{"impressions": json.RawMessage("40000.0"), "clicks": json.RawMessage("4e2")})},
	} {
		for _, total := range []float64{0, 0.01, 1000, 1e12} {
			t.Run(fmt.Sprintf("%s of %v", name, total), func(t *testing.T) {
				for _, kind := range []string{"USD", "KWD"} {
					sub := *s
					sub.t = t
					request := m{"ad_states": states, "total_budget": total}
					if kind == "KWD" {
						request["creative_dna_scores"] = m{"a": 1, "b": 0, "stranger": 0.5}
					}
					sub.split(request)
				}
			})
		}
	}
}

func TestTenThousandAdsAreOneRequest(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.split(large(10000))
	if r.NumAds != 10000 {
		t.Errorf("%d ads", r.NumAds)
	}
	indented, err := json.MarshalIndent(large(10000), "", "    ")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.do(call{body: string(indented)}); got.status != http.StatusOK {
		t.Errorf("indented (%d bytes): %d %.300s", len(indented), got.status, got.body)
	}
	s.refused(s.do(call{body: large(10001)}), http.StatusUnprocessableEntity)
	s.refused(s.do(call{body: `{"ad_states": [` + strings.Repeat(" ", 9<<20) + `]}`}), http.StatusRequestEntityTooLarge)
}
