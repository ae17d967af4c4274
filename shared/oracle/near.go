package oracle

import (
	"cmp"
	"math"
	"slices"

	"github.com/geminivideo/geminivideo/shared/embed"
)

// memory is what is known of stored winners beyond what their features say: how
// far each lay from what a twin that had not seen it expected. Ads that are alike
// in the embedding space may share what no feature names, and how much they do is
// measured on these winners themselves. Only winners are stored, so that
// being near one says nothing by itself: deviations are held against their mean.
type memory struct {
	IDs       []string // sorted
	CTR, ROAS likeness
}

// likeness is how the stored winners' deviations go with how alike they are.
type likeness struct {
	Deviation []float32 // of the log rate, by ad, against their mean
	Weight    []float32 // 0 to 1: how well it is known
	Reach     float64   // of the similarity: exp(-(1-similarity)/Reach)
	Doubt     float64   // how many neighbours it takes to be half believed
	Share     float64   // of a neighbourhood's deviation that is an ad's own, 0 to 1
	Explained float64   // share of an ad's variance that it takes away, 0 to 1
}

// Limits of the memory.
const (
	maxWinners   = 400
	leastWinners = 20
	nearest      = 10
)

// found is a neighbour whose figures are known.
type found struct {
	Neighbour
	at int
}

// nearness is what neighbours say of an ad's log rate.
type nearness struct{ shift, explained float64 }

func learnMemory(ads []ad, ctr, roas expected) memory {
	var at []int
	for i, a := range ads {
		if vectorOf(a) != nil {
			at = append(at, i)
		}
	}
	slices.SortFunc(at, func(i, j int) int {
		return cmp.Or(cmp.Compare(ads[j].Impressions, ads[i].Impressions), cmp.Compare(ads[i].AdID, ads[j].AdID))
	})
	at = at[:min(len(at), maxWinners)]
	slices.SortFunc(at, func(i, j int) int { return cmp.Compare(ads[i].AdID, ads[j].AdID) })
	at = slices.CompactFunc(at, func(i, j int) bool { return ads[i].AdID == ads[j].AdID })
	m := memory{}
	near := make([][]found, len(at))
	for n, i := range at {
		m.IDs = append(m.IDs, ads[i].AdID)
		for k, j := range at[:n] {
			s := cosine(ads[i].Vector, ads[j].Vector)
			near[n] = append(near[n], found{Neighbour{Similarity: s}, k})
			near[k] = append(near[k], found{Neighbour{Similarity: s}, n})
		}
	}
	for n := range near {
		near[n] = closest(near[n])
	}
	m.CTR, m.ROAS = ctr.likeness(at, near), roas.likeness(at, near)
	return m
}

func cosine(a, b embed.Vector) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return clamp(sum, 0, 1)
}

// likeness measures on the stored winners, each held out in turn, how much of a
// deviation the most alike ones tell.
func (e *expected) likeness(at []int, near [][]found) likeness {
	l := likeness{Deviation: make([]float32, len(at)), Weight: make([]float32, len(at))}
	var sum, weights float64
	for n, i := range at {
		o, h := e.data[i], e.held[i]
		if o.exposure <= 0 {
			continue
		}
		w := h.variance / (h.variance + 1/(o.count+0.5))
		d := math.Log((o.count+0.5)/(o.exposure+0.5)) - h.mean
		l.Deviation[n], l.Weight[n] = float32(d), float32(w)
		sum, weights = sum+w*d, weights+w
	}
	for n := range l.Deviation {
		l.Deviation[n] = float32(clamp(float64(l.Deviation[n])-sum/max(weights, 1e-9), -1.5, 1.5))
	}
	if weights < leastWinners {
		return l
	}
	best := 0.0
	for _, reach := range []float64{0.05, 0.15, 0.4} {
		for _, doubt := range []float64{0.3, 1, 3} {
			try := l
			try.Reach, try.Doubt, try.Share = reach, doubt, 1
			if gain := try.measure(near); gain > best {
				best, l = gain, try
			}
		}
	}
	return l
}

// measure finds the share that is right on average, and returns how far beyond
// chance it helps: 0 where it does not.
func (l *likeness) measure(near [][]found) float64 {
	said := make([]float64, len(l.Deviation))
	var with, square float64
	for i := range said {
		said[i], _ = l.around(near[i])
		w := float64(l.Weight[i])
		with, square = with+w*said[i]*float64(l.Deviation[i]), square+w*said[i]*said[i]
	}
	l.Share = clamp(with/max(square, 1e-12), 0, 1)
	var gain, gain2, before, n float64
	for i, s := range said {
		d, w := float64(l.Deviation[i]), float64(l.Weight[i])
		g := w * (d*d - (d-l.Share*s)*(d-l.Share*s))
		gain, gain2, before, n = gain+g, gain2+g*g, before+w*d*d, n+1
	}
	// Nine settings are tried: what is no more than their luck is nothing.
	if z := gain / math.Sqrt(max(gain2-gain*gain/n, 1e-12)); z < 2.5 {
		l.Share, l.Explained = 0, 0
		return 0
	}
	l.Explained = clamp(gain/before, 0, 0.8)
	return gain
}

// around is the mean deviation of neighbours by how alike they are, and how much
// of it is believed.
func (l *likeness) around(near []found) (deviation, belief float64) {
	var sum, mass float64
	for _, f := range near {
		k := math.Exp((f.Similarity-1)/l.Reach) * float64(l.Weight[f.at])
		sum, mass = sum+k*float64(l.Deviation[f.at]), mass+k
	}
	return sum / (mass + l.Doubt), mass / (mass + l.Doubt)
}

func closest(all []found) []found {
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.Similarity, a.Similarity), cmp.Compare(a.at, b.at))
	})
	return all[:min(len(all), nearest)]
}

// around returns those of near whose figures are known, most alike first.
func (m memory) around(near []Neighbour) []found {
	var all []found
	seen := map[string]bool{}
	for _, n := range near {
		n.Similarity = clamp(n.Similarity, 0, 1)
		if at, ok := slices.BinarySearch(m.IDs, n.AdID); ok && !seen[n.AdID] {
			seen[n.AdID] = true
			all = append(all, found{n, at})
		}
	}
	return closest(all)
}

// says returns what neighbours say; nothing where likeness tells nothing.
func (l *likeness) says(near []found) nearness {
	if l.Share == 0 || len(near) == 0 {
		return nearness{}
	}
	d, belief := l.around(near)
	return nearness{l.Share * d, l.Explained * belief}
}

func used(near []found) []Neighbour {
	all := make([]Neighbour, len(near))
	for i, f := range near {
		all[i] = f.Neighbour
	}
	return all
}
