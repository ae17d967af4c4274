package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/geminivideo/geminivideo/infra/local/demo/sim"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/hubspot"
)

// click is what the landing page's beacon does.
func (p *play) click(ctx context.Context) error {
	p.fbclid = "IwZXh0bgNhZW0" + rand.Text()
	var answer struct {
		Status      string `json:"status"`
		ClickID     string `json:"click_id"`
		Fingerprint string `json:"fingerprint_hash"`
		Window      int    `json:"attribution_window_days"`
	}
	_, err := caller{base: p.sys.BaseURL}.do(ctx, request{
		method: http.MethodPost, path: "/api/ml/attribution/track-click",
		header: http.Header{
			"X-Publishable-Key": {p.tenant.PublishableKey},
			"User-Agent":        {"Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) Mobile/15E148"},
		},
		body: map[string]any{
			"ad_id": p.ad.ID, "campaign_id": p.ad.CampaignID, "tenant_id": p.tenant.ID, "fbclid": p.fbclid, "device_type": "mobile",
			"fingerprint_components": map[string]any{"screen": "390x844", "time_zone": p.tenant.TimeZone},
			"landing_page_url":       "https://northside-fitness.example/book?ad_id=" + p.ad.ID + "&fbclid=" + p.fbclid,
			"utm_source":             "facebook", "utm_campaign": p.ad.CampaignID,
		},
	}, &answer)
	if err != nil {
		return err
	}
	p.clickID = answer.ClickID
	p.say("The landing page's beacon tells of a click on ad %s with fbclid %s...", p.ad.ID, p.fbclid[:20])
	p.say("Kept at %s as click %s, to be matched for %d days.", time.Now().UTC().Format(time.TimeOnly), p.clickID, answer.Window)
	return firstOf(want("status", answer.Status, "click_tracked"), want("attribution_window_days", answer.Window, 7))
}

// appear is the visitor's form: HubSpot makes a contact with the click's id, and
// a salesman makes a deal.
func (p *play) appear(ctx context.Context) error {
	contact, events, err := p.portal.UpsertContact(0, map[string]string{
		"hs_facebook_click_id": p.fbclid, "first_conversion_date": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
	}, time.Time{})
	if err != nil {
		return err
	}
	p.contact = contact
	deal, more, err := p.portal.CreateDeal(fakehubspot.NewDeal{
		Name: sim.Gym.Products[0] + " (the play's)", Pipeline: Pipeline.ID, Stage: stageIDs[sim.Lead],
		Currency: p.tenant.Currency, Contacts: []int64{contact}, Primary: true,
	})
	if err != nil {
		return err
	}
	p.deal = deal
	body, err := p.pack(append(events, more...))
	if err != nil {
		return err
	}
	if err := p.deliver(ctx, body); err != nil {
		return err
	}
	e, err := p.entry(ctx)
	if err != nil {
		return err
	}
	p.say("Contact %d filled in the form; deal %d is a new lead. %d events came and were taken in.", contact, deal, len(events)+len(more))
	p.say("The ledger has the deal in stage lead, worth %s.", p.money(units(e.Value, p.tenant)))
	return firstOf(want("the deal's state", e.State, "live"), p.stage(e, sim.Lead), want("its value", e.Value, 0))
}

func (p *play) stage(e entry, expected sim.Stage) error {
	seen := "none"
	if e.StageName != nil {
		seen = *e.StageName
	}
	return want("the deal's stage", seen, string(expected))
}

// move sends the move as HubSpot does, and before that with one byte changed.
func (p *play) move(ctx context.Context) error {
	events, err := p.portal.MoveStage(p.deal, stageIDs[sim.Appointment], time.Time{})
	if err != nil {
		return err
	}
	body, err := p.pack(events)
	if err != nil {
		return err
	}
	signed := p.sign(body)
	forged := bytes.Replace(body, []byte("appointment"), []byte("Appointment"), 1)
	var no *refusal
	switch _, err := p.hook(ctx, forged, signed); {
	case err == nil:
		return errors.New("a webhook with one byte changed: expected 401, saw it accepted")
	case !errors.As(err, &no):
		return err
	case no.status != http.StatusUnauthorized:
		return fmt.Errorf("a webhook with one byte changed: expected 401, saw %d", no.status)
	}
	if err := p.await(ctx); err != nil {
		return err
	}
	e, err := p.entry(ctx)
	if err != nil {
		return err
	}
	if err := p.stage(e, sim.Lead); err != nil {
		return fmt.Errorf("after a forged webhook: %w", err)
	}
	p.say("Signed by HubSpot, but one byte changed on the way: 401, and nothing moved.")
	if err := p.deliver(ctx, body); err != nil {
		return err
	}
	if e, err = p.entry(ctx); err != nil {
		return err
	}
	p.say("As HubSpot sent it: 200, queued, taken in. Deal %d is in appointment_scheduled.", p.deal)
	return p.stage(e, sim.Appointment)
}

