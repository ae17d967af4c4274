package campaigns_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
)

type healthCheck struct {
	Check, State, Detail, Action, Link string
	Count                              int64
	Share                              *float64
	LastAt                             *string `json:"last_at"`
	Since                              *string
}

// health is the account's checks by name.
func (w world) health(token, account string) map[string]healthCheck {
	w.T.Helper()
	a := w.Call(w.handler, "GET", "/api/data-health", token, nil)
	var body struct {
		Accounts []struct {
			AccountID string `json:"account_id"`
			Checks    []healthCheck
		}
	}
	if err := json.Unmarshal([]byte(a.Body), &body); err != nil || a.Status != 200 {
		w.T.Fatalf("%d %s %v", a.Status, a.Body, err)
	}
	for _, found := range body.Accounts {
		if found.AccountID == account {
			checks := map[string]healthCheck{}
			for _, c := range found.Checks {
				checks[c.Check] = c
				if (c.State == "ok") == (c.Action != "") {
					w.T.Errorf("%s is %s and says to do %q", c.Check, c.State, c.Action)
				}
				if page, ok := strings.CutPrefix(c.Link, "/console/"); !ok || page == "" {
					w.T.Errorf("%s leads to %s, which is no page of the console", c.Check, c.Link)
				}
			}
			return checks
		}
	}
	w.T.Fatalf("no account %s in %s", account, a.Body)
	return nil
}

func states(checks map[string]healthCheck) string {
	var all []string
	for _, name := range []string{"clicks", "crm_events", "metrics", "reconcile", "unmatched_deals", "assumed_values", "unmapped_stages", "dead_letters"} {
		all = append(all, name+" "+checks[name].State)
	}
	return strings.Join(all, ", ")
}

func TestDataHealthSaysWhatIsMissingAtFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	got := w.health(w.Token(auth.Viewer), "acc")
	if diff := cmp.Diff("clicks never, crm_events never, metrics never, reconcile never, unmatched_deals never, assumed_values ok, unmapped_stages never, dead_letters ok", states(got)); diff != "" {
		t.Error(diff)
	}
	for name, c := range got {
		if c.Detail == "" || c.Link == "" || strings.HasSuffix(c.Detail, "..") {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if a := w.Call(w.handler, "GET", "/api/data-health", "", nil); a.Status != 401 {
		t.Errorf("without a token: %d", a.Status)
	}
}

func TestDataHealthSaysWhatIsStaleUnmatchedAndAssumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	w.account(apitest.Other, "acc", "USD")
	w.imported(w.upload("?conversion_value=100", "ad_id,impressions,clicks,spend,conversions\na,100,10,5,2\n"))
	w.imported(w.upload("", "ad_id,impressions,clicks,spend,conversions\nb,100,10,5,2\n"))
	w.Exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at) VALUES
		($1, 'c1', 'a', 'c', now() - interval '3 days'), ($1, 'c2', 'nobody', 'c', now() - interval '1 hour')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, stage_name, value_minor, attribution_method, attribution_reason, processed_at) VALUES
		($1, 1, 1, 'live', 'lead', 0, 'unattributed', 'no click within 7 days', now() - interval '5 days'),
		($1, 1, 2, 'live', NULL, 0, 'unattributed', 'no click within 7 days', now() - interval '5 days'),
		($1, 1, 3, 'live', 'lead', 0, 'url_param', '', now() - interval '5 days'),
		($1, 1, 4, 'gone', NULL, 0, 'unattributed', '', now() - interval '5 days')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.dead_letters (tenant_id, topic, message_id, data, reason, received_at) VALUES ($1, 'crm-events', 'm1', '', 'x', now() - interval '8 days'), ($1, 'crm-events', 'm2', '', 'x', now())`, apitest.Tenant)
	w.Exec(`UPDATE gv.dead_letters SET replayed_at = now() WHERE message_id = 'm2'`)
	w.Exec(`INSERT INTO gv.meta_connections (tenant_id, account_id, access_token, connected_by, synced_at) VALUES ($1, 'acc', 'x', 'test', now() - interval '5 hours')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.hubspot_connections (tenant_id, portal_id, access_token, connected_by) VALUES ($1, 9, 'x', 'test')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.crm_syncs (tenant_id, portal_id, last_finished_at, last_seen, last_repaired) VALUES ($1, 9, now() - interval '30 minutes', 200, 10)
		ON CONFLICT (tenant_id, portal_id) DO UPDATE SET last_finished_at = excluded.last_finished_at, last_seen = excluded.last_seen, last_repaired = excluded.last_repaired`, apitest.Tenant)

	got := w.health(w.Token(auth.Viewer), "acc")
	want := "clicks warn, crm_events warn, metrics warn, reconcile warn, unmatched_deals bad, assumed_values warn, unmapped_stages bad, dead_letters bad"
	if diff := cmp.Diff(want, states(got)); diff != "" {
		t.Errorf("%s\n%+v", diff, got)
	}
	for name, said := range map[string]string{
		"clicks": "3 days ago", "crm_events": "5 days ago", "metrics": "5 hours ago", "reconcile": "looked at 200 deals and repaired 10",
		"unmatched_deals": "2 of 3 deals are credited to no ad. Most often: no click within 7 days.", "assumed_values": "1 ads have conversions without a value",
		"unmapped_stages": "1 of 3 deals", "dead_letters": "1 messages",
	} {
		if c := got[name]; !strings.Contains(c.Detail, said) || c.Action == "" || c.Link == "" {
			t.Errorf("%s: %+v, want %q", name, c, said)
		}
	}
	if share := got["clicks"].Share; share == nil || *share != 0.5 || got["clicks"].Since == nil {
		t.Errorf("clicks: %+v", got["clicks"])
	}
	if other := w.health(w.OtherToken(), "acc"); other["clicks"].State != "never" || other["unmatched_deals"].Count != 0 || other["dead_letters"].State != "ok" {
		t.Errorf("another tenant's: %+v", other)
	}
	// Once the cause is mended the checks are well.
	w.Exec(`UPDATE gv.clicks SET clicked_at = now(), ad_id = 'a'`)
	w.Exec(`UPDATE gv.deals SET processed_at = now(), stage_name = coalesce(stage_name, 'lead'), attribution_method = 'url_param' WHERE state = 'live'`)
	w.Exec(`UPDATE gv.meta_connections SET synced_at = now()`)
	w.Exec(`UPDATE gv.crm_syncs SET last_repaired = 0`)
	w.Exec(`UPDATE gv.dead_letters SET replayed_at = now()`)
	w.imported(w.upload("", "ad_id,impressions,clicks,spend,conversions,revenue\na,100,10,5,2,50\nb,100,10,5,2,50\n"))
	if diff := cmp.Diff("clicks ok, crm_events ok, metrics ok, reconcile ok, unmatched_deals ok, assumed_values ok, unmapped_stages ok, dead_letters ok", states(w.health(w.Token(auth.Viewer), "acc"))); diff != "" {
		t.Error(diff)
	}
	w.Exec(`INSERT INTO gv.crm_refusals (tenant_id, portal_id, deal_id, reason) SELECT tenant_id, portal_id, 5, 'HubSpot refuses it' FROM gv.hubspot_connections WHERE tenant_id = $1 LIMIT 1`, apitest.Tenant)
	if c := w.health(w.Token(auth.Viewer), "acc")["reconcile"]; c.State != "warn" || !strings.Contains(c.Detail, "does not show us 1 deals") || c.Action == "" {
		t.Errorf("with a refused deal: %+v", c)
	}
}
