package changes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/geminivideo/geminivideo/shared/money"
)

// add queues a change in place of the one that waits.
func (p *planner) add(c *Change) {
	p.replace(c.BudgetObject, c.ChangeID)
	p.out.Fresh = append(p.out.Fresh, c)
	o := p.open[c.BudgetObject]
	o.waiting = c
	p.open[c.BudgetObject] = o
}

// replace ends the change of the object that waits.
func (p *planner) replace(object, by string) {
	o := p.open[object]
	if o.waiting == nil {
		return
	}
	old := o.waiting
	o.waiting = nil
	p.open[object] = o
	if i := slices.Index(p.out.Fresh, old); i >= 0 { // made in this call: nobody has seen it
		p.out.Fresh = slices.Delete(p.out.Fresh, i, i+1)
		return
	}
	old.Status, old.FinishedAt, old.HeldReason = StatusSuperseded, &p.Now, "a newer decision replaced it"
	if by != "" {
		old.SupersededBy = &by
	}
	p.out.Replaced = append(p.out.Replaced, old)
}

// ban forbids raises of what a fatigue cut is about.
func (p *planner) ban(in Intent, w *demand, changeID string) {
	if in.Source != Fatigue || w.kind == KindStatus {
		return
	}
	o := p.Objects[w.object]
	until := p.Now.Add(RaiseBan)
	o.NoRaiseUntil, o.NoRaiseBy, o.NoRaiseAbove, o.NoRaiseTried = &until, &changeID, w.target, false
	p.touched[w.object] = true
}

// note writes into the object that a decision was made for it.
func (p *planner) note(o *Object, c *Change, at time.Time) {
	o.DecidedAt, o.DecidedBy = &at, &c.ChangeID
	p.touched[o.BudgetObject] = true
}

// draft is the change that a demand becomes.
func (p *planner) draft(w *demand, in Intent, o *Object, decided time.Time) *Change {
	c := &Change{
		ChangeID: uuid.NewString(), TenantID: p.Tenant, AccountID: w.ad.AccountID, CampaignID: w.ad.CampaignID, AdID: w.ad.AdID,
		BudgetObject: w.object, ObjectName: w.objectName(), AdName: w.ad.Name, Kind: w.kind, Currency: w.ad.Currency, Splits: w.splits,
		Reason: in.Reason, Source: in.Source,
		DecisionID: in.Decision, RequestedBy: in.By, Mode: w.ad.Mode, Status: StatusPending,
		DecidedAt: decided, CreatedAt: p.Now, ProgressAt: p.Now,
	}
	if c.Splits == nil {
		c.Splits = map[string]int64{}
	}
	if len(w.splits) > 1 {
		c.Reason = fmt.Sprintf("%s is shared by %d ads: %s. %s", w.called(), len(w.splits), p.listed(w.splits, w.ad.Currency), in.Reason)
	}
	if w.kind == KindStatus {
		c.TargetStatus, c.BeforeStatus = w.status, cmp.Or(o.KnownStatus, w.ad.Status)
	} else {
		c.TargetMinor, c.BeforeMinor = w.target, w.current
	}
	if c.Mode == ModeApproval && in.Source != Undo {
		c.Status = StatusAwaiting
	}
	c.DueAt = p.Now.Add(Jitter(c.ChangeID, 0))
	return c
}

// listed writes the first few parts of a split for people.
func (p *planner) listed(splits map[string]int64, c money.Currency) string {
	const most = 5
	names := make(map[string]string, len(p.Ads))
	for _, ad := range p.Ads {
		names[ad.AdID] = ad.Name
	}
	var parts []string
	for _, id := range sortedKeys(splits) {
		if len(parts) == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(splits)-most))
			break
		}
		parts = append(parts, quoted(names[id], id)+" "+money.Amount(splits[id]).Format(c))
	}
	return strings.Join(parts, ", ")
}

// decisionTime is when a decision was made, which is part of its id.
func decisionTime(id uuid.UUID) time.Time {
	if id.Version() != 7 {
		return time.Time{}
	}
	return time.Unix(id.Time().UnixTime()).UTC()
}
