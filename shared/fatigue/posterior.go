package fatigue

import "math"

// A rate that moves is described by a shape and a size: before the last days it
// was steady, and over them it went to exp(size) of that, at once or evenly. The
// posterior weighs all the shapes against each other and against no move at all,
// so a slow fall is seen in all its days and not only in the newest, whose own
// noise tells little of a small ad.

// shape is how a rate moves over the last span days: evenly, or at once.
type shape struct {
	span  int
	step  bool
	usual float64 // how usual it is beside the others
}

// part is how much of the move has happened lag days before the newest.
func (s shape) part(lag float64) float64 {
	switch {
	case lag >= float64(s.span):
		return 0
	case s.step:
		return 1
	default:
		return 1 - lag/float64(s.span)
	}
}

var shapes = [...]shape{
	{1, true, 3},
	{2, true, 1},
	{3, true, 1},
	{2, false, 1},
	{5, false, 1},
	{8, false, 1},
	{13, false, 1},
	{21, false, 1},
	{34, false, 1},
}

const (
	// steady is the probability, before any day was seen, that a rate has not
	// moved; spread is the standard deviation of a move's log where it has.
	steady = 0.3
	spread = 0.6
	// cells is the number of pieces into which a posterior is cut, over reach
	// standard deviations either way.
	cells = 8
	reach = 3.2
)

// The evidence of a series of days for a move is its log likelihood, with all that
// is not the move integrated out.
type evidence interface {
	// fit prepares for a shape, given by the part of each day.
	fit(part []float64)
	// at returns the log likelihood of a move, up to a constant that the shapes
	// share, and slope its first and second derivatives.
	at(move float64) float64
	slope(move float64) (first, second float64)
}

// posterior is what is believed of a move after the days.
type posterior struct {
	// beyond is the probability that the newest day is beyond the limit.
	beyond float64
	// moved is the same were it certain that there is a move.
	moved float64
	// blur is the standard deviation of the log ratio to the baseline were it
	// certain that there is a move: near spread, the days have said nothing.
	blur float64
}

// series is the days that a move is looked for in.
type series struct {
	lags   []float64
	weight []float64 // of each day in the baseline
	part   []float64 // room for each day's part of a move
	pool   int
	span   int // days from the first to the newest
}

// piece is one cell of the posterior.
type piece struct {
	shape shape
	move  float64
	ratio float64 // log of the newest day's rate over the baseline's
	mass  float64
	share float64 // of it that is beyond the limit
}

// judge returns the probability that the newest day is beyond limit, a log ratio
// to the baseline whose sign says which way. each, where it is not nil, gets
// the probability of every shape and move.
func (s *series) judge(e evidence, limit float64, each func(p float64, sh shape, move float64)) posterior {
	var pieces [len(shapes) * cells]piece
	var base mixed
	n, top, still, used := 0, math.Inf(-1), 0.0, 0.0
	part := s.part[:len(s.lags)]
	for k, sh := range shapes {
		if sh.span > 1 && sh.span >= 2*s.span {
			continue
		}
		for i, lag := range s.lags {
			part[i] = sh.part(lag)
		}
		e.fit(part)
		if k == 0 {
			still = e.at(0)
		}
		used += sh.usual
		base.fit(s.weight[:s.pool], part)
		mode, sd := peak(e)
		h := 2 * reach * sd / cells
		prior := math.Log(sh.usual * h / (spread * math.Sqrt(2*math.Pi)))
		for c := range cells {
			move := mode + (float64(c)+0.5-cells/2)*h
			log := e.at(move) - move*move/(2*spread*spread) + prior
			ratio, rate := move, 1.0 // of the newest day to the baseline, and how fast that grows with the move
			if base.still < base.whole {
				sum, first, _ := base.at(move)
				ratio, rate = move-math.Log(sum/base.whole), max(0.05, 1-first/sum)
			}
			past := (ratio - limit) / (rate * h) // in cells
			if limit < 0 {
				past = -past
			}
			pieces[n] = piece{sh, move, ratio, log, min(1, max(0, past+0.5))}
			top = max(top, log)
			n++
		}
	}
	top = max(top, still)
	unmoved := steady * math.Exp(still-top)
	var moved, beyond, mean, square float64
	for i := range pieces[:n] {
		p := &pieces[i]
		if p.mass < top-25 {
			p.mass = 0
			continue
		}
		p.mass = (1 - steady) / used * math.Exp(p.mass-top)
		moved += p.mass
		beyond += p.mass * p.share
		mean += p.mass * p.ratio
		square += p.mass * p.ratio * p.ratio
	}
	total := moved + unmoved
	if each != nil {
		for i := range pieces[:n] {
			each(pieces[i].mass/total, pieces[i].shape, pieces[i].move)
		}
	}
	mean /= moved
	return posterior{beyond / total, beyond / moved, math.Sqrt(max(0, square/moved-mean*mean))}
}

