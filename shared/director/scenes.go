package director

import (
	"math"
	"slices"
)

// cuts are how long a shot stands by pacing, in seconds: above 30 cuts a minute is
// fast, below 10 slow.
var cuts = map[string]float64{"fast": 1.8, "medium": 3.5, "slow": 6}

// A plan of the template has at most mostBeats scenes between its hook and its
// call to action; more than that a cutter decides.
const mostBeats = 8

// beat is what a scene is for, and how it is usually filmed.
type beat struct{ purpose, shot, onScreen, voiceover string }

// middle are the beats between hook and call to action, in the order in which
// they are shown; weights say which go first where there is no time for all.
var middle = []struct {
	beat
	rank int
}{
	{beat{"problem", "The moment before: what the viewer puts up with today, in a place that they know.", "[The problem in five words]", "[What it costs them, in one sentence.]"}, 2},
	{beat{"solution", "The product or service in use, close up, by somebody like the viewer.", "[What it is]", "[What it does about that, in one sentence.]"}, 1},
	{beat{"benefit", "The same person a little later, doing what they could not do before.", "[The change in five words]", "[What is different now.]"}, 4},
	{beat{"proof", "A customer's face or a number full screen, long enough to be read twice.", "[A number, or a customer's sentence]", "[Who says so.]"}, 3},
	{beat{"objection", "The one doubt that most viewers have, said aloud and answered in the same shot.", "[The doubt]", "[The answer.]"}, 6},
	{beat{"demonstration", "One step of how it works, hands only, without a cut.", "[Step]", "[What happens here.]"}, 7},
	{beat{"offer", "What they get and what it takes, on one plain frame.", "[The offer]", "[What they get, and until when.]"}, 5},
	{beat{"proof", "A second customer, different from the first in age or trade.", "[Another customer's sentence]", "[Who says so.]"}, 8},
}

// scenes cuts the video's length into a hook, beats as long as the pacing wants
// them, and a call to action. It sets the draft's seconds per cut.
func (t template) scenes(d *Draft) []Scene {
	end := tenth(t.Seconds)
	closing := tenth(min(4, max(1, end*0.2)))
	body := end - d.Hook.Seconds - closing
	cut, ok := cuts[d.Pacing.Type]
	if !ok {
		cut = cuts["medium"]
	}
	d.Pacing.SecondsPerCut = cut
	n := int(math.Round(body / max(cut, 2))) // a beat shorter than two seconds is not understood, whatever its cuts
	n = min(max(n, 0), mostBeats)
	if n == 0 && body >= 1 {
		n = 1
	}
	captioned := ""
	if v := votes(t.Examples, "captions"); t.own["captions"] == "yes" || len(v) > 0 && v[0].value == "yes" {
		captioned = " Captions on."
	}
	scenes := []Scene{{
		EndSeconds: d.Hook.Seconds, Purpose: "hook", Shot: opening(d.Hook.Type).direction + captioned, OnScreenText: d.Hook.Text,
		Voiceover: d.Hook.Text,
		FromAds:   slices.Clone(d.Hook.FromAds),
	}}
	at := d.Hook.Seconds
	for i, m := range beats(n) {
		until := tenth(d.Hook.Seconds + body*float64(i+1)/float64(n))
		scenes = append(scenes, Scene{at, until, m.purpose, m.shot, m.onScreen, m.voiceover, slices.Clone(t.like(m.purpose))})
		at = until
	}
	return append(scenes, Scene{
		at, end, "cta", "The offer stays on screen; whoever spoke first says what to do now, to the camera.", d.CTA.Text, d.CTA.Text,
		slices.Clone(d.CTA.FromAds),
	})
}

// beats are the n most needed, in the order in which they are shown.
func beats(n int) []beat {
	var all []beat
	for _, m := range middle {
		if m.rank <= n {
			all = append(all, m.beat)
		}
	}
	return all
}

// like returns the examples whose DNA says that they have such a scene.
func (t template) like(purpose string) []string {
	var ads []string
	for _, e := range t.Examples {
		traits := traitsOf(e.DNA)
		switch {
		case purpose == "proof" && traits["proof"] != "" && traits["proof"] != "none",
			purpose == "offer" && traits["offer"] == "yes",
			purpose == "demonstration" && traits[hookType] == "demonstration",
			purpose == "solution" && traits["product_shown"] == "yes":
			ads = append(ads, e.AdID)
		}
	}
	return first3(ads)
}

// way is how a type of hook opens.
type way struct{ text, direction string }

var openings = map[string]way{
	"question":       {"Still [the problem that your buyer lives with]?", "Somebody like the viewer looks up from the problem and asks it straight into the camera, in the viewer's own words."},
	"problem":        {"[The problem], again.", "The problem is on screen in the first frame, before a word is said."},
	"promise":        {"[The result] in [a time that you can keep].", "The result first, full screen; how comes later."},
	"transformation": {"This was [before]. This is [after].", "Before and after side by side or in a hard cut, same place, same light, within the first two seconds."},
	"testimonial":    {"I had tried everything before this. [In a customer's own words]", "A real customer, phone camera, at home or at work, begins in the middle of a sentence."},
	"offer":          {"[The offer], until [a real date].", "The offer as large text on the product; no logo first."},
	"clickbait":      {"Nobody tells you this about [the topic].", "A close-up that shows the surprising thing at once, so that the promise is kept."},
	"founder_story":  {"I started this because [the reason].", "The founder, at the place where it happens, hand-held, one sentence."},
	"story":          {"It was [a day] when [what happened].", "Begin at the turning point, not at the beginning."},
	"statistic":      {"[A number that is yours] out of [how many] [did what].", "The number full screen and read aloud, then the person behind it."},
	"demonstration":  {"Watch what happens when [you use it].", "Hands and product only, the effect within the first three seconds."},
	"humor":          {"[The absurd thing that your buyers know too well.]", "Play the everyday absurdity straight; the joke is the recognition."},
}

// opening returns how a hook of that type opens.
func opening(hook string) way {
	if w, ok := openings[hook]; ok {
		return w
	}
	return way{"[The first sentence, in the manner of: " + plainly(hook) + ".]", "Open in the manner of " + plainly(hook) + ": movement and a face within the first second, no logo."}
}

var asks = map[string]string{
	"book_now": "Book your first appointment now.", "sign_up": "Sign up now.", "learn_more": "See how it works.",
	"send_message": "Send us a message.", "call": "Call us today.", "buy": "Order now.", "download": "Download it now.",
	"get_offer": "Get the offer.", "visit": "Come and see us.",
}

func ask(cta string) string {
	if text, ok := asks[cta]; ok {
		return text
	}
	return "[Ask the viewer to " + plainly(cta) + ".]"
}