// won is the deal's real amount.
func (p *play) won(ctx context.Context) error {
	events, err := p.portal.SetDeal(p.deal, map[string]string{
		"amount": fmt.Sprintf("%d.00", wonUnits), "dealstage": stageIDs[sim.Won],
	}, time.Time{})
	if err != nil {
		return err
	}
	if p.sent, err = p.pack(events); err != nil {
		return err
	}
	if err := p.deliver(ctx, p.sent); err != nil {
		return err
	}
	e, err := p.entry(ctx)
	if err != nil {
		return err
	}
	ad, err := p.current(ctx)
	if err != nil {
		return err
	}
	p.say("Deal %d is closed_won for its real amount, %s, instead of what its stage stands for.", p.deal, p.money(units(e.Value, p.tenant)))
	p.say("The ad's pipeline value: %s before the deal, %s now; %s of it is cash.", p.money(p.ad.Pipeline), p.money(ad.Pipeline), p.money(ad.Revenue))
	return firstOf(
		p.stage(e, sim.Won), p.sameMoney("the deal's value", units(e.Value, p.tenant), wonUnits),
		p.sameMoney("the ad's pipeline value", ad.Pipeline, p.ad.Pipeline+wonUnits),
		p.sameMoney("the ad's revenue", ad.Revenue, p.ad.Revenue+wonUnits),
	)
}

// again is HubSpot's retry of a webhook whose answer it missed.
func (p *play) again(ctx context.Context) error {
	was, err := p.current(ctx)
	if err != nil {
		return err
	}
	if err := p.deliver(ctx, p.sent); err != nil {
		return err
	}
	is, err := p.current(ctx)
	if err != nil {
		return err
	}
	p.say("The very same events once more: 200, and the ad still has %s.", p.money(is.Pipeline))
	return firstOf(
		p.sameMoney("the ad's pipeline value", is.Pipeline, was.Pipeline), p.sameMoney("the ad's revenue", is.Revenue, was.Revenue),
	)
}

// lost takes the deal, and with it the credit, away.
func (p *play) lost(ctx context.Context) error {
	events, err := p.portal.MoveStage(p.deal, stageIDs[sim.Lost], time.Time{})
	if err != nil {
		return err
	}
	body, err := p.pack(events)
	if err != nil {
		return err
	}
	if err := p.deliver(ctx, body); err != nil {
		return err
	}
	ad, err := p.current(ctx)
	if err != nil {
		return err
	}
	stored, err := p.indexed(ctx)
	if err != nil {
		return err
	}
	p.say("Deal %d is closed_lost. The ad's pipeline value is %s again, and searches no longer find it.", p.deal, p.money(ad.Pipeline))
	return firstOf(
		p.sameMoney("the ad's pipeline value", ad.Pipeline, p.ad.Pipeline), p.sameMoney("the ad's revenue", ad.Revenue, p.ad.Revenue),
		want("whether searches find the ad", stored.Active, false),
	)
}

// pack writes a batch as HubSpot does and saves the CRM, so that a restart knows
// of what was said.
func (p *play) pack(events []fakehubspot.Event) ([]byte, error) {
	if err := p.sys.HubSpot.Save(); err != nil {
		return nil, err
	}
	return json.Marshal(events)
}

func (p *play) sign(body []byte) http.Header {
	return hubspot.Sign(p.tenant.WebhookSecret, http.MethodPost, p.sys.Webhook(), body, time.Now())
}

// deliver sends a signed batch and waits until it has been taken in.
func (p *play) deliver(ctx context.Context, body []byte) error {
	var events []json.RawMessage
	if err := json.Unmarshal(body, &events); err != nil {
		return err
	}
	answer, err := p.hook(ctx, body, p.sign(body))
	if err != nil {
		return err
	}
	if err := firstOf(want("status", answer.Status, "queued"), want("events", answer.Events, len(events))); err != nil {
		return err
	}
	return p.await(ctx)
}

type hookAnswer struct {
	Status string `json:"status"`
	Events int    `json:"events"`
}

func (p *play) hook(ctx context.Context, body []byte, signed http.Header) (a hookAnswer, err error) {
	_, err = caller{base: p.sys.BaseURL}.do(ctx, request{method: http.MethodPost, path: "/webhooks/hubspot", body: body, header: signed}, &a)
	return a, err
}
