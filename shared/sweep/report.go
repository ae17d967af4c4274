package sweep

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/geminivideo/geminivideo/shared/fatigue"
)

// Report says what a sweep of one tenant did, as gv.sweeps stores it, or a sweep of all
// tenants.
type Report struct {
	SweepID     string    `json:"sweep_id,omitempty" doc:"The id that the sweep is stored under."`
	StartedAt   time.Time `json:"started_at"`
	CompletedAt time.Time `json:"completed_at"`
	Seconds     float64   `json:"duration_seconds"`
	// Tenants and PassedOver are set where the sweep was one of all tenants.
	Tenants       int            `json:"tenants,omitempty" doc:"Tenants with active ads."`
	PassedOver    int            `json:"passed_over,omitempty" doc:"Tenants with a schedule of their own."`
	LookedAt      int            `json:"looked_at" doc:"Active ads that were judged."`
	ByStatus      map[string]int `json:"by_status" nullable:"false" doc:"How many ads have each status."`
	NewlyFatigued int            `json:"newly_fatigued" doc:"Ads that tire and did not at the sweep before."`
	Remediated    int            `json:"remediated" doc:"Ads for which a cut was queued or a new creative asked for."`
	Cuts          int            `json:"cuts" doc:"Budget cuts of 20% that were queued."`
	Refreshes     int            `json:"refreshes" doc:"New creatives that were asked for."`
	Ads           []Remediated   `json:"ads" nullable:"false" doc:"What was done for each remediated ad; the first 100."`
	Skipped       []Skipped      `json:"skipped" nullable:"false" doc:"What was not done for ads that tire, and why."`
	Alerts        []AccountAlert `json:"account_alerts" nullable:"false" doc:"Accounts whose ads fell together: one alarm of the account, and no cut of each. The first 100."`
	Resumed       bool           `json:"resumed" doc:"The sweep continued an earlier one that had been cut short."`
	Unfinished    bool           `json:"unfinished" doc:"The sweep ran out of time; the next one continues after the last ad that was judged."`
	// Held is set by a function whose sweep found another under way.
	Held bool `json:"held,omitempty"`

	skipped map[string]*Skipped
}

// Remediated is what was done for an ad.
type Remediated struct {
	AdID      string `json:"ad_id"`
	Status    string `json:"status"`
	Reason    string `json:"reason"`
	ChangeID  string `json:"change_id,omitempty"`
	Change    string `json:"change,omitempty" doc:"Where the cut stands: pending, awaiting_approval, dry_run, ..."`
	RefreshID string `json:"refresh_id,omitempty"`
}

// Skipped counts ads for which something was not done for one reason.
type Skipped struct {
	Reason string   `json:"reason"`
	Ads    int      `json:"ads"`
	AdIDs  []string `json:"ad_ids" nullable:"false" doc:"The first 20."`
}

// A report names so many ads; it counts all.
const (
	mostAds     = 100
	mostSkipped = 20
	mostReasons = 50
)

func newReport(began time.Time) *Report {
	return &Report{
		StartedAt: began.UTC(), ByStatus: map[string]int{}, Ads: []Remediated{}, Alerts: []AccountAlert{},
		skipped: map[string]*Skipped{},
	}
}

func (r *Report) end(at time.Time) {
	r.CompletedAt = at.UTC()
	r.Seconds = at.Sub(r.StartedAt).Seconds()
}

// shown returns the report with its lists filled, the most frequent reason first.
func (r *Report) shown() Report {
	out := *r
	out.skipped = nil
	out.Skipped = make([]Skipped, 0, len(r.skipped))
	for _, s := range r.skipped {
		out.Skipped = append(out.Skipped, *s)
	}
	slices.SortFunc(out.Skipped, func(a, b Skipped) int {
		return cmp.Or(cmp.Compare(b.Ads, a.Ads), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// restore makes a report that was kept ready to be gone on with.
func (r *Report) restore() {
	r.skipped = map[string]*Skipped{}
	for _, s := range r.Skipped {
		r.skipped[s.Reason] = &s
	}
	if r.ByStatus == nil {
		r.ByStatus = map[string]int{}
	}
	if r.Alerts == nil {
		r.Alerts = []AccountAlert{}
	}
}

// alert adds an account's alarm, once: an account may be met in several batches.
func (r *Report) alert(a AccountAlert) {
	same := func(o AccountAlert) bool { return o.AccountID == a.AccountID && o.Kind == a.Kind }
	if len(r.Alerts) < mostAds && !slices.ContainsFunc(r.Alerts, same) {
		r.Alerts = append(r.Alerts, a)
	}
}

func (r *Report) look(status fatigue.Status) {
	r.LookedAt++
	r.ByStatus[string(status)]++
}

func (r *Report) skip(ad, reason string) {
	s := r.skipped[reason]
	if s == nil {
		if len(r.skipped) >= mostReasons {
			reason = "other reasons"
			s = r.skipped[reason]
		}
		if s == nil {
			s = &Skipped{Reason: reason, AdIDs: []string{}}
			r.skipped[reason] = s
		}
	}
	s.Ads++
	if len(s.AdIDs) < mostSkipped {
		s.AdIDs = append(s.AdIDs, ad)
	}
}

func (r *Report) did(one Remediated) {
	r.Remediated++
	if one.ChangeID != "" {
		r.Cuts++
	}
	if one.RefreshID != "" {
		r.Refreshes++
	}
	if len(r.Ads) < mostAds {
		r.Ads = append(r.Ads, one)
	}
}

// add adds what was done since to a total.
func (r *Report) add(of *Report) {
	r.LookedAt += of.LookedAt
	r.NewlyFatigued += of.NewlyFatigued
	r.Remediated += of.Remediated
	r.Cuts += of.Cuts
	r.Refreshes += of.Refreshes
	for _, status := range slices.Sorted(maps.Keys(of.ByStatus)) {
		r.ByStatus[status] += of.ByStatus[status]
	}
	r.Ads = append(r.Ads, of.Ads[:min(len(of.Ads), mostAds-len(r.Ads))]...)
	for _, a := range of.Alerts {
		r.alert(a)
	}
	for reason, s := range of.skipped {
		for i := range s.Ads {
			ad := ""
			if i < len(s.AdIDs) {
				ad = s.AdIDs[i]
			}
			r.skip(ad, reason)
		}
	}
}
