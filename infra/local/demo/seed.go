package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/geminivideo/geminivideo/infra/local/demo/sim"
	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/money"
)

// Seed gives both tenants thirty days of data, through the addresses that real
// data takes. A tenant that has its data is left alone; one whose seed was
// interrupted gets what it lacks.
func Seed(ctx context.Context, sys System) error {
	own, err := openOwner(ctx, sys.AdminDatabaseURL)
	if err != nil {
		return err
	}
	defer own.close()
	both, ctx := errgroup.WithContext(ctx)
	for _, s := range []*seeder{
		{sys: sys, owner: own, tenant: sys.Home, business: sim.Gym, seed: homeSeed},
		{sys: sys, owner: own, tenant: sys.Other, business: sim.Dental, seed: homeSeed + 1},
	} {
		both.Go(func() error {
			if err := s.run(ctx); err != nil {
				return fmt.Errorf("demo data of %s: %w", s.tenant.Name, err)
			}
			return nil
		})
	}
	return both.Wait()
}

// homeSeed makes a world that shows something of everything.
const homeSeed = 20291

// seeder makes one tenant's data.
type seeder struct {
	sys      System
	owner    owner
	tenant   Tenant
	business sim.Business
	seed     uint64

	world *sim.World
	begun time.Time
	zone  *time.Location // the account's
	api   caller         // as the tenant's editor
}

func (s *seeder) run(ctx context.Context) error {
	var complete bool
	var err error
	if s.begun, complete, err = s.owner.begin(ctx, s.tenant.ID, time.Now()); err != nil || complete {
		return err
	}
	if s.zone, err = time.LoadLocation(s.tenant.TimeZone); err != nil {
		return fmt.Errorf("the account's time zone: %w", err)
	}
	s.world = sim.New(sim.Config{Seed: s.seed, Now: s.begun, Zone: s.zone, Currency: money.Currency(s.tenant.Currency), Business: s.business})
	s.api = caller{base: s.sys.BaseURL, token: s.tenant.EditorToken}
	c := &crm{seeder: s, portal: s.sys.HubSpot.Portal(s.tenant.PortalID)}
	if c.portal == nil {
		return fmt.Errorf("portal %d is not connected to the fake HubSpot", s.tenant.PortalID)
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"map the portal's stages", func(ctx context.Context) error { return s.owner.mapStages(ctx, s.tenant) }},
		{"fill Meta", s.fillMeta},
		{"import the ads", s.importAds},
		{"track the clicks", s.track},
		{"fill the CRM", c.fill},
		{"take the deals in", c.taken},
		{"merge and delete deals", c.mishaps},
		{"take that in", c.taken},
		{"give feedback", s.feedback},
		{"divide the budget", s.allocate},
	} {
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		slog.Info("demo data: "+step.what, "tenant", s.tenant.Name, "ms", time.Since(began).Milliseconds())
	}
	return s.owner.finish(ctx, s.tenant.ID)
}

// importAds uploads the report of the ads' days.
func (s *seeder) importAds(ctx context.Context) error {
	var file bytes.Buffer
	form := multipart.NewWriter(&file)
	part, err := form.CreateFormFile("file", "ads-manager-export.csv")
	if err != nil {
		return err
	}
	if err := errors.Join(s.world.WriteCSV(part, money.Currency(s.tenant.Currency)), form.Close()); err != nil {
		return err
	}
	var answer struct {
		Rows     int
		Rejected int
		Errors   []struct {
			Line   int
			Column string
			Reason string
		}
	}
	err = s.api.patiently(ctx, request{
		method: http.MethodPost, path: "/api/ads/import?account_id=" + url.QueryEscape(s.tenant.AccountID),
		body: file.Bytes(), header: http.Header{"Content-Type": {form.FormDataContentType()}},
	}, &answer)
	if err != nil {
		return err
	}
	if answer.Rejected > 0 || answer.Rows == 0 {
		return fmt.Errorf("of %d rows %d were rejected: %v", answer.Rows, answer.Rejected, answer.Errors)
	}
	return nil
}

