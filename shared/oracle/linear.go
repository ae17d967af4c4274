package oracle

import "math"

// symmetric is a symmetric matrix of n rows, kept whole, row by row.
type symmetric struct {
	n int
	v []float64
}

func newSymmetric(n int) symmetric { return symmetric{n, make([]float64, n*n)} }

func (s symmetric) at(i, j int) *float64 { return &s.v[i*s.n+j] }

// factor replaces the lower triangle of a positive definite matrix by its
// Cholesky factor. A pivot that rounding has brought to nothing is lifted.
func (s symmetric) factor() {
	n := s.n
	for j := range n {
		row := s.v[j*n : j*n+j]
		d := s.v[j*n+j]
		for _, x := range row {
			d -= x * x
		}
		d = math.Sqrt(max(d, 1e-12))
		s.v[j*n+j] = d
		for i := j + 1; i < n; i++ {
			sum := s.v[i*n+j]
			other := s.v[i*n : i*n+j]
			for k, x := range row {
				sum -= x * other[k]
			}
			s.v[i*n+j] = sum / d
		}
	}
}

// solve returns x of s x = b, where s is factored.
func (s symmetric) solve(b []float64) []float64 {
	n := s.n
	x := make([]float64, n)
	for i := range n {
		sum := b[i]
		for k, l := range s.v[i*n : i*n+i] {
			sum -= l * x[k]
		}
		x[i] = sum / s.v[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		sum := x[i]
		for k := i + 1; k < n; k++ {
			sum -= s.v[k*n+i] * x[k]
		}
		x[i] = sum / s.v[i*n+i]
	}
	return x
}

// inverse returns the inverse of the matrix whose factor s is.
func (s symmetric) inverse() symmetric {
	n := s.n
	half := newSymmetric(n) // of the factor's inverse, transposed: row j holds its column j
	for j := range n {
		row := half.v[j*n : (j+1)*n]
		row[j] = 1 / s.v[j*n+j]
		for i := j + 1; i < n; i++ {
			sum := 0.0
			l := s.v[i*n : i*n+i]
			for k := j; k < i; k++ {
				sum -= l[k] * row[k]
			}
			row[i] = sum / s.v[i*n+i]
		}
	}
	out := newSymmetric(n)
	for i := range n {
		a := half.v[i*n : (i+1)*n]
		for j := range i + 1 {
			b := half.v[j*n : (j+1)*n]
			sum := 0.0
			for k := i; k < n; k++ {
				sum += a[k] * b[k]
			}
			*out.at(i, j), *out.at(j, i) = sum, sum
		}
	}
	return out
}
