package fatigueworld

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/geminivideo/geminivideo/shared/fatigue"
)

// Detector says whether an ad needs action.
type Detector struct {
	Name  string
	Judge func(Ad) bool
}

// Ours is the name of our detector.
const Ours = "this one"

// Detectors are ours and those that it is measured against.
func Detectors() []Detector {
	return []Detector{
		{Ours, func(a Ad) bool { return fatigue.Judge(a.Days, a.Context).Status.NeedsAction() }},
		{"point estimates", func(a Ad) bool { return pointEstimates(a.Days) }},
		{"rough posteriors", func(a Ad) bool { return roughPosteriors(a.Days) }},
	}
}

// Count is how often a detector was right.
type Count struct{ Hit, Missed, False, Quiet int }

// Add counts one judgement.
func (c *Count) Add(needed, alarmed bool) {
	switch {
	case needed && alarmed:
		c.Hit++
	case needed:
		c.Missed++
	case alarmed:
		c.False++
	default:
		c.Quiet++
	}
}

// Precision is the share of alarms that were right, Recall that of ads in need
// that were found, and F1 their harmonic mean.
func (c Count) Precision() float64 { return share(c.Hit, c.False) }

// Recall is the share of the ads in need of action that were found.
func (c Count) Recall() float64 { return share(c.Hit, c.Missed) }

// F1 is the harmonic mean of precision and recall.
func (c Count) F1() float64 { return share(2*c.Hit, c.False+c.Missed) }

func share(of, rest int) float64 { return float64(of) / float64(max(1, of+rest)) }

// Ads is how many were judged, and Alarms how many of them were said to tire.
func (c Count) Ads() int { return c.Hit + c.Missed + c.False + c.Quiet }

// Alarms is how many ads were said to need action.
func (c Count) Alarms() int { return c.Hit + c.False }

// Score is how a detector did.
type Score struct {
	// Shown counts the ads whose days can show what they are; All also those that
	// tire where the counts cannot show it, as needing action.
	Shown, All Count
	// Of counts the shown ads by kind, and Hidden the others.
	Of, Hidden map[Kind]Count
}

// Measure lets a detector judge ads.
func Measure(d Detector, ads []Ad) Score {
	s := Score{Of: map[Kind]Count{}, Hidden: map[Kind]Count{}}
	for _, a := range ads {
		needed, alarmed := a.Kind.NeedsAction(), d.Judge(a)
		s.All.Add(needed, alarmed)
		by := s.Of
		if needed && !a.Visible {
			by = s.Hidden
		} else {
			s.Shown.Add(needed, alarmed)
		}
		c := by[a.Kind]
		c.Add(needed, alarmed)
		by[a.Kind] = c
	}
	return s
}

// Ads invents n ads of every kind of Kinds.
func Ads(seed uint64, n int) []Ad { return Of(seed, Kinds(), n) }

// Of invents n ads of each of some kinds.
func Of(seed uint64, kinds []Kind, n int) []Ad {
	var all []Ad
	for _, kind := range kinds {
		all = append(all, OfKind(seed, kind, n)...)
	}
	return all
}

// OfKind invents n ads of a kind.
func OfKind(seed uint64, kind Kind, n int) []Ad {
	ads := make([]Ad, n)
	for i := range ads {
		ads[i] = New(rand.New(rand.NewPCG(seed, uint64(slices.Index(append(Kinds(), Causes()...), kind)*1_000_000+i))), kind)
	}
	return ads
}

// pointEstimates takes the contract's limits for the newest day as it is, as the
// seed's detector did.
func pointEstimates(days []fatigue.Day) bool {
	n := len(days)
	pool := days[:max(1, n-3)]
	var ctr, cpm float64
	for _, d := range pool {
		ctr, cpm = ctr+d.CTR/float64(len(pool)), cpm+d.CPM/float64(len(pool))
	}
	newest := days[n-1]
	grown := 1.0
	if n >= 7 {
		grown = float64(newest.Impressions)/float64(days[n-7].Impressions) - 1
	}
	return newest.CTR < 0.8*ctr || newest.Frequency > 3.5 || newest.CPM > 1.5*cpm || grown < 0.1
}

// roughPosteriors is what one writes in half an hour: normal approximations, no
// noise but that of counting.
func roughPosteriors(days []fatigue.Day) bool {
	n := len(days)
	var clicks, seen, spend float64
	for _, d := range days[:max(1, n-3)] {
		i := float64(d.Impressions)
		clicks, seen, spend = clicks+d.CTR*i, seen+i, spend+d.CPM*i
	}
	newest := days[n-1]
	i := float64(newest.Impressions)
	had := newest.CTR * i
	z := (math.Log(0.8) - math.Log((had+0.5)/i/((clicks+0.5)/seen))) / math.Sqrt(1/(had+0.5)+1/(clicks+0.5))
	if z > 0.43 || newest.Frequency > 3.5 || newest.CPM > 1.5*spend/seen {
		return true
	}
	if n < 7 {
		return false
	}
	week := days[n-7]
	grown := i / float64(week.Impressions)
	return grown < 1.1 && grown*(newest.CPM/week.CPM-1) > 0.2
}