// lively is how far back a seed repeats the CRM's events one by one; of what lies
// further back the latest event of a deal is enough, for a start should be quick.
const lively = 3 * 24 * time.Hour

// track sends yesterday's clicks as landing pages do, and stores older ones in the
// same store: the beacon refuses what is older than seven days, and takes only 20
// clicks a second from one machine.
func (s *seeder) track(ctx context.Context) error {
	yesterday := sim.Midnight(time.Now(), s.zone, -1)
	var old []attribution.Click
	beacons, ctx := errgroup.WithContext(ctx)
	beacons.SetLimit(4)
	for _, click := range s.world.Clicks {
		if click.At.Before(yesterday) {
			old = append(old, s.stored(click))
			continue
		}
		beacons.Go(func() error {
			return caller{base: s.sys.BaseURL}.patiently(ctx, request{
				method: http.MethodPost, path: "/api/ml/attribution/track-click", body: s.beacon(click),
				header: http.Header{"Authorization": {"Bearer " + s.tenant.ServerKey}},
			}, nil)
		})
	}
	return errors.Join(s.owner.record(ctx, s.tenant.ID, old), beacons.Wait())
}

// beacon is the body that the tenant's server sends for its landing page: the
// clicks are up to some days old, and only a server may say so.
func (s *seeder) beacon(c sim.Click) map[string]any {
	body := map[string]any{
		"tenant_id": s.tenant.ID, "click_id": c.ID, "ad_id": c.AdID, "campaign_id": c.CampaignID, "clicked_at": c.At.Format(time.RFC3339Nano),
		"fbclid": c.FBCLID, "device_type": c.Device, "landing_page_url": c.URL, "consent": c.Consent,
	}
	if c.Consent {
		body["ip_address"], body["user_agent"], body["fingerprint_components"] = c.IP, c.UserAgent, c.Fingerprint
	}
	for name, value := range c.UTM {
		body[name] = value
	}
	return body
}

// stored is a click as the beacon stores it.
func (s *seeder) stored(c sim.Click) attribution.Click {
	extra := map[string]any{}
	for name, value := range c.UTM {
		extra[name] = value
	}
	return attribution.Click{
		ClickID: c.ID, AdID: c.AdID, CampaignID: c.CampaignID, ClickedAt: c.At,
		PlatformIDs: attribution.PlatformIDs{FBCLID: c.FBCLID}, FingerprintHash: s.fingerprint(c),
		IP: c.IP, UserAgent: c.UserAgent, DeviceType: c.Device, LandingPageURL: c.URL, Extra: extra, Consent: &c.Consent,
	}
}

// fingerprint is the hash that the beacon answers, and that the page's form
// hands to the CRM.
func (s *seeder) fingerprint(c sim.Click) string {
	return attribution.FingerprintHash(c.Fingerprint, s.tenant.ID)
}

// feedback tells of a few ads what a person who looks at them would.
func (s *seeder) feedback(ctx context.Context) error {
	ads, err := s.api.ads(ctx)
	if err != nil {
		return err
	}
	const each = 2 // ads with deals, whose value the ledger knows better, and without
	days := map[bool]int{}
	for _, ad := range ads {
		sold := ad.Pipeline > 0
		if ad.Impressions == 0 || days[sold] == each {
			continue
		}
		days[sold]++
		err := s.api.patiently(ctx, request{method: http.MethodPost, path: "/api/ml/battle-hardened/feedback", body: map[string]any{
			"ad_id": ad.ID, "actual_pipeline_value": ad.Pipeline, "actual_spend": ad.Spend,
			"actual_clicks": ad.Clicks, "actual_impressions": ad.Impressions,
		}}, nil)
		if err != nil {
			return fmt.Errorf("ad %s: %w", ad.ID, err)
		}
	}
	return nil
}

// allocate makes the account's first decision.
func (s *seeder) allocate(ctx context.Context) error {
	ads, err := s.api.ads(ctx)
	if err != nil {
		return err
	}
	_, err = s.api.split(ctx, s.tenant, ads, s.begun, s.seed, "demo-first-decision")
	return err
}
