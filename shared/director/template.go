package director

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// TemplateName is what a plan names as its writer that no model wrote.
const TemplateName = "template-1"

// usualLength is how long a video is to be where nothing says so, in seconds.
const usualLength = 20

// Template computes a plan without a model: the pattern that the examples agree
// on, weighted by what they brought and by their likeness to the creative, with
// what the oracle says is weak put right, cut to the video's length. The same
// brief gives the same plan.
func Template(b Brief) Draft {
	t := template{Brief: b, own: traitsOf(b.DNA)}
	t.Seconds = cmp.Or(clampLength(b.Seconds), clampLength(usualSeconds(b.Examples)), usualLength)
	hook, pacing, cta := t.choose(hookType), t.choose(visualPacing), t.choose(ctaType)
	d := Draft{Hook: t.hook(hook), CTA: t.cta(cta), Fixes: t.fixes()}
	d.Pacing = Pacing{pacing.value, 0, pacing.ads}
	d.Scenes = t.scenes(&d)
	d.Caption = t.caption(d)
	d.Rationale = t.rationale(hook, pacing, cta)
	d.tidy()
	return d
}

func clampLength(seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return min(max(seconds, shortest), longest)
}

type template struct {
	Brief
	own map[string]string // the creative's own traits
}

// choice is a value for a part of the plan, and where it comes from.
type choice struct {
	value string
	ads   []string
	why   string
}

// usual is what a part is where nobody says anything.
var usual = map[string]string{hookType: "problem", visualPacing: "medium", ctaType: "learn_more"}

// fallbackHooks are what a replacement opens with where no example does other
// than the tired ad: what carries furthest down the funnel first.
var fallbackHooks = []string{"testimonial", "transformation", "problem", "founder_story", "question", "demonstration"}

// choose decides a feature: what did better than a weak value, else what the
// examples agree on, else what the creative has, else the usual. A fix plan
// changes only what is weak.
func (t template) choose(feature string) choice {
	for _, w := range t.Prediction.Weaknesses {
		if w.Feature != feature {
			continue
		}
		if c := t.better(w); c.value != "" {
			c.why = fmt.Sprintf("%s, instead of %s, which costs about %.0f%% of the clicks", c.why, plainly(w.Value), 100*w.Effect)
			return c
		}
	}
	own := t.own[feature]
	if p := t.loses(feature, own); p != nil && own != "" {
		c := t.measured(feature, own)
		if c.value == "" {
			c = t.agreed(feature, own)
		}
		if c.value != "" {
			c.why += fmt.Sprintf(", instead of %s, which %s", plainly(own), p.does())
			return c
		}
	}
	if t.Kind == FixPlan && own != "" && !t.worn(feature, own) {
		return choice{own, nil, "kept as it is"}
	}
	if c := t.agreed(feature, ""); c.value != "" && t.loses(feature, c.value) == nil {
		return c
	}
	if c := t.measured(feature, ""); c.value != "" {
		return c
	}
	if own != "" && own != "other" && own != "none" && !t.worn(feature, own) {
		return choice{own, nil, "kept as it is: nothing speaks against it"}
	}
	if feature == hookType {
		for _, h := range fallbackHooks {
			if !t.worn(feature, h) && (t.Tired != nil || h == usual[hookType]) {
				return choice{h, nil, "what usually carries a viewer on"}
			}
		}
	}
	return choice{usual[feature], nil, "the usual choice"}
}

// better is what to do instead of a weakness. Winners go before the oracle's word
// for it: that one goes by clicks alone, and what is clicked on most does not
// always sell.
func (t template) better(w Weakness) choice {
	if t.sells(w) != nil {
		return choice{}
	}
	if c := t.agreed(w.Feature, spelt(w.Value)); c.value != "" {
		return c
	}
	if c := t.measured(w.Feature, spelt(w.Value)); c.value != "" {
		return c
	}
	if w.Instead == "" || t.worn(w.Feature, w.Instead) {
		return choice{}
	}
	c := choice{value: w.Instead, ads: first3(w.Ads), why: plainly(w.Instead)}
	if len(c.ads) > 0 {
		c.why += ", as in " + ads(c.ads)
	}
	return c
}

// sells returns the ads that have a weak value, too, where it costs few clicks and
// most of the winners have it: what it costs in clicks it may bring in sales.
func (t template) sells(w Weakness) []string {
	const few, most = 0.1, 0.5
	all := votes(t.Examples, w.Feature)
	if t.Grounding != OnWinners || w.Effect >= few || len(all) == 0 || all[0].value != spelt(w.Value) || all[0].share < most ||
		t.worn(w.Feature, w.Value) {
		return nil
	}
	return first3(all[0].ads)
}

// agreed is what the examples agree on that is not a certain value; nothing where
// they say nothing else.
func (t template) agreed(feature, not string) choice {
	for _, v := range votes(t.Examples, feature) {
		if t.worn(feature, v.value) || v.value == "other" || v.value == "none" || v.value == not {
			continue
		}
		return choice{v.value, first3(v.ads), fmt.Sprintf("%s, as in %s (%.0f%% of what the examples weigh)", plainly(v.value), ads(first3(v.ads)), 100*v.share)}
	}
	return choice{}
}

