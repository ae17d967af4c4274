package changes

import (
	"fmt"
	"slices"
	"time"
)

// Known is everything that Plan takes into account. The caller holds the rows of
// the objects; Plan updates them.
type Known struct {
	Tenant string
	Now    time.Time
	// Ads are the ads of the intents, and all others of their ad sets.
	Ads []Ad
	// Objects are the objects that the intents may change, by name.
	Objects map[string]*Object
	// Open are the open changes of these objects.
	Open []*Change
	// Answered are the intents that were queued before, by key.
	Answered map[string]Enqueued
	// Cuts are the fatigue cuts within RaiseBan, by ad.
	Cuts map[string]Cut
}

// Cut is a fatigue cut that an ad had.
type Cut struct {
	ChangeID string
	Status   Status
	At       time.Time
}

// Request is a key and the change that it became.
type Request struct {
	Key, AdID, ChangeID string
	Source              Source
	At                  time.Time
}

// Planned is what becomes of intents.
type Planned struct {
	// Answers are in the order of the intents.
	Answers []Enqueued
	// Fresh are new changes; Replaced are open ones that end.
	Fresh, Replaced []*Change
	Requests        []Request
	// Objects are those that Plan updated.
	Objects []*Object
	Entries []Entry
	Notices []Notice
}

// open is an object's changes that are not finished.
type open struct{ waiting, underWay *Change }

// last is the change that decides what the object has in the end; nil where none does.
func (o open) last() *Change {
	if o.waiting != nil {
		return o.waiting
	}
	return o.underWay
}

func openByObject(all []*Change) map[string]open {
	by := map[string]open{}
	for _, c := range all {
		o := by[c.BudgetObject]
		if slices.Contains(sent, c.Status) {
			o.underWay = c
		} else {
			o.waiting = c
		}
		by[c.BudgetObject] = o
	}
	return by
}

// Plan says what becomes of intents. A key that was answered before keeps its
// answer.
func Plan(k Known, intents []Intent) Planned {
	p := &planner{Known: k, open: openByObject(k.Open), touched: map[string]bool{}}
	answers := make([]Enqueued, len(intents))
	skip := map[int]bool{}
	for i, in := range intents {
		if e, ok := k.Answered[in.Key]; ok {
			answers[i], skip[i] = e, true
		} else if e, ok := p.cutTwice(in); ok {
			answers[i], skip[i] = e, true
		}
	}
	d := newDemands(k, p.open, intents)
	d.collect(skip)
	for i, in := range intents {
		if !skip[i] {
			answers[i] = Enqueued{AdID: in.AdID, Status: StatusRefused, Reason: d.why[i]}
		}
	}
	requested := map[string]bool{} // keys that became a change
	for di := range d.all {
		w := &d.all[di]
		came := p.decide(w, intents[w.intents[0]])
		for _, i := range w.intents {
			in := intents[i]
			if !requested[in.Key] && came.ChangeID != "" {
				requested[in.Key] = true
				p.out.Requests = append(p.out.Requests, Request{in.Key, in.AdID, came.ChangeID, in.Source, k.Now})
			}
			// An ad that is paused or started while its set's budget moves has two
			// changes: the answer names its own, unless only the other was queued.
			if answers[i].Status == StatusRefused && answers[i].Reason == "" || answers[i].ChangeID == "" && came.ChangeID != "" {
				came.AdID = in.AdID
				answers[i] = came
			}
		}
	}
	p.out.Answers = answers
	return p.finished()
}

// planner decides demands one after the other.
type planner struct {
	Known
	open    map[string]open // by object
	touched map[string]bool // objects that were updated
	out     Planned
}

// finished lists what follows from the plan.
func (p *planner) finished() Planned {
	for _, name := range sortedKeys(p.touched) {
		p.out.Objects = append(p.out.Objects, p.Objects[name])
	}
	for _, c := range p.out.Replaced {
		p.out.Entries = append(p.out.Entries, c.entry(StatusSuperseded, c.HeldReason, p.Now))
	}
	for _, c := range p.out.Fresh {
		switch c.Status {
		case StatusHeld:
			p.out.Entries = append(p.out.Entries, c.entry(StatusHeld, c.HeldReason, p.Now))
			p.out.Notices = append(p.out.Notices, c.notice(NoticeHeld, "held: "+c.HeldReason, p.Now))
		case StatusAwaiting:
			p.out.Notices = append(p.out.Notices, c.notice(NoticeAwaiting, "waits for an admin's approval: "+c.Reason, p.Now))
		case StatusPending:
			p.out.Notices = append(p.out.Notices, c.notice(NoticeQueued, "queued: "+c.Reason, p.Now))
		}
	}
	return p.out
}

