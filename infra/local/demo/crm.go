package demo

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/infra/local/demo/sim"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
)

// listing is what the fake shows of a portal.
type listing struct {
	Deals   map[int64]listedDeal `json:"deals"`
	Pending []struct {
		Events    []struct{} `json:"events"`
		LastError string     `json:"last_error"`
	} `json:"pending"`
}

type listedDeal struct {
	Properties map[string]string `json:"properties"`
	Archived   bool              `json:"archived"`
	Merged     []int64           `json:"merged"`
	Contacts   []struct {
		Contact int64 `json:"contact"`
	} `json:"contacts"`
}

// crm fills a tenant's portal from the simulation and sees to it that the
// ledger takes all of it in. Each call makes what is missing, so an interrupted
// one is simply called again.
type crm struct {
	*seeder
	portal *fakehubspot.Portal
	deals  map[int]int64 // by place in the simulation
}

// fill makes the contacts and deals that the portal has not got yet, saves them,
// and only then lets their webhooks go.
func (c *crm) fill(ctx context.Context) error {
	listed, err := c.list(ctx)
	if err != nil {
		return err
	}
	known, contacts := map[string]int64{}, map[int]int64{}
	for id, d := range listed.Deals {
		known[d.Properties["dealname"]] = id
	}
	var events []fakehubspot.Event
	c.deals = map[int]int64{}
	for i, d := range c.world.Deals {
		if id, ok := known[dealName(i, d)]; ok {
			c.deals[i] = id
			if had := listed.Deals[id].Contacts; len(had) > 0 {
				contacts[d.Contact] = had[0].Contact
			}
			continue
		}
		if d.MergedInto >= 0 && len(listed.Deals[c.deals[d.MergedInto]].Merged) > 0 {
			continue // it has become one with the other already
		}
		if contacts[d.Contact] == 0 {
			if contacts[d.Contact], err = c.contact(c.world.Contacts[d.Contact]); err != nil {
				return err
			}
		}
		id, moved, err := c.deal(i, d, contacts[d.Contact])
		if err != nil {
			return err
		}
		c.deals[i] = id
		events = append(events, moved...)
	}
	if err := c.sys.HubSpot.Save(); err != nil {
		return err
	}
	c.send(events)
	return nil
}

// dealName tells the deals of a portal apart.
func dealName(i int, d sim.Deal) string { return fmt.Sprintf("%s #%03d", d.Name, i+1) }

func (c *crm) contact(who sim.Contact) (int64, error) {
	properties := map[string]string{
		"first_conversion_date": who.ConvertedAt.Format("2006-01-02T15:04:05.000Z"), "lifecyclestage": "lead",
	}
	if who.Click >= 0 {
		click := c.world.Clicks[who.Click]
		switch who.KnownBy {
		case sim.KnownFBCLID:
			properties["hs_facebook_click_id"] = click.FBCLID
		case sim.KnownClickID:
			properties["gv_click_id"] = click.ID
		case sim.KnownFingerprint:
			properties["gv_fingerprint_hash"] = c.fingerprint(click)
		}
	}
	id, _, err := c.portal.UpsertContact(0, properties, who.ConvertedAt)
	return id, err
}

// deal makes a deal with its history. Of its creation and its changes of stage
// those of the last days are sent, and always the latest: it is enough to make
// the ledger read the whole history.
func (c *crm) deal(i int, d sim.Deal, contact int64) (int64, []fakehubspot.Event, error) {
	id, events, err := c.portal.CreateDeal(fakehubspot.NewDeal{
		Name: dealName(i, d), Pipeline: Pipeline.ID, Stage: stageIDs[d.Moves[0].Stage], Amount: d.Amount, Currency: d.Currency,
		Contacts: []int64{contact}, Primary: true, At: d.Moves[0].At,
	})
	if err != nil {
		return 0, nil, err
	}
	events = events[:1]
	for _, m := range d.Moves[1:] {
		moved, err := c.portal.MoveStage(id, stageIDs[m.Stage], m.At)
		if err != nil {
			return 0, nil, err
		}
		events = append(events, moved...)
	}
	recent := slices.IndexFunc(events, func(e fakehubspot.Event) bool { return e.OccurredAt > c.begun.Add(-lively).UnixMilli() })
	if recent < 0 {
		recent = len(events) - 1
	}
	return id, events[recent:], nil
}

// send lets HubSpot deliver events in the order in which they happened.
func (c *crm) send(events []fakehubspot.Event) {
	slices.SortStableFunc(events, func(a, b fakehubspot.Event) int { return cmp.Compare(a.OccurredAt, b.OccurredAt) })
	c.portal.Enqueue(events...)
}

