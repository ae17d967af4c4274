package embed

import (
	"context"
	"hash/fnv"
	"maps"
	"math"
	"slices"
)

// Local is the embedder that needs no key and no network: it hashes words, pairs
// of words and "key: value" lines into the dimensions. It knows no synonyms;
// texts are as alike as the words that they share.
type Local struct{}

// LocalModel names Local's vectors.
const LocalModel = "local-hash-1"

// Model returns LocalModel.
func (Local) Model() string { return LocalModel }

// Documents embeds texts.
func (Local) Documents(ctx context.Context, texts []string) ([]Vector, error) {
	vectors := make([]Vector, len(texts))
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		vectors[i] = hashed(text)
	}
	return vectors, nil
}

// Query embeds text as Documents does: counting words knows no roles.
func (Local) Query(_ context.Context, text string) (Vector, error) { return hashed(text), nil }

// hashed adds up the text's features, each in a dimension and with a sign of its
// own. A feature that comes again counts by its logarithm, so that a refrain
// does not drown the rest.
func hashed(text string) Vector {
	found := featuresOf(text)
	sums := make([]float64, Dimensions)
	for _, name := range slices.Sorted(maps.Keys(found)) { // one order: floating-point sums depend on it
		f := found[name]
		at, sign := place(name)
		sums[at] += sign * f.weight * (1 + math.Log(f.count))
	}
	if v := normalised(sums); !zero(v) {
		return v
	}
	// No words, or words that cancel each other out: a direction that no text has
	// by its words, because nothing is compared with a vector of no length.
	at, sign := place("")
	sums[at] = sign
	return normalised(sums)
}

func zero(v Vector) bool {
	for _, x := range v {
		if x != 0 {
			return false
		}
	}
	return true
}

func place(feature string) (at int, sign float64) {
	h := fnv.New64a()
	h.Write([]byte(feature))
	sum := mix(h.Sum64())
	if sum>>63 == 1 {
		sign = -1
	} else {
		sign = 1
	}
	return int((sum & math.MaxInt64) % Dimensions), sign
}

// mix spreads FNV's weak high bits (the finalizer of MurmurHash3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
