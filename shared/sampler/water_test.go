package sampler

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTheWaterLevelUsesUpTheTotalFromAnyStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "ads")
		s, sat, lo, hi := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
		least, most := 0.0, 0.0
		for i := range n {
			s[i] = math.Exp(rapid.Float64Range(-6, 6).Draw(t, "root"))
			sat[i] = math.Exp(rapid.Float64Range(0, 16).Draw(t, "saturation"))
			lo[i] = rapid.SampledFrom([]float64{0, 1, 250, 90_000}).Draw(t, "floor")
			hi[i] = lo[i] + rapid.SampledFrom([]float64{0, 10, 5_000, 1e7}).Draw(t, "room")
			least, most = least+lo[i], most+hi[i]
		}
		total := least + (most-least)*rapid.Float64Range(0.001, 0.999).Draw(t, "part")
		w := water{total: total, sat: sat, lo: lo, hi: hi, mu: rapid.SampledFrom([]float64{0, 1e-9, 1, 1e9}).Draw(t, "start")}
		budgets := func(mu float64) (sum float64) {
			for i, x := range s {
				sum += clamp(sat[i]*(mu*x-1), lo[i], hi[i])
			}
			return sum
		}
		first := budgets(w.level(s))
		again := budgets(w.level(s)) // from the solution
		if most > least && max(math.Abs(first-total), math.Abs(again-total)) > 1e-6*total+1e-5 {
			t.Fatalf("%v and %v of %v are used", first, again, total)
		}
	})
}

func TestArmsAreOrderedByTheirIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SampledFrom([]string{"", "1202", "campaign/ad-"}).Draw(t, "prefix")
		ids := rapid.SliceOfNDistinct(rapid.StringMatching(`[0-9a-c]{0,12}`), 1, 30, rapid.ID[string]).Draw(t, "ids")
		arms := make([]Arm, len(ids))
		for i, id := range ids {
			arms[i].ID = prefix + id
		}
		rows, sorted := order(arms)
		for i := range sorted {
			if sorted[i].ID != arms[rows[i]].ID {
				t.Fatalf("row %d is %q and %q", i, sorted[i].ID, arms[rows[i]].ID)
			}
		}
		if !slices.IsSortedFunc(sorted, func(a, b Arm) int { return strings.Compare(a.ID, b.ID) }) {
			t.Fatalf("%+v", sorted)
		}
	})
}