// cutTwice refuses a fatigue cut of an ad that had one lately.
func (p *planner) cutTwice(in Intent) (Enqueued, bool) {
	c, ok := p.Cuts[in.AdID]
	if !ok || in.Source != Fatigue || !within(c.At, p.Now, RaiseBan) {
		return Enqueued{}, false
	}
	why := fmt.Sprintf("the ad had a fatigue cut at %s (%s), and has at most one in 48 h", clock(c.At), c.Status)
	return Enqueued{in.AdID, c.ChangeID, StatusRefused, why}, true
}

// decide says what becomes of one demand of in.
func (p *planner) decide(w *demand, in Intent) Enqueued {
	o := p.Objects[w.object]
	decided := p.Now
	if in.Decision != nil {
		decided = decisionTime(*in.Decision)
	}
	if why := p.outdated(w, in, o, decided); why != "" {
		return Enqueued{Status: StatusRefused, Reason: why}
	}
	if w.learned {
		o.KnownMinor, o.KnownAt = w.current, &p.Now
		p.touched[w.object] = true
	}
	open := p.open[w.object]
	if why := p.banned(w, in, o); why != "" {
		c := p.draft(w, in, o, decided)
		c.Status, c.HeldReason, c.FinishedAt = StatusHeld, why, &p.Now
		p.out.Fresh = append(p.out.Fresh, c)
		return Enqueued{ChangeID: c.ChangeID, Status: StatusHeld, Reason: why}
	}
	if c := open.last(); c != nil && leadsThere(w, in, c) {
		p.ban(in, w, c.ChangeID)
		return Enqueued{ChangeID: c.ChangeID, Status: c.Status, Reason: "a change to the same is queued already"}
	}
	c := p.draft(w, in, o, decided)
	p.note(o, c, decided)
	if isSet(w, o) && open.underWay == nil {
		p.replace(w.object, "")
		o.DecidedBy = nil
		return Enqueued{Status: StatusUnchanged, Reason: setAlready(w)}
	}
	if cut := open.waiting; cut != nil && cut.Steps == 0 && o.banIsOf(cut.ChangeID) {
		o.NoRaiseBy = &c.ChangeID // it replaces the cut: to undo it is to undo the cut
	}
	p.add(c)
	p.ban(in, w, c.ChangeID)
	return Enqueued{ChangeID: c.ChangeID, Status: c.Status}
}

// outdated says why a decision is too old to be queued.
func (p *planner) outdated(w *demand, in Intent, o *Object, decided time.Time) string {
	switch {
	case in.Decision == nil:
	case !within(decided, p.Now, Stale):
		return fmt.Sprintf("the decision was made at %s, and its figures are too old now: ask for a new one", clock(decided))
	case o.DecidedAt != nil && o.DecidedAt.After(decided):
		return fmt.Sprintf("a newer decision was made for %s at %s, after this one (%s)", w.called(), clock(*o.DecidedAt), clock(decided))
	case o.ForeignAt != nil && o.ForeignAt.After(decided):
		return foreignEdit(w.called(), o, w.ad.Currency) + ", after this decision: ask for a new one"
	}
	return ""
}

// banned says whether a fatigue cut forbids the demand.
func (p *planner) banned(w *demand, in Intent, o *Object) string {
	ban := o
	if w.kind == KindStatus {
		ban = p.Objects[w.ad.adset()]
	}
	most, forbidden := ban.ceiling(w.current, p.Now, w.ad.Mode)
	if in.Source == Undo || !forbidden {
		return ""
	}
	raise := w.kind == KindStatus && w.status == active && o.KnownStatus != active ||
		w.kind != KindStatus && (most == nil || *w.target > *most)
	if !raise {
		return ""
	}
	return fatigueBan(w.called(), ban)
}

// leadsThere reports whether c leads to what is demanded or, for a fatigue cut, lower.
func leadsThere(w *demand, in Intent, c *Change) bool {
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

func isSet(w *demand, o *Object) bool {
	if w.kind == KindStatus {
		return o.KnownStatus == w.status
	}
	return w.current != nil && *w.current == *w.target && o.KnownMinor != nil
}

func setAlready(w *demand) string {
	if w.kind == KindStatus {
		return "the ad is " + w.status + " already"
	}
	return w.called() + " has " + amount(w.target, w.ad.Currency) + " already"
}
