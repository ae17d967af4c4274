package fakemeta

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// controlHelp is what GET /control/ answers.
const controlHelp = `A Meta to play with. Every change here is saved.

  A=http://HOST:PORT/control/accounts/act_ID

  GET  $A                  its campaigns, ad sets, ads, days and usage
  POST $A/campaigns        {"id": "", "name": "...", "status": "ACTIVE", "daily_budget": 0}   a campaign budget, where not 0
  POST $A/adsets           {"id": "", "campaign_id": "...", "name": "...", "daily_budget": 5000, "learning": "LEARNING"}
  POST $A/ads              {"id": "", "adset_id": "...", "name": "...", "status": "ACTIVE", "title": "...", "body": "..."}
                           each replaces the one of the id, or makes one with an id of its own
  POST $A/insights         [{"ad_id": "...", "day": "2026-11-20", "impressions": 1000, "clicks": 12, "reach": 800, "frequency": 1.25,
                             "spend": "12.34", "actions": {"omni_purchase": 1}, "values": {"omni_purchase": 450}}]
                           days; the same day again restates it. The system sees them at its next sync.
  POST $A/usage            {"management": 85, "insights": 0, "account": 0, "app": 0, "regain_minutes": 0, "reset_seconds": 0}
                           percent of the quotas that the answers' headers tell
  POST /control/objects/ID {"daily_budget": 4000, "status": "PAUSED"}   an edit by hand, as in Ads Manager
  GET  /control/writes?object=ID            every write of the system: when, from what to what, applied or not
  POST /control/pages/ID/leads              {"ad_id": "...", "email": "...", "phone": "...",
  "organic": false}   a lead form that somebody filled in;
                           its notification is posted to the app's webhook, signed
  POST /control/pages/ID/leads/LEAD/notify  posts it again
  GET  /control/pages/ID/leads              what was filled in
  POST /control/faults     {"method": "POST", "path": "ID", "times": 1, "after": true, "status": 500}
                           also "code", "subcode", "transient", "skip", "delay" (nanoseconds), "drop", "truncate", "headers"
  DELETE /control/faults   all is well again

Budgets are in Meta's minor units: cents of USD, whole JPY. Status: ACTIVE, PAUSED, ARCHIVED, DELETED.
`

