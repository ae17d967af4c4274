package winners

import "testing"

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
