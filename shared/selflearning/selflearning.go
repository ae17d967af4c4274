// Package selflearning joins the seven steps of an account's learning cycle: the
// rules of shared/learning with the oracle, the winners, the sampler and the queue
// of changes. functions/learn runs one cycle on request, functions/cycle those of
// all accounts.
package selflearning

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/dealtimes"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/learning"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/oracle"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// mostAds is how many ads of an account a cycle looks at, the newest first: what it
// holds in memory is bounded by it.
const mostAds = 3000

type steps struct {
	db     *pg.DB
	oracle *oracle.Oracle
	models embed.Models
}

// NewRunner returns a runner of the seven steps on db. models name the embedding
// model that winners are embedded with.
func NewRunner(db *pg.DB, models embed.Models) *learning.Runner {
	s := &steps{db: db, oracle: oracle.New(db), models: models}
	return learning.NewRunner(db, []learning.Step{
		{Deadline: time.Minute, Do: s.fetchActuals},
		{Needs: []int{learning.FetchActuals}, Deadline: 20 * time.Second, Do: s.calculateAccuracy},
		{Needs: []int{learning.CalculateAccuracy}, Deadline: time.Minute, Do: s.autoRetrain},
		{Deadline: 30 * time.Second, Do: s.compoundLearning},
		{Deadline: 30 * time.Second, Do: s.autoPromote},
		{Needs: []int{learning.CompoundLearning}, Deadline: 20 * time.Second, Do: s.crossLearning},
		{Deadline: 20 * time.Second, Do: s.ragIndexing},
	})
}

func (s *steps) in(ctx context.Context, c *learning.Cycle, fn func(tx pgx.Tx) error) error {
	return pg.InTenant(ctx, s.db, c.Tenant, fn)
}

// account is what the steps need to know of the account itself.
type account struct {
	Currency money.Currency
	Home     money.Currency // the CRM's
	Niche    string
	Shares   bool
	Settings map[string]any
	// BreakEven and Margin are two ways to say one thing; nil where not set.
	BreakEven, Margin *float64
}

func readAccount(ctx context.Context, tx pgx.Tx, id string) (a account, err error) {
	err = tx.QueryRow(ctx, `
		SELECT acc.currency, t.currency, lower(trim(acc.niche)), coalesce((acc.settings ->> 'cross_learning')::float8 >= 1, false), acc.settings,
		       acc.break_even, acc.margin
		FROM   gv.accounts acc JOIN gv.tenants t USING (tenant_id)
		WHERE  acc.tenant_id = gv.tenant() AND acc.account_id = $1`, id).Scan(&a.Currency, &a.Home, &a.Niche, &a.Shares, &a.Settings, &a.BreakEven, &a.Margin)
	if err != nil {
		return a, fmt.Errorf("read account %s: %w", id, err)
	}
	return a, nil
}

// known is what a cycle knows of its account's ads.
type known struct {
	account
	deals []sampler.Deal
	curve learning.Curve
	ads   []learning.Ad
}

func (s *steps) know(ctx context.Context, c *learning.Cycle, tx pgx.Tx) (k known, err error) {
	if k.account, err = readAccount(ctx, tx, c.Account); err != nil {
		return k, err
	}
	if k.deals, err = dealtimes.Read(ctx, tx, c.Account, dealtimes.Recent); err != nil {
		return k, err
	}
	k.curve = sampler.ArrivedByDay(k.deals)
	k.ads, err = learning.NewStore(tx).Ads(ctx, c.Account, k.curve, c.StartedAt, mostAds)
	return k, err
}

// valued reports whether any ad of the account has a pipeline value.
func (k *known) valued() bool {
	for i := range k.ads {
		if k.ads[i].Value > 0 {
			return true
		}
	}
	return false
}
