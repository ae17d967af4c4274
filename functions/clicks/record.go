package clicks

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
)

type answer struct {
	Status                string `json:"status"`
	ClickID               string `json:"click_id"`
	FingerprintHash       string `json:"fingerprint_hash" doc:"Empty where there is no fingerprint, or no consent to keep one."`
	AttributionWindowDays int    `json:"attribution_window_days"`
}

// topic is where deals wait to be credited anew.
const topic = "crm-events"

// record stores the click, credits anew what it takes over, and answers.
func (f *function) record(ctx context.Context, key, origin string, b *beacon) (answer, error) {
	tenant, err := tenantOf(ctx, f.db, key)
	if err != nil {
		return answer{}, err
	}
	if !strings.EqualFold(tenant, b.TenantID) {
		return answer{}, fault.Forbiddenf("tenant_id is not the publishable key's tenant")
	}
	click := b.click(tenant)
	if click.Consent != nil && !*click.Consent {
		click.FingerprintHash = ""
	}
	var waiting bool
	done, err := idempotency.Run(ctx, f.db, tenant, func(tx pgx.Tx) (answer, error) {
		if err := admit(ctx, tx, key, origin); err != nil {
			return answer{}, err
		}
		deals, err := store(ctx, tx, click)
		waiting = deals > 0
		return answer{
			Status: "click_tracked", ClickID: click.ClickID, FingerprintHash: click.FingerprintHash,
			AttributionWindowDays: int(attribution.Window.Hours() / 24),
		}, err
	})
	if err != nil {
		return answer{}, err
	}
	if waiting {
		outbox.Flush(ctx, f.db, tenant, f.queue)
	}
	return done, nil
}

// store records the click and, where it is new, credits anew the conversions
// that it takes over; deals, whose value the ad's figures hold, are left to the
// one who keeps their ledger. It returns how many deals those are.
func store(ctx context.Context, tx pgx.Tx, click attribution.Click) (int, error) {
	clicks := attribution.NewStore(tx)
	if err := clicks.Lock(ctx, click.Keys()); err != nil {
		return 0, err
	}
	isNew, err := clicks.Record(ctx, click)
	if err != nil || !isNew {
		return 0, err
	}
	deals, conversions, err := clicks.Affected(ctx, click)
	if err != nil {
		return 0, err
	}
	for _, d := range deals {
		data, err := json.Marshal(struct {
			Kind     string `json:"kind"`
			PortalID int64  `json:"portal_id"`
			DealID   int64  `json:"deal_id"`
		}{"attribute", d.PortalID, d.DealID})
		if err != nil {
			return 0, err
		}
		if err := outbox.Put(ctx, tx, message.Message{Topic: topic, Data: data}); err != nil {
			return 0, err
		}
	}
	return len(deals), clicks.Rederive(ctx, conversions)
}

// admit refuses a request from a web page that the key is not meant for. What is
// no browser sends no origin, and could send any.
func admit(ctx context.Context, tx pgx.Tx, key, origin string) error {
	origins, err := originsOf(ctx, tx, key)
	if err != nil {
		return err
	}
	if origin == "" || len(origins) == 0 || slices.ContainsFunc(origins, func(o string) bool {
		return strings.EqualFold(strings.TrimSuffix(o, "/"), origin)
	}) {
		return nil
	}
	return fault.Forbiddenf("the publishable key may not be used from this origin")
}

// tenantOf returns whose the key is, or an Unauthorized fault.
func tenantOf(ctx context.Context, db *pg.DB, key string) (string, error) {
	var tenant *string
	err := pg.WithoutTenant(ctx, db, func(tx pgx.Tx) (err error) {
		tenant, err = keyTenant(ctx, tx, key)
		return err
	})
	if err != nil {
		return "", err
	}
	if tenant == nil {
		return "", fault.Unauthorizedf("the publishable key is not known, or was revoked")
	}
	return *tenant, nil
}
