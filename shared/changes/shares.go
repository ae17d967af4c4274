package changes

import "math/bits"

// NoLimits is the target of a change that removes spend limits.
const NoLimits int64 = 0

// Floor is the minimum spend to set with a cap under a campaign's budget: four
// fifths of a cap that rises, so that Meta spends it; of a cap that falls, at most
// that, and none where there was none.
func Floor(before *int64, next int64, present *int64, grain int64) *int64 {
	floor := next / 5 * 4
	floor -= floor % grain
	if rises := before == nil || next > *before; !rises {
		if present == nil {
			return nil
		}
		floor = min(floor, *present)
	}
	return &floor
}

// CutFrom is current less the share, rounded so that never more than the share is
// taken away.
func CutFrom(current int64, share float64) int64 {
	const slip = 1e-9 // 0.2 * 15 is just below 3 in binary
	return current - int64(float64(current)*share+slip)
}

// share splits rest evenly among the ads; the first ones get the remainder.
func share(parts map[string]int64, ads []*Ad, rest int64) {
	n := int64(len(ads))
	for i, a := range ads {
		parts[a.AdID] = rest / n
		if int64(i) < rest%n {
			parts[a.AdID]++
		}
	}
}

// scale changes parts that sum to known so that they sum to current.
func scale(parts map[string]int64, known, current int64, set []*Ad) {
	left := current
	for _, a := range set {
		part := muldiv(parts[a.AdID], current, known)
		parts[a.AdID] = part
		left -= part
	}
	for _, a := range set { // the remainder of rounding, a unit each
		if left == 0 {
			return
		}
		if parts[a.AdID] > 0 {
			parts[a.AdID]++
			left--
		}
	}
	if left > 0 {
		for _, a := range set {
			if a.Status != paused {
				parts[a.AdID] += left
				return
			}
		}
	}
}

// muldiv is a*b/c without overflow, rounded down.
func muldiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi%uint64(c), lo, uint64(c))
	return int64(q)
}

// toward rounds target to a multiple of grain, towards from, or down where from is
// not known.
func toward(from *int64, target, grain int64) int64 {
	down := target - target%grain
	if from != nil && target < *from && down != target {
		return down + grain
	}
	return down
}

// Scaled divides another whole in the proportions in which parts divide whole, in whole
// minor units that add up.
func Scaled(parts map[string]int64, whole, other int64) map[string]int64 {
	made := make(map[string]int64, len(parts))
	left := other
	ids := sortedKeys(parts)
	for _, id := range ids {
		if whole > 0 {
			made[id] = muldiv(parts[id], other, whole)
		}
		left -= made[id]
	}
	if len(ids) > 0 {
		made[ids[0]] += left
	}
	return made
}
