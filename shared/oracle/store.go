package oracle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgvector/pgvector-go"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/dealtimes"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// registered is the name that the oracle's models have in gv.model_registry.
const registered = "oracle"

// How many ads a model of the database learns from: the newest ones.
const (
	maxOwn    = 3000
	maxOthers = 2000
)

// Store is the oracle's data on a transaction of one tenant.
type Store struct{ tx pgx.Tx }

// NewStore returns a store on tx.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

// Basis is how much there is to learn from.
type Basis struct {
	Own     Sums   `json:"own"` // of the account
	Others  Sums   `json:"others"`
	Niche   string `json:"niche"`
	Vectors string `json:"vectors,omitempty"`     // the embedding model
	Cells   int    `json:"niche_cells,omitempty"` // of the niche's pooled prior
	// Currency is the account's, of no account the tenant's.
	Currency money.Currency `json:"currency,omitempty"`
}

// Sums are over ads; money in minor units.
type Sums struct {
	Ads         int64 `json:"ads"`
	Described   int64 `json:"described"` // that have a DNA
	Impressions int64 `json:"impressions"`
	Clicks      int64 `json:"clicks"`
	Spend       int64 `json:"spend"`
	Value       int64 `json:"value"`
	Decimals    int   `json:"decimals"` // of the money
}

// Resolve returns the account that is meant: the tenant's only one where account
// is "", and "" where it has none or several. An unknown account is NotFound.
func (s Store) Resolve(ctx context.Context, account string) (string, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT account_id FROM gv.accounts
		WHERE  tenant_id = gv.tenant() AND (@account = '' OR account_id = @account)
		ORDER BY account_id LIMIT 2`, pgx.StrictNamedArgs{"account": account})
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	switch {
	case err != nil:
		return "", fmt.Errorf("look up account %s: %w", account, err)
	case len(found) == 1:
		return found[0], nil
	case account != "":
		return "", fault.NotFoundf("there is no account with this account_id")
	}
	return "", nil
}

// around are the account's ads and those of its niche: the tenant's other accounts
// with the same niche, in its words; of no account, all of the tenant's. Row-level
// security and the tenant's condition keep other tenants out.
const around = `
	WITH own AS (
		SELECT niche, currency FROM gv.accounts WHERE tenant_id = gv.tenant() AND account_id = @account
	), used AS (
		SELECT acc.account_id, acc.account_id = @account AS mine, gv.decimals(acc.currency) AS decimals,
		       acc.currency = coalesce((SELECT currency FROM own), t.currency) AS comparable
		FROM   gv.accounts acc JOIN gv.tenants t USING (tenant_id)
		WHERE  acc.tenant_id = gv.tenant()
		AND    (@account = '' OR acc.account_id = @account
		        OR lower(trim(acc.niche)) = (SELECT nullif(lower(trim(niche)), '') FROM own))
	)`

// Basis returns how much there is to learn from for an account.
func (s Store) Basis(ctx context.Context, account string) (Basis, error) {
	rows, _ := s.tx.Query(ctx, around+`
		SELECT   u.mine, coalesce((SELECT niche FROM own), ''), count(a.ad_id), count(*) FILTER (WHERE a.creative_dna <> '{}'),
		         coalesce(sum(a.impressions), 0)::bigint, coalesce(sum(a.clicks), 0)::bigint,
		         coalesce(sum(a.spend_minor) FILTER (WHERE u.comparable), 0)::bigint,
		         coalesce(sum(a.pipeline_minor) FILTER (WHERE u.comparable), 0)::bigint,
		         coalesce(max(u.decimals) FILTER (WHERE u.comparable), 2),
		         coalesce((SELECT currency FROM own), (SELECT currency FROM gv.tenants WHERE tenant_id = gv.tenant()))
		FROM     used u
		LEFT     JOIN gv.ads a ON a.tenant_id = gv.tenant() AND a.account_id = u.account_id AND (a.impressions > 0 OR a.spend_minor > 0)
		GROUP BY u.mine`, pgx.StrictNamedArgs{"account": account})
	var b Basis
	var mine bool
	var n Sums
	_, err := pgx.ForEachRow(rows, []any{
		&mine, &b.Niche, &n.Ads, &n.Described, &n.Impressions, &n.Clicks, &n.Spend, &n.Value, &n.Decimals,
		&b.Currency,
	}, func() error {
		if mine {
			b.Own = n
		} else {
			b.Others = n
		}
		return nil
	})
	if err != nil {
		return Basis{}, fmt.Errorf("sum up the ads around account %s: %w", account, err)
	}
	cells, err := s.pooled(ctx, account)
	b.Cells = len(cells)
	return b, err
}

// Past returns the ads that a model of an account learns from: the newest of its
// own and of its niche, with their embeddings of the model vectors where they are
// stored winners. Value and spend in another currency than the account's are left out.
// How much of an ad's value could have shown goes by the account's own deals and
// the days of its clicks; of an ad without days nobody knows, and all counts.
func (s Store) Past(ctx context.Context, account, vectors string) ([]Past, error) {
	deals, err := dealtimes.Read(ctx, s.tx, account, dealtimes.Recent)
	if err != nil {
		return nil, err
	}
	curve := sampler.ArrivedByDay(deals)
	rows, _ := s.tx.Query(ctx, around+`
		SELECT n.ad_id, n.account_id, n.creative_dna, n.impressions, n.clicks, coalesce(days.first::timestamptz, n.created_at),
		       round((1 - coalesce(days.arrived, 1))::numeric, 2)::float8,
		       CASE WHEN n.comparable THEN n.spend_minor / 10 ^ n.decimals ELSE 0 END::float8,
		       CASE WHEN n.comparable THEN n.pipeline_minor / 10 ^ n.decimals ELSE 0 END::float8, w.embedding::text
		FROM   (SELECT a.*, u.comparable, u.decimals, u.mine, row_number() OVER (PARTITION BY u.mine ORDER BY a.created_at DESC, a.ad_id) AS nth
		        FROM used u JOIN gv.ads a ON a.tenant_id = gv.tenant() AND a.account_id = u.account_id
		        WHERE a.impressions > 0 OR a.spend_minor > 0) n
		LEFT   JOIN gv.winners w ON w.tenant_id = gv.tenant() AND w.ad_id = n.ad_id AND w.model = @vectors AND w.active
		LEFT   JOIN LATERAL (
			SELECT min(m.day) AS first, sum(m.clicks * (@curve::float8[])[1 + least(greatest(current_date - m.day, 0),
			       @last::int)]) / nullif(sum(m.clicks), 0) AS arrived
			FROM   gv.ad_metrics m WHERE m.tenant_id = gv.tenant() AND m.ad_id = n.ad_id
		) AS days ON true
		WHERE  n.nth <= CASE WHEN n.mine THEN @own::bigint ELSE @others::bigint END`,
		pgx.StrictNamedArgs{"account": account, "vectors": vectors, "own": maxOwn, "others": maxOthers, "curve": curve, "last": len(curve) - 1})
	var all []Past
	var p Past
	var dna []byte
	var vector *pgvector.Vector
	_, err = pgx.ForEachRow(rows, []any{
		&p.AdID, &p.AccountID, &dna, &p.Impressions, &p.Clicks, &p.Created, &p.Immature, &p.Spend, &p.Value,
		&vector,
	}, func() error {
		next := p
		next.DNA = creative.DNA{}
		if err := next.DNA.UnmarshalJSON(dna); err != nil {
			next.DNA = creative.DNA{} // whatever it is, it is no DNA: the ad teaches the level only
		}
		if vector != nil {
			next.Vector = vector.Slice()
		}
		all = append(all, next)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the ads around account %s: %w", account, err)
	}
	cells, err := s.pooled(ctx, account)
	return append(all, cells...), err
}

// Champion returns the version of the model that serves an account, and what the
// newest model was trained on; "" where there is none.
func (s Store) Champion(ctx context.Context, account string) (version string, newest Basis, at time.Time, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT coalesce((SELECT version FROM gv.model_registry
		                 WHERE tenant_id = gv.tenant() AND account_id = @account AND name = @name AND role = 'champion'), ''), basis, trained_at
		FROM   gv.model_registry
		WHERE  tenant_id = gv.tenant() AND account_id = @account AND name = @name
		ORDER BY trained_at DESC, version LIMIT 1`,
		pgx.StrictNamedArgs{"account": account, "name": registered}).Scan(&version, &newest, &at)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", Basis{}, at, fmt.Errorf("look up the champion of account %s: %w", account, err)
	}
	return version, newest, at, nil
}

