package changes

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// Seen is what a sync found of an object on the platform.
type Seen struct {
	// Object is adset/ID or ad/ID.
	Object string
	// Budget is an ad set's daily budget, or under a campaign's budget its spend
	// cap, in minor units; nil where it has none, and for an ad.
	Budget *int64
	Status string
}

// recent is how much newer than a sync's reading our own knowledge of an object
// must not be: machines' clocks differ, and a sync takes its time.
const recent = 2 * time.Minute

// Saw takes down what a sync found that began to read at from, in a constant
// number of statements: an amount or a status that is neither what we knew nor
// what is being written is somebody else's edit, and what was decided before it
// will not be carried out. What we learned ourselves since then stays, and objects
// that nothing was ever decided for are passed over.
func (s Store) Saw(ctx context.Context, tenant string, from time.Time, seen []Seen) error {
	if len(seen) == 0 {
		return nil
	}
	from = from.UTC().Truncate(time.Microsecond) // as the database keeps it
	byName := map[string]Seen{}
	for _, one := range seen {
		byName[one.Object] = one
	}
	now, err := s.Now(ctx)
	if err != nil {
		return err
	}
	objects, err := s.holdObjects(ctx, tenant, slices.Sorted(maps.Keys(byName)))
	if err != nil {
		return err
	}
	busy, err := s.openOf(ctx, tenant, objects)
	if err != nil {
		return err
	}
	var changed []*Object
	for name, o := range objects {
		one := byName[name]
		if busy[name].underWay != nil || o.KnownAt != nil && o.KnownAt.After(from.Add(-recent)) {
			continue // what is being written is read by whoever writes it
		}
		money := !same(o.KnownMinor, one.Budget)
		status := o.KnownStatus != one.Status
		if !money && !status {
			continue
		}
		if money && o.KnownMinor != nil || status && o.KnownStatus != "" && strings.HasPrefix(name, "ad/") {
			o.ForeignAt, o.ForeignWasMinor, o.ForeignMinor = &now, nil, nil
			if money {
				o.ForeignWasMinor, o.ForeignMinor = o.KnownMinor, one.Budget
			}
		}
		if status {
			o.PausedBy = nil
		}
		o.KnownMinor, o.KnownStatus, o.KnownAt = one.Budget, one.Status, &from
		changed = append(changed, o)
	}
	return s.saveObjects(ctx, tenant, changed)
}
