package oracle

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
)

// Pooled is what accounts of a niche that opted in have in common: the effect of a value
// of the creative DNA on the logarithm of the CTR, or, with no feature, its level.
type Pooled struct {
	Feature, Value string
	Effect, Error  float64 // the mean over the accounts, and how far they differ
	Accounts       int
}

// normal is what is believed of one effect before there is any data.
type normal struct{ mean, variance float64 }

// How far an account may differ from its niche at least, as a logarithm: the accounts
// behind a cell are few.
const (
	leastLevelError  = 0.3
	leastEffectError = 0.12
)

// belief is what a cell says of one more account.
func (p *Pooled) belief() normal {
	least := leastEffectError
	if p.Feature == "" {
		least = leastLevelError
	}
	e := max(p.Error, least)
	return normal{clamp(p.Effect, lowest, highest), e * e * (1 + 1/float64(max(p.Accounts, 1)))}
}

// pooled returns the cells that past holds.
func pooled(past []Past) []Pooled {
	var all []Pooled
	for _, p := range past {
		if p.Pooled != nil {
			all = append(all, *p.Pooled)
		}
	}
	return all
}

// beliefs are what the cells say of the columns, by number; the level is column 0.
func (c *columns) beliefs(cells []Pooled) map[int]normal {
	all := map[int]normal{}
	for i := range cells {
		p := &cells[i]
		if p.Feature == "" {
			all[0] = p.belief()
		} else if j, ok := c.category[category{p.Feature, p.Value}]; ok {
			all[j] = p.belief()
		}
	}
	return all
}

// levelOf is the CTR of the niche, 0 where it is not known.
func levelOf(cells []Pooled) float64 {
	for _, p := range cells {
		if p.Feature == "" {
			return math.Exp(clamp(p.Effect, lowest, 0))
		}
	}
	return 0
}

// pooled returns what the account has received from its niche, at its last cycle.
func (s Store) pooled(ctx context.Context, account string) ([]Past, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT feature, value, effect, error, accounts FROM gv.niche_priors
		WHERE  tenant_id = gv.tenant() AND account_id = $1 AND metric = 'ctr' ORDER BY feature, value`, account)
	cells, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Pooled])
	if err != nil {
		return nil, fmt.Errorf("read what account %s has from its niche: %w", account, err)
	}
	all := make([]Past, len(cells))
	for i := range cells {
		all[i].Pooled = &cells[i]
	}
	return all, nil
}
