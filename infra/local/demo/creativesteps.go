package demo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// The two creatives of the play, as somebody might describe them: one that draws
// people who buy nothing, and drags, one that does what this account's customers click on.
var (
	weakCreative = map[string]any{
		"hook_type": "clickbait", "hook_strength": 0.2, "visual_pacing": "slow", "cta_type": "learn_more", "emotional_trigger": "curiosity",
		"human_face": false, "captions": false, "duration_seconds": 30,
	}
	strongCreative = map[string]any{
		"hook_type": "transformation", "hook_strength": 0.9, "hook_text": "Ten weeks, one staircase", "visual_pacing": "fast",
		"cta_type":          "sign_up",
		"emotional_trigger": "hope", "human_face": true, "captions": true, "duration_seconds": 24,
	}
)

// prediction is what the demo reads of one.
type prediction struct {
	Decision       string  `json:"decision"`
	Gate           string  `json:"gate"`
	Value          float64 `json:"predicted_value_per_impression"`
	ValueBaseline  float64 `json:"baseline_value_per_impression"`
	Reason         string  `json:"reason"`
	CTR            float64 `json:"predicted_ctr"`
	Baseline       float64 `json:"account_baseline"`
	BaselineSource string  `json:"baseline_source"`
	Confidence     float64 `json:"confidence"`
	Version        string  `json:"model_version"`
}

// plan is what the demo reads of one.
type plan struct {
	PlanID      string     `json:"plan_id"`
	Kind        string     `json:"kind"`
	AdID        string     `json:"ad_id"`
	GeneratedBy string     `json:"generated_by"`
	Fallback    string     `json:"fallback_reason"`
	Grounding   string     `json:"grounding"`
	Prediction  prediction `json:"prediction"`
	Planned     struct {
		CTR float64 `json:"predicted_ctr"`
	} `json:"planned"`
	Winners []struct {
		AdID     string   `json:"ad_id"`
		ROAS     float64  `json:"pipeline_roas"`
		HookType string   `json:"hook_type"`
		Borrowed []string `json:"borrowed"`
	} `json:"winners"`
	Hook struct {
		Type string   `json:"type"`
		Text string   `json:"text"`
		From []string `json:"from_ads"`
	} `json:"hook"`
	Scenes []struct {
		Start   float64 `json:"start_seconds"`
		End     float64 `json:"end_seconds"`
		Purpose string  `json:"purpose"`
	} `json:"scenes"`
	CTA struct {
		Type string `json:"type"`
	} `json:"cta"`
	Fixes []struct {
		Feature string `json:"feature"`
		Now     string `json:"now"`
		Change  string `json:"change"`
	} `json:"fixes"`
}

// predict has both creatives judged before anybody spends a cent on them.
func (p *play) predict(ctx context.Context) error {
	for _, c := range []struct {
		name, decision string
		dna            map[string]any
	}{{"The weak creative", "REJECT", weakCreative}, {"The strong one", "PROCEED", strongCreative}} {
		var seen prediction
		err := p.editor.post(ctx, "/api/ml/predict-creative", map[string]any{"creative_dna": c.dna, "account_id": p.tenant.AccountID}, &seen)
		if err != nil {
			return err
		}
		p.say("%s (%v hook, %v pacing): %s (confidence %.2f, model %s).", c.name, c.dna["hook_type"], c.dna["visual_pacing"], seen.Decision, seen.Confidence, seen.Version)
		p.say("  A thousand impressions should earn %s of pipeline, the account's average is %s; a CTR of %.2f%% is expected, the average is %.2f%%.",
			p.money(1000*seen.Value), p.money(1000*seen.ValueBaseline), 100*seen.CTR, 100*seen.Baseline)
		if err := firstOf(want("the decision on "+c.name, seen.Decision, c.decision), want("the gate", seen.Gate, "value"), want("the baseline's source", seen.BaselineSource, "account")); err != nil {
			return err
		}
	}
	return nil
}

// battlePlan asks for a plan.
func (p *play) battlePlan(ctx context.Context, video string, dna map[string]any) (made plan, err error) {
	err = p.editor.post(ctx, "/api/titan/director/battle-plan", map[string]any{
		"video_id": video, "creative_dna": dna, "account_id": p.tenant.AccountID,
	}, &made)
	if err != nil {
		return made, err
	}
	by := made.GeneratedBy
	if made.Fallback != "" {
		by += ": " + made.Fallback
	}
	p.say("Plan %s (%s, by %s), from %s.", made.PlanID, made.Kind, by, made.Grounding)
	return made, nil
}

