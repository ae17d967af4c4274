// Package figures corrects ads' figures in the winner memory. It stands apart from
// winners because ads uses it, and the domain packages do not import each other.
package figures

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Ad is what the memory has of an ad's figures. An ad that is no winner any more
// leaves the search.
type Ad struct {
	AdID     string
	IsWinner bool
	ROAS     float64
	CTR      *float64 // nil without an impression: what is stored stays
}

// Correct writes the figures of ads; one that is not in the memory is passed over.
func Correct(ctx context.Context, tx pgx.Tx, ads []Ad) error {
	if len(ads) == 0 {
		return nil
	}
	ids, active := make([]string, len(ads)), make([]bool, len(ads))
	roas, ctr := make([]float64, len(ads)), make([]*float64, len(ads))
	for i, a := range ads {
		ids[i], active[i], roas[i], ctr[i] = a.AdID, a.IsWinner, a.ROAS, a.CTR
	}
	_, err := tx.Exec(ctx, `
		UPDATE gv.winners w SET active = f.active, pipeline_roas = f.roas, ctr = coalesce(f.ctr, w.ctr), updated_at = now()
		FROM   unnest(@ads::text[], @active::boolean[], @roas::float8[], @ctr::float8[]) AS f (ad_id, active, roas, ctr)
		WHERE  w.tenant_id = gv.tenant() AND w.ad_id = f.ad_id`,
		pgx.StrictNamedArgs{"ads": ids, "active": active, "roas": roas, "ctr": ctr})
	if err != nil {
		return fmt.Errorf("correct the figures of winners: %w", err)
	}
	return nil
}
