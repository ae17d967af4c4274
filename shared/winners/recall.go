package winners

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgvector/pgvector-go"
)

// Recall is how good a tenant's searches are: the share of the ten nearest that
// they find.
type Recall struct {
	// Recall is from 0 to 1; 1 where all are compared with each query.
	Recall float64
	// Sampled is how many of the tenant's own vectors were looked for; 0 where
	// searches are exact and there is nothing to measure.
	Sampled int
	// MeasuredAt is the zero time where nothing was measured.
	MeasuredAt time.Time
}

const (
	// probes are looked for at each measurement, and recallAt nearest of each.
	probes   = 4
	recallAt = 10
	// fresh is how long a measurement stands, where the memory has not grown by a
	// quarter since: comparing all of a large one takes a second.
	fresh = 24 * time.Hour
)

// Recall returns how good searches with model are: as they were measured in the
// last day, or measured now.
func (s Store) Recall(ctx context.Context, model string) (r Recall, err error) {
	var (
		total   int64
		indexed bool
	)
	err = s.tx.QueryRow(ctx, size, pgx.StrictNamedArgs{"model": model}).Scan(&total, &indexed)
	if err != nil {
		return r, fmt.Errorf("measure winners: %w", err)
	}
	if total <= s.exactUpTo || !indexed {
		return Recall{Recall: 1}, nil
	}
	err = s.tx.QueryRow(ctx, `
		SELECT recall, sampled, measured_at FROM gv.search_recall
		WHERE  tenant_id = gv.tenant() AND model = @model AND measured_at > now() - @fresh::interval AND winners * 5 / 4 >= @total`,
		pgx.StrictNamedArgs{"model": model, "fresh": fresh, "total": total}).Scan(&r.Recall, &r.Sampled, &r.MeasuredAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return s.measure(ctx, model, total)
	}
	if err != nil {
		return r, fmt.Errorf("read the recall: %w", err)
	}
	return r, nil
}

// measure looks for some of the tenant's own vectors, exactly and through the
// index. The exact side compares each vector with all probes at once, for fetching
// it is what takes the time.
func (s Store) measure(ctx context.Context, model string, total int64) (Recall, error) {
	args := pgx.StrictNamedArgs{"model": model, "probes": probes, "k": recallAt}
	rows, _ := s.tx.Query(ctx, `
		WITH probe AS MATERIALIZED (
			SELECT   ad_id, embedding
			FROM     gv.winners
			WHERE    tenant_id = gv.tenant() AND model = @model AND active
			ORDER BY md5(ad_id || now()::date), ad_id
			LIMIT    @probes
		), compared AS (
			SELECT probe.ad_id AS probe, w.ad_id, w.flat <=> probe.embedding AS distance
			FROM   (SELECT ad_id, l2_normalize(embedding) AS flat FROM gv.winners
			        WHERE tenant_id = gv.tenant() AND model = @model AND active OFFSET 0) AS w
			CROSS  JOIN probe
			OFFSET 0
		), ranked AS (
			SELECT probe, distance, row_number() OVER (PARTITION BY probe ORDER BY distance, ad_id) AS place FROM compared
		)
		SELECT probe.embedding::text, max(ranked.distance)
		FROM   probe JOIN ranked ON ranked.probe = probe.ad_id
		WHERE  ranked.place <= @k
		GROUP  BY probe.ad_id, probe.embedding::text`, args)
	type probe struct {
		vector   pgvector.Vector
		furthest float64 // of the ten nearest
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p probe, err error) { return p, row.Scan(&p.vector, &p.furthest) })
	if err != nil {
		return Recall{}, fmt.Errorf("compare all winners with a sample: %w", err)
	}
	found := 0
	for _, p := range all {
		var near []candidate
		if _, err := s.approximate(ctx, Query{Model: model, Vector: p.vector.Slice(), K: recallAt}, recallAt, &near); err != nil {
			return Recall{}, err
		}
		for _, c := range near {
			if 1-c.Similarity <= p.furthest+1e-6 { // who is as near is as good
				found++
			}
		}
	}
	r := Recall{Recall: float64(found) / float64(recallAt*max(1, len(all))), Sampled: len(all)}
	err = s.tx.QueryRow(ctx, `
		INSERT INTO gv.search_recall (tenant_id, model, recall, sampled, winners) VALUES (gv.tenant(), @model, @recall, @sampled, @total)
		ON CONFLICT (tenant_id, model) DO UPDATE
		SET recall = excluded.recall, sampled = excluded.sampled, winners = excluded.winners, measured_at = excluded.measured_at
		RETURNING measured_at`,
		pgx.StrictNamedArgs{"model": model, "recall": r.Recall, "sampled": max(1, r.Sampled), "total": total}).Scan(&r.MeasuredAt)
	if err != nil {
		return r, fmt.Errorf("keep the recall: %w", err)
	}
	return r, nil
}
