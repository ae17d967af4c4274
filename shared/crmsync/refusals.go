package crmsync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Refusal is a deal that a portal does not let us read.
type Refusal struct {
	DealID   int64
	Reason   string
	Attempts int
	Since    time.Time
	LastAt   time.Time
}

// SaveRefusals records which of the deals that were asked for the portal refused, and
// that it no longer refuses the others. It returns those that are refused for the first time.
func (s Store) SaveRefusals(ctx context.Context, portal int64, asked []int64, refused map[int64]string) (fresh []int64, err error) {
	_, err = s.tx.Exec(ctx, `
		DELETE FROM gv.crm_refusals
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND deal_id = ANY (@asked::bigint[]) AND deal_id <> ALL (@refused::bigint[])`,
		pgx.StrictNamedArgs{"portal": portal, "asked": asked, "refused": append([]int64{}, slices.Sorted(maps.Keys(refused))...)})
	if err != nil {
		return nil, fmt.Errorf("delete refusals of portal %d: %w", portal, err)
	}
	for _, id := range slices.Sorted(maps.Keys(refused)) {
		var attempts int
		err := s.tx.QueryRow(ctx, `
			INSERT INTO gv.crm_refusals AS r (tenant_id, portal_id, deal_id, reason) VALUES (gv.tenant(), @portal, @deal, @reason)
			ON CONFLICT (tenant_id, portal_id, deal_id) DO UPDATE SET reason = excluded.reason, attempts = r.attempts + 1, last_at = now()
			RETURNING attempts`,
			pgx.StrictNamedArgs{"portal": portal, "deal": id, "reason": refused[id]}).Scan(&attempts)
		if err != nil {
			return nil, fmt.Errorf("record the refusal of deal %d of portal %d: %w", id, portal, err)
		}
		if attempts == 1 {
			fresh = append(fresh, id)
		}
	}
	return fresh, nil
}

// RefusedBefore returns up to n deals that the portal refused last before at, the
// oldest refusal first.
func (s Store) RefusedBefore(ctx context.Context, portal int64, at time.Time, n int) ([]int64, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT deal_id FROM gv.crm_refusals
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND last_at < @at ORDER BY last_at, deal_id LIMIT @n`,
		pgx.StrictNamedArgs{"portal": portal, "at": at, "n": n})
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("list refused deals of portal %d: %w", portal, err)
	}
	return ids, nil
}

// Refusals returns how many deals each of the tenant's portals refuses, and the first n of them.
func (s Store) Refusals(ctx context.Context, n int) (counts map[int64]int, first map[int64][]Refusal, err error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT portal_id, deal_id, reason, attempts, since, last_at, total FROM (
			SELECT *, count(*) OVER (PARTITION BY portal_id)::int AS total,
			       row_number() OVER (PARTITION BY portal_id ORDER BY since, deal_id) AS place
			FROM   gv.crm_refusals WHERE tenant_id = gv.tenant()) AS r
		WHERE place <= $1 ORDER BY portal_id, since, deal_id`, n)
	counts, first = map[int64]int{}, map[int64][]Refusal{}
	var portal int64
	var total int
	var one Refusal
	_, err = pgx.ForEachRow(rows, []any{&portal, &one.DealID, &one.Reason, &one.Attempts, &one.Since, &one.LastAt, &total}, func() error {
		counts[portal], first[portal] = total, append(first[portal], one)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list refused deals: %w", err)
	}
	return counts, first, nil
}
