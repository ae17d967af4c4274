package oracle

// The global prior: what is believed before there is any data. It is fixed, the
// same for everybody, and holds nothing that was learned from a tenant.
const (
	// PriorCTR is the average CTR of paid social advertising (all clicks), a rate.
	PriorCTR = 0.012
	// PriorROAS is the pipeline value per unit of money of an account of which
	// nothing is known.
	PriorROAS = 1.0
)

// belief is what a fit believes before it has seen data. Deviations are of the
// logarithm of the rate: 0.3 is about 30%.
type belief struct {
	Mean float64 // of the rate, for an ad of which nothing is known
	Ad   float64 // how far an ad is from what its features say
	// Strength is how many ads the beliefs about deviations are worth.
	Strength float64
	// Effect is how large an effect of one column of a group is.
	Effect [groups]float64
	// Columns is how many columns a belief about a group's effects is worth; 0 is
	// effectStrength.
	Columns float64
}

// ctrBelief and roasBelief were chosen on invented accounts (the package world)
// other than those that the tests hold the model to. They are cautious: five ads
// move the level, and hardly a feature.
var (
	ctrBelief = belief{
		Mean: PriorCTR, Ad: 0.45, Strength: 4,
		Effect: [groups]float64{level: 0.9, accounts: 0.3, categories: 0.08, numbers: 0.06, own: 0.04, pairs: 0.03},
	}
	roasBelief = belief{
		Mean: PriorROAS, Ad: 0.6, Strength: 5,
		Effect: [groups]float64{level: 1.0, accounts: 0.4, categories: 0.05, numbers: 0.05, own: 0.03, pairs: 0.02},
	}
)

// effectStrength is how many columns a belief about a group's effects is worth.
const effectStrength = 3.0

// tails is the degrees of freedom of Student's t that the ads' own deviations
// follow: now and then an ad goes viral, and must not move the others.
const tails = 5.0

// widen turns the t distribution's scale into the standard deviation of a normal
// distribution with the same 90% interval: t(5) has its 95% quantile at 2.015.
const widen = 2.015 / z90

// z90 is the 95% quantile of the normal distribution: 90% lie within.
const z90 = 1.6448536269514722
