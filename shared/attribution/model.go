package attribution

import (
	"cmp"
	"slices"
	"strings"
)

// The attribution models: which of the clicks that led to a conversion get its
// credit. ByPosition gives two fifths each to the first and the last click and
// shares the rest among those between.
const (
	LastClick  = "last"
	FirstClick = "first"
	ByPosition = "position"
)

// Part is an ad's share of a conversion's credit, from From to To of 0 to 1. The
// parts of one conversion lie end to end, so money that is divided by them adds up.
type Part struct {
	AdID     string
	From, To float64
}

// Share returns the touch that model credits, and the parts where several ads
// share the credit. Only clicks that are as sure as the surest take part: those of
// its method, of known ads where it is of one. The touch is then of the ad with
// most of the credit, and of the last click's where two have the same. There must
// be a Best.
func Share(model string, all []Touch) (credited Touch, parts []Part) {
	best := *Best(all)
	if model == LastClick {
		return best, nil
	}
	var path []Touch
	for _, t := range all {
		if t.Eligible && t.Known == best.Known && t.Method == best.Method {
			path = append(path, t)
		}
	}
	slices.SortFunc(path, func(a, b Touch) int {
		return cmp.Or(a.ClickedAt.Compare(b.ClickedAt), strings.Compare(a.ClickID, b.ClickID))
	})
	if model == FirstClick {
		return path[0], nil
	}
	weights := map[string]float64{}
	var order []string
	for i, t := range path {
		if _, seen := weights[t.AdID]; !seen {
			order = append(order, t.AdID)
		}
		weights[t.AdID] += position(i, len(path))
	}
	from := 0.0
	for i, ad := range order {
		to := from + weights[ad]
		if i == len(order)-1 {
			to = 1 // whatever float64 makes of the sum
		}
		parts = append(parts, Part{ad, from, to})
		from = to
	}
	for _, t := range slices.Backward(path) {
		if credited.AdID == "" || weights[t.AdID] > weights[credited.AdID]+1e-9 {
			credited = t
		}
	}
	if len(order) == 1 {
		return credited, nil
	}
	return credited, parts
}

// position is the weight of the i-th of n clicks.
func position(i, n int) float64 {
	switch {
	case n == 1:
		return 1
	case n == 2:
		return 0.5
	case i == 0 || i == n-1:
		return 0.4
	}
	return 0.2 / float64(n-2)
}
