// Package datahealth says what of a tenant's data is missing, stale, assumed or unmatched.
package datahealth

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Check says how one kind of the tenant's data stands.
type Check struct {
	Check  string     `json:"check" enum:"clicks,crm_events,metrics,reconcile,unmatched_deals,assumed_values,unmapped_stages,dead_letters"`
	State  string     `json:"state" enum:"ok,warn,bad,never" doc:"never: there has been none of it yet."`
	LastAt *time.Time `json:"last_at" doc:"When the newest of it came; null where that says nothing."`
	Count  int64      `json:"count" doc:"How many there are of what the check is about; detail says which."`
	Share  *float64   `json:"share" minimum:"0" maximum:"1" doc:"The part of all that count is; null where there is no whole."`
	Since  *time.Time `json:"since" doc:"Since when it has been so; null where nobody knows, and where it is ok."`
	Detail string     `json:"detail"`
	Action string     `json:"action" doc:"What to do about it; empty where there is nothing to do."`
	Link   string     `json:"link" doc:"The console's page where it is done."`
}

// AccountHealth is how the data of one ad account stands. What concerns the whole
// tenant, such as the CRM, stands with each.
type AccountHealth struct {
	AccountID string  `json:"account_id"`
	Checks    []Check `json:"checks" nullable:"false"`
}

// Read judges the data of the transaction's tenant, by account id.
func Read(ctx context.Context, tx pgx.Tx) ([]AccountHealth, error) {
	crm, accounts, err := store{tx}.read(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]AccountHealth, len(accounts))
	for i, a := range accounts {
		all[i] = AccountHealth{a.AccountID, checks(crm, a)}
	}
	return all, nil
}

func checks(crm crmFacts, a accountFacts) []Check {
	return []Check{
		clicksCheck(a), eventsCheck(crm), metricsCheck(crm.Now, a), reconcileCheck(crm),
		unmatchedCheck(crm), assumedCheck(a), unmappedCheck(crm), lettersCheck(crm),
	}
}

const oneDay = 24 * time.Hour

// aged is ok, and warn or bad from so long after last; never without a last.
func aged(now time.Time, last *time.Time, warn, bad time.Duration) string {
	switch {
	case last == nil:
		return "never"
	case now.Sub(*last) > bad:
		return "bad"
	case now.Sub(*last) > warn:
		return "warn"
	}
	return "ok"
}

// shareOf returns n of all, nil where there are none.
func shareOf(n, all int64) *float64 {
	if all <= 0 {
		return nil
	}
	share := float64(n) / float64(all)
	return &share
}

// graded is ok at none, and bad from a share of all on.
func graded(n, all int64, bad float64) string {
	switch {
	case n == 0:
		return "ok"
	case float64(n) >= bad*float64(all):
		return "bad"
	}
	return "warn"
}

func clicksCheck(a accountFacts) Check {
	c := Check{
		Check: "clicks", State: aged(a.Now, a.LastClick, 2*oneDay, 7*oneDay), LastAt: a.LastClick, Count: a.Clicks,
		Share: shareOf(a.UnknownClicks, a.Clicks+a.UnknownClicks), Link: "/console/setup/keys",
	}
	switch {
	case c.State == "never":
		c.Detail, c.Action = "No click on an ad of this account has been tracked, so no deal can be credited by a click.",
			"Put the beacon on the landing pages and the ad's id into their links."
	case c.State != "ok":
		c.Since = c.LastAt
		c.Detail = fmt.Sprintf("The last click on an ad of this account was tracked %s ago; %d in the last 7 days.",
			age(a.Now, *a.LastClick), a.Clicks)
		c.Action = "Check that the beacon still runs on the landing pages and that the publishable key is not revoked."
	default:
		c.Detail = fmt.Sprintf("%d clicks on ads of this account in the last 7 days.", a.Clicks)
	}
	if a.UnknownClicks > 0 {
		c.Detail += fmt.Sprintf(" %d clicks of your organisation name an ad that is not known here.", a.UnknownClicks)
		if c.State == "ok" && *c.Share > 0.1 {
			c.State, c.Action = "warn", "Put {{ad.id}} into the links' ad_id parameter, and sync or import the account's ads."
		}
	}
	return c
}

