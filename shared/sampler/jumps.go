package sampler

// meanSize is the logarithm of the mean size of row i's deals, which are counted, and
// its variance. Deals that came one by one, or a few at a time, count by the logarithm
// of each time, so that one large deal is one that was large, and not all of them.
func (m *model) meanSize(i int, value, count, spread float64) (y, variance float64) {
	deals, sum, times := 0.0, 0.0, 0
	m.eachRise(i, func(n, x float64) { deals, sum, times = deals+n, sum+x, times+1 })
	rest, scale := count-deals, 1.0
	if times == 0 || rest < -1e-6*count {
		return logMean(value, count, spread)
	}
	if rest < 1 || value <= sum { // what is left is no deal of its own: it changed those that came
		scale, rest = value/sum, 0
	}
	weight := 0.0
	add := func(n, x float64) {
		mean, v := logMean(x*scale, n, spread)
		y, weight = y+mean/v, weight+1/v
	}
	m.eachRise(i, add)
	if rest > 0 {
		add(rest, value-sum)
	}
	return y / weight, 1 / weight
}

// eachRise visits the legs of row i that brought deals, with their number and worth.
func (m *model) eachRise(i int, visit func(deals, value float64)) {
	pipeline := m.arm(i).Cash == nil
	for _, l := range m.armLegs(i) {
		n, x := l.wins, l.cash
		if pipeline {
			n, x = l.deals, l.pipe
		}
		if n >= 1 && x > 0 {
			visit(n, x)
		}
	}
}
