package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/local/demo"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/auth"
)

// tenants are the two advertisers of a local system. They are there with or
// without demo data, for a token needs a tenant.
type tenants struct {
	home, other            demo.Tenant
	appSecret, verifyToken string // of the deployment's app on Meta
}

// tokenLife is how long tokens are good; every start makes new ones.
const tokenLife = 7 * 24 * time.Hour

// hubspotLimit is how many requests the fake portals take in ten seconds: more
// than a real one's 100, so that thirty days of deals are there within a minute.
const hubspotLimit = 2000

// openTenants makes the two tenants, or brings their keys and connections up to
// what the data folder has, and connects their portals to the fake HubSpot and
// their ad accounts to the fake Meta.
func (s *system) openTenants(ctx context.Context, keep state) error {
	s.tenants = tenants{
		appSecret: keep.MetaAppSecret, verifyToken: keep.MetaVerifyToken,
		home: demo.Tenant{
			ID: "1f0c5c2e-6f0a-4c1d-9a51-7d3c0f6b2a10", Name: "Northside Fitness", Currency: "USD",
			AccountID: "act_2401", TimeZone: "America/Chicago",
			PortalID: 62515, WebhookSecret: keep.HubSpotClientSecret, PublishableKey: keep.PublishableKey, ServerKey: keep.ServerKey,
			PageID: "24010001", PageToken: keep.PageToken,
		},
		other: demo.Tenant{
			ID: "8a4e7b93-2d55-4f0e-b6c4-51e09d7f3c22", Name: "Harbour Dental", Currency: "EUR",
			AccountID: "act_7702", TimeZone: "Europe/Berlin",
			PortalID: 71920, WebhookSecret: keep.OtherWebhookSecret, PublishableKey: keep.OtherPublishableKey, ServerKey: keep.OtherServerKey,
			PageID: "77020001", PageToken: keep.OtherPageToken,
		},
	}
	conn, err := pgx.Connect(ctx, s.database.adminURL)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", plain(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, one := range []struct {
		tenant *demo.Tenant
		domain string
		token  string // that reads the portal
		meta   string // that reads and changes the ad account
		own    bool   // whether the portal connected with the deployment's own app
		rates  map[string]float64
	}{
		{&s.tenants.home, "northside.example", keep.HubSpotToken, keep.MetaToken, true, map[string]float64{"CAD": 0.72, "EUR": 1.08}},
		{&s.tenants.other, "harbour.example", keep.OtherHubSpotToken, keep.OtherMetaToken, false, map[string]float64{"CHF": 1.04, "USD": 0.92}},
	} {
		t := one.tenant
		t.MetaToken = one.meta
		t.AdminToken = s.token(t.ID, "admin@"+one.domain, auth.Admin)
		t.EditorToken = s.token(t.ID, "editor@"+one.domain, auth.Editor)
		t.ViewerToken = s.token(t.ID, "viewer@"+one.domain, auth.Viewer)
		names, err := s.keepSecrets(*t, one.token, one.own)
		if err != nil {
			return err
		}
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return writeTenant(ctx, tx, *t, one.domain, names) })
		if err != nil {
			return fmt.Errorf("make tenant %s: %w", t.Name, err)
		}
		s.hubspot.Connect(fakehubspot.PortalConfig{
			ID: t.PortalID, Tokens: []string{one.token}, HomeCurrency: t.Currency, Rates: one.rates, Limit: hubspotLimit,
			Secret: t.WebhookSecret, Target: s.baseURL + "/webhooks/hubspot", Pipelines: []fakehubspot.Pipeline{demo.Pipeline},
		})
		s.meta.Connect(fakemeta.AccountConfig{
			ID: t.AccountID, Name: t.Name, Currency: t.Currency, TimeZone: t.TimeZone,
			Tokens: []string{one.meta},
		})
		s.meta.ConnectPage(fakemeta.PageConfig{
			ID: t.PageID, Name: t.Name, Tokens: []string{t.PageToken}, AppSecret: keep.MetaAppSecret, Target: s.baseURL + "/webhooks/meta",
		})
	}
	return nil
}