// controls are the routes under /control/. They ask for no token: they are for
// the person at the machine, who has the state in a file anyway.
func (f *Fake) controls() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /control/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, controlHelp)
	})
	mux.HandleFunc("GET /control/accounts/{account}", f.show)
	mux.HandleFunc("POST /control/accounts/{account}/campaigns", command(f, func(a *Account, c Campaign) (any, error) {
		return map[string]string{"id": a.PutCampaign(c)}, nil
	}))
	mux.HandleFunc("POST /control/accounts/{account}/adsets", command(f, func(a *Account, s AdSet) (any, error) {
		if f.Campaign(s.CampaignID).AccountID != a.id {
			return nil, errors.New("campaign_id: the account has no such campaign")
		}
		return map[string]string{"id": a.PutAdSet(s)}, nil
	}))
	mux.HandleFunc("POST /control/accounts/{account}/ads", command(f, func(a *Account, ad Ad) (any, error) {
		if f.AdSet(ad.AdSetID).AccountID != a.id {
			return nil, errors.New("adset_id: the account has no such ad set")
		}
		return map[string]string{"id": a.PutAd(ad)}, nil
	}))
	mux.HandleFunc("POST /control/accounts/{account}/insights", command(f, func(a *Account, rows []Insight) (any, error) {
		for _, row := range rows {
			if f.Ad(row.AdID).AccountID != a.id || len(row.Day) != len("2026-11-20") {
				return nil, fmt.Errorf("ad %q, day %q: the account has no such ad, or the day is not written as 2026-11-20", row.AdID, row.Day)
			}
		}
		a.PutInsights(rows...)
		return map[string]int{"days": len(rows)}, nil
	}))
	mux.HandleFunc("POST /control/accounts/{account}/usage", command(f, func(a *Account, u Usage) (any, error) {
		a.SetUsage(u)
		return u, nil
	}))
	mux.HandleFunc("POST /control/objects/{id}", f.edit)
	f.leadControls(mux)
	mux.HandleFunc("GET /control/writes", func(w http.ResponseWriter, r *http.Request) {
		send(w, http.StatusOK, map[string]any{"writes": f.Writes(r.URL.Query().Get("object"))})
	})
	mux.HandleFunc("POST /control/faults", func(w http.ResponseWriter, r *http.Request) {
		var one Fault
		if err := decode(r, &one); err != nil {
			send(w, http.StatusBadRequest, problem(err))
			return
		}
		f.Inject(one)
		send(w, http.StatusOK, one)
	})
	mux.HandleFunc("DELETE /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		f.Heal()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// command decodes a body for one account, does what it says, and saves.
func command[T any](f *Fake, do func(*Account, T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a := f.Account(r.PathValue("account"))
		if a == nil {
			send(w, http.StatusNotFound, problem(errors.New("no such account")))
			return
		}
		var body T
		err := decode(r, &body)
		var answer any
		if err == nil {
			answer, err = do(a, body)
		}
		if err != nil {
			send(w, http.StatusBadRequest, problem(err))
			return
		}
		f.saved(w, answer)
	}
}

func (f *Fake) saved(w http.ResponseWriter, answer any) {
	if err := f.Save(); err != nil {
		send(w, http.StatusInternalServerError, problem(err))
		return
	}
	send(w, http.StatusOK, answer)
}

func (f *Fake) edit(w http.ResponseWriter, r *http.Request) {
	var body struct {
		DailyBudget *int64 `json:"daily_budget"`
		Status      string `json:"status"`
	}
	err := decode(r, &body)
	switch {
	case err != nil:
	case body.DailyBudget != nil && *body.DailyBudget < 0:
		err = errors.New("daily_budget must not be negative")
	case body.Status != "" && !strings.Contains(" ACTIVE PAUSED ARCHIVED DELETED ", " "+body.Status+" "):
		err = errors.New("status must be ACTIVE, PAUSED, ARCHIVED or DELETED")
	}
	if err != nil {
		send(w, http.StatusBadRequest, problem(err))
		return
	}
	if !f.Edit(r.PathValue("id"), body.DailyBudget, body.Status) {
		send(w, http.StatusNotFound, problem(errors.New("no such object")))
		return
	}
	f.saved(w, map[string]string{"id": r.PathValue("id")})
}

func (f *Fake) show(w http.ResponseWriter, r *http.Request) {
	a := f.Account(r.PathValue("account"))
	if a == nil {
		send(w, http.StatusNotFound, problem(errors.New("no such account")))
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string]any{"account": f.state.Accounts[a.id].Config, "usage": f.state.Accounts[a.id].Usage}
	campaigns, adsets, ads, days := []*Campaign{}, []*AdSet{}, []*Ad{}, []*Insight{}
	for _, id := range sorted(f.state.Campaigns) {
		if c := f.state.Campaigns[id]; c.AccountID == a.id {
			campaigns = append(campaigns, c)
		}
	}
	for _, id := range sorted(f.state.AdSets) {
		if s := f.state.AdSets[id]; s.AccountID == a.id {
			adsets = append(adsets, s)
		}
	}
	for _, id := range sorted(f.state.Ads) {
		if ad := f.state.Ads[id]; ad.AccountID == a.id {
			ads = append(ads, ad)
		}
	}
	for _, key := range sorted(f.state.Accounts[a.id].Insights) {
		days = append(days, f.state.Accounts[a.id].Insights[key])
	}
	all["campaigns"], all["adsets"], all["ads"], all["insights"] = campaigns, adsets, ads, days
	send(w, http.StatusOK, all)
}

func send(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func problem(err error) map[string]string { return map[string]string{"message": err.Error()} }

// decode reads a body strictly, for a typing mistake should be seen.
func decode(r *http.Request, into any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, 32<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the body is not what is expected: %w", err)
	}
	return nil
}
