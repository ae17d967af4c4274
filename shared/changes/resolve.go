package changes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/money"
)

// Ad is an ad as the queue sees it. Amounts are minor units.
type Ad struct {
	AdID, AccountID, CampaignID string
	// AdsetID is "" where nobody told which ad set the ad is in.
	AdsetID string
	Status  string
	// DailyBudget is the ad's own part of its ad set's money; nil where not known.
	DailyBudget *int64
	// AdsetBudget is the whole ad set's, as the last sync found it.
	AdsetBudget *int64
	// CampaignBudget says that the campaign holds the money.
	CampaignBudget bool
	// SpendPerDay is the mean of its last days; nil where it has none.
	SpendPerDay *int64
	Currency    money.Currency
	Mode        Mode
}

func (a *Ad) gone() bool { return a.Status == "ARCHIVED" || a.Status == "DELETED" }

func (a *Ad) adset() string  { return "adset/" + a.AdsetID }
func (a *Ad) object() string { return "ad/" + a.AdID }

// wish is what intents come to for one object. Several ads of one ad set share
// one of money.
type wish struct {
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

// resolver turns intents into wishes. It knows the ads that are named and all
// others of their ad sets.
type resolver struct {
	ads     map[string]*Ad
	sets    map[string][]*Ad // by adset/ID, without those that are gone, in the order of ids
	objects map[string]*Object
	open    map[string]open

	intents []Intent
	why     []string // by intent: why it is refused
	wishes  []wish
}

func newResolver(ads []Ad, objects map[string]*Object, waits map[string]open, intents []Intent) *resolver {
	r := &resolver{ads: map[string]*Ad{}, sets: map[string][]*Ad{}, objects: objects, open: waits, intents: intents, why: make([]string, len(intents))}
	for i := range ads {
		a := &ads[i]
		r.ads[a.AdID] = a
		if a.AdsetID != "" && !a.gone() {
			r.sets[a.adset()] = append(r.sets[a.adset()], a)
		}
	}
	for _, set := range r.sets {
		slices.SortFunc(set, func(a, b *Ad) int { return cmp.Compare(a.AdID, b.AdID) })
	}
	return r
}

// resolve fills wishes and why. skip are intents that need none.
func (r *resolver) resolve(skip map[int]bool) {
	groups := map[string][]int{}
	seen := map[string]bool{}
	for i, in := range r.intents {
		if skip[i] {
			continue
		}
		ad := r.ads[in.AdID]
		if r.why[i] = r.refuse(ad, in, seen); r.why[i] != "" {
			continue
		}
		seen[in.AdID] = true
		switch {
		case in.Status != "":
			r.setStatus(i, ad, in.Status)
		case in.Target != nil && *in.Target == 0:
			r.setStatus(i, ad, paused)
			if len(r.sets[ad.adset()]) > 1 {
				groups[ad.adset()] = append(groups[ad.adset()], i)
			}
		default:
			groups[ad.adset()] = append(groups[ad.adset()], i)
		}
	}
	for _, object := range slices.Sorted(maps.Keys(groups)) {
		r.setMoney(object, groups[object])
	}
}

func (r *resolver) refuse(ad *Ad, in Intent, seen map[string]bool) string {
	money := in.Status == ""
	switch {
	case ad == nil:
		return "there is no such ad among yours"
	case seen[in.AdID]:
		return "the ad was named twice; the first counts"
	case ad.gone():
		return "the ad is " + ad.Status + " on Meta and can no longer be changed"
	case money && ad.AdsetID == "" && (in.Target == nil || *in.Target > 0):
		return "which ad set the ad is in is not known, and that is what holds the money: connect the Meta account, or import a report that has ad set ids"
	case money && ad.Status == paused && in.Cut > 0:
		return "the ad is paused and spends nothing"
	case money && ad.Status == paused && in.Target != nil && *in.Target > 0 && !r.pausedByUs(ad):
		return "the ad is paused, and not by us: set its status to ACTIVE first"
	}
	return ""
}

func (r *resolver) pausedByUs(ad *Ad) bool {
	o := r.objects[ad.object()]
	return o != nil && o.PausedBy != nil
}

func (r *resolver) setStatus(i int, ad *Ad, status string) {
	r.wishes = append(r.wishes, wish{object: ad.object(), kind: KindStatus, ad: ad, status: status, intents: []int{i}})
}

// setMoney makes one wish of what intents want of an ad set's money: the sum of
// its ads' parts. An ad that was paused by us and is to have money again starts.
func (r *resolver) setMoney(object string, intents []int) {
	set := r.sets[object]
	w := wish{object: object, kind: KindBudget, ad: r.ads[r.intents[intents[0]].AdID], splits: map[string]int64{}}
	if w.ad.CampaignBudget {
		w.kind = KindLimits
	}
	w.current, w.learned = r.current(object, set)
	parts := split(w.current, set)
	asked := map[string]int{}
	for _, i := range intents {
		asked[r.intents[i].AdID] = i
	}
	var sum int64
	for _, ad := range set {
		part, known := parts[ad.AdID]
		i, ok := asked[ad.AdID]
		switch {
		case ok && r.intents[i].Target != nil:
			part, known = *r.intents[i].Target, true
		case !ok: // what was decided for it and is on its way stays so
			if planned, is := r.planned(object, w.kind, ad.AdID); is {
				part, known = planned, true
			}
		case known:
			left := CutFrom(part, r.intents[i].Cut)
			if left == part {
				r.refuseAll(intents, fmt.Sprintf("a cut of %.0f%% of %s is less than its smallest coin",
					100*r.intents[i].Cut, money.Amount(part).Format(ad.Currency)))
				return
			}
			part = left
		}
		if !known {
			r.refuseAll(intents, unknownPart(object, ad, ok && len(set) == 1))
			return
		}
		w.splits[ad.AdID] = part
		sum += part
	}
	if sum == 0 {
		return // every ad of it is paused; a budget of nothing does not exist
	}
	sum = toward(w.current, sum, meta.Step(w.ad.Currency))
	w.target, w.intents = &sum, intents
	r.wishes = append(r.wishes, w)
	for _, i := range intents {
		if ad := r.ads[r.intents[i].AdID]; ad.Status == paused && w.splits[ad.AdID] > 0 {
			r.setStatus(i, ad, active)
		}
	}
}

// planned is an ad's part in what is on its way for a shared ad set.
func (r *resolver) planned(object string, kind Kind, ad string) (part int64, ok bool) {
	if c := r.open[object].last(); c != nil && c.Kind == kind {
		part, ok = c.Splits[ad]
	}
	return part, ok
}

func unknownPart(object string, ad *Ad, alone bool) string {
	if alone {
		return "the budget of " + object + " is not known yet, so a share of it is no amount: sync the account, or give an amount"
	}
	return object + " is shared with the ad " + ad.AdID + ", whose part of the money is not known: sync the account, or decide for all of its ads at once"
}

func (r *resolver) refuseAll(intents []int, why string) {
	for _, i := range intents {
		if r.why[i] == "" && (r.intents[i].Target == nil || *r.intents[i].Target > 0) {
			r.why[i] = why
		}
	}
}

// current is what an ad set has. Of an ad that is alone in it the ad's own budget
// counts where it differs: a sync or an import told it later.
func (r *resolver) current(object string, set []*Ad) (amount *int64, learned bool) {
	if o := r.objects[object]; o != nil {
		amount = o.KnownMinor
	}
	if len(set) == 1 {
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
	if len(set) > 0 && set[0].CampaignBudget { // what it spends is the nearest to a budget of its own
		if sum, ok := total(set, func(a *Ad) *int64 { return a.SpendPerDay }); ok {
			return &sum, false
		}
	}
	return nil, false
}

// total sums over the ads that run; ok is false where one is not known, or all
// are nothing.
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

// split says what part of current each ad has: what is known of them, scaled to
// current; those of whom nothing is known share the rest alike.
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
