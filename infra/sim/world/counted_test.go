package world

import (
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/simulation"
)

func TestAPageThatStopsIsFoundInNineDaysWhereDealsAreKnown(t *testing.T) {
	simulation.Test(t)
	t.Parallel()
	page := Shocks()[2]
	days := func(k Kind) float64 {
		sum := 0.0
		const accounts = 12
		for seed := range uint64(accounts) {
			sum += AfterShock(9000+seed, page, k)
		}
		return sum / accounts
	}
	counts, ledger := days(Kind{Counts: true}), days(Kind{Counts: true, Ledger: true})
	if counts > page.Within || ledger > page.Within-1 {
		t.Errorf("half of a dead page's money is gone after %.1f days by counts, %.1f by the ledger", counts, ledger)
	}
}