// Model returns a model of the registry; ok is false where it is not there or was
// made by another algorithm, and so cannot be used.
func (s Store) Model(ctx context.Context, account, version string) (m Model, ok bool, err error) {
	var data []byte
	err = s.tx.QueryRow(ctx, `
		SELECT parameters, metrics FROM gv.model_registry
		WHERE  tenant_id = gv.tenant() AND account_id = @account AND name = @name AND version = @version`,
		pgx.StrictNamedArgs{"account": account, "name": registered, "version": version}).Scan(&data, &m.Metrics)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Model{}, false, nil
	case err != nil:
		return Model{}, false, fmt.Errorf("read model %s of account %s: %w", version, account, err)
	}
	metrics := m.Metrics
	if m, err = decode(data); err != nil || m.Version() != version {
		return Model{}, false, nil //nolint:nilerr // one that cannot be read is trained anew
	}
	m.Metrics = metrics
	return m, true, nil
}

// near looks up the stored winners nearest to what is to be judged, of those whose
// figures the model knows.
func (s Store) near(ctx context.Context, m Model, q *Query) error {
	if m.Vectors != q.Vectors {
		q.Near = nil
		return nil
	}
	if q.Near != nil || q.Vector == nil || len(m.Memory.IDs) == 0 {
		return nil
	}
	rows, _ := s.tx.Query(ctx, `
		SELECT   ad_id, least(greatest(1 - (embedding <=> @vector::text::vector), 0), 1) AS similarity
		FROM     gv.winners
		WHERE    tenant_id = gv.tenant() AND model = @model AND active AND ad_id = ANY (@ads)
		ORDER BY 2 DESC, ad_id
		LIMIT    @k`,
		pgx.StrictNamedArgs{"vector": pgvector.NewVector(q.Vector).String(), "model": q.Vectors, "ads": m.Memory.IDs, "k": nearest})
	var err error
	if q.Near, err = pgx.CollectRows(rows, pgx.RowToStructByName[Neighbour]); err != nil {
		return fmt.Errorf("look up the nearest winners: %w", err)
	}
	return nil
}
