package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/geminivideo/geminivideo/infra/local/demo/sim"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/auth"
)

// silent is an advertiser whose portal sends nothing, and what is known of it.
type silent struct {
	tenant Tenant
	admin  caller
	portal *fakehubspot.Portal
	size   int                // its deals
	deals  []int64            // those that are won
	worth  map[string]float64 // by campaign
	of     map[int64]string   // the campaigns of won deals
}

// connection is what the demo reads of a portal's connection.
type connection struct {
	PortalID int64 `json:"portal_id"`
	Backfill struct {
		Status string `json:"status"`
		Read   int    `json:"read"`
	} `json:"backfill"`
	Reconcile struct {
		LastFinishedAt time.Time `json:"last_finished_at"`
		Seen           int       `json:"seen"`
		Repaired       int       `json:"repaired"`
		LastError      string    `json:"last_error"`
	} `json:"reconcile"`
}

// connectsSilent makes a fresh tenant with six ads and a portal full of deals, and
// connects the portal, whose webhooks go nowhere.
func (p *play) connectsSilent(ctx context.Context) error {
	number, err := rand.Int(rand.Reader, big.NewInt(900_000_000))
	if err != nil {
		return err
	}
	id := number.Int64() + 100_000_000
	t := Tenant{
		ID: uuid.NewString(), Name: "Riverside Yoga", Currency: "USD", AccountID: "act_" + strconv.FormatInt(id, 10), TimeZone: "America/Chicago",
		PortalID: id,
	}
	t.AdminToken = p.sys.Token(t.ID, "admin@riverside.example", auth.Admin)
	if err := p.owner.makeTenant(ctx, t, "admin@riverside.example"); err != nil {
		return err
	}
	s := silent{
		size: p.sys.SilentDeals, tenant: t, admin: caller{p.sys.BaseURL, t.AdminToken}, worth: map[string]float64{},
		of: map[int64]string{},
	}
	if err := s.importAds(ctx); err != nil {
		return err
	}
	clicks := s.clicks(time.Now())
	if err := p.owner.record(ctx, t.ID, clicks); err != nil {
		return err
	}
	secret := make([]byte, 16)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	token := "pat-" + hex.EncodeToString(secret)
	s.portal = p.sys.HubSpot.Connect(fakehubspot.PortalConfig{
		ID: id, Tokens: []string{token}, HomeCurrency: t.Currency, Limit: 2000, Pipelines: []fakehubspot.Pipeline{Pipeline},
	})
	if err := s.fill(clicks, time.Now()); err != nil {
		return err
	}
	if _, err := s.admin.do(ctx, request{
		method: http.MethodPut, path: "/api/connections/hubspot", body: map[string]any{"portal_id": id, "access_token": token},
	}, nil); err != nil {
		return err
	}
	if err := p.owner.mapStages(ctx, t); err != nil {
		return err
	}
	p.silent = s
	p.say("%s, a new tenant, has three campaigns of two ads, %d clicks on them, and no deal.", t.Name, len(clicks))
	p.say("Its portal %d has %d deals, and its webhooks go nowhere. An admin connects it.", id, s.size)
	for campaign := range s.worth {
		if err := s.expect(ctx, campaign, 0); err != nil {
			return err
		}
	}
	return nil
}

// backfilled runs the scheduled function until the portal's deals are read.
func (p *play) backfilled(ctx context.Context) error {
	c, err := p.reconciled(ctx, time.Time{})
	if err != nil {
		return err
	}
	if err := p.await(ctx); err != nil {
		return err
	}
	p.say("The scheduled function reconcile has read %d deals with their contacts and stage histories: backfill %s.", c.Backfill.Read, c.Backfill.Status)
	for _, campaign := range []string{"ry-c0", "ry-c1", "ry-c2"} {
		if err := p.silent.expect(ctx, campaign, p.silent.worth[campaign]); err != nil {
			return err
		}
		p.say("Campaign %s: pipeline value %s, the sum of its won deals, without a single webhook.", campaign, say(p.silent.worth[campaign], p.silent.tenant))
	}
	events, err := p.owner.handled(ctx, p.silent.tenant.ID)
	if err != nil {
		return err
	}
	return firstOf(want("deals read", c.Backfill.Read, p.silent.size), want("events of the portal", events, 0), want("repaired deals", c.Reconcile.Repaired, 0))
}

// repaired deletes a deal and re-prices another at HubSpot, which says nothing of it,
// and asks for a comparison.
func (p *play) repaired(ctx context.Context) error {
	s := p.silent
	deleted, dearer := s.deals[0], s.deals[1]
	if _, err := s.portal.DeleteDeal(deleted); err != nil {
		return err
	}
	if _, err := s.portal.SetAmount(dearer, "9999.00"); err != nil {
		return err
	}
	s.worth[s.of[deleted]] -= wonAt(0)
	s.worth[s.of[dearer]] += 9999 - wonAt(1)
	asked := time.Now()
	if err := s.admin.post(ctx, "/api/connections/hubspot/reconcile", nil, nil); err != nil {
		return err
	}
	c, err := p.reconciled(ctx, asked)
	if err != nil {
		return err
	}
	for campaign, worth := range s.worth {
		if err := s.expect(ctx, campaign, worth); err != nil {
			return err
		}
	}
	p.say("HubSpot deletes deal %d and re-prices deal %d; both webhooks are lost. An admin asks for a comparison:", deleted, dearer)
	p.say("%d deals looked at, %d repaired; the campaigns have what the CRM says, and a notice tells the tenant.", c.Reconcile.Seen, c.Reconcile.Repaired)
	return want("repaired deals", c.Reconcile.Repaired, 2)
}

