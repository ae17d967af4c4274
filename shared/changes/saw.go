package changes

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Seen is what a sync found of an object on the platform.
type Seen struct {
	// Object is adset/ID or ad/ID.
	Object                string
	AccountID, CampaignID string
	// Budget is an ad set's daily budget, or under a campaign's budget its spend
	// cap, in minor units; nil where it has none, and for an ad.
	Budget *int64
	Status string
}

// Saw takes down what a sync found, in a constant number of statements: an amount
// or a status that is neither what we knew nor what is being written is somebody
// else's edit, and what was decided before it will not be carried out.
func (s Store) Saw(ctx context.Context, tenant string, seen []Seen) error {
	if len(seen) == 0 {
		return nil
	}
	byName := map[string]Seen{}
	for _, one := range seen {
		byName[one.Object] = one
	}
	var names, accounts, campaigns []string
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		names, accounts, campaigns = append(names, name), append(accounts, byName[name].AccountID), append(campaigns, byName[name].CampaignID)
	}
	now, err := s.Now(ctx)
	if err != nil {
		return err
	}
	objects, err := s.lockObjects(ctx, tenant, names, accounts, campaigns)
	if err != nil {
		return err
	}
	busy, err := s.openOf(ctx, tenant, objects)
	if err != nil {
		return err
	}
	var changed []*Object
	for name, one := range byName {
		o := objects[name]
		if busy[name].underWay != nil {
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
		o.KnownMinor, o.KnownStatus = one.Budget, one.Status
		changed = append(changed, o)
	}
	if err := s.saveObjects(ctx, tenant, now, changed); err != nil {
		return err
	}
	_, err = s.tx.Exec(ctx, `
		UPDATE gv.budget_objects o SET account_id = n.account_id, campaign_id = n.campaign_id
		FROM   unnest(@names::text[], @accounts::text[], @campaigns::text[]) AS n (name, account_id, campaign_id)
		WHERE  o.tenant_id = @tenant AND o.budget_object = n.name AND (o.account_id, o.campaign_id) <> (n.account_id, n.campaign_id)`,
		pgx.StrictNamedArgs{"tenant": tenant, "names": names, "accounts": accounts, "campaigns": campaigns})
	if err != nil {
		return fmt.Errorf("move the objects: %w", err)
	}
	return nil
}
