package changes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/geminivideo/geminivideo/shared/money"
)

// demand is what intents want of one object. Several ads of one ad set share a
// demand for money.
type demand struct {
	object  string
	kind    Kind
	ad      *Ad // the first that asked
	current *int64
	target  *int64
	status  string
	splits  map[string]int64
	intents []int
	// learned says that current is newer than what the object's row knows.
	learned bool
}

// called is what people call the object.
func (w *demand) called() string { return called(w.object, w.objectName(), w.ad.Name) }

func (w *demand) objectName() string {
	if w.kind == KindStatus {
		return w.ad.Name
	}
	return w.ad.AdsetName
}

// demands turns intents into demands on objects.
type demands struct {
	ads     map[string]*Ad
	sets    map[string][]*Ad // by adset/ID, without archived and deleted ads, in the order of ids
	objects map[string]*Object
	open    map[string]open

	intents []Intent
	why     []string // by intent: why it is refused
	all     []demand
}

func newDemands(k Known, open map[string]open, intents []Intent) *demands {
	d := &demands{
		ads: map[string]*Ad{}, sets: map[string][]*Ad{}, objects: k.Objects, open: open, intents: intents,
		why: make([]string, len(intents)),
	}
	for i := range k.Ads {
		a := &k.Ads[i]
		d.ads[a.AdID] = a
		if a.AdsetID != "" && !a.gone() {
			d.sets[a.adset()] = append(d.sets[a.adset()], a)
		}
	}
	for _, set := range d.sets {
		slices.SortFunc(set, func(a, b *Ad) int { return cmp.Compare(a.AdID, b.AdID) })
	}
	return d
}

// collect fills all and why. skip are intents that are answered already.
func (d *demands) collect(skip map[int]bool) {
	groups := map[string][]int{}
	seen := map[string]bool{}
	for i, in := range d.intents {
		if skip[i] {
			continue
		}
		ad := d.ads[in.AdID]
		if d.why[i] = d.refuse(ad, in, seen); d.why[i] != "" {
			continue
		}
		seen[in.AdID] = true
		switch {
		case in.Status != "":
			d.setStatus(i, ad, in.Status)
		case in.Target != nil && *in.Target == 0:
			d.setStatus(i, ad, paused)
			if len(d.sets[ad.adset()]) > 1 {
				groups[ad.adset()] = append(groups[ad.adset()], i)
			}
		default:
			groups[ad.adset()] = append(groups[ad.adset()], i)
		}
	}
	for _, object := range slices.Sorted(maps.Keys(groups)) {
		d.setMoney(object, groups[object])
	}
}

// refuse says why an intent cannot be queued.
func (d *demands) refuse(ad *Ad, in Intent, seen map[string]bool) string {
	money := in.Status == ""
	switch {
	case ad == nil:
		return "there is no such ad among yours"
	case seen[in.AdID]:
		return "the ad was named twice; the first counts"
	case ad.gone():
		return "the ad is " + ad.Status + " on Meta and can no longer be changed"
	case money && ad.AdsetID == "" && (in.Target == nil || *in.Target > 0):
		return "the ad set of the ad is not known, and the ad set holds the budget: connect the Meta account, or import a report with ad set ids"
	case money && ad.LifetimeBudget && (in.Target == nil || *in.Target > 0):
		return LifetimeReason(called(ad.adset(), ad.AdsetName, ad.Name))
	case money && ad.Status == paused && in.Cut > 0:
		return "the ad is paused and spends nothing"
	case money && ad.Status == paused && in.Target != nil && *in.Target > 0 && !d.pausedByUs(ad):
		return "the ad is paused, and not by us: set its status to ACTIVE first"
	}
	return ""
}

func (d *demands) pausedByUs(ad *Ad) bool {
	o := d.objects[ad.object()]
	return o != nil && o.PausedBy != nil
}

func (d *demands) setStatus(i int, ad *Ad, status string) {
	d.all = append(d.all, demand{object: ad.object(), kind: KindStatus, ad: ad, status: status, intents: []int{i}})
}

