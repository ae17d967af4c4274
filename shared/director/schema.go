package director

import (
	"maps"
	"slices"
)

// Schema is the JSON Schema of a draft for brief b, as a model is given it. What
// it cannot say, ParseDraft checks.
func Schema(b Brief) map[string]any {
	from := citations(b)
	fixes := arrayOf(object(map[string]any{
		"feature": text("The weak feature, as in prediction.weaknesses."),
		"now":     text("What it is now."), "to": text("The value that it is to have, such as fast or 0.9; may be empty."),
		"change": text("What to do instead, concretely."), "from_ads": from,
	}))
	fixes["maxItems"] = maxFixes
	if b.Kind == FixPlan {
		fixes["minItems"] = 1
	} else {
		fixes["maxItems"] = 0
	}
	scenes := arrayOf(object(map[string]any{
		"start_seconds": number("The first scene's is 0; any other's is where the scene before it ends."),
		"end_seconds":   number("After start_seconds."),
		"purpose":       text("hook, problem, solution, benefit, proof, objection, offer or cta."), "shot": text("What is seen."),
		"on_screen_text": text("May be empty."), "voiceover": text("May be empty."), "from_ads": from,
	}))
	scenes["minItems"], scenes["maxItems"] = 1, maxScenes
	return object(map[string]any{
		"hook": object(map[string]any{
			"type": text("The type of hook, such as question or testimonial."), "text": text("What is said or shown first."),
			"direction": text("How it is filmed."), "seconds": number("How long it takes."), "from_ads": from,
		}),
		"pacing":    object(map[string]any{"type": text("slow, medium or fast."), "seconds_per_cut": number("Above 0."), "from_ads": from}),
		"scenes":    scenes,
		"cta":       object(map[string]any{"type": text("Such as book_now."), "text": text("What the viewer is asked."), "from_ads": from}),
		"caption":   text("The text beside the video."),
		"rationale": text("Why this should work, in a few sentences that name the ads that it goes by."),
		"fixes":     fixes,
	})
}

// citations is a list of ads that may be named: no others can be written down.
func citations(b Brief) map[string]any {
	ads := slices.Sorted(maps.Keys(b.citable()))
	if len(ads) == 0 {
		none := arrayOf(map[string]any{"type": "string"})
		none["maxItems"], none["description"] = 0, "Always empty: there are no examples."
		return none
	}
	from := arrayOf(map[string]any{"type": "string", "enum": ads})
	from["maxItems"], from["description"] = maxFromAds, "The ad_id of each example that this is borrowed from; empty where it is from none."
	return from
}

func object(members map[string]any) map[string]any {
	return map[string]any{
		"type": "object", "properties": members, "required": slices.Sorted(maps.Keys(members)), "additionalProperties": false,
	}
}

func arrayOf(items map[string]any) map[string]any {
	return map[string]any{"type": "array", "items": items}
}

func text(about string) map[string]any { return map[string]any{"type": "string", "description": about} }

func number(about string) map[string]any {
	return map[string]any{"type": "number", "description": about}
}
