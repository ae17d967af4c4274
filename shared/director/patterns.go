package director

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// What a pattern moves.
const (
	onClicks = "ctr"
	onValue  = "value"
)

// measured is what the account's patterns say of a feature: the value that lifts most,
// value going before clicks. What is worn out, or loses value, is passed over; own is
// what the creative has.
func (t template) measured(feature, own string) choice {
	best, ok := Pattern{}, false
	for _, metric := range []string{onValue, onClicks} {
		for _, p := range t.Patterns {
			value := spelt(p.Value)
			if p.Metric != metric || p.Feature != feature || p.Lift <= 0 || value == own || t.worn(feature, value) ||
				t.loses(feature, value) != nil {
				continue
			}
			if !ok || p.Lift > best.Lift {
				best, ok = p, true
			}
		}
		if ok {
			break
		}
	}
	if !ok {
		return choice{}
	}
	c := choice{value: spelt(best.Value), ads: first3(best.Ads), why: plainly(best.Value) + ", which " + best.does()}
	if len(c.ads) > 0 {
		c.why += ", as in " + ads(c.ads)
	}
	return c
}

// loses returns the pattern by which a value of a feature costs value, or nil.
func (t template) loses(feature, value string) *Pattern {
	for i := range t.Patterns {
		if p := &t.Patterns[i]; p.Metric == onValue && p.Feature == feature && p.Lift < 0 && spelt(p.Value) == value {
			return p
		}
	}
	return nil
}

// does says what a pattern does.
func (p Pattern) does() string {
	verb, what := "raises", "clicks"
	if p.Lift < 0 {
		verb = "lowers"
	}
	if p.Metric == onValue {
		what = "pipeline value an impression"
	}
	return fmt.Sprintf("%s %s by %.0f%% in this account", verb, what, 100*math.Abs(p.Lift))
}

// costly are the fixes of what the creative has and the account's patterns say costs
// value, the dearest first: a weakness is of clicks alone.
func (t template) costly() []Fix {
	var all []Fix
	losing := slices.Clone(t.Patterns)
	slices.SortStableFunc(losing, func(a, b Pattern) int { return cmp.Compare(a.Lift, b.Lift) })
	own := map[string]string{}
	for _, f := range t.DNA.Features() {
		if !f.IsNumber {
			own[f.Name] = f.Value
		}
	}
	for _, p := range losing {
		value, has := own[p.Feature]
		if p.Metric != onValue || p.Lift >= 0 || !has || spelt(value) != spelt(p.Value) {
			continue
		}
		c := t.measured(p.Feature, spelt(p.Value))
		if c.value == "" {
			c = t.agreed(p.Feature, spelt(p.Value))
		}
		f := Fix{Feature: p.Feature, Now: value, To: c.value, FromAds: c.ads, Change: fmt.Sprintf("It %s. ", p.does())}
		if c.value == "" {
			f.Change += "Try something else here."
		} else {
			f.Change += "Instead: " + c.why + "."
		}
		all = append(all, f)
	}
	return all
}