func (s *system) token(tenant, email string, role auth.Role) string {
	return s.issuer.Token(tenant, email, role, tokenLife)
}

// secretNames are where a connection's credentials are; a client secret of the
// deployment's own app has none.
type secretNames struct {
	token  string
	client *string
	meta   string
}

func (s *system) keepSecrets(t demo.Tenant, token string, own bool) (secretNames, error) {
	prefix := fmt.Sprintf("projects/%s/secrets/hubspot-%d", project, t.PortalID)
	names := secretNames{token: prefix + "-token", meta: fmt.Sprintf("projects/%s/secrets/meta-%s-token", project, t.AccountID)}
	if err := s.vault.Set(names.meta, t.MetaToken); err != nil {
		return names, fmt.Errorf("keep the token of ad account %s: %w", t.AccountID, err)
	}
	if err := s.vault.Set(names.token, token); err != nil {
		return names, fmt.Errorf("keep the token of portal %d: %w", t.PortalID, err)
	}
	if own {
		return names, nil
	}
	client := prefix + "-client-secret"
	names.client = &client
	if err := s.vault.Set(client, t.WebhookSecret); err != nil {
		return names, fmt.Errorf("keep the secret of portal %d: %w", t.PortalID, err)
	}
	return names, nil
}

// writeTenant writes what is not there yet; a person may have changed the rest.
func writeTenant(ctx context.Context, tx pgx.Tx, t demo.Tenant, domain string, names secretNames) error {
	args := pgx.NamedArgs{
		"tenant": t.ID, "name": t.Name, "currency": t.Currency, "domain": domain, "account": t.AccountID, "zone": t.TimeZone,
		"hash": attribution.KeyHash(t.PublishableKey), "prefix": t.PublishableKey[:10],
		"server_hash": attribution.KeyHash(t.ServerKey), "server_prefix": t.ServerKey[:10],
		"portal": t.PortalID, "client": names.client, "token": names.token, "meta": names.meta,
	}
	for _, sql := range []string{
		`INSERT INTO gv.tenants (tenant_id, name, currency) VALUES (@tenant, @name, @currency) ON CONFLICT DO NOTHING`,
		`INSERT INTO gv.members (tenant_id, email, role, added_by, accepted_at)
		 SELECT @tenant, role || '@' || @domain, role, 'infra/local', now() FROM unnest(ARRAY['admin', 'editor', 'viewer']) AS role
		 ON CONFLICT DO NOTHING`,
		`INSERT INTO gv.accounts (tenant_id, account_id, name, currency, time_zone)
		 VALUES (@tenant, @account, @name, @currency, @zone) ON CONFLICT DO NOTHING`,
		// A key that the folder no longer knows is good no more.
		`UPDATE gv.publishable_keys SET revoked_at = now()
		 WHERE  tenant_id = @tenant AND created_by = 'infra/local' AND key_hash NOT IN (@hash, @server_hash) AND revoked_at IS NULL`,
		`INSERT INTO gv.publishable_keys (tenant_id, key_hash, prefix, created_by)
		 VALUES (@tenant, @hash, @prefix, 'infra/local') ON CONFLICT DO NOTHING`,
		`INSERT INTO gv.publishable_keys (tenant_id, kind, key_hash, prefix, created_by)
		 VALUES (@tenant, 'server', @server_hash, @server_prefix, 'infra/local') ON CONFLICT DO NOTHING`,
		`INSERT INTO gv.hubspot_connections (tenant_id, portal_id, client_secret, access_token, connected_by)
		 VALUES (@tenant, @portal, @client, @token, 'infra/local') ON CONFLICT DO NOTHING`,
		`INSERT INTO gv.meta_connections (tenant_id, account_id, access_token, connected_by)
		 VALUES (@tenant, @account, @meta, 'infra/local') ON CONFLICT DO NOTHING`,
	} {
		if _, err := tx.Exec(ctx, sql, args); err != nil {
			return err
		}
	}
	return nil
}
