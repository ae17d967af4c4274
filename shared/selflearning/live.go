package selflearning

import (
	"context"
	"encoding/json"

	"github.com/geminivideo/geminivideo/shared/learning"
	"github.com/geminivideo/geminivideo/shared/live"
)

// Show returns what a runner calls with each change of a cycle: it shows the cycle in
// the live view.
func Show(view *live.View) func(ctx context.Context, c learning.Cycle) {
	if view == nil {
		return nil
	}
	return func(_ context.Context, c learning.Cycle) {
		steps := make([]map[string]any, len(c.Steps))
		for i := range c.Steps {
			steps[i] = shownStep(&c.Steps[i])
		}
		data := map[string]any{"account_id": c.Account, "cycle_started_at": c.StartedAt, "steps": steps}
		if c.CompletedAt != nil {
			data["cycle_completed_at"] = *c.CompletedAt
		}
		view.Put(c.Tenant, live.Progress{
			Kind: live.Cycle, ID: c.ID, Status: string(c.Status), Ended: c.Status != learning.Running,
			Data: data,
		})
	}
}

// shownStep is a step with the numbers and words that it found; its lists are asked for.
func shownStep(s *learning.StepState) map[string]any {
	shown := map[string]any{}
	var found map[string]any
	if s.Status == learning.Completed && json.Unmarshal(s.Result, &found) == nil {
		for name, value := range found {
			switch value.(type) {
			case float64, string, bool, nil:
				shown[name] = value
			}
		}
	}
	shown["step"], shown["name"], shown["status"] = s.Step, s.Name, string(s.Status)
	if s.Reason != "" {
		shown["reason"] = s.Reason
	}
	return shown
}
