package clicks

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
)

type answer struct {
	Status                string   `json:"status"`
	ClickID               string   `json:"click_id"`
	FingerprintHash       string   `json:"fingerprint_hash" doc:"Empty where there is no fingerprint, or no consent to store one."`
	AttributionWindowDays int      `json:"attribution_window_days"`
	Dropped               []string `json:"dropped" nullable:"false" doc:"The members that could not be used; the click is recorded without them."`
}

// record stores the click, credits again what it may take over, and answers.
func (f *function) record(ctx context.Context, tenant string, p *parsed) (answer, error) {
	if !strings.EqualFold(tenant, p.tenant) {
		return answer{}, fault.Forbiddenf("tenant_id is not the key's tenant")
	}
	var waiting bool
	done, err := idempotency.Run(ctx, f.db, tenant, func(tx pgx.Tx) (answer, error) {
		stored, deals, err := attribution.NewStore(tx).RecordAndCredit(ctx, p.click)
		waiting = deals > 0
		return answer{
			Status: "click_tracked", ClickID: stored.ClickID, FingerprintHash: stored.FingerprintHash,
			AttributionWindowDays: int(attribution.Window.Hours() / 24), Dropped: append([]string{}, p.dropped...),
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

// admit returns whose key it is. An unknown one is Unauthorized; one from a web
// page that it is not meant for is forbidden. What is no browser sends no origin,
// and could send any.
func (f *function) admit(ctx context.Context, from sender, now time.Time) (string, error) {
	if err := f.perKey.take(from.key, now); err != nil {
		return "", err
	}
	tenant, err := f.owners.Share(ctx, keyed{from.key, from.server}, func(ctx context.Context, k keyed) (tenant *string, err error) {
		err = pg.WithoutTenant(ctx, f.db, func(ask pg.Asker) (err error) {
			tenant, err = keyTenant(ctx, ask, k)
			return err
		})
		return tenant, err
	})
	if err != nil {
		return "", err
	}
	if tenant == nil {
		return "", fault.Unauthorizedf("the key is not known, or was revoked")
	}
	if from.origin == "" {
		return *tenant, nil
	}
	var origins []string
	err = pg.InTenant(ctx, f.db, *tenant, func(tx pgx.Tx) (err error) {
		origins, err = originsOf(ctx, tx, from.key)
		return err
	})
	if err != nil {
		return "", err
	}
	if len(origins) == 0 || slices.ContainsFunc(origins, func(o string) bool {
		return strings.EqualFold(strings.TrimSuffix(o, "/"), from.origin)
	}) {
		return *tenant, nil
	}
	return "", fault.Forbiddenf("the publishable key may not be used from this origin")
}
