package creativeworld

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/oracle"
)

// Score is how an oracle did on new ads whose truth is known.
type Score struct {
	Ads int
	// AUC is of the gate's score, the predicted CTR over the account's average, for
	// real losers: new ads whose true CTR is below 0.70 x that average. Bound is the
	// AUC of one who knows what every feature does.
	AUC, Bound float64
	// Rejected counts rejects, and Right those that were real losers.
	Rejected, Right int
	// Coverage is the share of true CTRs in the 90% interval; ROASCoverage of ROAS.
	Coverage, ROASCoverage float64
	// Error is the mean absolute error of the CTR's logarithm, Square the root mean
	// square error of the CTR over the account's average; the same of the average
	// itself as a prediction.
	Error, AverageError   float64
	Square, AverageSquare float64
	// ROASError is the mean absolute error of log(1 + ROAS), and the average's.
	ROASError, ROASAverageError float64
	// KeptROAS is the mean true ROAS of the new ads that the gate let go ahead, over that
	// of all new ads of their account, and ByCTRROAS of those that a gate by CTR alone
	// would have: 1 is what no gate gives.
	KeptROAS, ByCTRROAS float64
	judged              float64
	// Confidence is the mean of what was said, and Decided the share of decisions
	// that were right.
	Confidence, Decided float64
}

// Run trains an oracle on past ads of accounts and lets it judge new ones of each.
func Run(seed uint64, accounts, past, fresh int, shape func(*Taste)) Score {
	var s Score
	var losers, rest, knownLosers, knownRest []float64
	for i := range accounts {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		taste := NewTaste(r)
		if shape != nil {
			shape(taste)
		}
		known := taste.Ads(r, "acc", past)
		model := oracle.Train("acc", Pasts(known))
		base, roas, _ := model.Baseline()
		var all, kept, byCTR mean
		for _, a := range taste.Ads(r, "new", fresh) {
			var near []oracle.Neighbour
			if taste.Secret != 0 && !taste.Lonely {
				near = Nearest(known, a.Vector)
			}
			p := model.Predict(a.DNA, near)
			s.add(p, a, base, roas)
			all.add(a.ROAS, true)
			kept.add(a.ROAS, !p.Reject)
			byCTR.add(a.ROAS, p.CTR >= oracle.RejectBelow*p.Baseline)
			if a.CTR < oracle.RejectBelow*base {
				losers, knownLosers = append(losers, p.CTR/base), append(knownLosers, a.Expected/base)
			} else {
				rest, knownRest = append(rest, p.CTR/base), append(knownRest, a.Expected/base)
			}
		}
		if kept.n > 0 && byCTR.n > 0 {
			s.KeptROAS, s.ByCTRROAS, s.judged = s.KeptROAS+kept.of()/all.of(), s.ByCTRROAS+byCTR.of()/all.of(), s.judged+1
		}
	}
	s.AUC, s.Bound = oracle.AUC(losers, rest), oracle.AUC(knownLosers, knownRest)
	s.finish()
	return s
}

// Nearest are the past ads most like a vector, as a search finds them.
func Nearest(past []Ad, v embed.Vector) []oracle.Neighbour {
	near := make([]oracle.Neighbour, len(past))
	for i, a := range past {
		near[i] = oracle.Neighbour{AdID: a.AdID, Similarity: math.Max(0, project(a.Vector, v))}
	}
	slices.SortFunc(near, func(a, b oracle.Neighbour) int { return cmp.Compare(b.Similarity, a.Similarity) })
	return near[:min(len(near), 10)]
}

func (s *Score) add(p oracle.Prediction, a Ad, base, roas float64) {
	s.Ads++
	loser := a.CTR < oracle.RejectBelow*base
	if p.Gate == oracle.ByValue { // what the gate asks is what it is right or wrong about
		loser = a.Earns < oracle.RejectBelow*p.BaselineValue
	}
	if p.Reject {
		s.Rejected++
		if loser {
			s.Right++
		}
	}
	if p.Reject == loser {
		s.Decided++
	}
	s.Confidence += p.Confidence
	if a.CTR >= p.CTRInterval[0] && a.CTR <= p.CTRInterval[1] {
		s.Coverage++
	}
	if a.ROAS >= p.ROASInterval[0] && a.ROAS <= p.ROASInterval[1] {
		s.ROASCoverage++
	}
	s.Error += math.Abs(math.Log(p.CTR / a.CTR))
	s.AverageError += math.Abs(math.Log(base / a.CTR))
	s.Square += math.Pow((p.CTR-a.CTR)/base, 2)
	s.AverageSquare += math.Pow((base-a.CTR)/base, 2)
	s.ROASError += math.Abs(math.Log1p(p.ROAS) - math.Log1p(a.ROAS))
	s.ROASAverageError += math.Abs(math.Log1p(roas) - math.Log1p(a.ROAS))
}

// mean is the mean of what was added with use set.
type mean struct{ sum, n float64 }

func (m *mean) add(x float64, use bool) {
	if use {
		m.sum, m.n = m.sum+x, m.n+1
	}
}

func (m *mean) of() float64 { return m.sum / m.n }

func (s *Score) finish() {
	s.KeptROAS, s.ByCTRROAS = s.KeptROAS/math.Max(s.judged, 1), s.ByCTRROAS/math.Max(s.judged, 1)
	n := float64(s.Ads)
	for _, x := range []*float64{
		&s.Coverage, &s.ROASCoverage, &s.Error, &s.AverageError, &s.Square, &s.AverageSquare, &s.ROASError, &s.ROASAverageError, &s.Confidence,
		&s.Decided,
	} {
		*x /= n
	}
	s.Square, s.AverageSquare = math.Sqrt(s.Square), math.Sqrt(s.AverageSquare)
}
