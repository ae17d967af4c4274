package selflearning

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/learning"
)

// compounded is what step 4 found.
type compounded struct {
	New          int                `json:"new_patterns"`
	Strengthened int                `json:"strengthened"`
	Refuted      int                `json:"refuted"`
	Retired      int                `json:"retired"`
	Active       int                `json:"active_patterns"`
	Tests        int                `json:"tests"`
	Rate         float64            `json:"false_discovery_rate"`
	Patterns     []learning.Pattern `json:"patterns"`
	// Effects are what the values were tested to do, for step 6.
	Effects []learning.Effect `json:"-"`
}

// mostShown is how many patterns a cycle's answer names.
const mostShown = 20

// compoundLearning finds which values of the creative DNA move CTR and value per
// impression in this account.
func (s *steps) compoundLearning(ctx context.Context, c *learning.Cycle) (learning.Work, error) {
	var before []learning.Known
	var k known
	err := s.in(ctx, c, func(tx pgx.Tx) (err error) {
		if k, err = s.know(ctx, c, tx); err != nil {
			return err
		}
		before, err = learning.NewStore(tx).Patterns(ctx, c.Account, true)
		return err
	})
	if err != nil {
		return learning.Work{}, err
	}
	tested := learning.FindPatterns(k.ads)
	moved := learning.Compare(before, tested)
	active := append(append(append([]learning.Pattern{}, moved.New...), moved.Strengthened...), moved.Confirmed...)
	found := compounded{
		New: len(moved.New), Strengthened: len(moved.Strengthened), Refuted: len(moved.Refuted), Retired: len(moved.Retired),
		Active: len(active),
		Tests:  tested.Tests, Rate: learning.FalseDiscoveryRate, Patterns: active[:min(len(active), mostShown)],
	}
	work := learning.Work{Write: func(ctx context.Context, tx pgx.Tx) (any, error) {
		return found, learning.NewStore(tx).Save(ctx, c.Account, moved, c.StartedAt)
	}}
	switch {
	case tested.Tests == 0:
		work.Reason = "no value of the creative DNA has five ads with it and five without, each with enough impressions: nothing could be tested"
	case len(active) == 0:
		work.Reason = fmt.Sprintf("%d values were tested; none differs from the others by more than chance", tested.Tests)
	}
	return work, nil
}

// crossed is what step 6 did.
type crossed struct {
	Niche       string `json:"niche"`
	Contributed int    `json:"contributed_cells"`
	Received    int    `json:"received_cells"`
	Fewest      *int   `json:"fewest_accounts_in_a_cell"`
}

// crossLearning gives the niche what the account has found, where it opted in, and
// takes what at least five other accounts of the niche have in common.
func (s *steps) crossLearning(ctx context.Context, c *learning.Cycle) (learning.Work, error) {
	var k known
	err := s.in(ctx, c, func(tx pgx.Tx) (err error) {
		k, err = s.know(ctx, c, tx)
		return err
	})
	if err != nil {
		return learning.Work{}, err
	}
	shares := k.Shares && k.Niche != ""
	var effects []learning.Effect
	if shares {
		for _, e := range learning.FindPatterns(k.ads).Effects {
			// A word of somebody's own says whose it is.
			if e.Feature == "" || creative.Vocabulary(e.Feature, e.Value) {
				effects = append(effects, e)
			}
		}
	}
	niche := ""
	if shares { // who does not give does not take
		niche = k.Niche
	}
	work := learning.Work{Write: func(ctx context.Context, tx pgx.Tx) (any, error) {
		store := learning.NewStore(tx)
		if err := store.Contribute(ctx, c.Account, k.Niche, effects, c.StartedAt); err != nil {
			return nil, err
		}
		cells, fewest, err := store.Receive(ctx, c.Account, niche, c.StartedAt)
		out := crossed{Niche: k.Niche, Contributed: len(effects), Received: cells}
		if cells > 0 {
			out.Fewest = &fewest
		}
		return out, err
	}}
	switch {
	case k.Niche == "":
		work.Reason = "the account has no niche, so other accounts teach it nothing: set one in the account's settings"
	case !k.Shares:
		work.Reason = "the account does not take part: the setting cross_learning is not 1; what it had added is removed"
	}
	return work, nil
}
