package sync

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/money"
)

// kept returns the currency that the account has here, and whether any
// figures are kept in it.
func kept(ctx context.Context, tx pgx.Tx, account string) (currency money.Currency, used bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT currency, EXISTS (SELECT FROM gv.ads a WHERE a.tenant_id = gv.tenant() AND a.account_id = @account)
		                 OR EXISTS (SELECT FROM gv.campaigns c WHERE c.tenant_id = gv.tenant() AND c.account_id = @account)
		FROM   gv.accounts WHERE tenant_id = gv.tenant() AND account_id = @account`, pgx.StrictNamedArgs{"account": account}).Scan(&currency, &used)
	if err != nil {
		return "", false, fmt.Errorf("read account %s: %w", account, err)
	}
	return currency, used, nil
}
