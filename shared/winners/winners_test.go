package winners

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/fault"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
)

func TestRememberingTheSameAgainIsOneMemory(t *testing.T) {
	t.Parallel()
	db := open(t)
	m := memory(t, "ad-1", `{"hook_type":"question"}`)
	if got := putMemory(t, db, m); got != Indexed {
		t.Errorf("the first time: %v", got)
	}
	m.CTR, m.ROAS = 0.05, 9
	if got := putMemory(t, db, m); got != Already {
		t.Errorf("the second time: %v", got)
	}
	in(t, db, tenantA, func(s Store) error {
		w, err := s.Get(t.Context(), "ad-1", embed.LocalModel)
		if w.CTR != 0.05 || w.ROAS != 9 {
			t.Errorf("the figures stayed at %v and %v", w.CTR, w.ROAS)
		}
		return err
	})
	if got := putMemory(t, db, memory(t, "ad-1", `{"hook_type":"promise"}`)); got != Indexed {
		t.Errorf("with another content: %v", got)
	}
	in(t, db, tenantA, func(s Store) error {
		stats, err := s.Stats(t.Context(), embed.LocalModel)
		if stats.Active != 1 || stats.Stored != 1 || stats.IndexBytes <= 0 {
			t.Errorf("one ad is stored as %+v", stats)
		}
		return err
	})
}

func TestAnEmbeddingIsKeptForItsText(t *testing.T) {
	t.Parallel()
	db := open(t)
	m := memory(t, "ad-1", `{"hook_type":"question"}`)
	putMemory(t, db, m)
	in(t, db, tenantA, func(s Store) error {
		kept, found, err := s.Vector(t.Context(), "ad-1", m.Model, m.Text)
		if diff := cmp.Diff(m.Vector, kept); !found || diff != "" {
			t.Errorf("found %v: %s", found, diff)
		}
		if _, found, _ := s.Vector(t.Context(), "ad-1", m.Model, m.Text+" more"); found {
			t.Error("another text has the embedding too")
		}
		if _, found, _ := s.Vector(t.Context(), "ad-1", "another-model", m.Text); found {
			t.Error("another model has the embedding too")
		}
		return err
	})
}

func TestAForgottenAdIsKeptButNotFound(t *testing.T) {
	t.Parallel()
	db := open(t)
	m := memory(t, "ad-1", `{"hook_type":"question"}`)
	putMemory(t, db, m)
	in(t, db, tenantA, func(s Store) error { return s.Forget(t.Context(), "ad-1") })
	in(t, db, tenantA, func(s Store) error {
		result, err := s.Search(t.Context(), Query{Model: m.Model, Vector: m.Vector, K: 5})
		if result.Total != 0 || len(result.Matches) != 0 {
			t.Errorf("a search found %+v", result)
		}
		if w, err := s.Get(t.Context(), "ad-1", m.Model); err != nil || w.Active {
			t.Errorf("kept as %+v, %v", w, err)
		}
		return err
	})
	if got := putMemory(t, db, m); got != Indexed {
		t.Errorf("stored again: %v", got)
	}
}

func TestAnotherTenantsMemoryIsOutOfReach(t *testing.T) {
	t.Parallel()
	db := open(t)
	m := memory(t, "ad-1", `{"hook_type":"question"}`)
	putMemory(t, db, m)
	in(t, db, tenantB, func(s Store) error {
		if _, err := s.Get(t.Context(), "ad-1", m.Model); fault.Of(err) != fault.NotFound {
			t.Errorf("read: %v", err)
		}
		result, err := s.Search(t.Context(), Query{Model: m.Model, Vector: m.Vector, K: 5})
		if result.Total != 0 || len(result.Matches) != 0 {
			t.Errorf("found: %+v", result)
		}
		return err
	})
}

func TestLimitsAreMet(t *testing.T) {
	t.Parallel()
	db := open(t)
	for i := range 10 {
		m := memory(t, fmt.Sprintf("ad-%d", i), fmt.Sprintf(`{"hook_type":"question","take":"word%d"}`, i))
		m.CTR = float64(i) / 100
		putMemory(t, db, m)
	}
	want := memory(t, "", `{"hook_type":"question","take":"word3"}`).Vector
	for name, c := range map[string]struct {
		query Query
		found int
	}{
		"all":                 {Query{K: 100}, 10},
		"k":                   {Query{K: 4}, 4},
		"ctr at the limit":    {Query{K: 100, MinCTR: 0.07}, 3},
		"exactly itself":      {Query{K: 100, MinSimilarity: 0.999}, 1},
		"nothing is like it":  {Query{K: 100, MinSimilarity: 0.999, MinCTR: 0.05}, 0},
		"the limits together": {Query{K: 2, MinSimilarity: 0.2, MinCTR: 0.05}, 2},
	} {
		c.query.Model, c.query.Vector = embed.LocalModel, want
		in(t, db, tenantA, func(s Store) error {
			result, err := s.Search(t.Context(), c.query)
			if len(result.Matches) != c.found || result.Total != 10 {
				t.Errorf("%s: %d of %d found, want %d", name, len(result.Matches), result.Total, c.found)
			}
			for i, m := range result.Matches {
				if m.Similarity < 0 || m.Similarity > 1 || i > 0 && m.Similarity > result.Matches[i-1].Similarity {
					t.Errorf("%s: match %d is %v alike", name, i, m.Similarity)
				}
			}
			return err
		})
	}
}

func TestAnAdWithoutDNAIsEmbeddedByItsName(t *testing.T) {
	t.Parallel()
	if got := TextOf(creative.DNA{}, "UGC question hook"); got != "name: UGC question hook" {
		t.Errorf("embedded as %q", got)
	}
	if got := TextOf(creative.DNA{"hook_type": "question"}, "UGC"); got != "hook_type: question" {
		t.Errorf("embedded as %q", got)
	}
}
