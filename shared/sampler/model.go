package sampler

import (
	"cmp"
	"math"
	"slices"

	"github.com/geminivideo/geminivideo/shared/money"
)

// model is the state of one call: a column per quantity, a row per arm, rows in
// the order of the ads' ids so that sums do not depend on the caller's order.
type model struct {
	req  *Request
	set  Settings
	rows []int // request index of each row
	legs []leg
	from []int // legs of row i are legs[from[i]:from[i+1]]

	total float64 // what is to be divided among the rows that take part
	curve *curve
	cash  bool // won and open value are known apart

	ctr, ctrCV []float64 // present click rate and its squared coefficient of variation
	ctr0       []float64 // click rate before fatigue
	usualCTR   float64   // of the ads that are older than a day
	cpm        []float64 // price of one impression at a small budget
	fatigue    []float64
	matured    []float64      // part of the clicks whose deals should have shown
	settled    float64        // the same of all clicks, for won deals
	was        []*Observation // the totals before these, nil where none are known
	decided    belief         // what the split goes by
	told       belief         // what is reported
	sat        []float64      // budget at which the price, and the wear to come, have doubled the cost
	lo, hi     []float64      // limits of the budget

	long    []int // see longest
	streams []stream

	account AccountPosterior

	// The amount that returns are told for, and the account's, as text.
	each                 money.Amount
	current              float64 // the sum of the shown budgets of today
	eachText, returnText string
}

func fit(req *Request) *model {
	n := len(req.Arms)
	m := &model{req: req, set: defaults(req), rows: order(req.Arms), from: make([]int, n+1), was: make([]*Observation, n)}
	columns := make([]float64, 9*n)
	for i, c := range []*[]float64{
		&m.ctr, &m.ctrCV, &m.ctr0, &m.cpm, &m.fatigue, &m.matured, &m.lo, &m.hi, &m.sat,
	} {
		*c = columns[i*n : (i+1)*n : (i+1)*n]
	}
	m.legs = make([]leg, 0, n)
	for i, at := range m.rows {
		m.legs, m.was[i] = appendLegs(m.legs, &req.Arms[at])
		m.from[i+1] = len(m.legs)
	}
	m.account.Version = Version
	m.learnPrice()
	m.learnFatigue()
	m.learnCurve()
	m.learnValue()
	for i := range n {
		m.sat[i] = 1 / (1/m.account.Saturation + m.fatigue[i]*ahead/2/m.cpm[i])
	}
	return m
}

// ahead is the number of days over which an ad's own wear counts against it: an
// impression sold today makes the ones of these days worth less.
const ahead = 10

// first is the return of the first unit of money in row i, as b has it.
func (m *model) first(b *belief, i int) float64 { return m.ctr[i] * b.value[i] / m.cpm[i] }

// shape is that of its posterior: how sure the value and the click rate are.
func (m *model) shape(b *belief, i int) float64 { return 1 / (1/b.sure[i] + m.ctrCV[i]) }

func (m *model) arm(i int) *Arm       { return &m.req.Arms[m.rows[i]] }
func (m *model) armLegs(i int) []leg  { return m.legs[m.from[i]:m.from[i+1]] }
func clamp(x, lo, hi float64) float64 { return math.Max(lo, math.Min(hi, x)) }
func sq(x float64) float64            { return x * x }

// order returns the arms' indices sorted by id.
func order(arms []Arm) []int {
	rows := make([]int, len(arms))
	for i := range rows {
		rows[i] = i
	}
	slices.SortFunc(rows, func(a, b int) int { return cmp.Compare(arms[a].ID, arms[b].ID) })
	return rows
}

// defaults fills the settings that the caller left out.
func defaults(req *Request) Settings {
	s := req.Settings
	if s.TestSpend <= 0 {
		s.TestSpend = unit(req.Currency, 100)
	}
	if s.BreakEven <= 0 {
		s.BreakEven = 1
	}
	if s.Target <= 0 {
		s.Target = 3
	}
	if s.Draws <= 0 {
		s.Draws = min(1024, 1<<19/max(1, len(req.Arms)))
	}
	s.Draws = clampDraws(s.Draws)
	return s
}
