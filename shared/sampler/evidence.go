package sampler

import "math"

// evidence is what one ad's deals say: so many deals where so many clicks, in units
// of a deal's size, were expected to show theirs by now. An ad's open deals and its
// won deals are disjoint, so that they are independent given the ad's quality, and
// both stand beside the clicks that should have shown by now, not beside all
// clicks: a young click is censored, not a failure. A value that is not known adds
// neither deals nor clicks.
type evidence struct {
	open, won float64
	// openClicks and wonClicks are expected at each node of the delay's speed.
	openClicks, wonClicks [nodes]float64
	// whole says that open holds the whole pipeline, whose won part is not known.
	whole bool
}

// gather returns every ad's evidence. It sets how far the ads have matured. A quick
// one fills in the middle node alone.
func (m *model) gather(quick bool) []evidence {
	if m.evidence == nil {
		m.evidence = make([]evidence, len(m.rows))
	}
	ev := m.evidence // the last one's are not needed any more
	clear(ev)
	var curves [nodes]*curve
	for q := range nodes {
		curves[q] = m.curve
		if q != 1 {
			curves[q] = m.curve.slower(math.Exp(nodeAt[q] * m.account.DelaySpread))
		}
	}
	var closed, clicks float64
	for i := range m.rows {
		a, e := m.arm(i), &ev[i]
		e.open, e.won, e.whole = m.open[i], m.won[i], a.Cash == nil
		wonKnown, pipeKnown := a.Cash != nil, !a.PipelineUnknown
		w := a.Attribution // deals that are the ad's own with less confidence are fewer
		if w <= 0 || w > 1 {
			w = 1
		}
		e.open, e.won = w*e.open, w*e.won
		hat, legs := m.expectedClicks(i), m.armLegs(i)
		all, shown := 0.0, 0.0
		perOpen, perWon := w/m.sizes[i].open, w/m.sizes[i].won
		for k := range legs {
			l := &legs[k]
			c := hat.of(l)
			if c <= 0 {
				continue
			}
			all += c
			for q, curve := range curves {
				if quick && q != 1 {
					continue
				}
				o, v := curve.over(a.AgeHours-l.to, a.AgeHours-l.from)
				if q == 1 {
					closed += c * v
				}
				if q == nodes-1 { // as far as even a slow account's deals should have shown
					if pipeKnown {
						shown += c * math.Min(1, o+v)
					} else if wonKnown {
						shown += c * v
					}
				}
				switch {
				case wonKnown && pipeKnown:
					e.openClicks[q] += c * o * perOpen
					e.wonClicks[q] += c * v * perWon
				case wonKnown:
					e.wonClicks[q] += c * v * perWon
				case pipeKnown:
					e.openClicks[q] += c * (o + v) * perOpen
				}
			}
		}
		clicks += all
		m.matured[i] = math.Min(1, (shown+1e-9)/(all+1e-9))
	}
	m.closed = closed / (clicks + 1e-9)
	return ev
}

// trusted returns evidence e at a node as far as open deals predict won ones, beside
// a prior of that shape: what is certain of the ad's open deals still leaves trust
// open, and so the won deals weigh the more.
func (e *evidence) trusted(shape float64, q int) (deals, clicks, weight float64) {
	if e.whole {
		return e.open, e.openClicks[q], 1
	}
	weight = 1 / (1 + trust*(shape+e.open))
	return e.open + e.won/weight, e.openClicks[q] + e.wonClicks[q]/weight, weight
}
