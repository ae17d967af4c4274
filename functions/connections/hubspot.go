package connections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/crmsync"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/hubspotconn"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// HubSpotConnection is a portal's connection as it is shown.
type HubSpotConnection struct {
	PortalID            int64      `json:"portal_id"`
	Connected           bool       `json:"connected"`
	ConnectedAt         time.Time  `json:"connected_at"`
	ConnectedBy         string     `json:"connected_by"`
	DisconnectedAt      *time.Time `json:"disconnected_at,omitempty"`
	ClientSecret        Credential `json:"client_secret"`
	PreviousSecretUntil *time.Time `json:"previous_secret_until,omitempty" doc:"Until then webhooks signed with the client secret before are taken too."`
	AccessToken         Credential `json:"access_token"`
	LeadProperty        string     `json:"lead_property" doc:"The contact property that holds the id of a lead on Meta."`
	LastError           string     `json:"last_error,omitempty" doc:"Why HubSpot refused the connection last; absent while it works."`
	LastErrorAt         *time.Time `json:"last_error_at,omitempty"`
	Backfill            *Backfill  `json:"backfill,omitempty" doc:"How far the portal's earlier deals are read."`
	WriteBackError      string     `json:"write_back_error,omitempty" doc:"Why attribution could not be written to the portal's deals last; absent while it can."`
	Reconcile           *Reconcile `json:"reconcile,omitempty" doc:"The last comparison of the ledger with the portal."`
}

type hubspotList struct {
	Body struct {
		Connections []HubSpotConnection `json:"connections" nullable:"false" doc:"Connected portals first."`
	}
}