// reconciled runs the scheduled function until a run that ended after at has read the
// silent portal to its end.
func (p *play) reconciled(ctx context.Context, at time.Time) (c connection, err error) {
	ctx, cancel := context.WithTimeout(ctx, AwaitWithin+time.Duration(p.silent.size)*100*time.Millisecond)
	defer cancel()
	for {
		if _, err := p.sys.Run(ctx, "reconcile"); err != nil {
			return c, err
		}
		var list struct{ Connections []connection }
		if err := p.silent.admin.get(ctx, "/api/connections/hubspot", &list); err != nil {
			return c, err
		}
		c = list.Connections[0]
		if c.Backfill.Status == "completed" && c.Reconcile.LastFinishedAt.After(at) {
			return c, nil
		}
		select {
		case <-ctx.Done():
			return c, fmt.Errorf("portal %d: the backfill is %s after %d deals, last error %q: %w",
				c.PortalID, c.Backfill.Status, c.Backfill.Read, c.Reconcile.LastError, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// expect checks a campaign's pipeline value, in units.
func (s silent) expect(ctx context.Context, campaign string, worth float64) error {
	var list struct {
		Campaigns []struct {
			ID       string  `json:"id"`
			Pipeline float64 `json:"pipeline_value"`
		}
	}
	if err := s.admin.get(ctx, "/api/campaigns", &list); err != nil {
		return err
	}
	for _, c := range list.Campaigns {
		if c.ID == campaign {
			return want("the pipeline value of campaign "+campaign, c.Pipeline, worth)
		}
	}
	return fmt.Errorf("campaign %s is not among %d campaigns", campaign, len(list.Campaigns))
}

// importAds uploads six ads with one day each.
func (s silent) importAds(ctx context.Context) error {
	var file bytes.Buffer
	form := multipart.NewWriter(&file)
	part, err := form.CreateFormFile("file", "ads.csv")
	if err != nil {
		return err
	}
	rows := [][]string{{
		"Campaign name", "Campaign ID", "Ad name", "Ad ID", "Day", "Date created", "Impressions", "Clicks (all)",
		"Amount spent (USD)",
	}}
	for n := range 6 {
		rows = append(rows, []string{
			fmt.Sprintf("Classes %d", n/2), fmt.Sprintf("ry-c%d", n/2), fmt.Sprintf("Class %d", n), fmt.Sprintf("ry-a%d", n),
			time.Now().AddDate(0, 0, -2).Format(time.DateOnly), time.Now().AddDate(0, 0, -40).UTC().Format(time.RFC3339), "40000", "600", "5000.00",
		})
	}
	if err := errors.Join(csv.NewWriter(part).WriteAll(rows), form.Close()); err != nil {
		return err
	}
	var answer struct{ Rows, Rejected int }
	err = s.admin.patiently(ctx, request{
		method: http.MethodPost, path: "/api/ads/import?account_id=" + url.QueryEscape(s.tenant.AccountID),
		body: file.Bytes(), header: http.Header{"Content-Type": {form.FormDataContentType()}},
	}, &answer)
	return errors.Join(err, want("rejected rows", answer.Rejected, 0))
}

// clicks are a month's clicks on the six ads, of which a tenth of the deals came.
func (s silent) clicks(now time.Time) []attribution.Click {
	all := make([]attribution.Click, s.size/10)
	for i := range all {
		all[i] = attribution.Click{
			ClickID: uuid.NewString(), AdID: fmt.Sprintf("ry-a%d", i%6), CampaignID: fmt.Sprintf("ry-c%d", i%6/2),
			ClickedAt:   now.Add(-time.Duration(i+72) * time.Hour),
			PlatformIDs: attribution.PlatformIDs{FBCLID: "IwZXh0bgNhZW0" + strings.ToLower(rand.Text())},
		}
	}
	return all
}

// wonAt is what the n-th won deal is worth.
func wonAt(n int) float64 { return float64(900 + n%9*250) }

// fill puts the deals into the portal: each with a contact; of those that came of a
// click every other one is won and the rest lost, and the others have an appointment.
func (s *silent) fill(clicks []attribution.Click, now time.Time) error {
	for i := range s.size {
		deal := fakehubspot.NewDeal{
			Pipeline: Pipeline.ID, Stage: stageIDs[sim.Appointment], Currency: s.tenant.Currency,
			At: now.AddDate(0, 0, -30-i%400),
		}
		contact := map[string]string{"email": fmt.Sprintf("guest%d@riverside.example", i)}
		n := i / 10
		if i%10 == 0 {
			deal.At = clicks[n].ClickedAt.Add(2 * time.Hour)
			contact["hs_facebook_click_id"] = clicks[n].FBCLID
			deal.Stage = stageIDs[sim.Lost]
			if n%2 == 0 {
				deal.Stage, deal.Amount = stageIDs[sim.Won], strconv.FormatFloat(wonAt(n/2), 'f', 2, 64)
			}
		}
		contact["first_conversion_date"] = deal.At.Add(-time.Hour).UTC().Format(time.RFC3339)
		id, _, err := s.portal.UpsertContact(0, contact, deal.At.Add(-time.Hour))
		if err != nil {
			return err
		}
		deal.Contacts, deal.Primary = []int64{id}, true
		if id, _, err = s.portal.CreateDeal(deal); err != nil {
			return err
		}
		if i%10 == 0 && n%2 == 0 {
			s.deals = append(s.deals, id)
			s.of[id] = clicks[n].CampaignID
			s.worth[clicks[n].CampaignID] += wonAt(n / 2)
		}
	}
	return nil
}
