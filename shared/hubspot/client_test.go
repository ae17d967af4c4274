package hubspot_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/memnet"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
)

const (
	portalID = 48807704
	token    = "pat-na1-secret-token"
)

// hub is a fake HubSpot with one portal, and a client of it that loses no time.
type hub struct {
	*fakehubspot.Portal
	fake    *fakehubspot.Fake
	client  *hubspot.Client
	options hubspot.Options
}

func newHub(t *testing.T, change func(*fakehubspot.Options, *fakehubspot.PortalConfig, *hubspot.Options)) hub {
	t.Helper()
	o := fakehubspot.Options{}
	c := fakehubspot.PortalConfig{ID: portalID, Tokens: []string{token}, Limit: 10_000, Rates: map[string]float64{"EUR": 1.1}}
	h := hubspot.Options{
		Portal: portalID, HomeCurrency: "USD", Limits: hubspot.NewLimits(10_000), FirstWait: time.Millisecond,
		Token: func(context.Context) (string, error) { return token, nil },
	}
	if change != nil {
		change(&o, &c, &h)
	}
	fake, err := fakehubspot.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := memnet.Serve(t, fake)
	h.BaseURL, h.Transport = server.URL, server.Transport
	client, err := hubspot.New(h)
	if err != nil {
		t.Fatal(err)
	}
	return hub{Portal: fake.Connect(c), fake: fake, client: client, options: h}
}

