package oracle

import (
	"cmp"
	"maps"
	"slices"
)

// simple reports whether a main column can be one of a pair: a category, or a
// number's line.
func (c *columns) simple() []bool {
	ok := make([]bool, c.main())
	for _, at := range c.category {
		ok[at] = true
	}
	for _, at := range c.number {
		ok[at] = true
	}
	return ok
}

// choosePairs makes columns of the pairs of columns that most ads have together.
// The outcome has no say in it: what is chosen for its effect would look larger
// than it is.
func (c *columns) choosePairs(ads []ad) {
	simple, count := c.simple(), map[[2]int32]int{}
	var row []entry
	for _, a := range ads {
		row = c.effects(row[:0], a.features)
		for i, x := range row {
			for _, y := range row[i+1:] {
				if simple[x.Col] && simple[y.Col] {
					count[pairOf(x.Col, y.Col)]++
				}
			}
		}
	}
	least := max(minTogether, len(ads)/100)
	for pair, n := range maps.Clone(count) {
		if n > len(ads)*9/10 && c.constant(pair) { // all ads have both: nothing to distinguish
			delete(count, pair)
		}
	}
	c.Pairs = top(count, maxPairs, least, func(a, b [2]int32) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
}

// constant reports whether both are categories.
func (c *columns) constant(pair [2]int32) bool {
	end := int32(c.first() + len(c.Categories))
	return pair[0] < end && pair[1] < end
}

func pairOf(a, b int32) [2]int32 { return [2]int32{min(a, b), max(a, b)} }

// together appends the pairs' columns of a row's main columns.
func (c *columns) together(row, effects []entry) []entry {
	effects = slices.Clone(effects)
	from := int32(c.size() - len(c.Pairs))
	for i, x := range effects {
		for _, y := range effects[i+1:] {
			at, ok := slices.BinarySearchFunc(c.Pairs, pairOf(x.Col, y.Col), func(a, b [2]int32) int {
				return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
			})
			if ok {
				row = append(row, entry{from + int32(at), x.X * y.X})
			}
		}
	}
	return row
}
