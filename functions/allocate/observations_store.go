package allocate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// past is what the buckets of a request's ads held when it began.
type past struct {
	buckets map[int16]bucket
	byAd    map[string][]observation // of the request's ads, in the order of arrival
}

// past reads the last n observations of each ad.
func (s store) past(ctx context.Context, ids []string, n int) (past, error) {
	numbers := make(map[int16]bool, min(buckets, len(ids)))
	for _, id := range ids {
		numbers[bucketOf(id)] = true
	}
	read, err := s.buckets(ctx, slices.Sorted(maps.Keys(numbers)))
	if err != nil {
		return past{}, err
	}
	p := past{read, make(map[string][]observation, len(ids))}
	for _, id := range ids {
		p.byAd[id] = nil
	}
	for number, one := range read {
		all, err := records(one.packed)
		if err != nil {
			return p, fmt.Errorf("read bucket %d of earlier observations: %w", number, err)
		}
		for _, r := range all {
			if _, wanted := p.byAd[r.id]; wanted {
				p.byAd[r.id] = r.last(n)
			}
		}
	}
	return p, nil
}

func (s store) buckets(ctx context.Context, numbers []int16) (map[int16]bucket, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT bucket, version, records FROM gv.ad_observations WHERE tenant_id = gv.tenant() AND bucket = ANY ($1)`, numbers)
	read := make(map[int16]bucket, len(numbers))
	var (
		number int16
		one    bucket
	)
	_, err := pgx.ForEachRow(rows, []any{&number, &one.version, &one.packed}, func() error {
		read[number] = one
		one.packed = nil // the next row's bytes are its own
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read earlier observations: %w", err)
	}
	return read, nil
}

// byBucket sorts observations by bucket, and in each by ad.
func byBucket(all []observation) map[int16][]observation {
	sorted := map[int16][]observation{}
	for _, o := range all {
		number := bucketOf(o.AdID)
		sorted[number] = append(sorted[number], o)
	}
	for _, some := range sorted {
		slices.SortFunc(some, func(a, b observation) int { return strings.Compare(a.AdID, b.AdID) })
	}
	return sorted
}

// record adds observations to their buckets. read is what these held when the
// request began; what another request has added since stays.
func (s store) record(ctx context.Context, read map[int16]bucket, all []observation) error {
	if len(all) == 0 {
		return nil
	}
	added := byBucket(all)
	numbers := slices.Sorted(maps.Keys(added))
	// A tenant's requests take turns here: two of them that insert the same bucket would
	// find no row to lock.
	if _, err := s.tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('gv.ad_observations ' || gv.tenant(), 0))`); err != nil {
		return fmt.Errorf("lock observations: %w", err)
	}
	changed, err := s.changed(ctx, numbers, read)
	if err != nil {
		return err
	}
	today := uint32(time.Now().Unix() / (24 * 60 * 60))
	var put struct {
		buckets           []int16
		versions          []int64
		ads, observations []int32
		packed            [][]byte
	}
	for _, number := range numbers {
		now, ok := changed[number]
		if !ok {
			now = read[number]
		}
		w, err := now.add(number, added[number], today)
		if err != nil {
			return fmt.Errorf("write bucket %d of observations: %w", number, err)
		}
		put.buckets, put.versions, put.packed = append(put.buckets, number), append(put.versions, w.Version), append(put.packed, w.Packed)
		put.ads, put.observations = append(put.ads, w.Ads), append(put.observations, w.Observations)
	}
	_, err = s.tx.Exec(ctx, `
		INSERT INTO gv.ad_observations AS o (tenant_id, bucket, version, ads, observations, records)
		SELECT (SELECT gv.tenant()), * FROM unnest(@buckets::smallint[], @versions::bigint[], @ads::int[], @observations::int[], @packed::bytea[])
		ON CONFLICT (tenant_id, bucket) DO UPDATE
		SET version = excluded.version, ads = excluded.ads, observations = excluded.observations, records = excluded.records, updated_at = now()`,
		pgx.StrictNamedArgs{
			"buckets": put.buckets, "versions": put.versions, "ads": put.ads, "observations": put.observations, "packed": put.packed,
		})
	if err != nil {
		return fmt.Errorf("record observations: %w", err)
	}
	return nil
}

// changed reads those buckets again that another request has written since.
func (s store) changed(ctx context.Context, numbers []int16, read map[int16]bucket) (map[int16]bucket, error) {
	rows, _ := s.tx.Query(ctx, `SELECT bucket, version FROM gv.ad_observations WHERE tenant_id = gv.tenant() AND bucket = ANY ($1)`, numbers)
	var (
		stale   []int16
		number  int16
		version int64
	)
	_, err := pgx.ForEachRow(rows, []any{&number, &version}, func() error {
		if read[number].version != version {
			stale = append(stale, number)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("compare versions of observations: %w", err)
	}
	if len(stale) == 0 {
		return nil, nil
	}
	return s.buckets(ctx, stale)
}