// peak returns where the posterior of a shape's move is highest, and how wide it
// is there.
func peak(e evidence) (mode, sd float64) {
	var curve float64
	for range 8 {
		first, second := e.slope(mode)
		curve = 1/(spread*spread) - second
		step := max(-1, min(1, (first-mode/(spread*spread))/curve))
		mode += step
		if math.Abs(step) < 0.05/math.Sqrt(curve) {
			break
		}
	}
	return mode, 1 / math.Sqrt(curve)
}

// mixed is a sum of weights, each grown by its part of a move.
type mixed struct {
	whole, still float64 // all of it, and what does not move
	step         float64 // what moves altogether
	part, weight []float64
}

func (m *mixed) fit(weight, part []float64) {
	m.whole, m.still, m.step, m.part, m.weight = 0, 0, 0, m.part[:0], m.weight[:0]
	for i, w := range weight {
		m.whole += w
		switch g := part[i]; g {
		case 0:
			m.still += w
		case 1:
			m.step += w
		default:
			m.part, m.weight = append(m.part, g), append(m.weight, w)
		}
	}
}

// at returns the sum after a move, and its derivatives.
func (m *mixed) at(move float64) (sum, first, second float64) {
	sum = m.still
	if m.step > 0 {
		first = m.step * math.Exp(move)
		sum, second = sum+first, first
	}
	for i, g := range m.part {
		w := m.weight[i] * math.Exp(move*g)
		sum, first, second = sum+w, first+w*g, second+w*g*g
	}
	return sum, first, second
}

// counts is the evidence of clicks on impressions: how the clicks divide among
// the days.
type counts struct {
	clicks, seen []float64
	mixed        mixed
	total, drawn float64 // all clicks, and those weighted by their part
}

func (c *counts) fit(part []float64) {
	c.total, c.drawn = 0, 0
	for i, x := range c.clicks {
		c.total += x
		c.drawn += x * part[i]
	}
	c.mixed.fit(c.seen, part)
}

func (c *counts) at(move float64) float64 {
	sum, _, _ := c.mixed.at(move)
	return move*c.drawn - c.total*math.Log(sum)
}

func (c *counts) slope(move float64) (first, second float64) {
	sum, s1, s2 := c.mixed.at(move)
	mean := s1 / sum
	return c.drawn - c.total*mean, -c.total * max(0, s2/sum-mean*mean)
}

// prices is the evidence of logs of prices whose noise from day to day is not
// known: their level and their noise are integrated out.
type prices struct {
	logs, weight  []float64
	noise, before float64 // what a day's noise is taken for before any day, and how many days that is worth
	a, b, c       float64 // the sum of squares is a move^2 - 2 b move + c
}

func (p *prices) fit(part []float64) {
	var w, wg, wy, wgg, wgy, wyy float64
	for i, y := range p.logs {
		q, g := p.weight[i], part[i]
		w, wg, wy = w+q, wg+q*g, wy+q*y
		wgg, wgy, wyy = wgg+q*g*g, wgy+q*g*y, wyy+q*y*y
	}
	p.a, p.b, p.c = max(0, wgg-wg*wg/w), wgy-wg*wy/w, max(0, wyy-wy*wy/w)
}

func (p *prices) free() float64 { return p.before + float64(len(p.logs)) - 1 }

func (p *prices) squares(move float64) float64 {
	return p.before*p.noise*p.noise + max(0, p.a*move*move-2*p.b*move+p.c)
}

func (p *prices) at(move float64) float64 { return -p.free() / 2 * math.Log(p.squares(move)) }

// slope is that of the normal distribution with the noise that fits best: it only
// says where to look.
func (p *prices) slope(move float64) (first, second float64) {
	best := 0.0
	if p.a > 0 {
		best = p.b / p.a
	}
	variance := p.squares(best) / p.free()
	return (p.b - p.a*move) / variance, -p.a / variance
}