func (f *function) listHubSpot(ctx context.Context, _ *struct{}) (*hubspotList, error) {
	out := &hubspotList{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		rows, err := hubspotconn.Portals(ctx, tx)
		if err != nil {
			return err
		}
		known, err := readingOf(ctx, crmsync.NewStore(tx))
		out.Body.Connections = make([]HubSpotConnection, len(rows))
		for i, r := range rows {
			out.Body.Connections[i] = portalShown(r).with(known)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type hubspotInput struct {
	Body struct {
		PortalID     int64    `json:"portal_id" minimum:"1" maximum:"9007199254740991"`
		AccessToken  string   `json:"access_token,omitempty" maxLength:"4096" doc:"Reads the portal. Required unless disconnected is true."`
		ClientSecret string   `json:"client_secret,omitempty" maxLength:"1024" doc:"Of the app that sends the portal's webhooks. Absent: stays as it is; the deployment's own app on a first connection."`
		OverlapHours *float64 `json:"overlap_hours,omitempty" minimum:"0" maximum:"24" doc:"How long the client secret before stays valid beside a new one; 24 where it is not given."`
		LeadProperty *string  `json:"lead_property,omitempty" pattern:"^[a-z][a-z0-9_]{0,99}$" patternDescription:"a property's internal name" doc:"The contact property that holds the id of a lead on Meta. Absent: stays as it is; gv_lead_id on a first connection."`
		BackfillDays int      `json:"backfill_days,omitempty" minimum:"1" maximum:"3650" doc:"How many days back the portal's deals are read; 540 on a first connection where it is not given."`
		Disconnected bool     `json:"disconnected,omitempty" doc:"Disconnects the portal."`
	}
}

type hubspotOutput struct{ Body HubSpotConnection }

// standardOverlap is how long an old client secret stays valid: HubSpot retries
// a webhook for as long.
const standardOverlap = 24 * time.Hour

func (f *function) putHubSpot(ctx context.Context, in *hubspotInput) (*hubspotOutput, error) {
	id := auth.From(ctx)
	serve.Note(ctx, "portal", in.Body.PortalID, "by", id.Subject)
	if answer, found, err := kept[HubSpotConnection](ctx, f); err != nil || found {
		return &hubspotOutput{answer}, err
	}
	if in.Body.Disconnected {
		return f.disconnectHubSpot(ctx, in)
	}
	switch {
	case in.Body.AccessToken == "":
		return nil, fault.Field("body.access_token", "is required: it reads the portal")
	case !printable(in.Body.AccessToken):
		return nil, fault.Field("body.access_token", "must be printable ASCII without spaces")
	case !printable(in.Body.ClientSecret):
		return nil, fault.Field("body.client_secret", "must be printable ASCII without spaces")
	}
	if err := f.checkHubSpot(ctx, in.Body.PortalID, in.Body.AccessToken); err != nil {
		return nil, err
	}
	grant := hubspotconn.Grant{
		Portal: in.Body.PortalID, Who: id.Who(), Overlap: standardOverlap, LeadProperty: in.Body.LeadProperty,
	}
	if h := in.Body.OverlapHours; h != nil {
		grant.Overlap = time.Duration(*h * float64(time.Hour))
	}
	out := &hubspotOutput{}
	err := f.alone(ctx, itoa(int(in.Body.PortalID)), func(ctx context.Context) (err error) {
		prefix := fmt.Sprintf("hubspot-%d-", in.Body.PortalID)
		if grant.Token, err = f.store(ctx, id.Tenant, prefix+"access-token", in.Body.AccessToken); err != nil {
			return err
		}
		if in.Body.ClientSecret != "" {
			if grant.Client, err = f.store(ctx, id.Tenant, prefix+"client-secret", in.Body.ClientSecret); err != nil {
				return err
			}
		}
		var retired []string
		out.Body, err = idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (answer HubSpotConnection, err error) {
			var row hubspotconn.Portal
			if row, retired, err = hubspotconn.Connect(ctx, tx, grant); err != nil {
				return answer, err
			}
			store := crmsync.NewStore(tx)
			if err := store.Connected(ctx, in.Body.PortalID, in.Body.BackfillDays); err != nil {
				return answer, err
			}
			known, err := readingOf(ctx, store)
			return portalShown(row).with(known), err
		})
		if err == nil {
			f.retire(ctx, id.Tenant, retired...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// checkHubSpot asks HubSpot whose token it is, and then whether the portal is
// free: only who can read a portal learns that somebody has connected it.
func (f *function) checkHubSpot(ctx context.Context, portal int64, token string) error {
	client, err := f.portalClient(portal, func(context.Context) (string, error) { return token, nil }, nil)
	if err != nil {
		return err
	}
	account, err := client.Account(ctx)
	switch {
	case errors.Is(err, hubspot.ErrRefused) || fault.Of(err) == fault.NotFound:
		return &fault.Error{
			Kind: fault.Invalid, Message: "body.access_token is refused by HubSpot", Cause: err,
			Details: []fault.Detail{{Field: "body.access_token", Rule: "is refused by HubSpot: it is wrong, revoked, or lacks a scope"}},
		}
	case err != nil:
		return err
	case account.Portal != portal:
		return fault.Field("body.portal_id", "is not the portal that the access token belongs to")
	}
	return pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		return portalFree(ctx, tx, portal, account.HomeCurrency)
	})
}

func (f *function) portalClient(portal int64, token func(context.Context) (string, error), forget func()) (*hubspot.Client, error) {
	wait := f.HubSpot.Patience
	if wait <= 0 {
		wait = patience
	}
	client, err := hubspot.New(hubspot.Options{
		Portal: portal, Token: token, Forget: forget, BaseURL: f.HubSpot.URL, Attempts: 2, Timeout: wait, Budget: wait,
	})
	if err != nil {
		return nil, fmt.Errorf("open portal %d: %w", portal, err)
	}
	return client, nil
}

func (f *function) disconnectHubSpot(ctx context.Context, in *hubspotInput) (*hubspotOutput, error) {
	id := auth.From(ctx)
	if in.Body.AccessToken != "" || in.Body.ClientSecret != "" {
		return nil, fault.Field("body.disconnected", "must not come with credentials")
	}
	out := &hubspotOutput{}
	err := f.alone(ctx, itoa(int(in.Body.PortalID)), func(ctx context.Context) (err error) {
		var retired []string
		out.Body, err = idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (answer HubSpotConnection, err error) {
			var row hubspotconn.Portal
			row, retired, err = hubspotconn.Disconnect(ctx, tx, in.Body.PortalID)
			return portalShown(row), err
		})
		if err == nil {
			f.retire(ctx, id.Tenant, retired...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// printable reports what a header can carry, and no key holds anything else.
func printable(text string) bool {
	for _, r := range text {
		if r <= ' ' || r > '~' {
			return false
		}
	}
	return true
}

// sameMoney returns a Conflict where a portal counts in other money than the
// tenant: its amounts would be taken for the tenant's.
func sameMoney(tenant, portal money.Currency) error {
	if portal == "" || tenant == portal {
		return nil
	}
	return fault.Conflictf("the portal's company currency is %s and the tenant's is %s: its deals would be valued wrongly", portal, tenant)
}
