package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/geminivideo/geminivideo/infra/local/demo/sim"
)

// revenue asks what the deal's move stands for.
func (p *play) revenue(ctx context.Context) error {
	var answer struct {
		Synthetic  float64 `json:"synthetic_value"`
		Calculated float64 `json:"calculated_value"`
		Confidence float64 `json:"confidence"`
		Reason     string  `json:"reason"`
	}
	err := p.editor.post(ctx, "/api/ml/synthetic-revenue/calculate", map[string]any{
		"tenant_id": p.tenant.ID, "stage_from": string(sim.Lead), "stage_to": string(sim.Appointment),
	}, &answer)
	if err != nil {
		return err
	}
	e, err := p.entry(ctx)
	if err != nil {
		return err
	}
	p.say("From lead to appointment_scheduled: %s more than before (confidence %.2f).", p.money(answer.Calculated), answer.Confidence)
	p.say("%s.", sentence(answer.Reason))
	return p.sameMoney("the deal's value in the ledger", units(e.Value, p.tenant), answer.Synthetic)
}

// attribution asks whose click a conversion with the contact's fbclid is, and
// compares that with the ledger.
func (p *play) attribution(ctx context.Context) error {
	var answer struct {
		Success    bool
		ClickID    string  `json:"attributed_click_id"`
		Method     string  `json:"attribution_method"`
		Confidence float64 `json:"attribution_confidence"`
		Reason     string  `json:"reason"`
		AdID       string  `json:"ad_id"`
	}
	err := p.editor.post(ctx, "/api/ml/attribution/attribute-conversion", map[string]any{
		"tenant_id": p.tenant.ID, "conversion_id": fmt.Sprintf("play-contact-%d", p.contact), "conversion_type": "lead",
		"conversion_value": 0, "conversion_timestamp": time.Now().UTC().Format(time.RFC3339Nano), "fbclid": p.fbclid,
	}, &answer)
	if err != nil {
		return err
	}
	e, err := p.entry(ctx)
	if err != nil {
		return err
	}
	click, ad := "", ""
	if e.ClickID != nil && e.AdID != nil {
		click, ad = *e.ClickID, *e.AdID
	}
	p.say("Deal %d was brought by click %s: method %s, confidence %.2f.", p.deal, click, e.Method, e.Confidence)
	p.say("%s.", sentence(e.Reason))
	return firstOf(
		want("the deal's click", click, p.clickID), want("the deal's ad", ad, p.ad.ID), want("the method", e.Method, "url_param"),
		want("the confidence", e.Confidence, 1), want("attribute-conversion's click", answer.ClickID, p.clickID),
		want("attribute-conversion's ad", answer.AdID, p.ad.ID), want("attribute-conversion's method", answer.Method, e.Method),
	)
}

func (p *play) pipeline(ctx context.Context) error {
	ad, err := p.current(ctx)
	if err != nil {
		return err
	}
	e, err := p.entry(ctx)
	if err != nil {
		return err
	}
	p.say("Ad %s: %s before the deal, %s now. Nobody has paid yet, and the ad has its credit already.", ad.ID, p.money(p.ad.Pipeline), p.money(ad.Pipeline))
	return firstOf(
		p.sameMoney("the ad's pipeline value", ad.Pipeline, p.ad.Pipeline+units(e.Value, p.tenant)),
		p.sameMoney("the ad's revenue", ad.Revenue, p.ad.Revenue),
	)
}

// memory is an ad in the winner memory.
type memory struct {
	Active   bool `json:"active"`
	Metadata struct {
		DNA  map[string]any `json:"creative_dna"`
		ROAS float64        `json:"pipeline_roas"`
		CTR  float64        `json:"ctr"`
	} `json:"metadata"`
	Model string `json:"embedding_model"`
}

func (p *play) indexed(ctx context.Context) (m memory, err error) {
	return m, p.editor.get(ctx, "/api/ml/rag/winner/"+url.PathEscape(p.ad.ID), &m)
}

