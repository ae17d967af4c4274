package sampler

import "math"

// ArrivedByDay returns, for each whole day since a click, the share of its
// conversions that could have shown in the pipeline by then, as the account's own
// deals teach; without deals, as is usual. The last entry counts for all later
// days. It never falls, and lies between 0 and 1.
func ArrivedByDay(deals []Deal) []float64 {
	post := speedPrior()
	addDealLives(&post, deals)
	slower, _ := speedOf(&post)
	c := usualCurve(slower)
	if len(deals) > 0 {
		c = fromDeals(c, deals)
	}
	share := make([]float64, len(c.open))
	most := 0.0
	for d := range share {
		most = math.Max(most, math.Min(1, math.Max(0, c.open[d]+c.won[d])))
		share[d] = most
	}
	return share
}
