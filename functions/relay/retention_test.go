package relay_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// TestVisitorsDataGoesByTheClock runs retention at chosen times.
func TestVisitorsDataGoesByTheClock(t *testing.T) {
	t.Parallel()
	f := open(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.exec(t, `INSERT INTO gv.accounts (tenant_id, account_id, click_retention_days) VALUES ($1, 'short', 30), ($1, 'long', 100)`, tenant)
	f.exec(t, `INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c', 'short')`, tenant)
	f.exec(t, `INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) VALUES ($1, 'short-ad', 'short', 'c'), ($1, 'long-ad', 'long', 'c')`, tenant)
	for id, ad := range map[string]string{"short": "short-ad", "long": "long-ad", "credited": "short-ad", "unknown": "nobody's"} {
		f.exec(t, `INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid, fingerprint_hash, ip_address, user_agent, fbp, landing_page_url, extra)
			VALUES ($1, $2, $3, 'c', $4, 'fb-' || $2, 'fp', '203.0.113.7', 'UA', 'fb.1.2.3', 'https://shop.example/?mail=x', '{"utm_source": "meta", "mail": "ana@example.com"}')`, tenant, id, ad, at)
	}
	f.exec(t, `INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, click_id, ad_id, attribution_method) VALUES ($1, 1, 1, 'live', 'credited', 'short-ad', 'url_param')`, tenant)
	f.exec(t, `INSERT INTO gv.conversions (tenant_id, conversion_id, conversion_type, value_minor, converted_at, converted_until, fbclid, ip_address, user_agent, fingerprint_hash, method, confidence, reason)
		VALUES ($1, 'v', 'lead', 0, $2, $2, 'fb-x', '203.0.113.7', 'UA', 'fp', 'unattributed', 0, '')`, tenant, at)
	const state = `SELECT (SELECT count(*) FROM gv.clicks WHERE ip_address IS NOT NULL AND user_agent IS NOT NULL AND fingerprint_hash IS NOT NULL AND fbp IS NOT NULL)::text
		|| ' ' || (SELECT count(*) FROM gv.conversions WHERE ip_address IS NOT NULL OR user_agent IS NOT NULL OR fingerprint_hash IS NOT NULL)
		|| ' ' || (SELECT count(fbclid) FROM gv.conversions) || ' ' || (SELECT string_agg(click_id, ',' ORDER BY click_id) FROM gv.clicks)`
	const day = 24 * time.Hour
	for _, step := range []struct {
		after time.Duration
		want  string
	}{
		{8 * day, "4 1 1 credited,long,short,unknown"},
		{8*day + time.Second, "0 0 1 credited,long,short,unknown"},
		{30 * day, "0 0 1 credited,long,short,unknown"},
		{30*day + time.Second, "0 0 1 credited,long,unknown"},
		{100 * day, "0 0 1 credited,long,unknown"}, // of an unknown ad: the tenant's longest
		{100*day + time.Second, "0 0 0 credited"},
		{400 * day, "0 0 0 credited"},
	} {
		for range 2 {
			err := pg.Across(context.Background(), f.db, func(tx pgx.Tx) error {
				_, _, err := attribution.Retain(context.Background(), tx, at.Add(step.after), 100)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(step.want, f.text(t, state)); diff != "" {
			t.Errorf("after %v: %s", step.after, diff)
		}
	}
	if got := f.text(t, `SELECT concat_ws(' ', fbclid, landing_page_url, extra) FROM gv.clicks`); got != `fb-credited {"utm_source": "meta"}` {
		t.Errorf("of the credited click there is %s", got)
	}
	f.exec(t, `UPDATE gv.deals SET click_id = NULL, ad_id = NULL, attribution_method = 'unattributed'`)
	err := pg.Across(context.Background(), f.db, func(tx pgx.Tx) error {
		_, _, err := attribution.Retain(context.Background(), tx, at.Add(500*day), 100)
		return err
	})
	if got := f.text(t, `SELECT count(*)::text FROM gv.clicks`); err != nil || got != "0" {
		t.Errorf("a click that lost its credit: %s left, %v", got, err)
	}
}

// TestHashesOfAddressesGoAfterNinetyDays runs retention around that instant.
func TestHashesOfAddressesGoAfterNinetyDays(t *testing.T) {
	t.Parallel()
	f := open(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.exec(t, `INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, lead_id, email_hash, phone_hash) VALUES ($1, 'lead-1', 'a', 'c', $2, '1', 'e', 'p')`, tenant, at)
	for contact, deal := range map[int]time.Time{1: at, 2: at.AddDate(0, 0, 10)} { // the second has a later deal
		f.exec(t, `INSERT INTO gv.contacts (tenant_id, portal_id, contact_id, converted_at) VALUES ($1, 9, $2, $3)`, tenant, contact, at)
		f.exec(t, `INSERT INTO gv.contact_keys (tenant_id, portal_id, contact_id, kind, value) VALUES ($1, 9, $2, 'email_hash', 'e'), ($1, 9, $2, 'fbclid', 'fb')`, tenant, contact)
		f.exec(t, `INSERT INTO gv.contact_hashes (tenant_id, portal_id, contact_id, kind, hash, saved_at)
			SELECT tenant_id, portal_id, contact_id, kind, gv.key_hash(tenant_id, kind, value), $2 FROM gv.contact_keys WHERE contact_id = $1`, contact, at)
		f.exec(t, `INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, created_at) VALUES ($1, 9, $2, 'live', $3)`, tenant, contact, deal)
		f.exec(t, `INSERT INTO gv.deal_contacts (tenant_id, portal_id, deal_id, contact_id, position) VALUES ($1, 9, $2, $2, 0)`, tenant, contact)
	}
	const state = `SELECT concat_ws(' ', (SELECT count(email_hash) FROM gv.clicks), (SELECT string_agg(contact_id || kind, ',' ORDER BY contact_id, kind) FROM gv.contact_keys),
		(SELECT string_agg(contact_id || kind, ',' ORDER BY contact_id, kind) FROM gv.contact_hashes))`
	const left = "1fbclid,2fbclid"
	for _, step := range []struct {
		after time.Duration
		want  string
	}{
		{attribution.PeopleRetention, "1 1email_hash,1fbclid,2email_hash,2fbclid 1email_hash,1fbclid,2email_hash,2fbclid"},
		{attribution.PeopleRetention + time.Second, "0 1fbclid,2email_hash,2fbclid " + left},
		{attribution.PeopleRetention + 10*24*time.Hour + time.Second, "0 " + left + " " + left},
	} {
		err := pg.Across(context.Background(), f.db, func(tx pgx.Tx) error {
			if _, _, err := attribution.Retain(context.Background(), tx, at.Add(step.after), 100); err != nil {
				return err
			}
			_, _, err := ledger.RetainPeople(context.Background(), tx, at.Add(step.after-attribution.PeopleRetention), 100)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, f.text(t, state)); diff != "" {
			t.Errorf("after %v: %s", step.after, diff)
		}
	}
}
