package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/geminivideo/geminivideo/infra/local/demo/sim"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
)

// lead is somebody who fills in a form at an ad, without visiting a page: Meta's
// webhook names the lead, and the deal's contact carries its id.
func (p *play) lead(ctx context.Context) error {
	if _, err := p.admin.do(ctx, request{method: http.MethodPut, path: "/api/connections/meta", body: map[string]any{
		"page_id": p.tenant.PageID, "page_access_token": p.tenant.PageToken,
	}}, nil); err != nil {
		return err
	}
	ads, err := p.editor.ads(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(ads, func(a adRow) bool { return a.Status == "ACTIVE" && a.ID != p.ad.ID && a.ID != p.tired.ad.ID })
	if i < 0 {
		return errors.New("no other ad is active")
	}
	ad := ads[i]
	id, err := p.sys.Meta.SubmitLead(p.tenant.PageID, fakemeta.Lead{
		AdID: ad.ID, FormID: "88101", Email: "kim.lead@example.com",
		Created: time.Now().Add(-time.Minute),
	})
	if err != nil {
		return err
	}
	status, err := p.sys.Meta.Notify(ctx, p.tenant.PageID, id)
	if err := errors.Join(err, want("the answer to Meta's webhook", status, http.StatusOK)); err != nil {
		return err
	}
	if err := p.await(ctx); err != nil {
		return err
	}
	contact, events, err := p.portal.UpsertContact(0, map[string]string{
		"gv_lead_id": id, "email": "kim.lead@example.com", "first_conversion_date": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
	}, time.Time{})
	if err != nil {
		return err
	}
	deal, more, err := p.portal.CreateDeal(fakehubspot.NewDeal{
		Name: "Lead form (the play's)", Pipeline: Pipeline.ID, Stage: stageIDs[sim.Appointment], Currency: p.tenant.Currency,
		Contacts: []int64{contact}, Primary: true,
	})
	if err != nil {
		return err
	}
	body, err := p.pack(append(events, more...))
	if err != nil {
		return err
	}
	if err := p.deliver(ctx, body); err != nil {
		return err
	}
	all, err := p.owner.ledger(ctx, p.tenant)
	if err != nil {
		return err
	}
	e := all[deal]
	if e.AdID == nil {
		return fmt.Errorf("deal %d is credited to no ad: %s", deal, e.Reason)
	}
	p.say("Lead %s of ad %s: Meta's signed webhook, 200; the lead was read once from Meta, its address kept only as a hash.", id, ad.ID)
	p.say("Deal %d of the contact with that lead is credited to the ad by %s, confidence %.2f.", deal, e.Method, e.Confidence)
	gone, err := p.portal.DeleteDeal(deal) // so that the play can be repeated
	if err != nil {
		return err
	}
	if body, err = p.pack(gone); err != nil {
		return err
	}
	return errors.Join(
		want("the deal's ad", *e.AdID, ad.ID), want("the method", e.Method, "lead_id"), want("the confidence", e.Confidence, 1),
		p.deliver(ctx, body),
	)
}
