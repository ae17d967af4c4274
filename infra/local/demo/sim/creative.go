package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// DNA describes a creative as the import's creative_dna does.
type DNA struct {
	HookType        string  `json:"hook_type"`
	HookStrength    float64 `json:"hook_strength"`
	HookText        string  `json:"hook_text"`
	VisualPacing    string  `json:"visual_pacing"`
	CTAType         string  `json:"cta_type"`
	Emotion         string  `json:"emotional_trigger"`
	HumanFace       bool    `json:"human_face"`
	Captions        bool    `json:"captions"`
	DurationSeconds int     `json:"duration_seconds"`
}

// A trait's effects are factors: on the click rate, on leads per click, and on
// the odds that a lead takes each next step.
type effect struct{ clicks, leads, odds float64 }

var hooks = map[string]effect{
	"clickbait":      {2.10, 0.70, 0.28}, // everybody looks, nobody buys
	"transformation": {1.25, 1.25, 1.50},
	"testimonial":    {0.95, 1.35, 1.90},
	"question":       {1.05, 1.00, 1.00},
	"offer":          {1.35, 1.10, 0.60},
	"founder_story":  {0.80, 1.15, 1.60},
	"statistic":      {0.90, 0.90, 1.05},
}

var pacings = map[string]effect{
	"slow":   {0.88, 1.00, 1.15},
	"medium": {1.00, 1.00, 1.00},
	"fast":   {1.12, 0.95, 0.90},
}

var ctas = map[string]effect{
	"book_now":     {0.92, 1.35, 1.25},
	"sign_up":      {1.00, 1.10, 1.00},
	"learn_more":   {1.08, 0.75, 0.90},
	"send_message": {1.00, 0.95, 1.10},
}

// effect is what the whole creative does to the people who see it.
func (d DNA) effect() effect {
	h, p, c := hooks[d.HookType], pacings[d.VisualPacing], ctas[d.CTAType]
	strong := d.HookStrength - 0.55
	return effect{
		clicks: h.clicks * p.clicks * c.clicks * math.Exp(1.1*strong),
		leads:  h.leads * p.leads * c.leads,
		odds:   h.odds * p.odds * c.odds * math.Exp(0.4*strong),
	}
}

// hookTypes, pacingTypes and ctaTypes are in a fixed order, which maps have not.
var (
	hookTypes   = []string{"transformation", "testimonial", "question", "offer", "clickbait", "founder_story", "statistic"}
	pacingTypes = []string{"slow", "medium", "fast"}
	ctaTypes    = []string{"book_now", "sign_up", "learn_more", "send_message"}
	emotions    = map[string]string{
		"clickbait": "curiosity", "transformation": "hope", "testimonial": "trust", "question": "doubt",
		"offer": "urgency", "founder_story": "belonging", "statistic": "certainty",
	}
)

func newDNA(r *rand.Rand, n int, b Business) DNA {
	hook := hookTypes[n%len(hookTypes)] // every account tries every hook
	return DNA{
		HookType: hook, HookStrength: math.Round((0.3+0.65*r.Float64())*100) / 100, HookText: pick(r, b.Hooks[hook]),
		VisualPacing: pick(r, pacingTypes), CTAType: pick(r, ctaTypes), Emotion: emotions[hook],
		HumanFace: hook != "statistic" && chance(r, 0.7), Captions: chance(r, 0.8), DurationSeconds: 6 + r.IntN(40),
	}
}

// name is what a media buyer would call the ad.
func (d DNA) name(n int) string {
	return fmt.Sprintf("%02d %s | %s | %s pacing | %ds", n+1, d.HookType, d.CTAType, d.VisualPacing, d.DurationSeconds)
}
