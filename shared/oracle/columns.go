package oracle

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/geminivideo/geminivideo/shared/creative"
)

// groups of columns share how large their effects are.
const (
	level      = iota // of all ads: one column
	accounts          // an account's own, above or below it
	categories        // a feature has this value
	numbers           // a numeric feature: its line, and bends in it
	own               // how this account differs from its niche in a feature
	pairs             // two features together
	groups
)

// Limits of a model's size: what is rarer is not distinguished.
const (
	maxCategories = 120
	maxNumbers    = 24
	maxAccounts   = 60
	maxPairs      = 100
	minAds        = 2  // that have a value, for a column of its own
	pairsFrom     = 80 // ads, before two features are looked at together
	minTogether   = 6
	ownFrom       = 8 // ads of the account, before it may differ from its niche
)

// category is a column: a feature with a value.
type category struct{ Name, Value string }

// number is a numeric feature's columns: its line, and a tent over each knot. What
// lies beyond the seen range counts as its end.
type number struct {
	Name          string
	Center, Scale float64
	Low, High     float64
	Knots         []float64
}

// columns turn a DNA into a row of numbers.
type columns struct {
	Account    string   // whose model it is; "" for nobody's
	Accounts   []string // those that have a level of their own
	Categories []category
	Numbers    []number
	Own        bool       // the account's own deviations are columns too
	Pairs      [][2]int32 // of main columns, by number

	category map[category]int
	number   map[string]int
	account  map[string]int
	kept     []int // by column: its place in a covariance, -1 for another account's level
}

// entry is a column of a row that is not zero.
type entry struct {
	Col int32
	X   float64
}

// newColumns chooses the columns by what the ads have, and what the niche's cells are of.
// ads are sorted.
func newColumns(account string, ads []ad, cells []Pooled) *columns {
	c := &columns{Account: account}
	count, values := map[category]int{}, map[string][]float64{}
	seen := map[string]int{}
	for _, a := range ads {
		seen[a.AccountID]++
		for _, f := range a.features {
			if f.IsNumber {
				values[f.Name] = append(values[f.Name], f.Number)
			} else {
				count[category{f.Name, f.Value}]++
			}
		}
	}
	for _, p := range cells {
		if p.Feature != "" {
			count[category{p.Feature, p.Value}] += minAds
		}
	}
	if _, mine := seen[account]; len(seen) > 1 || len(seen) == 1 && !mine {
		c.Accounts = top(seen, maxAccounts, 1, cmp.Compare[string])
		if seen[account] > 0 && !slices.Contains(c.Accounts, account) {
			c.Accounts[len(c.Accounts)-1] = account
		}
		slices.Sort(c.Accounts)
		c.Own = seen[account] >= ownFrom && len(seen) > 1
	}
	c.Categories = top(count, maxCategories, minAds, func(a, b category) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if n, ok := newNumber(name, values[name]); ok && len(c.Numbers) < maxNumbers {
			c.Numbers = append(c.Numbers, n)
		}
	}
	c.index()
	if len(ads) >= pairsFrom {
		c.choosePairs(ads)
		c.index()
	}
	return c
}

// top returns the keys with the highest counts, but none below least, in their own
// order.
func top[K comparable](count map[K]int, most, least int, compare func(a, b K) int) []K {
	keys := slices.SortedFunc(maps.Keys(count), func(a, b K) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), compare(a, b))
	})
	keys = slices.DeleteFunc(keys, func(k K) bool { return count[k] < least })
	keys = keys[:min(len(keys), most)]
	slices.SortFunc(keys, compare)
	return keys
}

// bends are the quantiles over which a numeric feature may bend.
var bends = []float64{0.02, 0.25, 0.5, 0.75, 0.98}

func newNumber(name string, values []float64) (number, bool) {
	slices.Sort(values)
	n := number{Name: name, Low: quantile(values, 0.02), High: quantile(values, 0.98), Center: quantile(values, 0.5)}
	if len(values) < minAds || n.High <= n.Low {
		return n, false
	}
	n.Scale = (n.High - n.Low) / 4
	for _, q := range bends {
		if k := quantile(values, q); len(n.Knots) == 0 || k-n.Knots[len(n.Knots)-1] > n.Scale/4 {
			n.Knots = append(n.Knots, k)
		}
	}
	if len(n.Knots) < 3 {
		n.Knots = nil // a line says all
	}
	return n, true
}

