package sweep

import (
	"time"

	"github.com/geminivideo/geminivideo/shared/live"
)

// ShowIn has the sweep show in the live view how far it has come with each tenant.
func (s *Sweep) ShowIn(view *live.View) *Sweep {
	s.view = view
	return s
}

// show shows a tenant's report so far. A sweep that goes on later is the same document.
func (s *Sweep) show(tenant string, started time.Time, r *Report, ended bool) {
	if s.view == nil || r == nil || tenant == "" {
		return
	}
	status := "running"
	if ended {
		status = "completed"
	}
	s.view.Put(tenant, live.Progress{
		Kind: live.Sweep, ID: started.UTC().Format("20060102T150405Z"), Status: status, Ended: ended,
		Data: map[string]any{
			"started_at": started.UTC(), "requested_by": s.by, "looked_at": r.LookedAt, "newly_fatigued": r.NewlyFatigued,
			"remediated": r.Remediated,
			"cuts":       r.Cuts, "refreshes": r.Refreshes, "account_alerts": len(r.Alerts),
		},
	})
}
