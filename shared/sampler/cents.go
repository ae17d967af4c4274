package sampler

import (
	"cmp"
	"math"
	"slices"

	"github.com/geminivideo/geminivideo/shared/money"
)

// cents rounds budgets to minor units that sum to total exactly: each is rounded
// down and the missing units go to the largest remainders, ties by row. No
// budget passes its ceiling.
func cents(budgets, hi []float64, total money.Amount) []money.Amount {
	out := make([]money.Amount, len(budgets))
	left := total
	rows := make([]int, 0, len(budgets))
	for i, b := range budgets {
		out[i] = money.Amount(math.Floor(b + 1e-7))
		left -= out[i]
		rows = append(rows, i)
	}
	if left == 0 {
		return out
	}
	rest := func(i int) float64 { return budgets[i] - float64(out[i]) }
	if left < 0 { // rounding noise of huge sums: take back from the largest
		slices.SortFunc(rows, func(a, b int) int {
			return cmp.Or(cmp.Compare(out[b], out[a]), cmp.Compare(a, b))
		})
		for _, i := range rows {
			take := min(-left, out[i])
			out[i] -= take
			if left += take; left == 0 {
				break
			}
		}
		return out
	}
	slices.SortFunc(rows, func(a, b int) int {
		return cmp.Or(cmp.Compare(rest(b), rest(a)), cmp.Compare(a, b))
	})
	for left > 0 {
		before := left
		if each := left / money.Amount(len(rows)); each > 0 { // huge sums: more than a unit each
			for _, i := range rows {
				more := max(0, min(each, money.Amount(math.Min(hi[i], float64(total))+1e-7)-out[i]))
				out[i] += more
				left -= more
			}
		}
		for _, i := range rows {
			if left > 0 && float64(out[i])+1 <= hi[i]+1e-7 {
				out[i]++
				left--
			}
		}
		if left == before {
			break // the ceilings hold: it stays unallocated
		}
	}
	return out
}
