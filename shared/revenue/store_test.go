package revenue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/revenue"
)

// store is a revenue store with the ledger's valuation of a stage's deals beside it.
type store struct {
	revenue.Store
	tx pgx.Tx
}

func (s store) Revalue(ctx context.Context, stage string) (deals int, adIDs []string, err error) {
	return ledger.Revalue(ctx, s.tx, stage, revenue.ClosedWon)
}

func in(t testing.TB, w *apitest.World, fn func(s store) error) error {
	t.Helper()
	return pg.InTenant(context.Background(), w.App, apitest.Tenant, func(tx pgx.Tx) error { return fn(store{revenue.NewStore(tx), tx}) })
}

func TestSQLValuesADealAsWorthDoes(t *testing.T) {
	t.Parallel()
	w := apitest.New(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	type deal struct {
		stage  string
		amount *money.Amount
	}
	stages := []string{"lead", "appointment_scheduled", "show_up", "closed_won", "closed_lost"}
	deals := make([]deal, 60)
	for i := range deals {
		deals[i].stage = stages[rnd.IntN(len(stages))]
		if rnd.IntN(2) == 0 {
			a := money.Amount(rnd.IntN(3) * 123_45)
			deals[i].amount = &a
		}
		w.Exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, stage_name, amount_minor) VALUES ($1, 1, $2, 'live', $3, $4)`,
			apitest.Tenant, i, deals[i].stage, deals[i].amount)
	}
	worth := map[string]revenue.Stage{}
	for _, name := range stages {
		value := money.Amount(rnd.IntN(1_000_000))
		err := in(t, w, func(s store) error {
			_, now, err := s.SetStage(t.Context(), name, revenue.Setting{Value: value}, "me")
			if err != nil {
				return err
			}
			worth[name] = now
			_, _, err = s.Revalue(t.Context(), name)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, d := range deals {
		want := revenue.Worth(worth[d.stage], d.stage == revenue.ClosedWon, d.amount)
		got := w.Text(`SELECT value_minor || ' ' || stage_confidence FROM gv.deals WHERE deal_id = $1`, i)
		if got != fmt.Sprintf("%d %v", want, worth[d.stage].Confidence) {
			t.Errorf("deal in %s with amount %v: %s in SQL, %d by Worth", d.stage, d.amount, got, want)
		}
	}
}

func TestARevaluationWaitsForADealThatIsJustBeingValued(t *testing.T) {
	t.Parallel()
	w := apitest.New(t)
	revalued := make(chan error, 1)
	err := pg.InTenant(t.Context(), w.App, apitest.Tenant, func(tx pgx.Tx) error {
		stage, err := revenue.NewStore(tx).Stage(t.Context(), "show_up")
		if err != nil {
			return err
		}
		go func() {
			revalued <- in(t, w, func(s store) error {
				if _, _, err := s.SetStage(context.Background(), "show_up", revenue.Setting{Value: 77}, "me"); err != nil {
					return err
				}
				_, _, err := s.Revalue(context.Background(), "show_up")
				return err
			})
		}()
		const waiting = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
		for w.Text(waiting) == "0" {
			select {
			case err := <-revalued:
				return errors.Join(errors.New("the stage changed under the deal"), err)
			case <-time.After(5 * time.Millisecond):
			}
		}
		_, err = tx.Exec(t.Context(), `
			INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, stage_name, value_minor)
			VALUES (gv.tenant(), 1, 1, 'live', 'show_up', $1)`, stage.Value)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-revalued; err != nil {
		t.Fatal(err)
	}
	if got := w.Text(`SELECT value_minor FROM gv.deals`); got != "77" {
		t.Errorf("the deal kept %s, want 77", got)
	}
}

func TestStagesAreATenantsOwn(t *testing.T) {
	t.Parallel()
	w := apitest.New(t)
	err := pg.InTenant(t.Context(), w.App, apitest.Other, func(tx pgx.Tx) error {
		_, _, err := revenue.NewStore(tx).SetStage(t.Context(), "theirs", revenue.Setting{Value: 1}, "them")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = in(t, w, func(s store) error {
		if _, err := s.Stage(t.Context(), "theirs"); fault.Of(err) != fault.NotFound {
			t.Errorf("another tenant's stage: %v, want not found", err)
		}
		stages, err := s.Stages(t.Context())
		var names []string
		for _, stage := range stages {
			names = append(names, stage.Name)
		}
		if diff := cmp.Diff("closed_lost lead appointment_scheduled show_up closed_won", strings.Join(names, " ")); diff != "" {
			t.Error(diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