// mishaps merges the deal that was entered twice and deletes the one that was
// entered by mistake.
func (c *crm) mishaps(ctx context.Context) error {
	listed, err := c.list(ctx)
	if err != nil {
		return err
	}
	var events []fakehubspot.Event
	for i, d := range c.world.Deals {
		_, alive := listed.Deals[c.deals[i]]
		switch {
		case d.MergedInto >= 0 && alive:
			_, merged, err := c.portal.MergeDeals(c.deals[d.MergedInto], c.deals[i], false)
			if err != nil {
				return err
			}
			events = append(events, merged...)
		case d.Deleted && alive && !listed.Deals[c.deals[i]].Archived:
			deleted, err := c.portal.DeleteDeal(c.deals[i])
			if err != nil {
				return err
			}
			events = append(events, deleted...)
		}
	}
	if err := c.sys.HubSpot.Save(); err != nil {
		return err
	}
	c.send(events)
	return nil
}

// taken waits until the ledger says of every deal what the CRM says. Deals that
// are missing although nothing is on its way any more, because a process ended
// at a bad moment, are announced once more.
func (c *crm) taken(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, AwaitWithin)
	defer cancel()
	announced, before := false, -1
	for tries := 1; ; tries++ {
		pending := c.calm(ctx)
		// Asked after a time-out as well: what is missing is the better answer.
		missing, waiting, err := c.missing(context.WithoutCancel(ctx))
		switch {
		case err != nil:
			return err
		case len(missing) == 0 && (pending == nil || tries > 2): // what is left is not about deals
			return nil
		case ctx.Err() != nil:
			return c.late(missing, waiting, pending)
		case pending == nil && waiting == "" && !announced:
			announced = true
			c.announce(missing)
		case pending != nil && len(missing) == before:
			// Nothing moves: the relay sends what a process that was killed has left in its outbox.
			if _, err := c.sys.Run(ctx, "relay"); err != nil {
				return err
			}
		}
		before = len(missing)
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// calm waits a moment until nothing is on its way, and returns what still is.
func (c *crm) calm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return c.sys.Idle(ctx)
}

func (c *crm) late(missing []int64, waiting string, pending error) error {
	const named = 5
	ids := strings.Trim(fmt.Sprint(missing[:min(len(missing), named)]), "[]")
	if len(missing) > named {
		ids += ", ..."
	}
	text := fmt.Sprintf("%d of portal %d's deals (%s) did not reach the ledger within %s", len(missing), c.tenant.PortalID, ids, AwaitWithin)
	if waiting != "" {
		text += "; HubSpot " + waiting
	}
	if pending != nil {
		text += "; the queue: " + pending.Error()
	}
	return fmt.Errorf("%s; GET /api/dead-letters lists what failed for good", text)
}

// missing returns the deals of which the ledger says otherwise than the CRM, in
// order, and what HubSpot still has to deliver, "" for nothing.
func (c *crm) missing(ctx context.Context) ([]int64, string, error) {
	listed, err := c.list(ctx)
	if err != nil {
		return nil, "", err
	}
	ledger, err := c.owner.ledger(ctx, c.tenant)
	if err != nil {
		return nil, "", err
	}
	missing := map[int64]bool{}
	for id, d := range listed.Deals {
		e, recorded := ledger[id]
		if d.Archived {
			missing[id] = recorded && e.State != "gone"
		} else {
			missing[id] = e.State != "live" || e.StageID != d.Properties["dealstage"]
		}
		for _, merged := range d.Merged {
			missing[merged] = ledger[merged].State != "gone"
		}
	}
	maps.DeleteFunc(missing, func(_ int64, is bool) bool { return !is })
	waiting := ""
	for _, p := range listed.Pending {
		waiting = fmt.Sprintf("has %d batches to deliver, the last of %d events", len(listed.Pending), len(p.Events))
		if p.LastError != "" {
			waiting += " (" + p.LastError + ")"
		}
	}
	return slices.Sorted(maps.Keys(missing)), waiting, nil
}

func (c *crm) announce(deals []int64) {
	now := time.Now()
	var events []fakehubspot.Event
	for i, id := range deals {
		events = append(events, fakehubspot.Event{
			EventID: now.UnixMilli()*1000 + int64(i), PortalID: c.tenant.PortalID, OccurredAt: now.UnixMilli(),
			SubscriptionType: "deal.creation", ObjectID: id, ChangeSource: "CRM_UI", ChangeFlag: "CREATED",
		})
	}
	c.portal.Enqueue(events...)
}

func (c *crm) list(ctx context.Context) (listing, error) {
	var l listing
	err := caller{base: c.sys.HubSpotURL}.get(ctx, fmt.Sprintf("/control/portals/%d", c.tenant.PortalID), &l)
	return l, err
}
