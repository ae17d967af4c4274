package oracle

import "math"

// student is a normal distribution whose standard deviation is known as well as
// freedom observations tell it.
type student struct{ mean, sd, freedom float64 }

// quantile returns mean + sd x the t distribution's quantile that stands where z
// does in the normal distribution (Cornish-Fisher: Abramowitz & Stegun 26.7.5).
func (s student) quantile(z float64) float64 {
	v, z3, z5 := max(s.freedom, 3), z*z*z, z*z*z*z*z
	t := z + (z3+z)/(4*v) + (5*z5+16*z3+3*z)/(96*v*v) + (3*z5*z*z+19*z5+17*z3-15*z)/(384*v*v*v)
	return s.mean + s.sd*t
}

// below returns the probability of less than x (Wallace 1959).
func (s student) below(x float64) float64 {
	if s.sd <= 0 {
		if x > s.mean {
			return 1
		}
		return 0
	}
	v, t := max(s.freedom, 3), (x-s.mean)/s.sd
	z := (8*v + 1) / (8*v + 3) * math.Sqrt(v*math.Log1p(t*t/v))
	return math.Erfc(-math.Copysign(z, t)/math.Sqrt2) / 2
}