func (t template) worn(feature, value string) bool {
	return feature == hookType && t.Tired != nil && t.Tired.Hook != "" && spelt(value) == t.Tired.Hook
}

func first3(ads []string) []string { return slices.Clone(ads[:min(len(ads), 3)]) }

func ads(ids []string) string {
	if len(ids) == 1 {
		return "ad " + ids[0]
	}
	return "ads " + list(ids)
}

func (t template) hook(c choice) Hook {
	how := opening(c.value)
	h := Hook{Type: c.value, Text: how.text, Direction: how.direction, FromAds: c.ads, Seconds: t.hookSeconds()}
	if own := textOf(t.DNA, "hook", "text"); own != "" && t.own[hookType] == c.value && t.Tired == nil {
		h.Text = own
		h.Direction += " The creative's own words stand."
	}
	for _, e := range t.Examples {
		if words := textOf(e.DNA, "hook", "text"); words != "" && slices.Contains(c.ads, e.AdID) {
			h.Direction += fmt.Sprintf(" Ad %s opened with “%s” (%.1fx pipeline ROAS): borrow its way in, not its words.", e.AdID, words, e.ROAS)
			break
		}
	}
	return h
}

func (t template) cta(c choice) CTA {
	text := ask(c.value)
	if own := textOf(t.DNA, "cta", "text"); own != "" && t.own[ctaType] == c.value {
		text = own
	}
	return CTA{c.value, text, c.ads}
}

// fixes names the weakest features, the costliest first, and what did better.
func (t template) fixes() []Fix {
	all := []Fix{}
	if t.Kind != FixPlan {
		return all
	}
	all = append(all, t.costly()...)
	for _, w := range t.Prediction.Weaknesses[:min(len(t.Prediction.Weaknesses), 5)] {
		if slices.ContainsFunc(all, func(f Fix) bool { return f.Feature == w.Feature }) {
			continue
		}
		c := t.better(w)
		f := Fix{Feature: w.Feature, Now: cmp.Or(w.Value, "not said"), To: c.value, FromAds: c.ads}
		f.Change = fmt.Sprintf("It costs about %.0f%% of the clicks that past ads usually get. ", 100*w.Effect)
		switch same := t.sells(w); {
		case same != nil:
			f.FromAds = same
			f.Change += fmt.Sprintf("But %s won with it: what it costs in clicks it may bring in sales, so change it last.", ads(same))
		case c.value == "":
			f.Change += "Try something else here."
		default:
			f.Change += "Instead: " + c.why + "."
		}
		all = append(all, f)
	}
	if len(all) == 0 { // rejected for what it is as a whole
		hook := t.choose(hookType)
		all = append(all, Fix{
			Feature: hookType, Now: cmp.Or(t.own[hookType], "not said"), To: hook.value, FromAds: hook.ads,
			Change: "No single feature explains the low prediction. Begin with the opening, which decides most: " + hook.why + ".",
		})
	}
	return all
}

func (t template) caption(d Draft) string {
	proof := "[One number or one sentence of a customer that proves it.]"
	return strings.Join([]string{d.Hook.Text, proof, d.CTA.Text}, "\n\n")
}

func (t template) rationale(hook, pacing, cta choice) string {
	p := t.Prediction
	var said []string
	add := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if t.Tired != nil {
		add("Replaces ad %s: %s.", t.Tired.AdID, strings.TrimRight(brief(t.Tired.Reason), ". "))
		if t.Tired.Hook != "" {
			add("Its %s hook is what the audience has seen enough of, so this one opens differently.", plainly(t.Tired.Hook))
		}
	}
	if p.Decision != "" {
		add("The oracle expects a CTR of %.2f%% (%.2f%% to %.2f%%) against %.2f%% on average.", 100*p.PredictedCTR, 100*p.Intervals.CTR.Low, 100*p.Intervals.CTR.High, 100*p.AccountBaseline)
	}
	switch t.Grounding {
	case OnWinners:
		add("It goes by %s, weighed by pipeline ROAS and by how like the creative they are.", counted(len(t.Examples), "stored winner"))
	case OnAccount:
		add("It goes by the account's best by pipeline ROAS (%s), which are not proven winners.", counted(len(t.Examples), "ad"))
	default:
		add("There are no ads to go by: this is what usually works.")
	}
	add("Hook: %s. Pacing: %s. Call to action: %s.", hook.why, pacing.why, cta.why)
	return strings.Join(said, " ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// brief is a text from outside that may stand in a plan, or that there was one.
func brief(reason string) string {
	reason = strings.Join(strings.Fields(reason), " ")
	if reason == "" || unfit(reason, maxLine, nil) != "" {
		return "it was reported as tired"
	}
	return reason
}

func (t template) hookSeconds() float64 { return tenth(min(3, max(1, t.Seconds*0.2))) }

func tenth(seconds float64) float64 { return math.Round(seconds*10) / 10 }
