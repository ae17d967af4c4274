package winners

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/embed"
)

func TestAModelWithoutAnIndexIsSearchedExactly(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, tenantA, 60, 1)
	fill(t, db, tenantB, 120, 2)
	probe := vector(t, "alpha beta w3 w5")
	want := search(t, db, Query{Model: embed.LocalModel, Vector: probe, K: 10}, exactUpTo)
	for model, indexed := range map[string]bool{"gemini-embedding-001": true, "gemini-embedding-2": true, "gemini-embedding": false, "some-model-of-2027": false} {
		if _, err := db.admin.Exec(t.Context(), `UPDATE gv.winners SET model = $1`, model); err != nil {
			t.Fatal(err)
		}
		in(t, db, tenantA, func(s Store) error {
			got, err := s.Indexed(t.Context(), model)
			if got != indexed {
				t.Errorf("%s has an index: %v", model, got)
			}
			return err
		})
		got := search(t, db, Query{Model: model, Vector: probe, K: 10}, 0)
		if indexed && len(got) != 10 || !indexed && strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s finds %v, want %v", model, got, want)
		}
		if other := search(t, db, Query{Model: embed.LocalModel, Vector: probe, K: 10}, exactUpTo); len(other) != 0 {
			t.Errorf("vectors of %s are compared with another model's", model)
		}
	}
}

func TestGeminisModelsHaveAnIndexThatIsUsed(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, tenantA, 50, 1)
	for model, index := range map[string]string{"gemini-embedding-001": "winners_gemini_1", "gemini-embedding-2": "winners_gemini_2"} {
		if _, err := db.admin.Exec(t.Context(), `UPDATE gv.winners SET model = $1`, model); err != nil {
			t.Fatal(err)
		}
		in(t, db, tenantA, func(s Store) error {
			if _, err := s.tx.Exec(t.Context(), `SET LOCAL enable_sort = off`); err != nil { // so few would be sorted
				return err
			}
			rows, _ := s.tx.Query(t.Context(), `EXPLAIN `+approximate, pgx.StrictNamedArgs{
				"model": model, "vector": vectorText(vector(t, "alpha")), "n": 5, "candidates": 20, "min_ctr": 0.0, "min_similarity": 0.0,
			})
			plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if !strings.Contains(strings.Join(plan, "\n"), index) {
				t.Errorf("the plan does not use %s:\n%s", index, strings.Join(plan, "\n"))
			}
			return err
		})
	}
}

func TestEachTenantHasItsOwnModel(t *testing.T) {
	t.Parallel()
	db := open(t)
	in(t, db, tenantA, func(s Store) error {
		m, err := s.Hold(t.Context(), "one")
		if m.Active != "one" || m.Target != "" {
			t.Errorf("%+v", m)
		}
		return err
	})
	for tenant, want := range map[string]Models{tenantA: {"one", "two"}, tenantB: {"two", ""}} {
		in(t, db, tenant, func(s Store) error {
			m, err := s.Models(t.Context(), "two")
			if m != want {
				t.Errorf("%s: %+v, want %+v", tenant, m, want)
			}
			return err
		})
	}
	in(t, db, tenantB, func(s Store) error {
		m, err := s.Hold(t.Context(), "three")
		if m.Active != "three" {
			t.Errorf("a tenant without winners began to change: %+v", m)
		}
		return err
	})
}
