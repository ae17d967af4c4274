package direct

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/director"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

type refreshInput struct {
	Body struct {
		AdID   string `json:"ad_id" minLength:"1" maxLength:"256" pattern:"\\S" patternDescription:"text that is not blank"`
		Reason string `json:"reason" minLength:"1" maxLength:"1000" pattern:"\\S" patternDescription:"text that is not blank" doc:"Why it is to be replaced, in words."`
	}
}

type refreshOutput struct {
	Body struct {
		RefreshID string `json:"refresh_id"`
		Status    string `json:"status" enum:"queued,planned,failed"`
		Note      string `json:"note,omitempty" doc:"Why no new request was made, where one is under way already."`
	}
}

// refresh queues a request for the tired ad's replacement. A member who asks does
// not have to wait for the ad to have rested, but one request at a time is enough.
func (f *function) refresh(ctx context.Context, in *refreshInput) (*refreshOutput, error) {
	id := auth.From(ctx)
	out, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (*refreshOutput, error) {
		asked, err := director.RequestRefreshes(ctx, tx, id.Tenant, id.Who(),
			[]director.AdReason{{AdID: in.Body.AdID, Reason: in.Body.Reason, Again: true}})
		if err != nil {
			return nil, err
		}
		if len(asked) != 1 || asked[0].RefreshID == "" {
			return nil, fault.NotFoundf("you have no ad with this ad_id")
		}
		out := &refreshOutput{}
		out.Body.RefreshID, out.Body.Status, out.Body.Note = asked[0].RefreshID, asked[0].Status, asked[0].Reason
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	serve.Note(ctx, "ad", in.Body.AdID, "refresh", out.Body.RefreshID)
	outbox.Flush(ctx, f.db, id.Tenant, f.queue)
	return out, nil
}

type refreshesInput struct {
	Status string `query:"status" enum:"queued,planned,failed"`
	AdID   string `query:"ad_id" maxLength:"256"`
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"200"`
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
}

type refreshesOutput struct {
	Body struct {
		Refreshes  []director.Request `json:"refreshes" nullable:"false"`
		NextCursor string             `json:"next_cursor,omitempty" doc:"Absent on the last page."`
	}
}

func (f *function) refreshes(ctx context.Context, in *refreshesInput) (*refreshesOutput, error) {
	filter := director.RequestFilter{Status: in.Status, AdID: in.AdID, Limit: in.Limit + 1} // one more tells whether there is a next page
	var err error
	if filter.AfterTime, filter.AfterID, err = position(in.Cursor); err != nil {
		return nil, err
	}
	if err := storable("query.ad_id", in.AdID); err != nil {
		return nil, err
	}
	out := &refreshesOutput{}
	err = pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		out.Body.Refreshes, err = director.NewStore(tx).Requests(ctx, filter)
		return err
	})
	if err != nil {
		return nil, err
	}
	if all := out.Body.Refreshes; len(all) > in.Limit {
		last := all[in.Limit-1]
		out.Body.Refreshes, out.Body.NextCursor = all[:in.Limit], cursor(last.RequestedAt, last.RefreshID)
	}
	return out, nil
}

type refreshedOutput struct{ Body director.Request }

func (f *function) refreshed(ctx context.Context, in *oneInput) (*refreshedOutput, error) {
	out := &refreshedOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		out.Body, err = director.NewStore(tx).Request(ctx, in.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
