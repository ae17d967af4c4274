package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/standardwebhook"
)

// deals is how many the story has: a third each come from HubSpot after a click, from
// HubSpot after a lead form, and from another CRM. Each ad gets all three.
const deals = 6

var adsOfTheStory = []string{"a1", "a2"}

// sum is what an ad's deals come to.
type sum struct{ deals, won, minor int64 }

// play lets the deals happen, one after the other, and calls during before each. What is
// sent is sent again until it is acknowledged, as every sender does.
func (f *flow) play(during func(n int)) {
	f.t.Helper()
	for n := range deals {
		if during != nil {
			during(n)
		}
		f.deal(n, f.begun.Add(time.Duration(n)*time.Hour))
	}
}

// deal lets deal n happen at a time: who made it clicked one of the ads.
func (f *flow) deal(n int, at time.Time) {
	f.t.Helper()
	ad := adsOfTheStory[n/3%len(adsOfTheStory)]
	minor, stage := int64(100_000+13_737*n), "closedwon"
	if n%4 == 3 {
		stage = "closedlost"
	}
	total := f.expected[ad]
	total.deals++
	if stage == "closedwon" {
		total.won, total.minor = total.won+1, total.minor+minor
	}
	f.expected[ad] = total
	f.sent++
	switch n % 3 {
	case 0:
		f.click(n, ad, at)
		f.inHubSpot(n, map[string]string{"hs_facebook_click_id": fmt.Sprintf("fb-%d", n)}, stage, minor, at)
	case 1:
		id, err := f.meta.SubmitLead(pageID, fakemeta.Lead{AdID: ad, Email: fmt.Sprintf("lead%d@example.com", n), Created: at})
		if err != nil {
			f.t.Fatal(err)
		}
		body := f.meta.Notification(id)
		f.send("/webhooks/meta", body, func() http.Header {
			return http.Header{"X-Hub-Signature-256": {fakemeta.SignBody(appSecret, body)}}
		})
		f.inHubSpot(n, map[string]string{"gv_lead_id": id}, stage, minor, at)
	default:
		f.click(n, ad, at)
		stage = map[string]string{"closedwon": "closed_won", "closedlost": "closed_lost"}[stage]
		body := fmt.Appendf(nil, `{"deals": [{"deal_id": "D-%d", "stage": %q, "amount": %s, "currency": "usd", "occurred_at": %q,
			"contact": {"id": "c-%d", "fbclid": "fb-%d"}}]}`, n, stage, cents(minor), at.Add(2*time.Hour).Format(time.RFC3339), n, n)
		f.send("/webhooks/deals/"+source, body, func() http.Header {
			id, now := fmt.Sprintf("msg-%d", n), time.Now()
			h := http.Header{}
			h.Set(standardwebhook.IDHeader, id)
			h.Set(standardwebhook.TimestampHeader, strconv.FormatInt(now.Unix(), 10))
			h.Set(standardwebhook.SignatureHeader, standardwebhook.Sign(f.secret, id, now, body))
			return h
		})
	}
}

func (f *flow) click(n int, ad string, at time.Time) {
	if f.past {
		f.exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, fbclid, clicked_at) VALUES ($1, $2, $3, 'c1', $4, $5)`,
			tenant, fmt.Sprintf("click-%d", n), ad, fmt.Sprintf("fb-%d", n), at)
		return
	}
	f.send("/api/ml/attribution/track-click", fmt.Appendf(nil,
		`{"tenant_id": %q, "ad_id": %q, "campaign_id": "c1", "click_id": "click-%d", "fbclid": "fb-%d", "clicked_at": %q}`,
		tenant, ad, n, n, at.Format(time.RFC3339)), func() http.Header { return http.Header{"Authorization": {"Bearer " + serverKey}} })
}

// inHubSpot makes the contact and its deal there, and has HubSpot report them.
func (f *flow) inHubSpot(n int, properties map[string]string, stage string, minor int64, at time.Time) {
	f.t.Helper()
	properties["first_conversion_date"] = at.Add(time.Hour).Format(time.RFC3339)
	contact, events, err := f.portal.UpsertContact(0, properties, at.Add(time.Hour))
	if err != nil {
		f.t.Fatal(err)
	}
	deal, more, err := f.portal.CreateDeal(fakehubspot.NewDeal{
		Amount: cents(minor), Currency: "USD", Contacts: []int64{contact}, Primary: true, At: at.Add(time.Hour),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	moved, err := f.portal.MoveStage(deal, stage, at.Add(2*time.Hour))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, e := range append(append(events, more...), moved...) {
		f.portal.Enqueue(e) // one event a batch: the more can go wrong
	}
}

// patience is how long a sender goes on.
const patience = 4 * time.Minute

// send posts until the body is acknowledged, while the story goes on.
func (f *flow) send(path string, body []byte, header func() http.Header) {
	f.senders.Go(func() {
		said := "nothing"
		for began := time.Now(); time.Since(began) < patience; time.Sleep(50 * time.Millisecond) {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			status, answer := f.post(ctx, path, body, header())
			cancel()
			if status == http.StatusOK {
				return
			}
			said = fmt.Sprint(status, " ", answer)
		}
		f.t.Errorf("%s was never acknowledged; the last answer was %s", path, said)
	})
}

func (f *flow) post(ctx context.Context, path string, body []byte, header http.Header) (int, string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.doors+path, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	r.Header = header
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}
