package winners

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestTheCodeOfAQueryIsTheDatabases(t *testing.T) {
	t.Parallel()
	db := open(t)
	random := rand.New(rand.NewPCG(4, 4))
	for i := range 40 {
		v := vector(t, words(random))
		if i%2 == 1 {
			v = near(v, 0, random)
		}
		var same bool
		err := db.admin.QueryRow(t.Context(), `SELECT $1::bit(1024) = gv.winner_code($2::real[]::extensions.vector)`, codes(v)[0], []float32(v)).Scan(&same)
		if err != nil {
			t.Fatal(err)
		}
		if !same {
			t.Errorf("vector %d has another code in the database", i)
		}
	}
}

func TestTheCodesOfAQueryStandForItsRotatedVector(t *testing.T) {
	t.Parallel()
	v := near(vector(t, "a query"), 0.5, rand.New(rand.NewPCG(8, 8)))
	all, want := codes(v), rotated(v)
	largest := float64(slices.MaxFunc(want, func(a, b float32) int { return cmp.Compare(math.Abs(float64(a)), math.Abs(float64(b))) }))
	step := math.Abs(largest) / 15
	for i, x := range want {
		got := 0.0
		for at, weight := range []float64{8, 4, 2, 1} {
			if all[at].Bytes[i/8]>>(7-i%8)&1 == 0 {
				weight = -weight
			}
			got += weight * step
		}
		if math.Abs(got-float64(x)) > step*1.001 {
			t.Errorf("component %d is %v, by the codes %v", i, x, got)
		}
	}
}