func (h hub) deal(t *testing.T, d fakehubspot.NewDeal) int64 {
	t.Helper()
	id, _, err := h.CreateDeal(d)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (h hub) contact(t *testing.T, properties map[string]string) int64 {
	t.Helper()
	id, _, err := h.UpsertContact(0, properties, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestADealComesWithAmountsHistoryAndContacts(t *testing.T) {
	t.Parallel()
	h := newHub(t, nil)
	at := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	first, second := h.contact(t, nil), h.contact(t, nil)
	id := h.deal(t, fakehubspot.NewDeal{Amount: "1500.5", Currency: "EUR", Contacts: []int64{first}, At: at})
	if _, err := h.Associate(id, second, true); err != nil {
		t.Fatal(err)
	}
	for i, stage := range []string{"qualifiedtobuy", "closedwon"} {
		if _, err := h.MoveStage(id, stage, at.Add(time.Duration(i+1)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	// A change that HubSpot learns of late belongs where its time says.
	if _, err := h.MoveStage(id, "contractsent", at.Add(90*time.Minute)); err != nil {
		t.Fatal(err)
	}
	got, err := h.client.Deal(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	sure := 1.0
	move := func(stage string, after time.Duration) hubspot.StageChange {
		return hubspot.StageChange{Stage: stage, At: at.Add(after), SourceType: "CRM_UI", SourceID: "userId:76023669"}
	}
	want := hubspot.Deal{
		ID: id, Asked: id, Stage: "closedwon", Pipeline: "default", CreatedAt: at, ClosedWon: true, Probability: &sure,
		Amount:     hubspot.Amount{Raw: "1500.5", Currency: "EUR", Value: 150050, Known: true},
		HomeAmount: hubspot.Amount{Raw: "1650.55", Currency: "USD", Value: 165055, Known: true},
		History: []hubspot.StageChange{
			move("appointmentscheduled", 0), move("qualifiedtobuy", time.Hour), move("contractsent", 90*time.Minute), move("closedwon", 2*time.Hour),
		},
		Contacts: []int64{second, first},
	}
	got.ModifiedAt = time.Time{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if v, ok := got.AmountIn("USD"); v != 165055 || !ok {
		t.Errorf("in USD it is %d, %v", v, ok)
	}
	if _, ok := got.AmountIn("JPY"); ok {
		t.Error("it has an amount in JPY")
	}
}

func TestAmountsWithoutAKnownCurrencyStayRaw(t *testing.T) {
	t.Parallel()
	h := newHub(t, func(_ *fakehubspot.Options, _ *fakehubspot.PortalConfig, o *hubspot.Options) { o.HomeCurrency = "" })
	deal, err := h.client.Deal(t.Context(), h.deal(t, fakehubspot.NewDeal{Amount: "99.999"}))
	if err != nil {
		t.Fatal(err)
	}
	if want := (hubspot.Amount{Raw: "99.999"}); deal.Amount != want || deal.HomeAmount != want {
		t.Errorf("got %+v and %+v, want %+v twice", deal.Amount, deal.HomeAmount, want)
	}
	for raw, want := range map[string]bool{"12": true, "-3.5": true, "1e3": true, "": false, "NaN": false, "Infinity": false, "0x1p4": false, "1,000": false, "1e99": false} {
		if _, ok := (hubspot.Amount{Raw: raw}).In("USD"); ok != want {
			t.Errorf("%q is an amount: %v, want %v", raw, ok, want)
		}
	}
	if v, ok := (hubspot.Amount{Raw: "1500"}).In("JPY"); v != 1500 || !ok {
		t.Errorf("1500 JPY are %d minor units, %v", v, ok)
	}
}

func TestAMergedDealComesBackAsItsSurvivor(t *testing.T) {
	t.Parallel()
	h := newHub(t, nil)
	for _, fresh := range []bool{false, true} {
		one, two := h.deal(t, fakehubspot.NewDeal{Amount: "1"}), h.deal(t, fakehubspot.NewDeal{})
		survivor, _, err := h.MergeDeals(one, two, fresh)
		if err != nil || (survivor != one) != fresh {
			t.Fatalf("merged into %d, %v", survivor, err)
		}
		deal, err := h.client.Deal(t.Context(), two)
		if err != nil || deal.ID != survivor || deal.Asked != two || !deal.Merged() || !slices.Contains(deal.MergedIDs, two) {
			t.Errorf("asked for %d: got %+v, %v; want %d", two, deal, err, survivor)
		}
	}
}

func TestADeletedDealIsNotFoundUntilRestored(t *testing.T) {
	t.Parallel()
	h := newHub(t, nil)
	id := h.deal(t, fakehubspot.NewDeal{})
	if _, err := h.DeleteDeal(id); err != nil {
		t.Fatal(err)
	}
	if _, err := h.client.Deal(t.Context(), id); fault.Of(err) != fault.NotFound || !fault.Permanent(err) {
		t.Errorf("got %v, want a NotFound fault", err)
	}
	if _, err := h.RestoreDeal(id); err != nil {
		t.Fatal(err)
	}
	if _, err := h.client.Deal(t.Context(), id); err != nil {
		t.Error(err)
	}
}

func TestHugeAssociationsAreReadToTheEnd(t *testing.T) {
	t.Parallel()
	h := newHub(t, func(o *fakehubspot.Options, _ *fakehubspot.PortalConfig, _ *hubspot.Options) { o.AssociationPage = 7 })
	contacts := make([]int64, 250)
	for i := range contacts {
		contacts[i] = h.contact(t, map[string]string{"gv_click_id": fmt.Sprint("click-", i)})
	}
	last := contacts[len(contacts)-1]
	id := h.deal(t, fakehubspot.NewDeal{Contacts: contacts})
	if _, err := h.Associate(id, last, true); err != nil {
		t.Fatal(err)
	}
	deal, err := h.client.Deal(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append([]int64{last}, contacts[:249]...), deal.Contacts); diff != "" {
		t.Errorf("contacts (-want +got):\n%s", diff)
	}
	found, err := h.client.Contacts(t.Context(), deal.Contacts...)
	if err != nil || len(found) != 250 || !slices.Equal(found[contacts[17]].ClickIDs, []string{"click-17"}) {
		t.Errorf("got %d contacts, the 18th with click %q, %v", len(found), found[contacts[17]].ClickIDs, err)
	}
	if n := h.fake.Requests("POST /crm/v3/objects/{type}/batch/read"); n != 5 {
		t.Errorf("250 contacts took %d requests, want 5", n)
	}
	for range 30 {
		h.deal(t, fakehubspot.NewDeal{Contacts: []int64{last}})
	}
	if deals, err := h.client.DealsOfContact(t.Context(), last); err != nil || len(deals) != 31 || !slices.IsSorted(deals) {
		t.Errorf("got %d deals, %v", len(deals), err)
	}
}

func TestALaterClickDoesNotHideTheEarlierOne(t *testing.T) {
	t.Parallel()
	h := newHub(t, nil)
	id := h.contact(t, map[string]string{"hs_facebook_click_id": "first"})
	if _, _, err := h.UpsertContact(id, map[string]string{"hs_facebook_click_id": "later"}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	found, err := h.client.Contacts(t.Context(), id)
	if err != nil || !slices.Equal(found[id].FacebookClickIDs, []string{"first", "later"}) {
		t.Errorf("got %q, %v", found[id].FacebookClickIDs, err)
	}
}

func TestContactsCarryTheirClicksAndTimes(t *testing.T) {
	t.Parallel()
	h := newHub(t, nil)
	id := h.contact(t, map[string]string{
		"hs_facebook_click_id": "fb", "hs_google_click_id": "g", "gv_click_id": "c", "gv_fingerprint_hash": "f", "email": "a@b.example",
		"hs_analytics_first_url": "https://x.example/?fbclid=1", "first_conversion_date": "2026-11-02T10:00:00Z",
		"recent_conversion_date": "1793700000000", "createdate": "2026-11-01",
	})
	gone, erased, merged := h.contact(t, nil), h.contact(t, nil), h.contact(t, nil)
	for _, change := range []func() ([]fakehubspot.Event, error){
		func() ([]fakehubspot.Event, error) { return h.DeleteContact(gone) },
		func() ([]fakehubspot.Event, error) { return h.EraseContact(erased) },
		func() ([]fakehubspot.Event, error) { return h.MergeContacts(id, merged) },
	} {
		if _, err := change(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := h.client.Contacts(t.Context(), id, gone, erased, merged, 1)
	if err != nil {
		t.Fatal(err)
	}
	day := func(d int, hour int) time.Time { return time.Date(2026, 11, d, hour, 0, 0, 0, time.UTC) }
	one := hubspot.Contact{
		ID: id, FacebookClickIDs: []string{"fb"}, GoogleClickIDs: []string{"g"}, TikTokClickIDs: []string{}, ClickIDs: []string{"c"}, FingerprintHashes: []string{"f"}, FirstURL: "https://x.example/?fbclid=1",
		CreatedAt: day(1, 0), FirstConversionAt: day(2, 10), RecentConversionAt: time.UnixMilli(1793700000000).UTC(), MergedIDs: []int64{merged},
	}
	if diff := cmp.Diff(map[int64]hubspot.Contact{id: one, merged: one}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := one.ConvertedAt(); got != day(2, 10) {
		t.Errorf("converted at %v", got)
	}
	if deals, err := h.client.DealsOfContact(t.Context(), gone); len(deals) != 0 || err != nil {
		t.Errorf("the deleted contact has deals %v, %v", deals, err)
	}
}

func TestPipelinesAndTheAccountAreRead(t *testing.T) {
	t.Parallel()
	h := newHub(t, func(_ *fakehubspot.Options, c *fakehubspot.PortalConfig, _ *hubspot.Options) { c.HomeCurrency = "GBP" })
	pipelines, err := h.client.Pipelines(t.Context())
	if err != nil || len(pipelines) != 1 || len(pipelines[0].Stages) != 7 {
		t.Fatalf("got %+v, %v", pipelines, err)
	}
	won, probability := pipelines[0].Stages[5], 1.0
	if diff := cmp.Diff(hubspot.Stage{ID: "closedwon", Label: "Closed Won", Probability: &probability, Closed: true}, won); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	account, err := h.client.Account(t.Context())
	if want := (hubspot.Account{Portal: portalID, HomeCurrency: "GBP", TimeZone: "US/Eastern"}); account != want || err != nil {
		t.Errorf("got %+v, %v; want %+v", account, err, want)
	}
}

func TestProbabilitiesOfEveryFormEndBetweenZeroAndOne(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{`"0.4"`: "0.4", `"40"`: "0.4", `0.4`: "0.4", `"1"`: "1", `"NaN"`: "none", `"-1"`: "none", `"101"`: "none", `null`: "none"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"id":7,"properties":{"hs_deal_stage_probability":%s}}`, raw)
		}))
		deal, err := clientOf(t, server.URL, nil).Deal(t.Context(), 7)
		server.Close()
		got := "none"
		if deal.Probability != nil {
			got = fmt.Sprint(*deal.Probability)
		}
		if got != want || err != nil {
			t.Errorf("%s: got %s, %v; want %s", raw, got, err, want)
		}
	}
}

// clientOf returns a client of some other server.
func clientOf(t *testing.T, url string, change func(*hubspot.Options)) *hubspot.Client {
	t.Helper()
	o := hubspot.Options{
		Portal: portalID, BaseURL: url, FirstWait: time.Millisecond, Limits: hubspot.NewLimits(10_000),
		Token: func(context.Context) (string, error) { return token, nil },
	}
	if change != nil {
		change(&o)
	}
	client, err := hubspot.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func mustNotTellTheToken(t *testing.T, err error) {
	t.Helper()
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err)} {
		if strings.Contains(text, token) || strings.Contains(text, "Bearer") {
			t.Errorf("the error tells the token: %s", text)
		}
	}
}
