package changes

import (
	"fmt"

	"github.com/google/uuid"
)

// Undoing is the input of PlanUndo.
type Undoing struct {
	Known
	// Was is the change to undo, which took at least one step; its object is in
	// Known.
	Was *Change
	// Before is what the object had before its first step, and Left what its last
	// step left; nil where there was no amount.
	Before, Left *int64
	// Mode is how the account's changes are carried out.
	Mode Mode
	// Force undoes it although somebody else edited the object since.
	Force  bool
	By     string
	Reason string
}

// PlanUndo queues the way back to what an object had before a change, at once,
// whatever it has moved lately. The rest of the change is given up. Where somebody
// else edited the object since, the undo is held until an admin forces it.
func PlanUndo(u Undoing) Planned {
	o := u.Objects[u.Was.BudgetObject]
	p := &planner{Known: u.Known, open: openByObject(u.Open), touched: map[string]bool{}}
	back := u.wayBack()
	if why := u.heldReason(back, o); why != "" {
		back.Status, back.HeldReason, back.FinishedAt = StatusHeld, why, &p.Now
		p.out.Fresh = append(p.out.Fresh, back)
	} else {
		p.add(back)
		p.note(o, back, p.Now)
	}
	p.out.Requests = []Request{{"undo/" + u.Was.ChangeID + "/" + back.ChangeID, back.AdID, back.ChangeID, Undo, p.Now}}
	return p.finished()
}

// heldReason says which edit that is known already holds the undo.
func (u Undoing) heldReason(back *Change, o *Object) string {
	switch {
	case u.Force || o.ForeignAt == nil || !o.ForeignAt.After(u.Was.ProgressAt):
		return ""
	case back.Kind == KindStatus && o.KnownStatus != back.BeforeStatus && o.KnownStatus != back.TargetStatus:
		return UndoHeldReason(back.Object(), o.KnownStatus, back.BeforeStatus, back.TargetStatus)
	case back.Kind != KindStatus && back.BeforeMinor != nil && !same(o.KnownMinor, back.BeforeMinor) &&
		!same(o.KnownMinor, back.TargetMinor):
		return UndoHeldReason(back.Object(), back.Amount(o.KnownMinor), back.From(), back.To())
	}
	return ""
}

// wayBack is the change that leads back.
func (u Undoing) wayBack() *Change {
	was, now := u.Was, u.Now
	back := &Change{
		ChangeID: uuid.NewString(), TenantID: was.TenantID, AccountID: was.AccountID, CampaignID: was.CampaignID, AdID: was.AdID,
		BudgetObject: was.BudgetObject, ObjectName: was.ObjectName, AdName: was.AdName, CampaignName: was.CampaignName,
		AccountName: was.AccountName,
		Kind:        was.Kind, Currency: was.Currency, Splits: map[string]int64{}, Source: Undo,
		Reason: u.Reason, RequestedBy: u.By, Mode: u.Mode, Status: StatusPending, UndoOf: &was.ChangeID, Forced: u.Force,
		DecidedAt: now, CreatedAt: now, ProgressAt: now,
	}
	if back.Reason == "" {
		back.Reason = fmt.Sprintf("undo of the change to %s: %s", was.To(), was.Reason)
	}
	back.DueAt = now.Add(Jitter(back.ChangeID, 0))
	if was.Kind == KindStatus {
		back.BeforeStatus, back.TargetStatus = was.TargetStatus, was.BeforeStatus
		return back
	}
	target := NoLimits // under a campaign's budget: there were no limits before
	if u.Before != nil {
		target = *u.Before
	}
	back.BeforeMinor, back.TargetMinor = u.Left, &target
	back.Splits = Scaled(was.Splits, *was.TargetMinor, target)
	return back
}

// Undoable says why a change cannot be undone; "" where it can. newer is a later
// change of the object that was written and not undone.
func Undoable(was *Change, newer string) string {
	switch {
	case was.Status == StatusApplying || was.Status == StatusUnknown:
		return "this change is being written right now: undo it in a minute"
	case was.Steps == 0:
		return fmt.Sprintf("this change is %s: nothing was written that could be undone", was.Status)
	case newer != "":
		return fmt.Sprintf("%s was changed again later, by change %s: undo that one first", was.Object(), newer)
	}
	return ""
}

// Rejectable says why a change cannot be rejected; "" where it can.
func Rejectable(c *Change) string {
	switch c.Status {
	case StatusPending, StatusAwaiting:
		return ""
	case StatusApplying, StatusUnknown:
		return "this change is being written right now and cannot be rejected: undo it once it is applied"
	}
	return fmt.Sprintf("this change is %s already%s", c.Status, because(c.HeldReason))
}

// Approvable says why a plan cannot be approved; "" where it can.
func Approvable(c *Change, sameDigest bool) string {
	switch {
	case c.Status != StatusAwaiting:
		return fmt.Sprintf("this change is %s and waits for no approval%s", c.Status, because(c.HeldReason))
	case !sameDigest:
		return fmt.Sprintf("the plan has changed (now from %s to %s): look at the change again and approve its present digest",
			c.From(), c.To())
	}
	return ""
}
