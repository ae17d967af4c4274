package changes

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/geminivideo/geminivideo/shared/money"
)

// open is what an object has that is not finished.
type open struct {
	waiting, underWay *Change
}

// last is where the object is led in the end; nil where it stays.
func (o open) last() *Change {
	if o.waiting != nil {
		return o.waiting
	}
	return o.underWay
}

// earlier is a fatigue cut that an ad had.
type earlier struct {
	changeID string
	status   Status
	at       time.Time
}

// planner says what becomes of wishes. It reads and writes the objects it is
// given, whose rows the caller holds.
type planner struct {
	tenant  string
	now     time.Time
	objects map[string]*Object
	open    map[string]open    // by object
	tired   map[string]earlier // by ad: its last fatigue cut within RaiseBan

	fresh    []*Change
	replaced []*Change // by fresh ones, or by a wish for what is so already
	touched  map[string]bool
}

// outcome is what a wish came to.
type outcome struct {
	changeID string
	status   Status
	why      string
}

// place decides one wish of in.
func (p *planner) place(w *wish, in Intent) outcome {
	o := p.objects[w.object]
	decided := p.now
	if in.Decision != nil {
		decided = decisionTime(*in.Decision)
	}
	if why := p.refuse(w, in, o, decided); why != "" {
		return outcome{"", Refused, why}
	}
	if w.learned {
		o.KnownMinor, o.KnownAt = w.current, &p.now
		p.touched[w.object] = true
	}
	open := p.open[w.object]
	if banned := p.banned(w, in, o); banned != "" {
		c := p.draft(w, in, o, decided)
		c.Status, c.HeldReason, c.FinishedAt = Held, banned, &p.now
		p.fresh = append(p.fresh, c)
		return outcome{c.ChangeID, Held, banned}
	}
	if c := open.last(); c != nil && onItsWay(w, in, c) {
		p.ban(in, w, c.ChangeID)
		return outcome{c.ChangeID, c.Status, "it is on its way already"}
	}
	c := p.draft(w, in, o, decided)
	p.decide(o, c, decided)
	if p.isSo(w, o) && open.underWay == nil {
		p.replace(w.object, "")
		o.DecidedBy = nil
		return outcome{"", Unchanged, soAlready(w)}
	}
	if cut := open.waiting; cut != nil && cut.Steps == 0 && o.isCut(cut.ChangeID) {
		o.NoRaiseBy = &c.ChangeID // it stands for the cut now: to undo it is to undo that
	}
	p.replace(w.object, c.ChangeID)
	p.fresh = append(p.fresh, c)
	p.open[w.object] = withWaiting(p.open[w.object], c)
	p.ban(in, w, c.ChangeID)
	return outcome{c.ChangeID, c.Status, ""}
}

func withWaiting(o open, c *Change) open { o.waiting = c; return o }

// twice says whether the ad of a fatigue cut had one lately.
func (p *planner) twice(in Intent) (Enqueued, bool) {
	e, ok := p.tired[in.AdID]
	if !ok || in.Source != Fatigue || !within(e.at, p.now, RaiseBan) {
		return Enqueued{}, false
	}
	why := fmt.Sprintf("the ad had a fatigue cut at %s (%s), and has at most one in 48 h", clock(e.at), e.status)
	return Enqueued{in.AdID, e.changeID, Refused, why}, true
}

// refuse says why a wish cannot be queued.
func (p *planner) refuse(w *wish, in Intent, o *Object, decided time.Time) string {
	switch {
	case in.Decision == nil:
	case !within(decided, p.now, Stale):
		return fmt.Sprintf("the decision was made at %s, on figures that are too old by now: ask for a new one", clock(decided))
	case o.DecidedAt != nil && o.DecidedAt.After(decided):
		return fmt.Sprintf("something newer was decided for %s at %s, after this decision (%s)", w.object, clock(*o.DecidedAt), clock(decided))
	case o.ForeignAt != nil && o.ForeignAt.After(decided):
		return foreign(o, w.ad.Currency, w.object) + ", after this decision"
	}
	return ""
}

// banned says whether a fatigue cut forbids the wish.
func (p *planner) banned(w *wish, in Intent, o *Object) string {
	ban := o
	if w.kind == KindStatus {
		ban = p.objects[w.ad.adset()]
	}
	most, forbidden := ban.ceiling(w.current, p.now, w.ad.Mode)
	if in.Source == Undo || !forbidden {
		return ""
	}
	raise := w.kind == KindStatus && w.status == active && o.KnownStatus != active ||
		w.kind != KindStatus && (most == nil || *w.target > *most)
	if !raise {
		return ""
	}
	return tooTired(w.object, ban)
}

func tooTired(object string, ban *Object) string {
	lifted := "undo the cut to lift this"
	if ban.NoRaiseTried {
		lifted = "as it would be live; the cut itself was a dry run"
	}
	return fmt.Sprintf("%s was cut because an ad of it is tired: no raise before %s (%s)", object, clock(*ban.NoRaiseUntil), lifted)
}

