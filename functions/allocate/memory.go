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

// memory is what the shelves of a request's ads held when it began.
type memory struct {
	shelves map[int16]shelf
	said    map[string][]observation // of its ads, in the order of arrival
}

// recall reads the last n observations of each ad.
func (s store) recall(ctx context.Context, ids []string, n int) (memory, error) {
	asked := make(map[int16]int, min(shelves, len(ids)))
	for _, id := range ids {
		asked[shelfOf(id)]++
	}
	held, err := s.shelves(ctx, slices.Sorted(maps.Keys(asked)))
	if err != nil {
		return memory{}, err
	}
	m := memory{held, make(map[string][]observation, len(ids))}
	for _, id := range ids {
		m.said[id] = nil
	}
	for number, one := range held {
		all, err := records(one.seen)
		if err != nil {
			return m, fmt.Errorf("read shelf %d: %w", number, err)
		}
		for _, r := range all {
			if _, wanted := m.said[r.id]; wanted {
				m.said[r.id] = r.last(n)
			}
		}
	}
	return m, nil
}

func (s store) shelves(ctx context.Context, numbers []int16) (map[int16]shelf, error) {
	rows, _ := s.tx.Query(ctx, `SELECT bucket, version, records FROM gv.ad_observations WHERE tenant_id = gv.tenant() AND bucket = ANY ($1)`, numbers)
	held := make(map[int16]shelf, len(numbers))
	var (
		number int16
		one    shelf
	)
	_, err := pgx.ForEachRow(rows, []any{&number, &one.version, &one.seen}, func() error {
		held[number] = one
		one.seen = nil // the next row's bytes are its own
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what was told before: %w", err)
	}
	return held, nil
}

// shelved sorts observations by shelf, and on each by ad.
func shelved(all []observation) map[int16][]observation {
	news := map[int16][]observation{}
	for _, o := range all {
		number := shelfOf(o.AdID)
		news[number] = append(news[number], o)
	}
	for _, some := range news {
		slices.SortFunc(some, func(a, b observation) int { return strings.Compare(a.AdID, b.AdID) })
	}
	return news
}

// remember puts news on the shelves. held is what they were when the request
// began; what another request has put there meanwhile stays.
func (s store) remember(ctx context.Context, held map[int16]shelf, all []observation) error {
	if len(all) == 0 {
		return nil
	}
	news := shelved(all)
	numbers := slices.Sorted(maps.Keys(news))
	// One request of a tenant at a time: two new shelves of one number have no row to lock.
	if _, err := s.tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('gv.ad_observations ' || gv.tenant(), 0))`); err != nil {
		return fmt.Errorf("lock what was told before: %w", err)
	}
	moved, err := s.moved(ctx, numbers, held)
	if err != nil {
		return err
	}
	today := uint32(time.Now().Unix() / (24 * 60 * 60))
	var put struct {
		shelves           []int16
		versions          []int64
		ads, observations []int32
		seen              [][]byte
	}
	for _, number := range numbers {
		now, ok := moved[number]
		if !ok {
			now = held[number]
		}
		t, err := now.put(number, news[number], today)
		if err != nil {
			return fmt.Errorf("write shelf %d: %w", number, err)
		}
		put.shelves, put.versions, put.seen = append(put.shelves, number), append(put.versions, t.Version), append(put.seen, t.Seen)
		put.ads, put.observations = append(put.ads, t.Ads), append(put.observations, t.Observations)
	}
	_, err = s.tx.Exec(ctx, `
		INSERT INTO gv.ad_observations (tenant_id, bucket, version, ads, observations, records)
		SELECT (SELECT gv.tenant()), * FROM unnest(@shelves::smallint[], @versions::bigint[], @ads::int[], @observations::int[], @seen::bytea[])
		ON CONFLICT (tenant_id, bucket) DO UPDATE
		SET version = excluded.version, ads = excluded.ads, observations = excluded.observations, records = excluded.records, updated_at = now()`,
		pgx.StrictNamedArgs{
			"shelves": put.shelves, "versions": put.versions, "ads": put.ads, "observations": put.observations, "seen": put.seen,
		})
	if err != nil {
		return fmt.Errorf("record what was told: %w", err)
	}
	return nil
}

// moved reads those shelves again that have changed since they were held.
func (s store) moved(ctx context.Context, numbers []int16, held map[int16]shelf) (map[int16]shelf, error) {
	rows, _ := s.tx.Query(ctx, `SELECT bucket, version FROM gv.ad_observations WHERE tenant_id = gv.tenant() AND bucket = ANY ($1)`, numbers)
	var (
		changed []int16
		number  int16
		version int64
	)
	_, err := pgx.ForEachRow(rows, []any{&number, &version}, func() error {
		if held[number].version != version {
			changed = append(changed, number)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look what was told meanwhile: %w", err)
	}
	if len(changed) == 0 {
		return nil, nil
	}
	return s.shelves(ctx, changed)
}