// winner looks the ad up in the memory: nobody asked for it to be indexed.
func (p *play) winner(ctx context.Context) error {
	m, err := p.indexed(ctx)
	if err != nil {
		return err
	}
	var stats struct {
		Total int64 `json:"total_winners_in_memory"`
	}
	if err := p.editor.get(ctx, "/api/ml/rag/memory-stats", &stats); err != nil {
		return err
	}
	ad, err := p.current(ctx)
	if err != nil {
		return err
	}
	p.dna = m.Metadata.DNA
	p.say("%s of pipeline for %s spent is %.2fx, above the bar of 3: indexed by itself.", p.money(ad.Pipeline), p.money(ad.Spend), m.Metadata.ROAS)
	p.say("%d winners are in the memory (embeddings by %s).", stats.Total, m.Model)
	if m.Metadata.ROAS < ad.roas()*0.999 || m.Metadata.ROAS > ad.roas()*1.001 {
		return fmt.Errorf("the ROAS in the winner memory is %.3[2]f, want %.3[1]f", ad.roas(), m.Metadata.ROAS)
	}
	return want("whether searches find the ad", m.Active, true)
}

func (p *play) search(ctx context.Context) error {
	var answer struct {
		Total   int64 `json:"total_in_memory"`
		Winners []struct {
			AdID       string  `json:"ad_id"`
			Similarity float64 `json:"similarity"`
			Metadata   struct {
				DNA  map[string]any `json:"creative_dna"`
				ROAS float64        `json:"pipeline_roas"`
			} `json:"metadata"`
		} `json:"winners"`
	}
	if err := p.editor.post(ctx, "/api/ml/rag/search-winners", map[string]any{"query": p.dna, "top_k": 3}, &answer); err != nil {
		return err
	}
	p.say("The three of %d winners that are most like it:", answer.Total)
	for _, w := range answer.Winners {
		p.say("  %s  similarity %.3f  %.2fx  %v hook, %v pacing: %q", w.AdID, w.Similarity, w.Metadata.ROAS,
			w.Metadata.DNA["hook_type"], w.Metadata.DNA["visual_pacing"], w.Metadata.DNA["hook_text"])
	}
	if len(answer.Winners) == 0 {
		return errors.New("the search: expected the ad, saw nothing found")
	}
	return want("the most similar winner", answer.Winners[0].AdID, p.ad.ID)
}

// revalue raises what an appointment is worth, looks at all ads, and takes it back.
func (p *play) revalue(ctx context.Context) error {
	const more = 250
	ledger, err := p.owner.ledger(ctx, p.tenant)
	if err != nil {
		return err
	}
	old, err := p.appointment(ctx)
	if err != nil {
		return err
	}
	deals := 0
	for _, e := range ledger {
		if e.State == "live" && e.AdID != nil && e.StageName != nil && *e.StageName == string(sim.Appointment) &&
			e.Value == minor(old, p.tenant) {
			deals++
		}
	}
	before, err := p.total(ctx)
	if err != nil {
		return err
	}
	revalued, ads, err := p.setAppointment(ctx, old+more)
	if err != nil {
		return err
	}
	raised, err := p.total(ctx)
	if _, _, back := p.setAppointment(ctx, old); err != nil || back != nil {
		return errors.Join(err, back)
	}
	if err != nil {
		return err
	}
	after, err := p.total(ctx)
	if err != nil {
		return err
	}
	p.say("An appointment counts %s instead of %s: %d open deals and %d ads were revalued at once.", p.money(old+more), p.money(old), revalued, ads)
	p.say("All ads' pipeline together: %s, then %s, and %s when it is taken back.", p.money(before), p.money(raised), p.money(after))
	return firstOf(
		p.sameMoney("all ads' pipeline", raised, before+more*float64(deals)),
		p.sameMoney("all ads' pipeline when it is taken back", after, before),
	)
}

