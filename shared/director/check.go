package director

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Limits of a plan.
const (
	maxScenes   = 30
	maxFixes    = 10
	maxFromAds  = 10
	maxName     = 40   // characters of a type or a purpose
	maxLine     = 300  // characters of what is said or shown
	maxText     = 1000 // characters of a direction
	maxCaption  = 2200 // what Instagram takes
	maxPlan     = 64 << 10
	shortest    = 3.0    // seconds of a video
	longest     = 3600.0 // seconds of a video
	timingSlack = 0.5    // seconds by which a plan may miss the video's length
)

// ParseDraft reads a draft that a model wrote for brief b, strictly: it may have
// no members but those of a draft, name no ads but those that it was shown, and
// hold nothing that a plan must not say. broken lists the rules that it breaks, by
// JSON path and never by value; a draft with broken rules is not used.
func ParseDraft(data []byte, b Brief) (d Draft, broken []string) {
	if len(data) > maxPlan {
		return d, []string{"the plan: must be at most 64 kB"}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return Draft{}, []string{shape(err)}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Draft{}, []string{"the plan: must be one JSON object and nothing after it"}
	}
	if broken = check(d, b); len(broken) > 0 {
		return Draft{}, broken
	}
	d.tidy()
	return d, nil
}

// shape says what of a draft could not be read.
func shape(err error) string {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return kind.Field + ": has the wrong type"
	case strings.HasPrefix(err.Error(), "json: unknown field"):
		return "the plan: holds a member that a plan does not have"
	}
	return "the plan: is not the JSON of a plan"
}

// check returns the rules that a draft breaks.
func check(d Draft, b Brief) (broken []string) {
	c := checker{known: b.citable()}
	c.name("hook.type", d.Hook.Type)
	c.text("hook.text", d.Hook.Text, maxLine)
	c.text("hook.direction", d.Hook.Direction, maxText)
	c.that(d.Hook.Seconds > 0 && d.Hook.Seconds <= 60, "hook.seconds", "must be above 0 and at most 60")
	if t := b.Tired; t != nil && t.Hook != "" {
		c.that(spelt(d.Hook.Type) != t.Hook, "hook.type", "must not be "+t.Hook+": that is what has worn out")
	}
	c.name("pacing.type", d.Pacing.Type)
	c.that(d.Pacing.SecondsPerCut > 0 && d.Pacing.SecondsPerCut <= longest, "pacing.seconds_per_cut", "must be above 0")
	c.scenes(d.Scenes, b.Seconds)
	c.name("cta.type", d.CTA.Type)
	c.text("cta.text", d.CTA.Text, maxLine)
	c.text("caption", d.Caption, maxCaption)
	c.text("rationale", d.Rationale, maxCaption)
	c.fixes(d.Fixes, b)
	c.citations(d, b)
	return c.broken
}

// checker gathers broken rules.
type checker struct {
	known  map[string]bool // the ads that may be named
	broken []string
}

func (c *checker) that(holds bool, path, rule string) {
	if !holds {
		c.broken = append(c.broken, path+": "+rule)
	}
}

func (c *checker) text(path, text string, most int) {
	c.that(strings.TrimSpace(text) != "", path, "must not be empty")
	c.maybe(path, text, most)
}

// maybe checks a text that may be empty.
func (c *checker) maybe(path, text string, most int) {
	if rule := unfit(text, most, c.known); rule != "" {
		c.broken = append(c.broken, path+": "+rule)
	}
}

func (c *checker) name(path, name string) {
	c.text(path, name, maxName)
	c.that(spelt(name) != "", path, "must be a word")
}

func (c *checker) scenes(scenes []Scene, seconds float64) {
	c.that(len(scenes) >= 1 && len(scenes) <= maxScenes, "scenes", fmt.Sprintf("must be 1 to %d", maxScenes))
	if len(scenes) == 0 || len(scenes) > maxScenes {
		return
	}
	end := 0.0
	for i, s := range scenes {
		path := fmt.Sprintf("scenes[%d]", i)
		c.that(math.Abs(s.StartSeconds-end) <= 0.05, path+".start_seconds", "must be where the scene before it ends, the first at 0")
		c.that(s.EndSeconds > s.StartSeconds && s.EndSeconds <= longest, path+".end_seconds", "must be after start_seconds")
		c.name(path+".purpose", s.Purpose)
		c.text(path+".shot", s.Shot, maxText)
		c.maybe(path+".on_screen_text", s.OnScreenText, maxLine)
		c.maybe(path+".voiceover", s.Voiceover, maxText)
		end = s.EndSeconds
	}
	if seconds > 0 {
		c.that(math.Abs(end-seconds) <= timingSlack, "scenes", fmt.Sprintf("must end with the video, after %g seconds", seconds))
	}
}

func (c *checker) fixes(fixes []Fix, b Brief) {
	switch {
	case b.Kind == FixPlan:
		c.that(len(fixes) >= 1 && len(fixes) <= maxFixes, "fixes", fmt.Sprintf("must be 1 to %d: this is a fix plan", maxFixes))
	default:
		c.that(len(fixes) == 0, "fixes", "must be empty: this is no fix plan")
	}
	weak := map[string]bool{}
	for _, w := range b.Prediction.Weaknesses {
		weak[w.Feature] = true
	}
	for i, f := range fixes[:min(len(fixes), maxFixes)] {
		path := fmt.Sprintf("fixes[%d]", i)
		c.name(path+".feature", f.Feature)
		c.that(len(weak) == 0 || weak[f.Feature], path+".feature", "must be one of the weaknesses")
		c.text(path+".now", f.Now, maxLine)
		c.maybe(path+".to", f.To, maxLine)
		c.text(path+".change", f.Change, maxText)
	}
}

// citations checks that only ads that were shown are named, and that a plan that
// was shown winners borrows from them.
func (c *checker) citations(d Draft, b Brief) {
	named := 0
	for _, p := range d.parts() {
		c.that(len(p.ads) <= maxFromAds, p.path+".from_ads", fmt.Sprintf("must name at most %d ads", maxFromAds))
		for _, ad := range p.ads {
			c.that(c.known[ad], p.path+".from_ads", "names an ad that is not among the examples")
		}
		named += len(p.ads)
	}
	if b.Grounding == OnWinners && len(b.Examples) > 0 {
		c.that(named > 0, "the plan", "must borrow from the examples and name in from_ads what it borrows from whom")
	}
}

// tidy brings a draft that passed into its one form: no null lists, types in one
// spelling, no ad named twice by a part.
func (d *Draft) tidy() {
	d.Hook.Type, d.Pacing.Type, d.CTA.Type = spelt(d.Hook.Type), spelt(d.Pacing.Type), spelt(d.CTA.Type)
	lists := []*[]string{&d.Hook.FromAds, &d.Pacing.FromAds, &d.CTA.FromAds}
	for i := range d.Scenes {
		lists = append(lists, &d.Scenes[i].FromAds)
	}
	for i := range d.Fixes {
		lists = append(lists, &d.Fixes[i].FromAds)
	}
	for _, l := range lists {
		once := []string{}
		for _, ad := range *l {
			if !slices.Contains(once, ad) {
				once = append(once, ad)
			}
		}
		*l = once
	}
	if d.Fixes == nil {
		d.Fixes = []Fix{}
	}
}