// fix has the weak creative planned: what is to be changed before it may run.
func (p *play) fix(ctx context.Context) error {
	made, err := p.battlePlan(ctx, "play-weak", weakCreative)
	if err != nil {
		return err
	}
	for _, f := range made.Fixes {
		p.say("  %s %s: %s", f.Feature, f.Now, f.Change)
	}
	p.say("As it is, a CTR of %.2f%% is expected; changed like this, %.2f%%.", 100*made.Prediction.CTR, 100*made.Planned.CTR)
	if len(made.Fixes) == 0 || made.Planned.CTR <= made.Prediction.CTR {
		return fmt.Errorf("the fix plan: expected changes that raise the CTR, saw %d fixes from %.4f to %.4f", len(made.Fixes), made.Prediction.CTR, made.Planned.CTR)
	}
	return want("the plan's kind", made.Kind, "fix_plan")
}

// plan has the strong creative planned from winners, and looks each of them up.
func (p *play) plan(ctx context.Context) error {
	made, err := p.battlePlan(ctx, "play-strong", strongCreative)
	if err != nil {
		return err
	}
	borrowed := 0
	for _, w := range made.Winners {
		var known memory
		if err := p.editor.get(ctx, "/api/ml/rag/winner/"+url.PathEscape(w.AdID), &known); err != nil {
			return fmt.Errorf("look up winner %s, which the plan names: %w", w.AdID, err)
		}
		borrowed += len(w.Borrowed)
		if len(w.Borrowed) > 0 {
			p.say("  from ad %s (%.2fx, %s hook): %s", w.AdID, w.ROAS, w.HookType, strings.Join(w.Borrowed, ", "))
		}
	}
	p.outline(made)
	if borrowed == 0 || len(made.Scenes) == 0 {
		return errors.New("the plan: expected it to borrow from winners, saw none named")
	}
	return firstOf(
		want("the plan's kind", made.Kind, "battle_plan"), want("what it goes by", made.Grounding, "winners"),
		want("where its scenes end", made.Scenes[len(made.Scenes)-1].End, 24.0),
	)
}

func (p *play) outline(made plan) {
	p.say("Its hook (%s): %s", strings.ReplaceAll(made.Hook.Type, "_", " "), made.Hook.Text)
	var scenes []string
	for _, s := range made.Scenes {
		scenes = append(scenes, fmt.Sprintf("%s until %g s", s.Purpose, s.End))
	}
	p.say("Its scenes: %s. It asks for: %s.", strings.Join(scenes, ", "), strings.ReplaceAll(made.CTA.Type, "_", " "))
}

// replaced asks for the replacement of the play's ad, and reads the plan that the
// queue's other end wrote: one that opens differently.
func (p *play) replaced(ctx context.Context) error {
	var asked struct {
		RefreshID string `json:"refresh_id"`
		Status    string `json:"status"`
	}
	err := p.editor.post(ctx, "/api/titan/director/refresh-creative",
		map[string]any{"ad_id": p.ad.ID, "reason": "Its audience has seen it often enough"}, &asked)
	if err != nil {
		return err
	}
	if err := p.await(ctx); err != nil {
		return err
	}
	var refresh struct {
		Status  string `json:"status"`
		PlanID  string `json:"plan_id"`
		Failure string `json:"failure"`
	}
	if err := p.editor.get(ctx, "/api/titan/director/refreshes/"+asked.RefreshID, &refresh); err != nil {
		return err
	}
	p.say("Refresh %s of ad %s: queued, and %s a moment later.", asked.RefreshID, p.ad.ID, refresh.Status)
	if err := want("the refresh's status ("+refresh.Failure+")", refresh.Status, "planned"); err != nil {
		return err
	}
	var made plan
	if err := p.editor.get(ctx, "/api/titan/director/plans/"+refresh.PlanID, &made); err != nil {
		return err
	}
	p.outline(made)
	worn := ""
	if dna, ok := p.dna.(map[string]any); ok {
		worn, _ = dna["hook_type"].(string)
	}
	p.say("The ad's own hook (%s) is not used again: that is what its audience has seen enough of.", strings.ReplaceAll(worn, "_", " "))
	if made.Hook.Type == worn {
		return fmt.Errorf("the replacement's hook: expected another than %s", worn)
	}
	return want("the ad that it replaces", made.AdID, p.ad.ID)
}