// appointment is what the tenant's stage of that name is worth.
func (p *play) appointment(ctx context.Context) (float64, error) {
	var answer struct {
		Stages []struct {
			Name  string  `json:"stage_name"`
			Value float64 `json:"value"`
		} `json:"stages"`
	}
	if err := p.editor.get(ctx, "/api/ml/synthetic-revenue/stages?tenant_id="+p.tenant.ID, &answer); err != nil {
		return 0, err
	}
	for _, s := range answer.Stages {
		if s.Name == string(sim.Appointment) {
			return s.Value, nil
		}
	}
	return 0, fmt.Errorf("the tenant's %d stages: expected %s among them", len(answer.Stages), sim.Appointment)
}

func (p *play) setAppointment(ctx context.Context, value float64) (deals, ads int, err error) {
	var answer struct {
		Deals int `json:"revalued_deals"`
		Ads   int `json:"settled_ads"`
	}
	_, err = p.editor.do(ctx, request{
		method: http.MethodPut, path: "/api/ml/synthetic-revenue/stages/" + string(sim.Appointment),
		body: map[string]any{"tenant_id": p.tenant.ID, "value": value},
	}, &answer)
	return answer.Deals, answer.Ads, err
}

// total is the pipeline value of all ads.
func (p *play) total(ctx context.Context) (float64, error) {
	ads, err := p.editor.ads(ctx)
	sum := int64(0)
	for _, ad := range ads {
		sum += minor(ad.Pipeline, p.tenant)
	}
	return units(sum, p.tenant), err
}

func (p *play) replay(ctx context.Context) error {
	replayed, err := p.admin.do(ctx, request{method: http.MethodPost, path: "/api/decisions/" + p.second.DecisionID + "/replay"}, nil)
	if err != nil {
		return err
	}
	if !bytes.Equal(replayed, p.second.raw) {
		return fmt.Errorf("the replay of decision %s: expected the same %d bytes, saw %d others", p.second.DecisionID, len(p.second.raw), len(replayed))
	}
	p.say("From what was kept of decision %s came the same %d bytes.", p.second.DecisionID, len(replayed))
	return nil
}

// stranger asks for all of it with another tenant's admin token.
func (p *play) stranger(ctx context.Context) error {
	asked := []struct {
		what   string
		r      request
		status []int
	}{
		{"the campaign's ads", request{method: http.MethodGet, path: "/api/campaigns/" + url.PathEscape(p.ad.CampaignID) + "/ads"}, []int{404}},
		{"the decision", request{method: http.MethodGet, path: "/api/decisions/" + p.second.DecisionID}, []int{404}},
		{"the winner", request{method: http.MethodGet, path: "/api/ml/rag/winner/" + url.PathEscape(p.ad.ID)}, []int{404}},
		{"the stages", request{method: http.MethodGet, path: "/api/ml/synthetic-revenue/stages?tenant_id=" + p.tenant.ID}, []int{403, 404}},
		{"feedback on the ad", request{method: http.MethodPost, path: "/api/ml/battle-hardened/feedback", body: map[string]any{
			"ad_id": p.ad.ID, "actual_pipeline_value": 0, "actual_spend": 1,
		}}, []int{403, 404}},
	}
	for _, a := range asked {
		_, err := p.other.do(ctx, a.r, nil)
		var no *refusal
		switch {
		case err == nil:
			return fmt.Errorf("%s, asked for by %s: expected %v, saw it answered", a.what, p.sys.Other.Name, a.status)
		case !errors.As(err, &no):
			return err
		case !slices.Contains(a.status, no.status):
			return fmt.Errorf("%s, asked for by %s: expected %v, saw %d", a.what, p.sys.Other.Name, a.status, no.status)
		}
		p.say("%s: %d for %s.", a.what, no.status, p.sys.Other.Name)
	}
	return nil
}
