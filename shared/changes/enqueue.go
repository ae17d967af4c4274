package changes

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/notice"
)

// Enqueue queues what intents want of tenant's ads, in a constant number of
// statements, and says for each, in their order, what became of it. A key that is
// known already stands for the change that it became. It works in pg.InTenant and
// in pg.Across. It holds the rows of the objects until the transaction ends, so a
// transaction that also writes gv.ads locks those rows before.
func (s Store) Enqueue(ctx context.Context, tenant string, intents []Intent) ([]Enqueued, error) {
	if err := check(intents); err != nil || len(intents) == 0 {
		return nil, err
	}
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	ads, err := s.ads(ctx, tenant, intents)
	if err != nil {
		return nil, err
	}
	names, accounts, campaigns := objectsOf(ads, intents)
	objects, err := s.lockObjects(ctx, tenant, names, accounts, campaigns)
	if err != nil {
		return nil, err
	}
	known, err := s.requests(ctx, tenant, intents)
	if err != nil {
		return nil, err
	}
	waits, err := s.openOf(ctx, tenant, objects)
	if err != nil {
		return nil, err
	}
	tired, err := s.tired(ctx, tenant, now, intents)
	if err != nil {
		return nil, err
	}
	p := &planner{tenant: tenant, now: now, objects: objects, open: waits, tired: tired, touched: map[string]bool{}}
	done, asked := p.all(newResolver(ads, objects, waits, intents), intents, known)
	if err := s.supersede(ctx, tenant, p.replaced); err != nil {
		return nil, err
	}
	if err := s.insert(ctx, tenant, p.fresh, asked); err != nil {
		return nil, err
	}
	if err := s.note(ctx, tenant, p.entries()); err != nil {
		return nil, err
	}
	if err := s.saveObjects(ctx, tenant, p.changed()); err != nil {
		return nil, err
	}
	if err := notice.Put(ctx, s.tx, tenant, p.notices()...); err != nil {
		return nil, err
	}
	return done, nil
}

// check refuses what a caller's code got wrong; what people get wrong is an
// outcome.
func check(intents []Intent) error {
	keys := make(map[string]bool, len(intents))
	for i, in := range intents {
		wants := 0
		for _, set := range []bool{in.Target != nil, in.Cut != 0, in.Status != ""} {
			if set {
				wants++
			}
		}
		switch {
		case in.Key == "" || keys[in.Key]:
			return fmt.Errorf("intent %d: its key is empty or another's: %q", i, in.Key)
		case wants != 1:
			return fmt.Errorf("intent %s: wants %d things, not one", in.Key, wants)
		case in.Target != nil && *in.Target < 0, in.Cut < 0 || in.Cut > 1:
			return fmt.Errorf("intent %s: its amount is out of range", in.Key)
		case in.Status != "" && in.Status != active && in.Status != paused:
			return fmt.Errorf("intent %s: no such status: %q", in.Key, in.Status)
		}
		keys[in.Key] = true
	}
	return nil
}

// request is one key and the change that it became.
type request struct {
	key, adID, changeID string
	source              Source
	at                  time.Time
}

// all decides every intent whose key is not known yet.
func (p *planner) all(r *resolver, intents []Intent, known map[string]Enqueued) ([]Enqueued, []request) {
	done := make([]Enqueued, len(intents))
	skip := map[int]bool{}
	for i, in := range intents {
		if e, ok := known[in.Key]; ok {
			done[i], skip[i] = e, true
		} else if e, ok := p.twice(in); ok {
			done[i], skip[i] = e, true
		}
	}
	r.resolve(skip)
	for i, in := range intents {
		if !skip[i] {
			done[i] = Enqueued{AdID: in.AdID, Status: Refused, Reason: r.why[i]}
		}
	}
	var asked []request
	stands := map[string]bool{} // keys that a change stands for
	for wi := range r.wishes {
		w := &r.wishes[wi]
		came := p.place(w, intents[w.intents[0]])
		for _, i := range w.intents {
			in := intents[i]
			if !stands[in.Key] && came.changeID != "" {
				stands[in.Key] = true
				asked = append(asked, request{in.Key, in.AdID, came.changeID, in.Source, p.now})
			}
			// An ad that is paused, or started, and whose set's money moves too has two
			// changes: its own is told, unless only the money's came to something.
			if done[i].Status == Refused && done[i].Reason == "" || done[i].ChangeID == "" && came.changeID != "" {
				done[i] = Enqueued{in.AdID, came.changeID, came.status, came.why}
			}
		}
	}
	return done, asked
}

