package clicks

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// keyed is what a sender shows: a key, and of which kind.
type keyed struct {
	key    string
	server bool
}

// keyTenant returns the tenant whose key it is, nil where it is nobody's, or of
// the other kind.
func keyTenant(ctx context.Context, ask pg.Asker, from keyed) (tenant *string, err error) {
	kind := "publishable"
	if from.server {
		kind = "server"
	}
	if err := ask.QueryRow(ctx, `SELECT gv.key_tenant($1, $2)`, attribution.KeyHash(from.key), kind).Scan(&tenant); err != nil {
		return nil, fmt.Errorf("look up %s key: %w", kind, err)
	}
	return tenant, nil
}

// originsOf returns the web origins that may use the tenant's key; none is any.
func originsOf(ctx context.Context, tx pgx.Tx, key string) (origins []string, err error) {
	err = tx.QueryRow(ctx, `SELECT origins FROM gv.publishable_keys WHERE tenant_id = gv.tenant() AND key_hash = $1`,
		attribution.KeyHash(key)).Scan(&origins)
	if err != nil {
		return nil, fmt.Errorf("read origins of publishable key: %w", err)
	}
	return origins, nil
}
