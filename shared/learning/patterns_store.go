package learning

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
)

// Known is a pattern that the account has.
type Known struct {
	Pattern
	Status  string
	FoundAt time.Time
}

// The statuses of a known pattern.
const (
	ActivePattern  = "active"
	RefutedPattern = "refuted"
	RetiredPattern = "retired"
)

// Patterns returns the account's active patterns, the strongest first; refuted and
// retired ones too where all is set.
func (s Store) Patterns(ctx context.Context, account string, all bool) ([]Known, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   metric, feature, value, status, lift, lift_low, lift_high, p_value, ads_with, ads_without, examples, found_at
		FROM     gv.creative_patterns
		WHERE    tenant_id = gv.tenant() AND account_id = @account AND (@all OR status = 'active')
		ORDER BY abs(ln(greatest(1 + lift, 1e-6))) DESC, metric, feature, value`, pgx.StrictNamedArgs{"account": account, "all": all})
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k Known, err error) {
		err = row.Scan(&k.Metric, &k.Feature, &k.Value, &k.Status, &k.Lift, &k.Low, &k.High, &k.P, &k.With, &k.Without, &k.Ads, &k.FoundAt)
		return k, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the patterns of account %s: %w", account, err)
	}
	return found, nil
}

// Moved is what a cycle changed in an account's patterns.
type Moved struct {
	New, Strengthened, Confirmed []Pattern
	Refuted, Retired             []Pattern
}

// Compare says what the ads of today make of the patterns that were known.
func Compare(known []Known, t Tested) Moved {
	before := map[string]Known{}
	for _, k := range known {
		if k.Status == ActivePattern {
			before[key(k.Metric, k.Feature, k.Value)] = k
		}
	}
	var m Moved
	for _, p := range t.Found {
		id := key(p.Metric, p.Feature, p.Value)
		k, was := before[id]
		delete(before, id)
		switch {
		case !was:
			m.New = append(m.New, p)
		case p.Lift*k.Lift < 0: // the opposite is so
			m.New, m.Refuted = append(m.New, p), append(m.Refuted, k.Pattern)
		case p.P < k.P && p.High-p.Low < k.High-k.Low:
			m.Strengthened = append(m.Strengthened, p)
		default:
			m.Confirmed = append(m.Confirmed, p)
		}
	}
	for _, k := range known { // in their order
		id := key(k.Metric, k.Feature, k.Value)
		if _, open := before[id]; !open {
			continue
		}
		e, tested := t.tests[id]
		was := math.Log1p(math.Max(k.Lift, -0.999))
		switch {
		case !tested:
			m.Retired = append(m.Retired, k.Pattern)
		case math.Abs(e.size-was) > 1.96*e.se || e.size*was <= 0:
			p := k.Pattern
			p.P, p.With, p.Without = e.p, len(e.carriers), e.without
			m.Refuted = append(m.Refuted, p)
		case e.p > 0.2:
			m.Retired = append(m.Retired, k.Pattern)
		default:
			m.Confirmed = append(m.Confirmed, k.Pattern)
		}
	}
	return m
}

// Save writes what has moved.
func (s Store) Save(ctx context.Context, account string, m Moved, now time.Time) error {
	b := &pgx.Batch{}
	put := func(status string, all []Pattern) {
		for _, p := range all {
			b.Queue(`
				INSERT INTO gv.creative_patterns AS c (tenant_id, account_id, metric, feature, value, status, lift, lift_low, lift_high, p_value,
				       ads_with, ads_without, examples, found_at, changed_at)
				VALUES (gv.tenant(), @account, @metric, @feature, @value, @status, @lift, @low, @high, @p, @with, @without, @ads, @now, @now)
				ON CONFLICT (tenant_id, account_id, metric, feature, value) DO UPDATE
				SET status = excluded.status, lift = excluded.lift, lift_low = excluded.lift_low, lift_high = excluded.lift_high,
				       p_value = excluded.p_value,
				    ads_with = excluded.ads_with, ads_without = excluded.ads_without, examples = excluded.examples, changed_at = excluded.changed_at,
				    found_at = CASE WHEN c.status = 'active' THEN c.found_at ELSE excluded.found_at END`,
				pgx.StrictNamedArgs{
					"account": account, "metric": p.Metric, "feature": p.Feature, "value": p.Value, "status": status, "lift": p.Lift,
					"low": p.Low, "high": p.High,
					"p": p.P, "with": p.With, "without": p.Without, "ads": append([]string{}, p.Ads...), "now": now,
				})
		}
	}
	put(RefutedPattern, m.Refuted)
	put(RetiredPattern, m.Retired)
	put(ActivePattern, m.New) // after what it refutes
	put(ActivePattern, m.Strengthened)
	put(ActivePattern, m.Confirmed)
	if err := s.tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("save the patterns of account %s: %w", account, err)
	}
	return nil
}

// Contribute replaces what the account adds to its niche's prior; with no effects
// it adds nothing any more.
func (s Store) Contribute(ctx context.Context, account, niche string, effects []Effect, now time.Time) error {
	b := &pgx.Batch{}
	b.Queue(`DELETE FROM gv.niche_contributions WHERE tenant_id = gv.tenant() AND account_id = @account`, pgx.StrictNamedArgs{"account": account})
	for _, e := range effects {
		b.Queue(`
			INSERT INTO gv.niche_contributions (tenant_id, account_id, niche, metric, feature, value, effect, error, updated_at)
			VALUES (gv.tenant(), @account, @niche, @metric, @feature, @value, @effect, @error, @now)`,
			pgx.StrictNamedArgs{
				"account": account, "niche": niche, "metric": e.Metric, "feature": e.Feature, "value": e.Value, "effect": e.Size,
				"error": e.Error, "now": now,
			})
	}
	if err := s.tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("write what account %s adds to its niche: %w", account, err)
	}
	return nil
}

// Receive replaces the account's copy of its niche's prior by what at least five
// accounts of other tenants have in common, and returns the number of cells and the
// fewest accounts behind one.
func (s Store) Receive(ctx context.Context, account, niche string, now time.Time) (cells, fewest int, err error) {
	_, err = s.tx.Exec(ctx, `DELETE FROM gv.niche_priors WHERE tenant_id = gv.tenant() AND account_id = $1`, account)
	if err == nil && niche != "" {
		err = s.tx.QueryRow(ctx, `
			WITH put AS (
				INSERT INTO gv.niche_priors (tenant_id, account_id, metric, feature, value, effect, error, accounts, updated_at)
				SELECT gv.tenant(), @account, metric, feature, value, effect, error, accounts, @now FROM gv.cells_of_niche(@niche)
				RETURNING accounts
			) SELECT count(*)::int, coalesce(min(accounts), 0)::int FROM put`,
			pgx.StrictNamedArgs{"account": account, "niche": niche, "now": now}).Scan(&cells, &fewest)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read the prior of the niche of account %s: %w", account, err)
	}
	return cells, fewest, nil
}