func eventsCheck(crm crmFacts) Check {
	c := Check{
		Check: "crm_events", State: aged(crm.Now, crm.LastEvent, 4*oneDay, 14*oneDay), LastAt: crm.LastEvent, Count: crm.Events,
		Link: "/console/setup/hubspot",
	}
	c.Detail = fmt.Sprintf("%d changes of deals and contacts were taken in the last 7 days.", crm.Events)
	switch {
	case crm.Portals == 0 && c.State != "ok":
		c.Detail, c.Action = "No CRM is connected.", "Connect HubSpot, or send deals to a source of your own."
	case c.State == "never":
		c.Detail, c.Action = "A CRM is connected and no change of a deal has come yet.",
			"Check the subscriptions and the target URL of the app's webhooks, and move a deal."
	case c.State != "ok":
		c.Since = c.LastAt
		c.Detail = fmt.Sprintf("The last change of a deal came %s ago.", age(crm.Now, *crm.LastEvent))
		c.Action = "Check in HubSpot that the app is installed and its webhooks are delivered."
	}
	return c
}

func metricsCheck(now time.Time, a accountFacts) Check {
	c := Check{Check: "metrics", LastAt: a.SyncedAt, Count: a.Ads, Link: "/console/setup/meta"}
	switch {
	case a.Connected:
		c.State = aged(now, a.SyncedAt, 3*time.Hour, oneDay)
		c.Detail, c.Action = "Meta's figures have not been read yet.", "Nothing: the next hourly run reads them."
		if a.SyncedAt != nil {
			c.Action = ""
			c.Detail = fmt.Sprintf("Meta's figures were read %s ago; %d ads.", age(now, *a.SyncedAt), a.Ads)
		}
		if a.SyncError != nil {
			c.State, c.Since, c.Detail = "bad", a.SyncErrorAt, *a.SyncError
		}
		if c.State == "warn" || c.State == "bad" {
			c.Action = "Connect the account to Meta again where the detail asks for it; otherwise the next hourly run tries again."
			if c.Since == nil {
				c.Since = a.SyncedAt
			}
		}
	case a.LastDay == nil:
		c.State, c.Detail = "never", "The account is not connected to Meta, and no report by day was imported."
		c.Action, c.Link = "Connect the account to Meta, or import a report from Ads Manager.", "/console/setup/import"
	default:
		c.LastAt, c.State = a.LastDay, aged(now, a.LastDay, 3*oneDay, 7*oneDay)
		c.Detail = fmt.Sprintf("The account is not connected to Meta; the newest imported day is %s.", a.LastDay.Format(time.DateOnly))
		if c.State != "ok" {
			c.Since, c.Action, c.Link = a.LastDay, "Import a newer report, or connect the account to Meta.", "/console/setup/import"
		}
	}
	return c
}

func reconcileCheck(crm crmFacts) Check {
	c := Check{
		Check: "reconcile", State: aged(crm.Now, crm.Reconciled, 3*time.Hour, oneDay), LastAt: crm.Reconciled, Count: crm.Repaired,
		Share: shareOf(crm.Repaired, crm.Compared), Link: "/console/setup/hubspot",
	}
	switch {
	case c.State == "never" && crm.Portals == 0:
		c.Detail, c.Action, c.Link = "No CRM is connected, so there is nothing to compare the ledger with.", "Connect HubSpot.",
			"/console/setup/hubspot"
	case c.State == "never":
		c.Detail, c.Action = "The ledger has not been compared with the CRM yet.",
			"Nothing: the first comparison follows when the portal's deals have been read."
	default:
		c.Detail = fmt.Sprintf("The last comparison with the CRM, %s ago, looked at %d deals and repaired %d.",
			age(crm.Now, *crm.Reconciled), crm.Compared, crm.Repaired)
	}
	switch {
	case crm.ReconcileError != nil:
		c.State, c.Since, c.Detail = "bad", crm.ReconcileErrorAt, *crm.ReconcileError
		c.Action = "Connect HubSpot again where the detail asks for it; otherwise the next run tries again."
	case c.State == "ok" && crm.Refused > 0:
		c.State, c.Since = "warn", c.LastAt
		c.Detail += fmt.Sprintf(" HubSpot does not show us %d deals.", crm.Refused)
		c.Action = "Give the app access to these deals in HubSpot: GET /api/connections/hubspot names them, and HubSpot's code for each."
	case c.State == "ok" && c.Share != nil && *c.Share > 0.01:
		c.State, c.Since, c.Action = "warn", c.LastAt,
			"Check in HubSpot that the app's webhooks are delivered: their events should have brought this."
	case c.State == "warn" || c.State == "bad":
		c.Since, c.Action = c.LastAt, "Ask for a comparison now; where it does not come, connect HubSpot again."
	}
	return c
}