// setMoney makes one demand of what intents want of an ad set's budget: the sum of
// its ads' parts. An ad that we paused starts again when it gets money.
func (d *demands) setMoney(object string, intents []int) {
	set := d.sets[object]
	w := demand{object: object, kind: KindBudget, ad: d.ads[d.intents[intents[0]].AdID], splits: map[string]int64{}}
	if w.ad.CampaignBudget {
		w.kind = KindLimits
	}
	w.current, w.learned = d.current(object, set)
	parts := split(w.current, set)
	asked := map[string]int{}
	for _, i := range intents {
		asked[d.intents[i].AdID] = i
	}
	var sum int64
	for _, ad := range set {
		part, known := parts[ad.AdID]
		i, ok := asked[ad.AdID]
		switch {
		case ok && d.intents[i].Target != nil:
			part, known = *d.intents[i].Target, true
		case !ok: // a part that is queued already stays
			if planned, is := d.planned(object, w.kind, ad.AdID); is {
				part, known = planned, true
			}
		case known:
			left := CutFrom(part, d.intents[i].Cut)
			if left == part {
				d.refuseAll(intents, fmt.Sprintf("a cut of %.0f%% of %s is less than its smallest unit",
					100*d.intents[i].Cut, money.Amount(part).Format(ad.Currency)))
				return
			}
			part = left
		}
		if !known {
			d.refuseAll(intents, unknownPart(object, ad, ok && len(set) == 1))
			return
		}
		w.splits[ad.AdID] = part
		sum += part
	}
	if sum == 0 {
		return // every ad of it is paused; there is no budget of 0
	}
	sum = toward(w.current, sum, w.ad.Grain)
	w.target, w.intents = &sum, intents
	d.all = append(d.all, w)
	for _, i := range intents {
		if ad := d.ads[d.intents[i].AdID]; ad.Status == paused && w.splits[ad.AdID] > 0 {
			d.setStatus(i, ad, active)
		}
	}
}

// planned is an ad's part in the change of a shared ad set that is queued.
func (d *demands) planned(object string, kind Kind, ad string) (part int64, ok bool) {
	if c := d.open[object].last(); c != nil && c.Kind == kind {
		part, ok = c.Splits[ad]
	}
	return part, ok
}

func unknownPart(object string, ad *Ad, alone bool) string {
	if alone {
		return "the budget of " + object + " is not known yet, so a share of it cannot be computed: sync the account, or give an amount"
	}
	return object + " is shared with the ad " + ad.AdID + ", whose part of the budget is not known: sync the account, or decide for all of its ads at once"
}

func (d *demands) refuseAll(intents []int, why string) {
	for _, i := range intents {
		if d.why[i] == "" && (d.intents[i].Target == nil || *d.intents[i].Target > 0) {
			d.why[i] = why
		}
	}
}

// current is what an ad set has; learned says that its object does not know that
// yet. Without a connection, imports are all that tells of an ad that is alone in
// its set: then its own budget counts. With one, sync and our own writes know
// better than a report of an earlier day.
func (d *demands) current(object string, set []*Ad) (amount *int64, learned bool) {
	if o := d.objects[object]; o != nil {
		amount = o.KnownMinor
	}
	if len(set) == 1 && (amount == nil || !set[0].Connected) {
		if b := set[0].DailyBudget; b != nil && (amount == nil || *amount != *b) && *b > 0 {
			return b, !set[0].CampaignBudget
		}
	}
	if amount != nil {
		return amount, false
	}
	if len(set) > 0 && set[0].AdsetBudget != nil && !set[0].CampaignBudget {
		return set[0].AdsetBudget, true
	}
	if sum, ok := total(set, func(a *Ad) *int64 { return a.DailyBudget }); ok {
		return &sum, false
	}
	if len(set) > 0 && set[0].CampaignBudget { // its spend is the nearest to a budget of its own
		if sum, ok := total(set, func(a *Ad) *int64 { return a.SpendPerDay }); ok {
			return &sum, false
		}
	}
	return nil, false
}

// total sums over the ads that run; ok is false where one is not known, or the sum
// is 0.
func total(set []*Ad, of func(*Ad) *int64) (sum int64, ok bool) {
	for _, a := range set {
		if a.Status == paused {
			continue
		}
		part := of(a)
		if part == nil {
			return 0, false
		}
		sum += *part
	}
	return sum, sum > 0
}

// split says what part of current each ad has: the known parts, scaled to current;
// ads without a known part share the rest evenly.
func split(current *int64, set []*Ad) map[string]int64 {
	parts := map[string]int64{}
	var known int64
	var unknown []*Ad
	for _, a := range set {
		switch {
		case a.Status == paused:
			parts[a.AdID] = 0
		case len(set) == 1:
			if current != nil {
				parts[a.AdID] = *current
			}
			return parts
		case a.DailyBudget != nil:
			parts[a.AdID] = *a.DailyBudget
			known += *a.DailyBudget
		default:
			unknown = append(unknown, a)
		}
	}
	switch {
	case current == nil:
	case len(unknown) > 0:
		if rest := *current - known; rest >= 0 {
			share(parts, unknown, rest)
		}
	case known > 0 && known != *current:
		scale(parts, known, *current, set)
	}
	return parts
}
