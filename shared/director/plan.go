package director

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Plan is a plan as it is kept and shown.
type Plan struct {
	PlanID    string    `json:"plan_id"`
	Kind      Kind      `json:"kind" enum:"battle_plan,fix_plan"`
	AccountID string    `json:"account_id"`
	VideoID   string    `json:"video_id,omitempty" doc:"The video that it is for; a replacement of a tired ad has none yet."`
	AdID      string    `json:"ad_id,omitempty" doc:"The tired ad that it is to replace."`
	RefreshID string    `json:"refresh_id,omitempty" doc:"The request that it answers."`
	CreatedAt time.Time `json:"created_at"`
	Requested string    `json:"requested_by" doc:"Who asked for it: a member, or the sweep that found the ad tired."`
	By
	Content
}

// By says who wrote a plan.
type By struct {
	GeneratedBy    string `json:"generated_by" doc:"The model's name, or that of the template."`
	FallbackReason string `json:"fallback_reason,omitempty" doc:"Why the template wrote it and not a model."`
}

// Content is what a plan says, and what it goes by.
type Content struct {
	Prediction Prediction `json:"prediction"`
	// Planned is what the oracle expects of the creative once it is as planned.
	Planned   *Outlook  `json:"planned,omitempty" doc:"What the oracle expects once the creative is as planned."`
	Grounding Grounding `json:"grounding" enum:"winners,account,general" doc:"What it goes by: winners like it, the account's best ads where there are none, or what usually works."`
	Note      string    `json:"note,omitempty" doc:"What whoever uses the plan should know of its grounding."`
	Winners   []Cited   `json:"winners" nullable:"false" doc:"The ads that it goes by, and what it borrows of each."`
	Draft
}

// Outlook is a prediction in short. Rates are 0 to 1.
type Outlook struct {
	PredictedCTR  float64 `json:"predicted_ctr"`
	PredictedROAS float64 `json:"predicted_roas"`
	Confidence    float64 `json:"confidence"`
}

// Cited is an ad that a plan goes by.
type Cited struct {
	AdID         string   `json:"ad_id"`
	Similarity   float64  `json:"similarity" doc:"To the creative, 0 to 1; 0 where it was not compared."`
	PipelineROAS float64  `json:"pipeline_roas"`
	CTR          float64  `json:"ctr" doc:"A rate: 0.02 is 2%."`
	HookType     string   `json:"hook_type,omitempty"`
	Borrowed     []string `json:"borrowed" nullable:"false" doc:"The parts of the plan that name it."`
}

// Draft is the part of a plan that its writer writes.
type Draft struct {
	Hook      Hook    `json:"hook"`
	Pacing    Pacing  `json:"pacing"`
	Scenes    []Scene `json:"scenes" nullable:"false"`
	CTA       CTA     `json:"cta"`
	Caption   string  `json:"caption"`
	Rationale string  `json:"rationale"`
	Fixes     []Fix   `json:"fixes" nullable:"false" doc:"What to change, the costliest first; empty in a battle plan."`
}

// Hook is how the video opens.
type Hook struct {
	Type      string   `json:"type" doc:"Such as question or testimonial."`
	Text      string   `json:"text" doc:"What is said or shown first; [brackets] are to be filled in."`
	Direction string   `json:"direction" doc:"How it is filmed."`
	Seconds   float64  `json:"seconds"`
	FromAds   []string `json:"from_ads" nullable:"false" doc:"The ads that it is borrowed from."`
}

// Pacing is how fast the video is cut.
type Pacing struct {
	Type          string   `json:"type" doc:"Such as slow, medium or fast."`
	SecondsPerCut float64  `json:"seconds_per_cut"`
	FromAds       []string `json:"from_ads" nullable:"false"`
}

// Scene is a part of the video. Scenes follow each other without a gap.
type Scene struct {
	StartSeconds float64  `json:"start_seconds"`
	EndSeconds   float64  `json:"end_seconds"`
	Purpose      string   `json:"purpose" doc:"Such as hook, problem, solution, proof, offer or cta."`
	Shot         string   `json:"shot" doc:"What is seen."`
	OnScreenText string   `json:"on_screen_text"`
	Voiceover    string   `json:"voiceover"`
	FromAds      []string `json:"from_ads" nullable:"false"`
}

// CTA is what the viewer is asked to do.
type CTA struct {
	Type    string   `json:"type" doc:"Such as book_now or learn_more."`
	Text    string   `json:"text"`
	FromAds []string `json:"from_ads" nullable:"false"`
}

// Fix is a change that a fix plan asks for.
type Fix struct {
	Feature string   `json:"feature" doc:"The weak feature."`
	Now     string   `json:"now" doc:"What it is."`
	To      string   `json:"to" doc:"What it is to be, such as fast; empty where the change is not of one value."`
	Change  string   `json:"change" doc:"What to do instead."`
	FromAds []string `json:"from_ads" nullable:"false" doc:"The ads that did so."`
}

// part is a part of a draft that may name ads.
type part struct {
	path, name string // for an error, and for people
	ads        []string
}

func (d *Draft) parts() []part {
	all := []part{{"hook", "hook", d.Hook.FromAds}, {"pacing", "pacing", d.Pacing.FromAds}}
	for i, s := range d.Scenes {
		all = append(all, part{fmt.Sprintf("scenes[%d]", i), fmt.Sprintf("scene %d (%s)", i+1, s.Purpose), s.FromAds})
	}
	all = append(all, part{"cta", "cta", d.CTA.FromAds})
	for i, f := range d.Fixes {
		all = append(all, part{fmt.Sprintf("fixes[%d]", i), "fix of " + f.Feature, f.FromAds})
	}
	return all
}

// content joins a draft with what it went by.
func content(b Brief, d Draft) Content {
	c := Content{Prediction: b.Prediction, Grounding: b.Grounding, Note: note(b), Winners: []Cited{}, Draft: d}
	for _, e := range b.Examples {
		cited := Cited{
			AdID: e.AdID, Similarity: e.Similarity, PipelineROAS: e.ROAS, CTR: e.CTR,
			HookType: traitsOf(e.DNA)[hookType], Borrowed: []string{},
		}
		for _, p := range d.parts() {
			if slices.Contains(p.ads, e.AdID) {
				cited.Borrowed = append(cited.Borrowed, p.name)
			}
		}
		c.Winners = append(c.Winners, cited)
	}
	return c
}

// note says what the grounding means for whoever uses the plan.
func note(b Brief) string {
	missing := "No winner is stored yet"
	switch {
	case b.Unsearched != "":
		missing = "The winners could not be searched (" + b.Unsearched + ")"
	case b.Tired != nil:
		missing = "No stored winner opens differently from the tired ad"
	}
	switch b.Grounding {
	case OnAccount:
		return missing + ": the plan goes by the account's best ads by pipeline ROAS, which are not proven winners."
	case OnGeneral:
		return missing + ", and the account has no ads with results to go by: the plan is what usually works, and borrows from no ad of yours."
	}
	return ""
}

// list writes ids as people do: "a", "a and b", "a, b and c".
func list(ids []string) string {
	if len(ids) < 2 {
		return strings.Join(ids, "")
	}
	return strings.Join(ids[:len(ids)-1], ", ") + " and " + ids[len(ids)-1]
}
