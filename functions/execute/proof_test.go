package execute_test

import (
	"slices"
	"strconv"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/changes"
)

// report prints the counts.
func (c *crash) report(kills, faults, early int) {
	c.t.Helper()
	c.t.Logf("%v: %d kills, %d faults; %d of %d writes applied while killing", *killFor, kills, faults, early, len(c.fake.Applied("")))
	c.t.Logf("changes: %s", c.text(`SELECT string_agg(n || ' ' || status, ', ' ORDER BY status) FROM
		(SELECT status, count(*) AS n FROM gv.pending_ad_changes GROUP BY 1) AS s`))
	c.t.Logf("history: %s", c.text(`SELECT string_agg(n || ' ' || outcome, ', ' ORDER BY outcome) FROM
		(SELECT outcome, count(*) AS n FROM gv.ad_change_history GROUP BY 1) AS s`))
	c.t.Logf("resolved by reading: %d found applied, %d found not made, %d tries cut off by a kill",
		c.count(`SELECT count(*) FROM gv.ad_change_history WHERE outcome = 'applied' AND reason LIKE '%confirmed by reading%'`),
		c.count(`SELECT coalesce(sum(n) - count(*), 0)::bigint FROM (SELECT count(*) AS n FROM gv.ad_change_history WHERE outcome = 'unknown' GROUP BY change_id, after_minor) AS s`),
		c.count(`SELECT count(*) FROM gv.ad_change_history WHERE outcome = 'unknown' AND reason LIKE 'the run was cut off%'`))
}

// everyChangeIsAppliedOnceOrHeld compares what Meta was made to do with what was
// wanted: a change that is applied twice would be seen as a write that changes
// nothing, or as one too many.
func (c *crash) everyChangeIsAppliedOnceOrHeld() {
	c.t.Helper()
	if n := c.count(`SELECT count(*) FROM gv.pending_ad_changes`); n != crashAds {
		c.t.Errorf("%d changes, want %d", n, crashAds)
	}
	if odd := c.text(`SELECT coalesce(string_agg(concat_ws(' ', budget_object, status, held_reason), E'\n'), '') FROM gv.pending_ad_changes
		WHERE NOT (status = 'applied' OR status = 'held' AND held_reason <> '')`); odd != "" {
		c.t.Errorf("neither applied nor held:\n%s", odd)
	}
	for n := range crashAds {
		set := strconv.Itoa(50_000 + n)
		var went []string
		for _, w := range c.fake.Applied(set) {
			if w.Before == w.After {
				c.t.Errorf("ad set %s was set to %s twice", set, w.After)
			}
			went = append(went, w.After)
		}
		way := []string{"8000"}
		if n%10 == 0 {
			way = append(way, "6500")
		}
		steps := c.count(`SELECT steps FROM gv.pending_ad_changes WHERE budget_object = $1`, "adset/"+set)
		applied := c.text(`SELECT status FROM gv.pending_ad_changes WHERE budget_object = $1`, "adset/"+set) == "applied"
		if !slices.Equal(went, way[:min(steps, len(way))]) || applied != (steps == len(way)) {
			c.t.Errorf("ad set %s went to %v of %v, and its change says %d steps, applied: %t", set, went, way, steps, applied)
		}
	}
	if held := c.count(`SELECT count(*) FROM gv.pending_ad_changes WHERE status = 'held' AND held_reason LIKE '%333.00 USD%100.00 USD%'`); held != crashAds/100 {
		c.t.Errorf("%d held for somebody else's edit", held)
	}
}

// noLimitIsBrokenAtMeta goes through Meta's own log, by Meta's clock.
func (c *crash) noLimitIsBrokenAtMeta() {
	c.t.Helper()
	byCampaign := map[string][]time.Time{}
	bySet := map[string][]fakemeta.Write{}
	for _, w := range c.fake.Writes("") {
		if w.Code == 613 { // the faults do not reach the log: Meta itself had to say no
			c.t.Errorf("Meta had to refuse a change of %s", w.Object)
		}
		if w.Applied {
			campaign := c.fake.AdSet(w.Object).CampaignID
			byCampaign[campaign] = append(byCampaign[campaign], w.At)
			bySet[w.Object] = append(bySet[w.Object], w)
		}
	}
	for campaign, at := range byCampaign {
		for i := changes.CampaignActions; i < len(at); i++ {
			if apart := at[i].Sub(at[i-changes.CampaignActions]); apart < changes.ActionWindow {
				c.t.Errorf("campaign %s: %d actions within %s", campaign, changes.CampaignActions+1, apart)
			}
		}
	}
	for set, writes := range bySet {
		for i, first := range writes {
			smallest, moved := amount(c, first.Before), int64(0)
			for _, w := range writes[i:] {
				if w.At.Sub(first.At) < changes.VelocityWindow {
					smallest = min(smallest, amount(c, w.Before))
					moved += max(amount(c, w.After)-amount(c, w.Before), amount(c, w.Before)-amount(c, w.After))
				}
				if moved*changes.Velocity > smallest {
					c.t.Errorf("ad set %s: moved by %d from at least %d within 6 hours", set, moved, smallest)
				}
			}
		}
	}
}

func amount(c *crash, text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// theHistoryIsComplete finds each write of Meta's log in ours, once, and the end
// of each change.
func (c *crash) theHistoryIsComplete() {
	c.t.Helper()
	if ours, theirs := c.count(`SELECT count(*) FROM gv.ad_change_history WHERE outcome = 'applied' AND action <> 'none'`), len(c.fake.Applied("")); ours != theirs {
		c.t.Errorf("the history has %d writes, Meta %d", ours, theirs)
	}
	if odd := c.text(`SELECT coalesce(string_agg(concat_ws(' ', p.budget_object, p.status, p.steps, h.applied), E'\n'), '')
		FROM   gv.pending_ad_changes p
		LEFT   JOIN LATERAL (SELECT count(*) FILTER (WHERE outcome = 'applied' AND action <> 'none') AS applied,
		                            count(*) FILTER (WHERE outcome = 'held') AS held, bool_and(reason <> '' AND initiator = 'sweep') AS complete
		                     FROM gv.ad_change_history h WHERE h.change_id = p.change_id) AS h ON true
		WHERE  h.applied <> p.steps OR (p.status = 'held') <> (h.held = 1) OR h.complete IS NOT TRUE`); odd != "" {
		c.t.Errorf("history that does not fit its change:\n%s", odd)
	}
}
