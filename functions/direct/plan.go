package direct

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/director"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/live"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/winners"
)

type writeInput struct {
	Body struct {
		VideoID     string   `json:"video_id" minLength:"1" maxLength:"256" pattern:"\\S" patternDescription:"text that is not blank" doc:"An uploaded video's id, or, with creative_dna, any name of yours."`
		CreativeDNA openJSON `json:"creative_dna,omitempty" doc:"Open, at most 32 kB. Where it is left out, the analysed video's."`
		AccountID   string   `json:"account_id" minLength:"1" maxLength:"256"`
	}

	dna creative.DNA
}

// Resolve checks the DNA, where there is one.
func (in *writeInput) Resolve(huma.Context) []error {
	if in.Body.CreativeDNA == nil {
		return nil
	}
	dna, err := creative.Parse(in.Body.CreativeDNA)
	switch {
	case err != nil:
		return []error{&huma.ErrorDetail{Location: "body.creative_dna" + creative.Offender(in.Body.CreativeDNA, err), Message: err.Error()}}
	case len(dna) == 0:
		return []error{&huma.ErrorDetail{
			Location: "body.creative_dna",
			Message:  "must say something: leave it out to have the analysed video's",
		}}
	}
	in.dna = dna
	return nil
}

// openJSON is an object of any members, as it came.
type openJSON json.RawMessage

// Schema tells the OpenAPI document.
func (openJSON) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}

// MarshalJSON returns the object as it is.
func (o openJSON) MarshalJSON() ([]byte, error) { return o, nil }

// UnmarshalJSON keeps the object as it came.
func (o *openJSON) UnmarshalJSON(data []byte) error {
	*o = bytes.Clone(data)
	return nil
}

// write predicts the creative, has its plan written and keeps it. The models are
// asked between transactions: nothing inside one may use the network.
func (f *function) write(ctx context.Context, in *writeInput) (out *planOutput, err error) {
	id := auth.From(ctx)
	dna, kept, err := f.subject(ctx, id.Tenant, in)
	if err != nil || kept != nil {
		return kept, err
	}
	f.progress(id.Tenant, in, nil, nil)
	defer func() {
		f.progress(id.Tenant, in, out, err)
		f.view.Flush(ctx)
	}()
	question := director.Question{Tenant: id.Tenant, AccountID: in.Body.AccountID, DNA: dna, Text: winners.TextOf(dna, "")}
	brief, err := f.director.Brief(ctx, f.db, question)
	if err != nil {
		return nil, err
	}
	content, by, err := f.director.Write(ctx, id.Tenant, brief)
	if err != nil {
		return nil, err
	}
	if err := f.director.Foresee(ctx, question, brief, &content); err != nil {
		return nil, err
	}
	about := director.Subject{AccountID: in.Body.AccountID, VideoID: in.Body.VideoID, RequestedBy: id.Who()}
	out, err = idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (*planOutput, error) {
		plan, err := director.NewStore(tx).Add(ctx, about, brief.Kind, by, content)
		return &planOutput{plan}, err
	})
	if err != nil {
		return nil, err
	}
	serve.Note(ctx, "plan", out.Body.PlanID, "kind", string(out.Body.Kind), "generated_by", out.Body.GeneratedBy)
	return out, nil
}

// progress shows in the live view how far a video's plan is: being written, written or
// failed.
func (f *function) progress(tenant string, in *writeInput, out *planOutput, err error) {
	p := live.Progress{
		Kind: live.Plan, ID: in.Body.VideoID, Status: "writing",
		Data: map[string]any{"account_id": in.Body.AccountID, "video_id": in.Body.VideoID},
	}
	switch {
	case err != nil:
		p.Status, p.Ended, p.Data["reason"] = "failed", true, director.Why(err)
	case out != nil:
		p.Status, p.Ended, p.Data["plan_id"], p.Data["plan_kind"] = "planned", true, out.Body.PlanID, string(out.Body.Kind)
	}
	f.view.Put(tenant, p)
}

// subject returns the DNA that the plan is for, or the answer that was given to
// this request already.
func (f *function) subject(ctx context.Context, tenant string, in *writeInput) (dna creative.DNA, kept *planOutput, err error) {
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) (err error) {
		if kept, _, err = idempotency.Stored[*planOutput](ctx, tx); err != nil || kept != nil {
			return err
		}
		store := director.NewStore(tx)
		if err := store.Account(ctx, in.Body.AccountID); err != nil {
			return err
		}
		if dna = in.dna; dna == nil {
			dna, err = store.Video(ctx, in.Body.VideoID)
		}
		return err
	})
	if err == nil && kept == nil && len(dna) == 0 {
		err = fault.Conflictf("the analysis of this video found nothing to go by: send its creative_dna along")
	}
	return dna, kept, err
}
