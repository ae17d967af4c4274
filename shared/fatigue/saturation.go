package fatigue

import "math"

// week is how impressions grew over the last seven days.
type week struct {
	lag          int     // from the first of the days to the newest
	observed     float64 // by how much spend outgrew impressions
	flat, grown  float64 // the probabilities that impressions did not grow, and that they did
	mean, within float64 // of the log of growth where they did, and how sure that is
	below        float64 // the probability that such growth is below the limit
}

// saturated is the probability that impressions grew by less than the limit while
// spend outgrew them, the log of the CPM having grown by dearer. Half of all ads
// do not grow: what is within the noise of their days is no growth.
func (w *week) saturated(dearer float64) float64 {
	if dearer <= leastDearer {
		return 0
	}
	from := math.Log(MostOutgrown / math.Expm1(dearer))
	p := w.grown * (w.below - normal((from-w.mean)/w.within))
	if from <= 0 {
		p += w.flat
	}
	return max(0, p)
}

// leastDearer is the log of the growth of the CPM below which spend cannot outgrow
// impressions by the limit while they grow by less than theirs.
var leastDearer = math.Log1p(MostOutgrown / (1 + LeastGrowth))

// weigh prepares what is believed of the growth.
func (w *week) weigh(growth, sd float64) {
	const grows = 0.3 // standard deviation of the log of growth, of ads that do
	wide := math.Hypot(sd, grows)
	odds := wide / sd * math.Exp((growth*growth/(wide*wide)-growth*growth/(sd*sd))/2)
	w.flat, w.grown = odds/(1+odds), 1/(1+odds)
	w.mean, w.within = growth*grows*grows/(wide*wide), sd*grows/wide
	w.below = normal((math.Log(1+LeastGrowth) - w.mean) / w.within)
}
