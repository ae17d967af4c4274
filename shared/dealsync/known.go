package dealsync

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// clicksAtOnce is how many clicks of an ad that has become known one message looks at.
const clicksAtOnce = 200

// endOfTime is after every click.
var endOfTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// creditClicksOf credits again what the next clicks of an ad may change that has
// become known after they were recorded, and asks for the clicks before them.
func (p *Processor) creditClicksOf(ctx context.Context, m message.Message) error {
	var k ads.Known
	tenant := m.Tenant()
	if err := json.Unmarshal(m.Data, &k); err != nil || tenant == "" || k.AdID == "" {
		return fault.Invalidf("the message names no tenant or ad")
	}
	before := attribution.Position{At: endOfTime, ClickID: k.BeforeClick}
	if k.BeforeAt != nil {
		before.At = *k.BeforeAt
	}
	err := pg.InTenant(ctx, p.db, tenant, func(tx pgx.Tx) error {
		firstTime, err := inbox.First(ctx, tx, consumer, m.Key(), "")
		if err != nil || !firstTime {
			return err
		}
		clicks := attribution.NewStore(tx)
		found, conversions, next, err := clicks.AffectedByAd(ctx, k.AdID, before, clicksAtOnce)
		if err != nil {
			return err
		}
		var portals, deals []int64
		for _, d := range found {
			portals, deals = append(portals, d.PortalID), append(deals, d.DealID)
		}
		if err := creditPortals(ctx, tx, portals, deals); err != nil {
			return err
		}
		if err := clicks.Rederive(ctx, conversions); err != nil || next == nil {
			return err
		}
		return ads.PutKnown(ctx, tx, ads.Known{AdID: k.AdID, BeforeAt: &next.At, BeforeClick: next.ClickID})
	})
	if err == nil {
		outbox.Flush(ctx, p.db, tenant, p.queue)
	}
	return err
}
