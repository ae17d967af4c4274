package meta_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/money"
)

func TestAStateSaysWhatHoldsTheMoney(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.held.PutAd(fakemeta.Ad{AdSetID: w.adset, Status: "PAUSED"})
	w.held.PutAd(fakemeta.Ad{AdSetID: w.adset, Status: "ARCHIVED"})
	shared := w.held.PutCampaign(fakemeta.Campaign{Name: "Shared", DailyBudget: 9000})
	bare := w.held.PutAdSet(fakemeta.AdSet{CampaignID: shared, Name: "Bare", MinSpend: 100, SpendCap: 4000, Status: "PAUSED"})
	amount := func(n int64) *int64 { return &n }
	for object, want := range map[string]meta.State{
		"adset/" + w.adset: {
			CampaignID: w.campaign, Name: "Set", Status: "ACTIVE", Effective: "ACTIVE", DailyBudget: amount(5000), ActiveAds: 1, Ads: 2, Learning: true,
		},
		"campaign/" + w.campaign: {CampaignID: w.campaign, Name: "Clubs", Status: "ACTIVE", Effective: "ACTIVE"},
		"ad/" + w.ad:             {CampaignID: w.campaign, AdSetID: w.adset, Name: "Ad", Status: "ACTIVE", Effective: "ACTIVE"},
		"adset/" + bare: {
			CampaignID: shared, Name: "Bare", Status: "PAUSED", Effective: "PAUSED", MinSpend: amount(100), SpendCap: amount(4000), CampaignBudget: true,
		},
		"campaign/" + shared: {CampaignID: shared, Name: "Shared", Status: "ACTIVE", Effective: "ACTIVE", DailyBudget: amount(9000), CampaignBudget: true},
	} {
		want.Object, want.Currency = object, "USD"
		got, err := w.account.Read(t.Context(), object)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(meta.State{}, "Trace")); err != nil || diff != "" || got.Trace == "" {
			t.Errorf("%s: %v %s", object, err, diff)
		}
	}
	if _, err := w.account.Read(t.Context(), "ad/404"); !meta.Gone(err) {
		t.Errorf("an unknown ad: %v", err)
	}
}

func TestWritesChangeWhatTheyNameAndValidationNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	shared := w.held.PutCampaign(fakemeta.Campaign{DailyBudget: 9000})
	bare := w.held.PutAdSet(fakemeta.AdSet{CampaignID: shared})
	amount := func(n int64) *int64 { return &n }
	for _, validate := range []bool{true, false} {
		for what, err := range map[string]error{
			"ad set budget":   second(w.account.SetBudget(t.Context(), "adset/"+w.adset, 4321, validate)),
			"campaign budget": second(w.account.SetBudget(t.Context(), "campaign/"+shared, 8765, validate)),
			"limits":          second(w.account.SetSpendLimits(t.Context(), "adset/"+bare, amount(100), amount(2000), validate)),
			"status":          second(w.account.SetStatus(t.Context(), "ad/"+w.ad, "PAUSED", validate)),
		} {
			if err != nil {
				t.Errorf("%s, validate %t: %v", what, validate, err)
			}
		}
		if validate && len(w.fake.Applied("")) != 0 {
			t.Error("a validation changed something")
		}
	}
	s, b := w.fake.AdSet(w.adset), w.fake.AdSet(bare)
	if s.DailyBudget != 4321 || w.fake.Campaign(shared).DailyBudget != 8765 || b.MinSpend != 100 || b.SpendCap != 2000 || w.fake.Ad(w.ad).Status != "PAUSED" {
		t.Errorf("%+v %+v", s, b)
	}
	if _, err := w.account.SetSpendLimits(t.Context(), "adset/"+bare, nil, amount(0), false); err != nil || w.fake.AdSet(bare).SpendCap != 0 || w.fake.AdSet(bare).MinSpend != 100 {
		t.Errorf("taking the cap away: %v %+v", err, w.fake.AdSet(bare))
	}
	_, err := w.account.SetBudget(t.Context(), "adset/"+bare, 100, false)
	if meta.Outcome(err) != meta.Refused || !strings.Contains(fmt.Sprint(err), "campaign budget") {
		t.Errorf("the budget of an ad set without one: %v", err)
	}
}

func second(_ string, err error) error { return err }

// An agency's token is good for many accounts; an ad id that somebody imported
// into the wrong one must not move another's money.
func TestAnObjectOfAnotherAccountIsRefusedThoughTheTokenWouldDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	other := w.fake.Connect(fakemeta.AccountConfig{ID: "88", Tokens: []string{token}})
	theirs := other.PutAdSet(fakemeta.AdSet{CampaignID: other.PutCampaign(fakemeta.Campaign{}), DailyBudget: 1})
	if _, err := w.account.Read(t.Context(), "adset/"+theirs); fault.Of(err) != fault.Conflict {
		t.Errorf("%v", err)
	}
}

func TestBudgetsAreInTheAccountsOwnMinorUnits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		currency   money.Currency
		ours, meta int64
		odd        int64 // what Meta cannot tell; 0 where it can tell all
	}{
		{"USD", 12345, 12345, 0},
		{"EUR", 1, 1, 0},
		{"JPY", 5000, 5000, 0},
		{"KRW", 5000, 5000, 0},
		{"CLP", 7, 7, 0},
		{"ISK", 7, 7, 0},
		{"PYG", 7, 7, 0},
		{"VND", 250000, 250000, 0},
		{"HUF", 500000, 5000, 500050},
		{"IDR", 10_000_000, 100_000, 10_000_001},
		{"TWD", 300, 3, 250},
		{"COP", 100, 1, 10},
		{"CRC", 100, 1, 99},
		{"KWD", 10, 1, 5},
		{"UGX", 12, 1200, 0},
	} {
		w := newWorld(t, func(_ *fakemeta.Options, a *fakemeta.AccountConfig, _ *meta.Options) { a.Currency = string(c.currency) })
		if _, err := w.account.SetBudget(t.Context(), "adset/"+w.adset, c.ours, false); err != nil {
			t.Errorf("%s: %v", c.currency, err)
		}
		if got := w.fake.AdSet(w.adset).DailyBudget; got != c.meta {
			t.Errorf("%s: %d of ours are %d at Meta, want %d", c.currency, c.ours, got, c.meta)
		}
		s, err := w.account.Read(t.Context(), "adset/"+w.adset)
		if err != nil || s.DailyBudget == nil || *s.DailyBudget != c.ours || s.Currency != c.currency {
			t.Errorf("%s: read back %+v %v", c.currency, s, err)
		}
		if c.ours%meta.Step(c.currency) != 0 {
			t.Errorf("%s: step %d", c.currency, meta.Step(c.currency))
		}
		if c.odd == 0 {
			continue
		}
		before := len(w.fake.Writes(""))
		if _, err := w.account.SetBudget(t.Context(), "adset/"+w.adset, c.odd, false); meta.Outcome(err) != meta.Refused || len(w.fake.Writes("")) != before {
			t.Errorf("%s: %d was rounded, or sent: %v", c.currency, c.odd, err)
		}
	}
	w := newWorld(t, func(_ *fakemeta.Options, a *fakemeta.AccountConfig, _ *meta.Options) { a.Currency = "UGX" })
	half := int64(150)
	w.fake.Edit(w.adset, &half, "")
	if s, err := w.account.Read(t.Context(), "adset/"+w.adset); err == nil {
		t.Errorf("one and a half shillings were read as %d", *s.DailyBudget)
	}
}
