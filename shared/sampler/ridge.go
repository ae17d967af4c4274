package sampler

import "math"

// ridge is a weighted least squares fit of one share per lag, held near a prior.
type ridge struct {
	prior [lags]float64
	a     [lags][lags]float64
	r     [lags]float64
}

func newRidge(prior [lags]float64) *ridge {
	f := &ridge{prior: prior}
	for b, x := range prior {
		f.a[b][b] = 1 / sq(0.7*(math.Abs(x)+0.05))
		f.r[b] = f.a[b][b] * x
	}
	return f
}

// add takes in that x is expected to have brought y. A deal adds size at a time, and
// the value that y is measured in is known with relative variance doubt. Trust, from
// 0 to 1, weighs the observation.
func (f *ridge) add(x *[lags]float64, y, size, doubt, trust float64) {
	flow := 0.0
	for b := range x {
		flow += x[b] * (math.Abs(f.prior[b]) + 0.01)
	}
	if flow <= 0 {
		return
	}
	weight := trust / (size*flow + doubt*flow*flow)
	for b := range x {
		if x[b] == 0 {
			continue
		}
		f.r[b] += weight * x[b] * y
		for c := range b + 1 {
			f.a[b][c] += weight * x[b] * x[c]
		}
	}
}

// solve returns the fit by Cholesky's method.
func (f *ridge) solve() [lags]float64 {
	l, x := f.a, f.r
	for i := range lags {
		for j := range i + 1 {
			for k := range j {
				l[i][j] -= l[i][k] * l[j][k]
			}
			if i == j {
				l[i][i] = math.Sqrt(l[i][i])
			} else {
				l[i][j] /= l[j][j]
			}
		}
		for k := range i {
			x[i] -= l[i][k] * x[k]
		}
		x[i] /= l[i][i]
	}
	for i := lags - 1; i >= 0; i-- {
		for k := i + 1; k < lags; k++ {
			x[i] -= l[k][i] * x[k]
		}
		x[i] /= l[i][i]
	}
	return x
}
