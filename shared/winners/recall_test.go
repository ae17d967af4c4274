package winners

import (
	"fmt"
	"testing"

	"github.com/geminivideo/geminivideo/shared/embed"
)

func recallOf(t *testing.T, db database, exactUpTo int64) (r Recall) {
	t.Helper()
	in(t, db, tenantA, func(s Store) (err error) {
		s.exactUpTo = exactUpTo
		r, err = s.Recall(t.Context(), embed.LocalModel)
		return err
	})
	return r
}

func TestTheRecallIsMeasuredOnceADayAndWhereCodesAreCompared(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, tenantA, 300, 5)
	if r := recallOf(t, db, 1000); r.Recall != 1 || r.Sampled != 0 || !r.MeasuredAt.IsZero() || r.Trusted {
		t.Errorf("a small memory: %+v", r)
	}
	first := recallOf(t, db, 100)
	if first.Recall < 0.99 || first.Recall > 1 || first.Sampled != probes || first.MeasuredAt.IsZero() {
		t.Errorf("a large one: %+v", first)
	}
	if again := recallOf(t, db, 100); !again.MeasuredAt.Equal(first.MeasuredAt) || again.Recall != first.Recall {
		t.Errorf("asked again: %+v, before %+v", again, first)
	}
	fill(t, db, tenantB, 300, 6)
	if _, err := db.admin.Exec(t.Context(), `UPDATE gv.winners SET tenant_id = $1, ad_id = 'more-' || ad_id WHERE tenant_id = $2`, tenantA, tenantB); err != nil {
		t.Fatal(err)
	}
	if grown := recallOf(t, db, 100); grown.MeasuredAt.Equal(first.MeasuredAt) {
		t.Errorf("twice as large, it is not measured anew: %+v", grown)
	}
}

func TestCodesAreTrustedOnceTheyWereSeenToFindWhatAnExactSearchFinds(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, tenantA, 300, 5)
	for i := range leastSampled {
		q := Query{Model: embed.LocalModel, Vector: vector(t, fmt.Sprintf("w%d w%d w%d", i, 2*i, 3*i)), K: 5}
		if got := search(t, db, q, 100); len(got) != 5 {
			t.Errorf("found %v", got)
		}
		if r := recallOf(t, db, 100); r.Sampled != i+1 || r.Trusted != (i+1 >= leastSampled && r.Recall >= trusted) {
			t.Errorf("after %d searches: %+v", i+1, r)
		}
	}
	if r := recallOf(t, db, 100); !r.Trusted || r.Recall < trusted {
		t.Fatalf("they are not trusted: %+v", r)
	}
	search(t, db, Query{Model: embed.LocalModel, Vector: vector(t, "w1"), K: 5}, 100)
	if r := recallOf(t, db, 100); r.Sampled != leastSampled {
		t.Errorf("a search by trusted codes was made both ways: %+v", r)
	}
	// Codes that miss too much are not used.
	if _, err := db.admin.Exec(t.Context(), `UPDATE gv.search_recall SET recall = 0.4, sampled = $1`, mostSampled); err != nil {
		t.Fatal(err)
	}
	if got := search(t, db, Query{Model: embed.LocalModel, Vector: vector(t, "w1"), K: 7}, 100); len(got) != 7 {
		t.Errorf("found %v", got)
	}
	if r := recallOf(t, db, 100); r.Trusted || r.Recall != 0.4 || r.Sampled != mostSampled {
		t.Errorf("%+v", r)
	}
	// A day later it is measured anew.
	if _, err := db.admin.Exec(t.Context(), `UPDATE gv.search_recall SET measured_at = now() - interval '25 hours'`); err != nil {
		t.Fatal(err)
	}
	search(t, db, Query{Model: embed.LocalModel, Vector: vector(t, "w1"), K: 7}, 100)
	if r := recallOf(t, db, 100); r.Sampled != 1 || r.Recall < 0.9 {
		t.Errorf("a day later: %+v", r)
	}
}
