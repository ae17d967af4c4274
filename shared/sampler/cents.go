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
	for i, b := range budgets {
		out[i] = money.Amount(math.Floor(b + 1e-7))
		left -= out[i]
	}
	if left == 0 {
		return out
	}
	if left < 0 { // rounding noise of huge sums: take back from the largest
		for _, r := range falling(out, func(i int) float64 { return float64(out[i]) }) {
			take := min(-left, out[r.row])
			out[r.row] -= take
			if left += take; left == 0 {
				break
			}
		}
		return out
	}
	rows := falling(out, func(i int) float64 { return budgets[i] - float64(out[i]) })
	for left > 0 {
		before := left
		if each := left / money.Amount(len(rows)); each > 0 { // huge sums: more than a unit each
			for _, r := range rows {
				i := r.row
				more := max(0, min(each, money.Amount(math.Min(hi[i], float64(total))+1e-7)-out[i]))
				out[i] += more
				left -= more
			}
		}
		for _, r := range rows {
			i := r.row
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

// ranked is a row and what it is sorted by.
type ranked struct {
	by  float64
	row int
}

// falling returns the rows of out, the highest first, ties by row.
func falling(out []money.Amount, by func(row int) float64) []ranked {
	rows := make([]ranked, len(out))
	for i := range out {
		rows[i] = ranked{by(i), i}
	}
	slices.SortFunc(rows, func(a, b ranked) int {
		switch {
		case a.by > b.by:
			return -1
		case a.by < b.by:
			return 1
		}
		return cmp.Compare(a.row, b.row)
	})
	return rows
}
