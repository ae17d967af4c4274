package winners

import (
	"encoding/binary"
	"math"

	"github.com/geminivideo/geminivideo/shared/embed"
)

// decoded is a vector as pgvector sends it: its length, two bytes of nothing, and
// its values.
func decoded(raw []byte) embed.Vector {
	if len(raw) < 4 {
		return nil
	}
	v := make(embed.Vector, binary.BigEndian.Uint16(raw))
	for i := range v {
		v[i] = math.Float32frombits(binary.BigEndian.Uint32(raw[4+4*i:]))
	}
	return v
}

// alike is the cosine of two vectors' angle; 0 where one has no length.
func alike(a, b embed.Vector) float64 {
	var dot, x, y float32
	for i := range min(len(a), len(b)) {
		dot += a[i] * b[i]
		x += a[i] * a[i]
		y += b[i] * b[i]
	}
	if x == 0 || y == 0 {
		return 0
	}
	return float64(dot) / math.Sqrt(float64(x)*float64(y))
}
