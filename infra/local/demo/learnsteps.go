package demo

import (
	"context"
	"fmt"
	"strings"
)

// cycle is what the demo reads of a learning cycle.
type cycle struct {
	ID      string      `json:"cycle_id"`
	Status  string      `json:"status"`
	Seconds float64     `json:"duration_seconds"`
	Steps   []cycleStep `json:"steps"`
}

// cycleStep has the members of all seven steps; each step fills its own.
type cycleStep struct {
	Step   int    `json:"step"`
	Name   string `json:"name"`
	Status string `json:"status"`
	Reason string `json:"reason"`

	Successful int `json:"successful"`
	Failed     int `json:"failed"`
	Immature   int `json:"immature"`
	Predicted  int `json:"predicted"`

	Accuracy *float64 `json:"accuracy"`
	Judged   int      `json:"judged"`

	Triggered bool   `json:"triggered"`
	Trigger   string `json:"trigger"`
	Champion  string `json:"champion_version"`
	Verdict   string `json:"verdict"`

	NewPatterns int `json:"new_patterns"`
	Active      int `json:"active_patterns"`
	Tests       int `json:"tests"`
	Patterns    []struct {
		Metric   string   `json:"metric"`
		Feature  string   `json:"feature"`
		Value    string   `json:"value"`
		Lift     float64  `json:"lift"`
		With     int      `json:"ads_with"`
		Examples []string `json:"examples"`
	} `json:"patterns"`

	Scale    int      `json:"scale"`
	Kill     int      `json:"kill"`
	Maintain int      `json:"maintain"`
	Unjudged int      `json:"unjudged"`
	Queued   int      `json:"queued"`
	Mode     string   `json:"mode"`
	Moved    float64  `json:"budget_moved_per_day"`
	Expected *float64 `json:"expected_value_per_day"`

	Contributed int `json:"contributed_cells"`
	Received    int `json:"received_cells"`

	Winners int `json:"winners"`
	Missing int `json:"not_indexed"`
	Stale   int `json:"stale"`
}

// learned runs a learning cycle and prints what each of its steps found.
func (p *play) learned(ctx context.Context) error {
	var c cycle
	if err := p.editor.post(ctx, "/api/ml/self-learning-cycle", map[string]any{"account_id": p.tenant.AccountID}, &c); err != nil {
		return err
	}
	p.say("Cycle %s: %s after %.1f s.", c.ID, c.Status, c.Seconds)
	if len(c.Steps) != 7 {
		return fmt.Errorf("the cycle's steps: expected 7, saw %d", len(c.Steps))
	}
	for _, s := range c.Steps {
		p.say("  %d %s, %s: %s", s.Step, strings.ReplaceAll(s.Name, "_", " "), s.Status, p.foundBy(s))
		if s.Status == "failed" {
			return fmt.Errorf("step %d of the cycle, %s: expected it to be completed or skipped, saw it fail: %s", s.Step, s.Name, s.Reason)
		}
	}
	for _, f := range c.Steps[3].Patterns {
		what := "CTR"
		if f.Metric == "value" {
			what = "value an impression"
		}
		p.say("    %s %s: %+.0f%% %s over %d ads, such as %s", strings.ReplaceAll(f.Feature, "_", " "), f.Value, 100*f.Lift, what, f.With,
			strings.Join(f.Examples[:min(len(f.Examples), 2)], " and "))
	}
	// The winners of step 7 are embedded by the other end of the queue.
	return firstOf(want("the cycle's status", c.Status, "completed"), p.await(ctx))
}

// foundBy says what a step found in one sentence.
func (p *play) foundBy(s cycleStep) string {
	said := ""
	switch {
	case s.Status != "completed":
	case s.Step == 1:
		said = fmt.Sprintf("%d predictions came true, %d did not, %d are too young to say; %d ads are predicted anew", s.Successful, s.Failed, s.Immature, s.Predicted)
	case s.Step == 2 && s.Accuracy != nil:
		said = fmt.Sprintf("an accuracy of %.2f over %d predictions", *s.Accuracy, s.Judged)
	case s.Step == 3 && s.Triggered:
		said = fmt.Sprintf("%s; model %s serves (%s)", s.Trigger, s.Champion, s.Verdict)
	case s.Step == 4:
		said = fmt.Sprintf("%d patterns of the creative DNA hold, %d of them new, out of %d tests", s.Active, s.NewPatterns, s.Tests)
	case s.Step == 5:
		said = fmt.Sprintf("%d ads to scale, %d to kill, %d to leave, %d not to be judged yet; %d changes queued (%s) that move %s a day",
			s.Scale, s.Kill, s.Maintain, s.Unjudged, s.Queued, s.Mode, p.money(s.Moved))
		if s.Expected != nil {
			said += fmt.Sprintf(" and should bring %s of pipeline a day more", p.money(*s.Expected))
		}
	case s.Step == 6:
		said = fmt.Sprintf("%d effects given to the niche, %d received", s.Contributed, s.Received)
	case s.Step == 7:
		said = fmt.Sprintf("%d winners, %d missing in the memory, %d stale; %d are being embedded", s.Winners, s.Missing, s.Stale, s.Queued)
	}
	switch {
	case said == "":
		return s.Reason
	case s.Reason != "":
		return said + "; " + s.Reason
	}
	return said
}