func (p *planner) changed() []*Object {
	var all []*Object
	for _, name := range sortedNames(p.touched) {
		all = append(all, p.objects[name])
	}
	return all
}

// entries are the history of what was decided here: what was replaced, and what
// was held at once.
func (p *planner) entries() []Entry {
	var all []Entry
	for _, c := range p.replaced {
		all = append(all, c.entry(Superseded, c.HeldReason, p.now))
	}
	for _, c := range p.fresh {
		if c.Status == Held {
			all = append(all, c.entry(Held, c.HeldReason, p.now))
		}
	}
	return all
}

func (p *planner) notices() []notice.Notice {
	var all []notice.Notice
	for _, c := range p.fresh {
		switch c.Status {
		case Held:
			all = append(all, c.notice(notice.ChangeHeld, "held: "+c.HeldReason, p.now))
		case Awaiting:
			all = append(all, c.notice(notice.ChangeAwaiting, "waits for an admin's approval: "+c.Reason, p.now))
		case Pending:
			all = append(all, c.notice(notice.ChangeQueued, "queued: "+c.Reason, p.now))
		}
	}
	return all
}

// objectsOf lists the objects that the intents may come to: their ads, and the
// sets of these.
func objectsOf(ads []Ad, intents []Intent) (names, accounts, campaigns []string) {
	asked := make(map[string]bool, len(intents))
	for _, in := range intents {
		asked[in.AdID] = true
	}
	seen := map[string]bool{}
	add := func(name string, a *Ad) {
		if !seen[name] {
			seen[name] = true
			names, accounts, campaigns = append(names, name), append(accounts, a.AccountID), append(campaigns, a.CampaignID)
		}
	}
	for i := range ads {
		if a := &ads[i]; asked[a.AdID] {
			add(a.object(), a)
			if a.AdsetID != "" {
				add(a.adset(), a)
			}
		}
	}
	return names, accounts, campaigns
}

// ads reads the ads of the intents and all others of their ad sets.
func (s Store) ads(ctx context.Context, tenant string, intents []Intent) ([]Ad, error) {
	ids := make([]string, len(intents))
	for i, in := range intents {
		ids[i] = in.AdID
	}
	rows, _ := s.tx.Query(ctx, `
		WITH asked AS (
			SELECT ad_id, adset_id FROM gv.ads WHERE tenant_id = @tenant AND ad_id = ANY (@ids::text[])
		), wanted AS (
			SELECT ad_id FROM asked
			UNION
			SELECT b.ad_id FROM gv.ads b WHERE b.tenant_id = @tenant AND b.adset_id <> '' AND b.adset_id IN (SELECT adset_id FROM asked)
		)
		SELECT b.ad_id, b.account_id, b.campaign_id, b.adset_id, b.status, b.daily_budget_minor AS daily_budget, s.daily_budget_minor AS adset_budget,
		       c.daily_budget_minor IS NOT NULL AS campaign_budget, spent.per_day AS spend_per_day, a.currency, a.mode
		FROM   wanted
		JOIN   gv.ads b       ON b.tenant_id = @tenant AND b.ad_id = wanted.ad_id
		JOIN   gv.campaigns c ON c.tenant_id = @tenant AND c.campaign_id = b.campaign_id
		JOIN   gv.accounts a  ON a.tenant_id = @tenant AND a.account_id = b.account_id
		LEFT   JOIN gv.ad_sets s ON s.tenant_id = @tenant AND s.adset_id = b.adset_id
		LEFT   JOIN LATERAL (
			SELECT round(avg(m.spend_minor))::bigint AS per_day FROM gv.ad_metrics m
			WHERE  c.daily_budget_minor IS NOT NULL AND m.tenant_id = @tenant AND m.ad_id = b.ad_id AND m.day > current_date - 8 AND m.day < current_date
		) AS spent ON true`,
		pgx.StrictNamedArgs{"tenant": tenant, "ids": ids})
	ads, err := pgx.CollectRows(rows, pgx.RowToStructByName[Ad])
	if err != nil {
		return nil, fmt.Errorf("read the ads to change: %w", err)
	}
	return ads, nil
}
