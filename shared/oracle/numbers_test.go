package oracle

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestStudentsQuantilesAreTheTables(t *testing.T) {
	t.Parallel()
	for freedom, want := range map[float64]float64{4: 2.132, 5: 2.015, 6: 1.943, 10: 1.812, 30: 1.697, 1000: 1.646} {
		s := student{0, 1, freedom}
		if got := s.quantile(z90); math.Abs(got-want) > 0.01 {
			t.Errorf("t(%v) has its 95%% quantile at %.3f, want %.3f", freedom, got, want)
		}
		if p := s.below(want); math.Abs(p-0.95) > 0.003 {
			t.Errorf("t(%v) is below %v with a probability of %.4f", freedom, want, p)
		}
		if p := s.below(0); p != 0.5 {
			t.Errorf("t(%v) is below 0 with a probability of %v", freedom, p)
		}
	}
}

func TestAFactorSolvesAndInverts(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	const n = 12
	a := newSymmetric(n)
	for range 40 {
		x := make([]float64, n)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		for i := range x {
			for j := range x {
				*a.at(i, j) += x[i] * x[j]
			}
		}
	}
	b := make([]float64, n)
	b[3], b[7] = 1, -2
	f := symmetric{n, append([]float64{}, a.v...)}
	f.factor()
	x, inverse := f.solve(b), f.inverse()
	for i := range n {
		sum, product := 0.0, 0.0
		for j := range n {
			sum += *a.at(i, j) * x[j]
			product += *a.at(i, j) * *inverse.at(j, 5)
		}
		want := 0.0
		if i == 5 {
			want = 1
		}
		if math.Abs(sum-b[i]) > 1e-9 || math.Abs(product-want) > 1e-9 {
			t.Errorf("row %d: %v, want %v; %v, want %v", i, sum, b[i], product, want)
		}
	}
}

func TestAUCCountsTiesHalf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		low, high []float64
		want      float64
	}{
		{[]float64{1, 2}, []float64{3, 4}, 1},
		{[]float64{3, 4}, []float64{1, 2}, 0},
		{[]float64{1, 1}, []float64{1}, 0.5},
		{[]float64{1, 3}, []float64{2, 3}, 0.625},
		{nil, []float64{1}, 0.5},
	} {
		if got := AUC(c.low, c.high); got != c.want {
			t.Errorf("%v below %v: %v, want %v", c.low, c.high, got, c.want)
		}
	}
}

func TestANumberStandsUnderItsTents(t *testing.T) {
	t.Parallel()
	n, ok := newNumber("x", []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	if !ok || len(n.Knots) != 5 {
		t.Fatalf("%+v", n)
	}
	for _, x := range []float64{-100, 0, 0.3, 2.5, 4.4, 9.99, 1e300} {
		shares := 0.0
		for _, e := range n.append(nil, 1, x) {
			if e.Col > 1 {
				shares += e.X
			} else if math.Abs(e.X) > 2.01 {
				t.Errorf("%v lies %v out", x, e.X)
			}
		}
		if math.Abs(shares-1) > 1e-12 {
			t.Errorf("%v stands under %v tents", x, shares)
		}
	}
	if _, ok := newNumber("constant", []float64{3, 3, 3}); ok {
		t.Error("a constant is a column")
	}
}

func TestWhatIsStaleIsTrainedAgain(t *testing.T) {
	t.Parallel()
	base := Basis{Own: Sums{Ads: 20, Described: 20, Impressions: 100_000, Clicks: 1000, Value: 500}, Niche: "gym"}
	const hour, week = 1, 8 * 24
	for name, c := range map[string]struct {
		change func(*Basis)
		hours  int
		want   bool
	}{
		"nothing new":              {func(*Basis) {}, week, false},
		"a little new":             {func(b *Basis) { b.Own.Impressions += 9000 }, hour, false},
		"a little in a week":       {func(b *Basis) { b.Own.Impressions++ }, week, true},
		"a tenth more impressions": {func(b *Basis) { b.Own.Impressions += 10_001 }, hour, true},
		"fewer ads":                {func(b *Basis) { b.Own.Ads -= 3 }, hour, true},
		"an ad more of twenty":     {func(b *Basis) { b.Own.Ads++ }, hour, false},
		"creatives described":      {func(b *Basis) { b.Own.Described = 10 }, hour, true},
		"another niche":            {func(b *Basis) { b.Niche = "clinic" }, hour, true},
		"a niche with ads":         {func(b *Basis) { b.Others.Ads = 1 }, hour, true},
		"more value":               {func(b *Basis) { b.Own.Value = 601 }, hour, true},
	} {
		now := base
		c.change(&now)
		if got := stale(base, now, time.Duration(c.hours)*time.Hour); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