// onItsWay reports whether c leads where the wish wants, or, for a fatigue cut,
// lower.
func onItsWay(w *wish, in Intent, c *Change) bool {
	switch {
	case c.Kind != w.kind:
		return false
	case w.kind == KindStatus:
		return c.TargetStatus == w.status
	case in.Source == Fatigue:
		return w.current != nil && *c.TargetMinor <= *w.target
	}
	return *c.TargetMinor == *w.target
}

func (p *planner) isSo(w *wish, o *Object) bool {
	if w.kind == KindStatus {
		return o.KnownStatus == w.status
	}
	return w.current != nil && *w.current == *w.target && o.KnownMinor != nil
}

func soAlready(w *wish) string {
	if w.kind == KindStatus {
		return "the ad is " + w.status + " already"
	}
	return fmt.Sprintf("%s has %s already", w.object, money.Amount(*w.target).Format(w.ad.Currency))
}

// replace marks what waits for object as superseded.
func (p *planner) replace(object, by string) {
	o := p.open[object]
	if o.waiting == nil {
		return
	}
	old := o.waiting
	old.Status, old.FinishedAt = Superseded, &p.now
	old.HeldReason = "a newer decision took its place"
	if by != "" {
		old.SupersededBy = &by
	}
	// One that was made in this very call was never seen by anybody else.
	for i, c := range p.fresh {
		if c == old {
			p.fresh = append(p.fresh[:i], p.fresh[i+1:]...)
			p.open[object] = withWaiting(o, nil)
			return
		}
	}
	p.replaced = append(p.replaced, old)
	p.open[object] = withWaiting(o, nil)
}

func (p *planner) ban(in Intent, w *wish, changeID string) {
	if in.Source != Fatigue || w.kind == KindStatus {
		return
	}
	o := p.objects[w.object]
	until := p.now.Add(RaiseBan)
	o.NoRaiseUntil, o.NoRaiseBy, o.NoRaiseAbove, o.NoRaiseTried = &until, &changeID, w.target, false
	p.touched[w.object] = true
}

func (p *planner) decide(o *Object, c *Change, at time.Time) {
	o.DecidedAt, o.DecidedBy = &at, &c.ChangeID
	p.touched[o.BudgetObject] = true
}

func (p *planner) draft(w *wish, in Intent, o *Object, decided time.Time) *Change {
	c := &Change{
		ChangeID: uuid.NewString(), TenantID: p.tenant, AccountID: w.ad.AccountID, CampaignID: w.ad.CampaignID, AdID: w.ad.AdID,
		BudgetObject: w.object, Kind: w.kind, Currency: w.ad.Currency, Splits: w.splits, Reason: in.Reason, Source: in.Source,
		DecisionID: in.Decision, RequestedBy: in.By, Mode: w.ad.Mode, Status: Pending,
		DecidedAt: decided, CreatedAt: p.now, ProgressAt: p.now,
	}
	if c.Splits == nil {
		c.Splits = map[string]int64{}
	}
	if len(w.splits) > 1 {
		c.Reason = fmt.Sprintf("%s is shared by %d ads: %s. %s", w.object, len(w.splits), written(w), in.Reason)
	}
	if w.kind == KindStatus {
		c.TargetStatus, c.BeforeStatus = w.status, cmp.Or(o.KnownStatus, w.ad.Status)
	} else {
		c.TargetMinor, c.BeforeMinor = w.target, w.current
	}
	if c.Mode == ModeApproval && in.Source != Undo {
		c.Status = Awaiting
	}
	c.DueAt = p.now.Add(Jitter(c.ChangeID, 0))
	return c
}

// written lists the parts of a split, the first few of them.
func written(w *wish) string {
	const most = 5
	var parts []string
	for _, id := range sortedKeys(w.splits) {
		if len(parts) == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(w.splits)-most))
			break
		}
		parts = append(parts, id+" "+money.Amount(w.splits[id]).Format(w.ad.Currency))
	}
	return strings.Join(parts, ", ")
}

// foreign says what was found of somebody else's edit.
func foreign(o *Object, c money.Currency, object string) string {
	if o.ForeignWasMinor != nil && o.ForeignMinor != nil {
		return fmt.Sprintf("somebody else set %s from %s to %s (found at %s)", object,
			money.Amount(*o.ForeignWasMinor).Format(c), money.Amount(*o.ForeignMinor).Format(c), clock(*o.ForeignAt))
	}
	return fmt.Sprintf("somebody else set %s to %s (found at %s)", object, o.KnownStatus, clock(*o.ForeignAt))
}

// clock writes a time for people; minutes are enough for them.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }

// decisionTime is when a decision was made, which its id tells.
func decisionTime(id uuid.UUID) time.Time {
	if id.Version() != 7 {
		return time.Time{}
	}
	return time.Unix(id.Time().UnixTime()).UTC()
}
