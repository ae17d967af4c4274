package oracle

import (
	"math"
	"slices"
)

// Metrics say how a model did on ads that it had not seen: each ad is judged by
// the twin that was trained without it (five folds). What could not be computed is
// nil: there were too few ads with enough impressions.
type Metrics struct {
	Ads  int `json:"ads"`
	Own  int `json:"own_ads"`
	Held int `json:"held_out_ads"` // of which the figures below are
	// LogLoss is the cross-entropy of clicks, in nats per thousand impressions, each
	// ad counting alike; AccountLogLoss that of the average of all the ads.
	LogLoss        *float64 `json:"log_loss"`
	AccountLogLoss *float64 `json:"log_loss_of_average"`
	// AUC is the probability that an ad whose CTR was below RejectBelow x the
	// average was expected to do worse than one whose was not.
	AUC *float64 `json:"auc"`
	// Coverage is the share of ads whose observed CTR lay in its 90% interval, with
	// the chance of counting added to it; ROASCoverage the same of ROAS.
	Coverage     *float64 `json:"coverage"`
	ROASCoverage *float64 `json:"roas_coverage"`
}

// leastHeld is how many ads it takes for a figure.
const leastHeld = 5

func measure(m Model, ads []ad, ctr, roas expected) Metrics {
	out := Metrics{Ads: m.Totals[1].Ads, Own: m.Totals[0].Ads, Coverage: ctr.coverage(), ROASCoverage: roas.coverage()}
	average := float64(m.Totals[1].Clicks) / math.Max(float64(m.Totals[1].Impressions), 1)
	base, _, _ := m.Baseline()
	var losses, of float64
	var good, bad []float64
	for i, a := range ads {
		if a.Impressions == 0 || average <= 0 || average >= 1 {
			continue
		}
		out.Held++
		seen, rate := float64(a.Impressions), float64(a.Clicks)/float64(a.Impressions)
		expects := min(math.Exp(ctr.held[i].mean+min(ctr.held[i].variance, mostVariance)/2), 0.999)
		losses += entropy(rate, expects)
		of += entropy(rate, average)
		if seen*base >= 2*leastExpects {
			if rate < RejectBelow*base {
				bad = append(bad, expects)
			} else {
				good = append(good, expects)
			}
		}
	}
	if out.Held >= leastHeld {
		n := float64(out.Held) / 1000
		losses, of = losses/n, of/n
		out.LogLoss, out.AccountLogLoss = &losses, &of
	}
	if len(good) >= leastHeld && len(bad) >= leastHeld {
		auc := AUC(bad, good)
		out.AUC = &auc
	}
	return out
}

func entropy(rate, expects float64) float64 {
	return -rate*math.Log(expects) - (1-rate)*math.Log1p(-expects)
}

// AUC is the probability that one of low is below one of high, a tie counting half.
func AUC(low, high []float64) float64 {
	if len(low) == 0 || len(high) == 0 {
		return 0.5
	}
	sorted := slices.Sorted(slices.Values(high))
	sum := 0.0
	for _, x := range low {
		from, _ := slices.BinarySearch(sorted, x)
		to, _ := slices.BinarySearchFunc(sorted, x, func(a, b float64) int {
			if a > b {
				return 1
			}
			return -1
		})
		sum += float64(len(sorted)-to) + float64(to-from)/2
	}
	return sum / float64(len(low)) / float64(len(sorted))
}

func (e *expected) coverage() *float64 {
	var in, all float64
	for i, h := range e.held {
		if o := e.data[i]; o.exposure*math.Exp(h.mean) >= leastExpects {
			all++
			if e.distance(i) <= z90 {
				in++
			}
		}
	}
	if all < leastHeld {
		return nil
	}
	share := in / all
	return &share
}
