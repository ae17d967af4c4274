package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// caller calls the system's functions as one member of one tenant, or as nobody
// where it has no token.
type caller struct {
	base, token string
}

// refusal is an answer that is no success.
type refusal struct {
	status     int
	what       string
	detail     string
	retryAfter time.Duration
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s answered %d: %s", r.what, r.status, r.detail)
}

// request is a call to be made. Body is written as JSON unless it is raw bytes.
type request struct {
	method, path string
	body         any
	header       http.Header
}

// do makes a call and reads the answer into out, where that is not nil. It
// returns the answer's bytes. Whatever is not 2xx is a *refusal.
func (c caller) do(ctx context.Context, r request, out any) ([]byte, error) {
	body, raw := r.body.([]byte)
	if !raw && r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if r.header != nil {
		req.Header = r.header.Clone()
	}
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s %s: %w", r.method, r.path, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return answer, refused(r, resp, answer)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			return answer, fmt.Errorf("read the answer of %s %s: %w", r.method, r.path, err)
		}
	}
	return answer, nil
}

func (c caller) get(ctx context.Context, path string, out any) error {
	_, err := c.do(ctx, request{method: http.MethodGet, path: path}, out)
	return err
}

func (c caller) post(ctx context.Context, path string, body, out any) error {
	_, err := c.do(ctx, request{method: http.MethodPost, path: path, body: body}, out)
	return err
}

// patiently makes a call again while the answer is "later": a limit of rate, a
// dependency that is only just starting.
func (c caller) patiently(ctx context.Context, r request, out any) error {
	for {
		_, err := c.do(ctx, r, out)
		no, ok := err.(*refusal) //nolint:errorlint // do returns it bare
		if !ok || no.status != http.StatusTooManyRequests && no.status != http.StatusServiceUnavailable {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(max(no.retryAfter, 50*time.Millisecond)):
		}
	}
}

func refused(r request, resp *http.Response, answer []byte) *refusal {
	var problem struct {
		Detail string `json:"detail"`
	}
	path, _, _ := strings.Cut(r.path, "?")
	no := &refusal{status: resp.StatusCode, what: r.method + " " + path, detail: strings.TrimSpace(string(answer))}
	if json.Unmarshal(answer, &problem) == nil && problem.Detail != "" {
		no.detail = problem.Detail
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		no.retryAfter = time.Duration(seconds) * time.Second
	}
	return no
}

// campaign, adRow, recommendation and split are what the demo reads of answers.
type campaign struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type adRow struct {
	ID            string    `json:"id"`
	Name          string    `json:"name"`
	Status        string    `json:"status"`
	DailyBudget   float64   `json:"daily_budget"` // 0 where nobody said
	Impressions   int64     `json:"impressions"`
	Clicks        int64     `json:"clicks"`
	Spend         float64   `json:"spend"`
	Pipeline      float64   `json:"pipeline_value"`
	Revenue       float64   `json:"revenue"`
	FatigueStatus string    `json:"fatigue_status"`
	CreatedAt     time.Time `json:"created_at"`
	CampaignID    string    `json:"-"`
	CampaignName  string    `json:"-"`
}

// roas is pipeline value over spend, spend counted as at least 1.
func (a adRow) roas() float64 { return a.Pipeline / max(a.Spend, 1) }

// ads lists every ad of the tenant, campaign by campaign.
func (c caller) ads(ctx context.Context) ([]adRow, error) {
	var list struct{ Campaigns []campaign }
	if err := c.get(ctx, "/api/campaigns", &list); err != nil {
		return nil, err
	}
	var all []adRow
	for _, one := range list.Campaigns {
		var answer struct{ Ads []adRow }
		if err := c.get(ctx, "/api/campaigns/"+url.PathEscape(one.ID)+"/ads", &answer); err != nil {
			return nil, err
		}
		for _, ad := range answer.Ads {
			ad.CampaignID, ad.CampaignName = one.ID, one.Name
			all = append(all, ad)
		}
	}
	return all, nil
}

type recommendation struct {
	AdID        string  `json:"ad_id"`
	Current     float64 `json:"current_budget"`
	Recommended float64 `json:"recommended_budget"`
	Change      float64 `json:"change_percentage"`
	Confidence  float64 `json:"confidence"`
	Reason      string  `json:"reason"`
	PBest       float64 `json:"p_best"`
	Verdict     string  `json:"verdict"`
}

type split struct {
	DecisionID      string           `json:"decision_id"`
	TotalBudget     float64          `json:"total_budget"`
	Unallocated     float64          `json:"unallocated_budget"`
	Recommendations []recommendation `json:"recommendations"`

	raw []byte
}

func (s split) of(ad string) recommendation {
	for _, r := range s.Recommendations {
		if r.AdID == ad {
			return r
		}
	}
	return recommendation{}
}

type adState struct {
	AdID          string  `json:"ad_id"`
	Impressions   int64   `json:"impressions"`
	Clicks        int64   `json:"clicks"`
	Spend         float64 `json:"spend"`
	PipelineValue float64 `json:"pipeline_value"`
	CashRevenue   float64 `json:"cash_revenue"`
	AgeHours      float64 `json:"age_hours"`
	CurrentBudget float64 `json:"current_budget,omitempty"`
}

// split asks for the budgets of the active ads as they stand, at now: what they
// have today, together, divided anew.
func (c caller) split(ctx context.Context, t Tenant, ads []adRow, now time.Time, seed uint64, key string) (split, error) {
	body := struct {
		AdStates    []adState `json:"ad_states"`
		TotalBudget float64   `json:"total_budget"`
		AccountID   string    `json:"account_id"`
		Seed        uint64    `json:"seed"`
	}{AccountID: t.AccountID, Seed: seed}
	cents := int64(0)
	for _, ad := range ads {
		if ad.Status != "ACTIVE" {
			continue
		}
		body.AdStates = append(body.AdStates, adState{
			ad.ID, ad.Impressions, ad.Clicks, ad.Spend, ad.Pipeline, ad.Revenue,
			max(now.Sub(ad.CreatedAt).Hours(), 0), ad.DailyBudget,
		})
		cents += minor(ad.DailyBudget, t)
	}
	body.TotalBudget = units(cents, t)
	r := request{method: http.MethodPost, path: "/api/ml/battle-hardened/select", body: body}
	if key != "" {
		r.header = http.Header{"Idempotency-Key": {key}}
	}
	var s split
	raw, err := c.do(ctx, r, &s)
	s.raw = raw
	return s, err
}
