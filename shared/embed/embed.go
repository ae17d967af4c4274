// Package embed turns text into vectors whose angles say how alike texts are.
package embed

import (
	"context"
	"math"
)

// Dimensions is how many a vector has; the database stores no other.
const Dimensions = 768

// Vector is an embedding of length one.
type Vector []float32

// Embedder embeds texts with one model. Vectors of different models are never
// compared. An embedder that cannot be reached returns an Unavailable fault.
type Embedder interface {
	// Model names the model, and with it the vectors.
	Model() string
	// Documents embeds what is to be found, in the order given.
	Documents(ctx context.Context, texts []string) ([]Vector, error)
	// Query embeds what is looked for.
	Query(ctx context.Context, text string) (Vector, error)
}

// normalised returns v scaled to the length one, or v itself where it has none.
func normalised(v []float64) Vector {
	var sum float64
	for _, x := range v {
		sum += x * x
	}
	out := make(Vector, len(v))
	if sum == 0 {
		return out
	}
	length := math.Sqrt(sum)
	for i, x := range v {
		out[i] = float32(x / length)
	}
	return out
}
