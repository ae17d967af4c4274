package sampler

import (
	"math"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Shares of an even share of the total that an ad gets whatever the draws say,
// as far as its limits and half of the free money allow.
const (
	// exploreShare goes to an ad that has not spent yet: nobody starts at zero for ever.
	exploreShare = 0.1
	// keepShare stays with every ad, so that none is forgotten for good.
	keepShare = 0.05
	// returnShare stays with an ad whose known budget may only rise by half at
	// once: from less it could not come back in time when the leaders tire.
	returnShare = 0.2
)

// limit sets every row's lowest and highest budget and the total that the rows
// share. Where a limit of 50% and the caller's own contradict, the lower budget
// wins: spending less than allowed is the smaller mistake.
func (m *model) limit(split *Split) {
	m.total = float64(m.req.Total)
	part, whole := 0, m.req.Total
	for i := range m.rows {
		a := m.arm(i)
		if a.Excluded {
			keep := money.Amount(0)
			if a.CurrentKnown {
				keep = min(a.Current, whole) // in the order of ids, until the total is gone
				if keep < a.Current {
					split.Limit = KeptByOther
					split.LimitReason = "The excluded ads' own budgets add up to more than the total; the last of them are cut to fit."
				}
			}
			whole -= keep
			m.lo[i], m.hi[i] = float64(keep), float64(keep)
			continue
		}
		part++
	}
	m.total = float64(whole)
	for i := range m.rows {
		a := m.arm(i)
		if a.Excluded {
			continue
		}
		lo, hi := float64(a.Min), math.Inf(1)
		if a.Max != nil {
			hi = float64(*a.Max)
		}
		if a.CurrentKnown && a.Current > 0 {
			now := float64(a.Current)
			lo = math.Max(lo, math.Ceil(now/2))
			hi = math.Min(hi, math.Floor(now*3/2))
		}
		m.lo[i], m.hi[i] = math.Min(lo, hi), hi
	}
	m.fitLimits(split, part)
	m.explore(part)
}

// explore raises the floors so that every ad keeps being tried, as far as the
// limits leave money free: first those that have not spent yet, then the others.
func (m *model) explore(part int) {
	even := m.total / float64(max(1, part))
	free := m.total
	for i := range m.rows {
		if !m.arm(i).Excluded {
			free -= m.lo[i]
		}
	}
	for _, unspent := range []bool{true, false} {
		raise := func(i int) float64 {
			a, share := m.arm(i), keepShare*even
			switch known := a.CurrentKnown && a.Current > 0; {
			case a.Excluded || unspent != (a.Spend == 0 && even >= 1 && !known):
				return 0
			case known:
				share = returnShare * even
			case unspent:
				share = math.Max(1, exploreShare*even)
			}
			return math.Max(0, math.Min(share, m.hi[i])-m.lo[i])
		}
		asked := 0.0
		for i := range m.rows {
			asked += raise(i)
		}
		if asked <= 0 || free <= 0 {
			continue
		}
		grant := math.Min(1, free/asked)
		for i := range m.rows {
			m.lo[i] += grant * raise(i)
		}
		free -= grant * asked
	}
}

// fitLimits makes the limits possible: floors that ask for more than the total
// give way, and a total above the ceilings is left over. Both are named.
func (m *model) fitLimits(split *Split, part int) {
	var lo, hi, mins float64
	for i := range m.rows {
		a := m.arm(i)
		if a.Excluded {
			continue
		}
		lo, hi = lo+m.lo[i], hi+m.hi[i]
		mins += math.Min(float64(a.Min), m.hi[i])
	}
	switch {
	case part == 0 && m.total > 0:
		if split.Limit == NoLimit {
			split.Limit = AllExcluded
			split.LimitReason = "Every ad is excluded, so nobody can take the rest of the total."
		}
	case lo > m.total:
		m.lowerFloors(split, mins, lo)
	case hi < m.total:
		m.nameCeiling(split)
	}
	if part > 0 && hi < m.total {
		m.total = hi
	}
}

// lowerFloors gives up the change limit first, then scales the caller's floors.
func (m *model) lowerFloors(split *Split, mins, lo float64) {
	if mins > m.total {
		split.Limit = MinBudget
		split.LimitReason = "The min_budget limits add up to more than the total; all of them are lowered in proportion."
	} else {
		split.Limit = ChangeFloor
		split.LimitReason = "Half of the current budgets is more than the total; ads are cut by more than 50% to fit."
	}
	for i := range m.rows {
		a := m.arm(i)
		if a.Excluded {
			continue
		}
		floor := math.Min(float64(a.Min), m.hi[i])
		if mins > m.total {
			m.lo[i] = floor * m.total / mins
			m.hi[i] = m.lo[i]
			continue
		}
		m.lo[i] = floor + (m.lo[i]-floor)*(m.total-mins)/(lo-mins)
	}
}

// nameCeiling says which ceilings kept money back.
func (m *model) nameCeiling(split *Split) {
	var caller float64 // the sum if only the caller's ceilings held
	for i := range m.rows {
		a := m.arm(i)
		if a.Excluded {
			continue
		}
		if a.Max != nil {
			caller += math.Min(float64(*a.Max), m.total)
		} else {
			caller += m.total
		}
	}
	if caller < m.total {
		split.Limit = MaxBudget
		split.LimitReason = "The max_budget limits add up to less than the total."
		return
	}
	split.Limit = ChangeLimit
	split.LimitReason = "No ad's budget may rise by more than 50% at once, and all that may are at that limit."
}
