package winners

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgvector/pgvector-go"
)

// Recall is how good the codes are for a tenant: the share of the nearest that a
// search by them finds.
type Recall struct {
	// Recall is from 0 to 1; 1 where the memory is too small to be searched by codes.
	Recall float64
	// Sampled is how many searches were made both ways; 0 where there is nothing to
	// measure.
	Sampled int
	// Trusted: searches compare codes. Otherwise they compare all vectors.
	Trusted bool
	// MeasuredAt is the zero time where nothing was measured.
	MeasuredAt time.Time
}

const (
	// probes are looked for at each measurement, and recallAt nearest of each.
	probes   = 4
	recallAt = 10
	// fresh is how long a measurement stands, where the memory has not grown by a
	// quarter since.
	fresh = 24 * time.Hour

	// The codes are trusted once so many searches were made both ways and the codes
	// found that share; where they have not after the most, all vectors are compared
	// until the measurement is a day old.
	leastSampled = 8
	mostSampled  = 50
	trusted      = 0.995
)

// measured is what is known of a memory before it is searched.
type measured struct {
	total   int64
	recall  float64
	sampled int
	at      time.Time
}

func (m *measured) scan(row pgx.Row) error {
	return row.Scan(&m.total, &m.recall, &m.sampled, &m.at)
}

func (m *measured) trusted() bool {
	return m.sampled >= leastSampled && m.recall >= trusted
}

// Recall returns how good searches by codes are with model: as they were measured in
// the last day, or measured now.
func (s Store) Recall(ctx context.Context, model string) (Recall, error) {
	var know measured
	if err := know.scan(s.tx.QueryRow(ctx, size, pgx.StrictNamedArgs{"model": model, "fresh": fresh})); err != nil {
		return Recall{}, fmt.Errorf("read the recall: %w", err)
	}
	switch {
	case know.total <= s.exactUpTo:
		return Recall{Recall: 1}, nil
	case know.sampled > 0:
		return Recall{know.recall, know.sampled, know.trusted(), know.at}, nil
	}
	return s.measure(ctx, model, know.total)
}

// learn makes a search that was made exactly by the codes, too, and records how much
// of its result they find.
func (s Store) learn(ctx context.Context, q Query, best []candidate, total int64) error {
	best = best[:min(q.K, len(best))]
	q.MinSimilarity = 0 // the nearest are the same, and most searches have no limit
	near, _, err := s.byCodes(ctx, q, len(best), total)
	if err != nil {
		return err
	}
	_, err = s.saveRecall(ctx, q.Model, shareOf(near, 1-best[len(best)-1].Similarity, len(best)), 1, total)
	return err
}

// shareOf is how many of n are no further than the furthest is to be: who is as near
// is as good.
func shareOf(near []candidate, furthest float64, n int) float64 {
	found := 0
	for _, c := range near {
		if 1-c.Similarity <= furthest+1e-6 {
			found++
		}
	}
	return min(1, float64(found)/float64(n))
}

// size says how many winners there are, and how many of the nearest the codes are known
// to find.
const size = `
	SELECT mine.total, coalesce(r.recall, 0), coalesce(r.sampled, 0), coalesce(r.measured_at, 'epoch')
	FROM   (SELECT count(*) AS total FROM gv.winner_codes WHERE tenant_id = gv.tenant() AND model = @model) AS mine
	LEFT   JOIN gv.search_recall r ON r.tenant_id = gv.tenant() AND r.model = @model
	       AND r.measured_at > now() - @fresh::interval AND r.winners * 5 / 4 >= mine.total`

// saveRecall adds searches to what is known of the codes.
func (s Store) saveRecall(ctx context.Context, model string, recall float64, searches int, total int64) (r Recall, err error) {
	err = s.tx.QueryRow(ctx, `
		INSERT INTO gv.search_recall AS r (tenant_id, model, recall, sampled, winners)
		VALUES (gv.tenant(), @model, @recall, @searches, @total)
		ON CONFLICT (tenant_id, model) DO UPDATE
		SET (recall, sampled, winners, measured_at) = (
			SELECT CASE WHEN stands THEN (r.recall * r.sampled + excluded.recall * excluded.sampled) / (r.sampled + excluded.sampled)
			       ELSE excluded.recall END,
			       CASE WHEN stands THEN r.sampled ELSE 0 END + excluded.sampled,
			       CASE WHEN stands THEN r.winners ELSE excluded.winners END,
			       CASE WHEN stands THEN r.measured_at ELSE excluded.measured_at END
			FROM   (SELECT r.measured_at > now() - @fresh::interval AND r.winners * 5 / 4 >= excluded.winners AS stands) AS s)
		RETURNING recall, sampled, measured_at`,
		pgx.StrictNamedArgs{"model": model, "recall": recall, "searches": searches, "total": total, "fresh": fresh}).
		Scan(&r.Recall, &r.Sampled, &r.MeasuredAt)
	if err != nil {
		return r, fmt.Errorf("save the recall: %w", err)
	}
	r.Trusted = r.Sampled >= leastSampled && r.Recall >= trusted
	return r, nil
}

// measure searches for some of the tenant's own vectors, exactly and by the codes.
// The exact side compares each vector with all probes at once, for fetching
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
	sum := 0.0
	for _, p := range all {
		near, _, err := s.byCodes(ctx, Query{Model: model, Vector: p.vector.Slice(), K: recallAt}, recallAt, total)
		if err != nil {
			return Recall{}, err
		}
		sum += shareOf(near, p.furthest, recallAt)
	}
	if len(all) == 0 {
		return Recall{Recall: 1}, nil
	}
	return s.saveRecall(ctx, model, sum/float64(len(all)), len(all), total)
}
