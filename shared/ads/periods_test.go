package ads

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func november(day int) time.Time { return time.Date(2026, 11, day, 0, 0, 0, 0, time.UTC) }

func between(first, last int) period { return period{First: november(first), Last: november(last)} }

func TestTheShorterOfPeriodsThatOverlapCounts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		periods []period
		days    []time.Time
		want    []bool
	}{
		"apart":                             {[]period{between(1, 7), between(8, 14)}, nil, []bool{true, true}},
		"weeks in a month":                  {[]period{between(1, 30), between(1, 7), between(8, 14)}, nil, []bool{false, true, true}},
		"a day in a week":                   {[]period{between(1, 7), between(8, 14)}, []time.Time{november(7)}, []bool{false, true}},
		"the last seven days, day by day":   {[]period{between(1, 7), between(2, 8), between(3, 9), between(8, 14)}, nil, []bool{true, false, false, true}},
		"one that only a dropped one meets": {[]period{between(1, 14), between(10, 16)}, []time.Time{november(16)}, []bool{true, false}},
	} {
		choose(tt.periods, tt.days)
		for i, p := range tt.periods {
			if p.Counted != tt.want[i] {
				t.Errorf("%s: %s to %s counts: %v, want %v", name, p.First, p.Last, p.Counted, tt.want[i])
			}
		}
	}
}

func TestWhichPeriodsCountDoesNotDependOnTheirOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 7))
		keys := map[period]bool{}
		for range 1 + r.IntN(12) {
			first := 1 + r.IntN(20)
			keys[between(first, first+1+r.IntN(8))] = true
		}
		chosen := func() map[period]bool {
			var all []period
			for p := range keys {
				all = append(all, p)
			}
			r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			choose(all, []time.Time{november(1 + int(seed%30))})
			counted := map[period]bool{}
			for _, p := range all {
				counted[p] = true
			}
			return counted
		}
		one := chosen()
		if diff := cmp.Diff(one, chosen()); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
		for p := range one {
			for q := range one {
				if p != q && p.Counted && q.Counted && !p.Last.Before(q.First) && !q.Last.Before(p.First) {
					t.Fatalf("seed %d: %v and %v count and overlap", seed, p, q)
				}
			}
		}
	}
}
