package winners

import (
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/geminivideo/geminivideo/shared/embed"
)

// codeBits is the length of a code.
const codeBits = 1024

// rotated is what gv.winner_code takes the signs of: a Walsh-Hadamard transform of the
// vector, in which every component of the vector reaches every component.
func rotated(v embed.Vector) []float32 {
	const half = codeBits / 2
	w, next := make([]float32, codeBits), make([]float32, codeBits)
	copy(w, v)
	for stage := range 10 {
		shift := 0
		if stage < 9 {
			shift = 1 << stage
		}
		for i := range half {
			next[i] = w[i] + w[half+i]
			next[half+(i+shift)%half] = w[i] - w[half+i]
		}
		w, next = next, w
	}
	return w
}

// codes stand for a query in a search: the first is its code, and all four with the
// weights 8, 4, 2 and 1 are its rotated vector in steps of a fifteenth of its range. Each
// is the signs of what those before it leave.
func codes(v embed.Vector) []pgtype.Bits {
	left := rotated(v)
	step := float32(0)
	for _, x := range left {
		step = max(step, x/15, -x/15)
	}
	all := make([]pgtype.Bits, 0, 4)
	for weight := float32(8); weight >= 1; weight /= 2 {
		code := pgtype.Bits{Bytes: make([]byte, codeBits/8), Len: codeBits, Valid: true}
		for i, x := range left {
			if x > 0 {
				code.Bytes[i/8] |= 0x80 >> (i % 8)
				left[i] -= weight * step
			} else {
				left[i] += weight * step
			}
		}
		all = append(all, code)
	}
	return all
}
