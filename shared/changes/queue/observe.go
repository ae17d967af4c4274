package queue

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/geminivideo/geminivideo/shared/changes"
)

// Observe notes what a sync found that began to read at from, in a constant number
// of statements. What differs from what we knew, and is not being written, is
// somebody else's edit: changes decided before it are not carried out. What we
// learned since from stays. Objects that nothing was decided for are skipped.
func (s Store) Observe(ctx context.Context, tenant string, from time.Time, seen []changes.Seen) error {
	if len(seen) == 0 {
		return nil
	}
	from = from.UTC().Truncate(time.Microsecond) // as the database keeps it
	byName := map[string]changes.Seen{}
	for _, one := range seen {
		byName[one.Object] = one
	}
	now, err := s.Now(ctx)
	if err != nil {
		return err
	}
	objects, err := s.lockObjects(ctx, tenant, slices.Sorted(maps.Keys(byName)))
	if err != nil {
		return err
	}
	open, err := s.open(ctx, tenant, objects)
	if err != nil {
		return err
	}
	for _, c := range open { // whoever writes an object reads it too
		if c.Status == changes.StatusApplying || c.Status == changes.StatusUnknown {
			delete(objects, c.BudgetObject)
		}
	}
	var changed []*changes.Object
	for name, o := range objects {
		if o.Observe(byName[name], from, now) {
			changed = append(changed, o)
		}
	}
	return s.saveObjects(ctx, tenant, changed)
}
