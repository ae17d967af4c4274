package connections

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/hubspotconn"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/revenue"
)

func portalShown(r hubspotconn.Portal) HubSpotConnection {
	c := HubSpotConnection{
		PortalID: r.PortalID, Connected: r.DisconnectedAt == nil, ConnectedAt: r.ConnectedAt.UTC(), ConnectedBy: r.ConnectedBy,
		DisconnectedAt: inUTC(r.DisconnectedAt), ClientSecret: credential(deref(r.ClientSecret), r.ClientSecretSetAt),
		AccessToken: credential(r.AccessToken, r.AccessTokenSetAt), LastError: deref(r.LastError), LastErrorAt: inUTC(r.LastErrorAt),
		LeadProperty: r.LeadProperty,
	}
	if r.PreviousUntil != nil && r.PreviousUntil.After(r.Now) {
		c.PreviousSecretUntil = inUTC(r.PreviousUntil)
	}
	return c
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// portalFree returns a Conflict where another tenant has connected the portal,
// without saying which, or where its money is not the tenant's.
func portalFree(ctx context.Context, tx pgx.Tx, portal int64, currency money.Currency) error {
	own, err := revenue.NewStore(tx).Currency(ctx)
	if err != nil {
		return err
	}
	if err := hubspotconn.Free(ctx, tx, portal); err != nil {
		return err
	}
	return sameMoney(own, currency)
}