const (
	noDeals   = "There are no deals yet."
	firstDeal = "Connect the CRM, or have it send its deals here; deals of the last 540 days are then read by themselves."
)

func unmatchedCheck(crm crmFacts) Check {
	c := Check{
		Check: "unmatched_deals", State: graded(crm.Unmatched, crm.Deals, 0.6), Count: crm.Unmatched,
		Share: shareOf(crm.Unmatched, crm.Deals), LastAt: crm.LastUnmatched, Link: "/console/pipeline",
	}
	switch {
	case crm.Deals == 0:
		c.State, c.Detail, c.Action = "never", noDeals, firstDeal
	case c.State == "ok":
		c.Detail = fmt.Sprintf("All %d deals are credited to an ad.", crm.Deals)
	default:
		c.Detail = fmt.Sprintf("%d of %d deals are credited to no ad. Most often: %s.", crm.Unmatched, crm.Deals, crm.UnmatchedReason)
		c.Action = "Look at the funnel's reasons. Forms should pass fbclid or gclid on to the contact."
		if *c.Share < 0.3 {
			c.State = "ok"
		}
	}
	return c
}

func assumedCheck(a accountFacts) Check {
	c := Check{
		Check: "assumed_values", State: graded(a.AssumedMinor, a.PipelineMinor, 0.5), Count: a.AssumedAds + a.UnvaluedAds,
		Share: shareOf(a.AssumedMinor, a.PipelineMinor), Link: "/console/setup/accounts",
	}
	switch {
	case a.UnvaluedAds > 0:
		c.State = "warn"
		c.Detail = fmt.Sprintf("%d ads have conversions without a value, which count for nothing.", a.UnvaluedAds)
		c.Action = "Set the account's conversion_value, or have the pixel send values."
	case a.AssumedAds > 0:
		c.Detail = fmt.Sprintf("The pipeline value of %d ads is, or holds, conversions times an assumed value.", a.AssumedAds)
		c.Action = "Have the pixel send values, or connect the CRM, so that deals are counted in place of an estimate."
	default:
		c.Detail = "No value of this account is assumed."
	}
	return c
}

func unmappedCheck(crm crmFacts) Check {
	c := Check{
		Check: "unmapped_stages", State: graded(crm.Unmapped, crm.Deals, 0.2), Count: crm.Unmapped,
		Share: shareOf(crm.Unmapped, crm.Deals), Link: "/console/setup/hubspot",
	}
	switch {
	case crm.Deals == 0:
		c.State, c.Detail, c.Action = "never", noDeals, firstDeal
	case crm.Unmapped == 0:
		c.Detail = "Every deal's stage stands for one of yours."
	default:
		c.Detail = fmt.Sprintf("%d of %d deals are in stages of the CRM that stand for none of yours: they are valued 0.",
			crm.Unmapped, crm.Deals)
		c.Action = "Map the stages."
	}
	return c
}

func lettersCheck(crm crmFacts) Check {
	c := Check{
		Check: "dead_letters", State: "ok", LastAt: crm.LastLetter, Count: crm.Letters, Detail: "No message has failed for good.",
		Link: "/console/setup/dead-letters",
	}
	if crm.Letters > 0 {
		c.State, c.Since = "warn", crm.FirstLetter
		if crm.Letters >= 100 || crm.Now.Sub(*crm.FirstLetter) > 7*oneDay {
			c.State = "bad"
		}
		c.Detail = fmt.Sprintf("%d messages have failed for good and wait for a decision.", crm.Letters)
		c.Action = "Read their reasons, mend the cause and replay them."
	}
	return c
}

// age is how long ago something was, in the largest whole unit.
func age(now, at time.Time) string {
	d := max(now.Sub(at), 0)
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{oneDay, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / unit.of); n > 0 {
			return plural(n, unit.name)
		}
	}
	return "less than a minute"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
