package dealsync

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// modelBatch is how many deals one message credits again.
const modelBatch = 100

// creditAccount credits the next deals of an account again, from their recorded
// clicks, and asks for those after them. Only deals that several clicks led to
// depend on the model.
func (p *Processor) creditAccount(ctx context.Context, m message.Message) error {
	var c ledger.ModelChange
	tenant := m.Tenant()
	if err := json.Unmarshal(m.Data, &c); err != nil || tenant == "" || c.AccountID == "" {
		return fault.Invalidf("the message names no tenant or account")
	}
	err := pg.InTenant(ctx, p.db, tenant, func(tx pgx.Tx) error {
		firstTime, err := inbox.First(ctx, tx, consumer, m.Key(), "")
		if err != nil || !firstTime {
			return err
		}
		portals, deals, err := ledger.Shared(ctx, tx, c.AccountID, c.PortalID, c.DealID, modelBatch)
		if err != nil {
			return err
		}
		if err := creditPortals(ctx, tx, portals, deals); err != nil {
			return err
		}
		if len(deals) < modelBatch {
			return nil
		}
		c.PortalID, c.DealID = portals[len(portals)-1], deals[len(deals)-1]
		return ledger.PutModelChange(ctx, tx, c)
	})
	if err == nil {
		outbox.Flush(ctx, p.db, tenant, p.queue)
	}
	return err
}

// creditPortals credits deals again that come portal by portal.
func creditPortals(ctx context.Context, tx pgx.Tx, portals, deals []int64) error {
	for i := 0; i < len(deals); {
		j := i
		for j < len(deals) && portals[j] == portals[i] {
			j++
		}
		if _, err := creditAll(ctx, tx, portals[i], deals[i:j]); err != nil {
			return err
		}
		i = j
	}
	return nil
}
