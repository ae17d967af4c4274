package campaigns

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/datahealth"
	"github.com/geminivideo/geminivideo/shared/pg"
)

type healthOutput struct {
	Body struct {
		Accounts []datahealth.AccountHealth `json:"accounts" nullable:"false" doc:"By id. What concerns the whole tenant, such as the CRM, stands with each."`
	}
}

// health says what of the tenant's data is assumed, unmatched or stale.
func (f *function) health(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	out := &healthOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		out.Body.Accounts, err = datahealth.Read(ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
