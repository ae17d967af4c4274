package embed

import "math"

// Models gives each tenant its embedders: what embedding costs is counted, and
// bounded, by tenant.
type Models interface {
	// Configured names the model that new vectors are made with.
	Configured() string
	// Of returns tenant's embedder with the model of that name, and false where
	// this process cannot use it.
	Of(tenant, model string) (Embedder, bool)
}

// Only returns Models that know one embedder, the same for every tenant, and
// Local, which needs nothing.
func Only(e Embedder) Models { return only{e} }

type only struct{ embedder Embedder }

func (o only) Configured() string { return o.embedder.Model() }

func (o only) Of(_, model string) (Embedder, bool) {
	if model == o.embedder.Model() {
		return o.embedder, true
	}
	return Local{}, model == LocalModel
}

// Normalised returns values scaled to the length one. It is false where they are
// not Dimensions finite numbers, or have no length.
func Normalised(values []float32) (Vector, bool) {
	if len(values) != Dimensions {
		return nil, false
	}
	wide := make([]float64, len(values))
	for i, x := range values {
		wide[i] = float64(x)
		if math.IsNaN(wide[i]) || math.IsInf(wide[i], 0) {
			return nil, false
		}
	}
	v := normalised(wide)
	return v, !zero(v)
}
