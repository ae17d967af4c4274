package sampler

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/geminivideo/geminivideo/shared/money"
)

// model is the state of one call: a column per quantity, a row per ad, rows in
// the order of the ads' ids so that sums do not depend on the caller's order.
type model struct {
	req   *Request
	set   Settings
	rows  []int // request index of each row
	arms  []Arm // the request's, a row each
	legs  []leg
	start []int // legs of row i are legs[start[i]:start[i+1]]

	total float64 // what is divided among the ads that take part
	curve *curve
	cash  bool // some ad's won value is known apart from its open deals

	ctr, ctrCV []float64 // present click rate and its squared coefficient of variation
	ctr0       []float64 // click rate before fatigue
	usualCTR   float64   // click rate of the ads that are older than about a day
	cpm        []float64 // price of one impression at a small budget
	priceCV    []float64 // its squared coefficient of variation, where it may have changed
	fatigue    []float64
	matured    []float64 // share of the clicks whose deals should have shown by now, even if slow
	closed     float64   // the same of all clicks, for won deals
	sizes      []dealSizes
	open, won  []float64 // how many deals a row has
	believed   belief
	saturation []float64 // budget at which the price, and the wear to come, have doubled the cost
	lo, hi     []float64 // limits of the budget

	delivered, taught []int      // see mostDelivered and teachers
	evidence          []evidence // see gather

	sure []float64 // see doubted

	account AccountPosterior

	// The amount that returns are quoted for, and the account's return of it, as text.
	each                 money.Amount
	current              float64 // the sum of the shown budgets of today
	eachText, returnText string
	reasons              strings.Builder // the reasons of all rows, one after the other

	shown []money.Amount // the budget shown as today's, per row
}

func fit(req *Request) *model {
	n := len(req.Arms)
	m := &model{req: req, set: defaults(req), start: make([]int, n+1)}
	m.rows, m.arms = order(req.Arms)
	columns := make([]float64, 10*n)
	for i, c := range []*[]float64{
		&m.ctr, &m.ctrCV, &m.ctr0, &m.cpm, &m.priceCV, &m.fatigue, &m.matured, &m.lo, &m.hi, &m.saturation,
	} {
		*c = columns[i*n : (i+1)*n : (i+1)*n]
	}
	m.legs = make([]leg, 0, n)
	for i := range m.arms {
		m.legs = appendLegs(m.legs, &m.arms[i])
		m.start[i+1] = len(m.legs)
		m.cash = m.cash || m.arms[i].Cash != nil
	}
	m.account.Version = Version
	m.learnPrice()
	m.learnClickRates()
	m.learnDealSize()
	m.learnSizes()
	m.learnDelay()
	m.learnValue()
	m.learnChanges()
	for i := range n {
		m.saturation[i] = 1 / (1/m.account.Saturation + m.fatigue[i]*wearDays/2/m.cpm[i])
	}
	return m
}

// wearDays is the number of days over which an ad's own wear counts against it:
// an impression sold today makes the ones of these days worth less.
const wearDays = 10

// first is the return of the first unit of money in row i. No ad returns a billion times
// what it costs.
func (m *model) first(i int) float64 {
	return math.Min(m.ctr[i]*m.believed.value[i]/m.cpm[i], 1e9)
}

// shape is the Gamma shape of what is not known of row i beside the other ads.
func (m *model) shape(i int) float64 {
	return 1 / (m.believed.cv[i] + m.ctrCV[i] + m.priceCV[i])
}

// reported is the same with what is not known of all ads together.
func (m *model) reported(i int) reported {
	return newReported(m.believed.cvAll[i] + m.ctrCV[i] + m.priceCV[i] + m.account.Doubt)
}

func (m *model) arm(i int) *Arm       { return &m.arms[i] }
func (m *model) armLegs(i int) []leg  { return m.legs[m.start[i]:m.start[i+1]] }
func clamp(x, lo, hi float64) float64 { return math.Max(lo, math.Min(hi, x)) }
func sq(x float64) float64            { return x * x }

// order returns the arms sorted by id, with their indices. What is read a dozen times
// in one order lies in that order, so the arms are copied unless they do already.
func order(arms []Arm) ([]int, []Arm) {
	rows := make([]int, len(arms))
	for i := range rows {
		rows[i] = i
	}
	inOrder := true
	for i := 1; i < len(arms) && inOrder; i++ {
		inOrder = arms[i-1].ID <= arms[i].ID
	}
	if inOrder {
		return rows, arms
	}
	keys := make([]idKey, len(arms))
	common := commonPrefix(arms)
	for i := range arms {
		keys[i] = idKey{idPart(arms[i].ID[common:]), i}
	}
	slices.SortFunc(keys, func(a, b idKey) int {
		if a.part != b.part {
			return cmp.Compare(a.part, b.part)
		}
		return cmp.Compare(arms[a.row].ID, arms[b.row].ID)
	})
	at := make([]int, len(arms))
	for i, k := range keys {
		rows[i], at[k.row] = k.row, i
	}
	sorted := make([]Arm, len(arms))
	for i := range arms {
		sorted[at[i]] = arms[i]
	}
	return rows, sorted
}

// idKey is what of an id decides first in which order it comes.
type idKey struct {
	part uint64
	row  int
}

// idPart is the first eight bytes as a number that sorts as they do.
func idPart(id string) uint64 {
	var first [8]byte
	copy(first[:], id)
	return binary.BigEndian.Uint64(first[:])
}

// commonPrefix is how many bytes all ids begin with alike: a platform's ids do.
func commonPrefix(arms []Arm) int {
	first := arms[0].ID
	n := len(first)
	for i := range arms {
		id := arms[i].ID
		n = min(n, len(id))
		for id[:n] != first[:n] {
			n--
		}
	}
	return n
}

// defaults fills the settings that the caller left out.
func defaults(req *Request) Settings {
	s := req.Settings
	if s.TestSpend <= 0 {
		s.TestSpend = hundredDollars(req.Currency)
	}
	if s.BreakEven <= 0 {
		s.BreakEven = 1
	}
	if s.Target <= 0 {
		s.Target = 3 * s.BreakEven
	}
	if s.Draws <= 0 {
		s.Draws = min(1024, 1<<19/max(1, len(req.Arms)))
	}
	s.Draws = clampDraws(s.Draws)
	return s
}

// grown is 0 for an ad of no age and 1 for an old one, a half at one day: how far
// its clicks can have shown what they are worth.
func (a *Arm) grown() float64 {
	t := sq(sq(a.AgeHours / 24))
	return t / (1 + t)
}
