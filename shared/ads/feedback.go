package ads

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Feedback is what a caller says that an ad has come to, in totals. Counts that are
// nil stay as they were.
type Feedback struct {
	AdID        string
	Impressions *int64
	Clicks      *int64
	Spend       money.Amount
	Pipeline    money.Amount
}

// PutFeedback stores it in place of earlier feedback. Clicks belong to their
// impressions: where the impressions fall below the stored clicks, those fall with
// them.
func (s Store) PutFeedback(ctx context.Context, f Feedback) error {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.ad_figures AS f (tenant_id, ad_id, source, impressions, clicks, spend_minor, pipeline_minor)
		VALUES (gv.tenant(), @ad, 'feedback', @impressions::bigint, @clicks::bigint, @spend, @value)
		ON CONFLICT (tenant_id, ad_id, source) DO UPDATE
		SET    impressions = coalesce(excluded.impressions, f.impressions),
		       clicks = coalesce(excluded.clicks, least(f.clicks, coalesce(excluded.impressions, f.impressions))),
		       spend_minor = excluded.spend_minor, pipeline_minor = excluded.pipeline_minor, observed_at = now()`,
		pgx.StrictNamedArgs{"ad": f.AdID, "impressions": f.Impressions, "clicks": f.Clicks, "spend": f.Spend, "value": f.Pipeline})
	if err != nil {
		return fmt.Errorf("store feedback on ad %s: %w", f.AdID, err)
	}
	return nil
}
