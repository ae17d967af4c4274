package allocate

import (
	"context"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/serve"
)

type feedbackInput struct {
	Body struct {
		AdID          string  `json:"ad_id" minLength:"1" maxLength:"256"`
		PipelineValue float64 `json:"actual_pipeline_value" minimum:"0" doc:"Total to date, won deals included."`
		Spend         float64 `json:"actual_spend" minimum:"0" doc:"Total to date."`
		Clicks        *whole  `json:"actual_clicks,omitempty" nullable:"true" doc:"Total to date; only together with actual_impressions."`
		Impressions   *whole  `json:"actual_impressions,omitempty" nullable:"true" doc:"Total to date."`
	}
}

// Resolve checks what the types cannot say.
func (in *feedbackInput) Resolve(huma.Context) []error {
	b := &in.Body
	switch {
	case b.AdID != "" && !printable(b.AdID):
		return []error{&huma.ErrorDetail{Location: "body.ad_id", Message: printableRule}}
	case b.Clicks != nil && b.Impressions == nil:
		return []error{&huma.ErrorDetail{Location: "body.actual_impressions", Message: "is required with actual_clicks"}}
	case b.Clicks != nil && *b.Clicks > *b.Impressions:
		return []error{&huma.ErrorDetail{Location: "body.actual_clicks", Message: "must not be above actual_impressions"}}
	}
	return nil
}

type feedbackOutput struct{ Body feedbackBody }

type feedbackBody struct {
	Status      string    `json:"status" enum:"feedback_registered"`
	AdID        string    `json:"ad_id"`
	ActualROAS  float64   `json:"actual_roas" doc:"Of the figures that decide: pipeline value over spend, spend counted as at least 1."`
	Timestamp   time.Time `json:"timestamp"`
	Winner      bool      `json:"winner"`
	ValueSource string    `json:"value_source" enum:"none,ledger,feedback,import" doc:"Whose value decides: where the deal ledger knows the ad's deals, the ledger's does."`
	Note        string    `json:"note,omitempty"`
}

// feedback stores an ad's totals to date and recomputes the ad's figures by them.
// Lower totals than before are corrections.
func (f *function) feedback(ctx context.Context, in *feedbackInput) (*feedbackOutput, error) {
	who := auth.From(ctx)
	body, err := idempotency.Run(ctx, f.db, who.Tenant, func(tx pgx.Tx) (feedbackBody, error) {
		if err := (store{tx}).recordFeedback(ctx, in); err != nil {
			return feedbackBody{}, err
		}
		totals, err := ads.Recompute(ctx, tx, []string{in.Body.AdID})
		if err != nil {
			return feedbackBody{}, err
		}
		if len(totals) != 1 {
			return feedbackBody{}, fmt.Errorf("recompute ad %s: it has no totals", in.Body.AdID)
		}
		source, err := store{tx}.valueSource(ctx, in.Body.AdID)
		if err != nil {
			return feedbackBody{}, err
		}
		body := feedbackBody{
			Status: "feedback_registered", AdID: in.Body.AdID, Timestamp: time.Now().UTC(), ValueSource: source,
			ActualROAS: totals[0].ROAS(), Winner: totals[0].IsWinner,
		}
		if source == "ledger" {
			body.Note = "The deal ledger knows this ad's deals, so their value decides; the one in this feedback is only stored."
		}
		return body, nil
	})
	if err != nil {
		return nil, err
	}
	outbox.Flush(ctx, f.db, who.Tenant, f.queue)
	serve.Note(ctx, "ad", body.AdID)
	return &feedbackOutput{body}, nil
}

// recordFeedback stores what feedback said of a stored ad, the latest only. Clicks belong to
// their impressions: they are replaced together.
func (s store) recordFeedback(ctx context.Context, in *feedbackInput) error {
	b := &in.Body
	stored, err := s.ads(ctx, []string{b.AdID})
	if err != nil {
		return err
	}
	ad, ok := stored[b.AdID]
	if !ok {
		return fault.NotFoundf("ad_id names no ad of yours")
	}
	value, err := money.FromUnits(b.PipelineValue, ad.Currency)
	if err != nil {
		return fault.Field("body.actual_pipeline_value", err.Error()+" that is accepted here")
	}
	spend, err := money.FromUnits(b.Spend, ad.Currency)
	if err != nil {
		return fault.Field("body.actual_spend", err.Error()+" that is accepted here")
	}
	return ads.NewStore(s.tx).PutFeedback(ctx, ads.Feedback{
		AdID: b.AdID, Impressions: count(b.Impressions), Clicks: count(b.Clicks), Spend: spend, Pipeline: value,
	})
}

func (s store) valueSource(ctx context.Context, id string) (source string, err error) {
	err = s.tx.QueryRow(ctx, `SELECT value_source FROM gv.ads WHERE tenant_id = gv.tenant() AND ad_id = $1`, id).Scan(&source)
	if err != nil {
		return "", fmt.Errorf("read ad %s: %w", id, err)
	}
	return source, nil
}

func count(n *whole) *int64 {
	if n == nil {
		return nil
	}
	i := int64(*n)
	return &i
}