// quantile of sorted values, between the two nearest.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func (c *columns) index() {
	c.category, c.number, c.account = map[category]int{}, map[string]int{}, map[string]int{}
	at := 1
	for _, a := range c.Accounts {
		c.account[a], at = at, at+1
	}
	for _, k := range c.Categories {
		c.category[k], at = at, at+1
	}
	for _, n := range c.Numbers {
		c.number[n.Name], at = at, at+1+len(n.Knots)
	}
	c.kept = make([]int, c.size())
	n := 0
	for j := range c.kept {
		c.kept[j] = -1
		if c.group(j) != accounts || c.Accounts[j-1] == c.Account {
			c.kept[j] = n
			n++
		}
	}
}

// main is the first column after the main effects, and first the first of them.
func (c *columns) first() int { return 1 + len(c.Accounts) }

func (c *columns) main() int {
	at := c.first() + len(c.Categories)
	for _, n := range c.Numbers {
		at += 1 + len(n.Knots)
	}
	return at
}

func (c *columns) size() int {
	at := c.main()
	if c.Own {
		at += c.main() - c.first()
	}
	return at + len(c.Pairs)
}

// group returns what a column is of.
func (c *columns) group(col int) int {
	switch main := c.main(); {
	case col == 0:
		return level
	case col < c.first():
		return accounts
	case col < c.first()+len(c.Categories):
		return categories
	case col < main:
		return numbers
	case c.Own && col < 2*main-c.first():
		return own
	}
	return pairs
}

// row encodes an ad of an account.
func (c *columns) row(account string, features []creative.Feature) []entry {
	row := []entry{{0, 1}}
	if at, ok := c.account[account]; ok {
		row = append(row, entry{int32(at), 1})
	}
	from := len(row)
	row = c.effects(row, features)
	to := len(row)
	if c.Own && account == c.Account {
		shift := int32(c.main() - c.first())
		for _, e := range row[from:to] {
			row = append(row, entry{e.Col + shift, e.X})
		}
	}
	if len(c.Pairs) > 0 {
		row = c.together(row, row[from:to])
	}
	slices.SortFunc(row, func(a, b entry) int { return cmp.Compare(a.Col, b.Col) })
	return row
}

// effects appends the main columns of features.
func (c *columns) effects(row []entry, features []creative.Feature) []entry {
	for _, f := range features {
		if !f.IsNumber {
			if at, ok := c.category[category{f.Name, f.Value}]; ok {
				row = append(row, entry{int32(at), 1})
			}
			continue
		}
		at, ok := c.number[f.Name]
		if !ok || math.IsNaN(f.Number) {
			continue
		}
		i, _ := slices.BinarySearchFunc(c.Numbers, f.Name, func(n number, name string) int { return cmp.Compare(n.Name, name) })
		row = c.Numbers[i].append(row, at, f.Number)
	}
	return row
}

// append appends the columns of a value: the line in units of a quarter of the
// seen range, and the share of the tents that it stands under.
func (n number) append(row []entry, at int, x float64) []entry {
	x = min(max(x, n.Low), n.High)
	if z := (x - n.Center) / n.Scale; z != 0 {
		row = append(row, entry{int32(at), z})
	}
	for i, k := range n.Knots {
		share := 0.0
		switch {
		case x == k:
			share = 1
		case x < k && i > 0:
			share = (x - n.Knots[i-1]) / (k - n.Knots[i-1])
		case x < k:
			share = 1
		case x > k && i+1 < len(n.Knots):
			share = (n.Knots[i+1] - x) / (n.Knots[i+1] - k)
		case x > k:
			share = 1
		}
		if share > 0 {
			row = append(row, entry{int32(at + 1 + i), share})
		}
	}
	return row
}
