package selflearning

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/learning"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
)

// indexed is what step 7 found.
type indexed struct {
	Winners int    `json:"winners"`
	Missing int    `json:"not_indexed"`
	Stale   int    `json:"stale"`
	Queued  int    `json:"queued"`
	Model   string `json:"embedding_model"`
}

// mostQueued is how many winners one cycle has indexed; the next has the rest.
const mostQueued = 500

// ragIndexing has every winner embedded that is not in the memory yet, or whose
// creative DNA has changed since it was. The embedding itself is functions/index's.
func (s *steps) ragIndexing(ctx context.Context, c *learning.Cycle) (learning.Work, error) {
	var found indexed
	var due []string
	err := s.in(ctx, c, func(tx pgx.Tx) (err error) {
		if found.Model, err = s.vectors(ctx, c, tx); err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, `
			SELECT   a.ad_id, w.ad_id IS NULL, w.ad_id IS NOT NULL AND w.creative_dna IS DISTINCT FROM a.creative_dna
			FROM     gv.ads a
			LEFT     JOIN gv.winners w ON w.tenant_id = a.tenant_id AND w.ad_id = a.ad_id AND w.model = @model
			WHERE    a.tenant_id = gv.tenant() AND a.account_id = @account AND a.is_winner
			ORDER BY a.ad_id`, pgx.StrictNamedArgs{"model": found.Model, "account": c.Account})
		var id string
		var missing, stale bool
		_, err = pgx.ForEachRow(rows, []any{&id, &missing, &stale}, func() error {
			found.Winners++
			switch {
			case missing:
				found.Missing++
			case stale:
				found.Stale++
			default:
				return nil
			}
			if len(due) < mostQueued {
				due = append(due, id)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("find winners of account %s that are not indexed: %w", c.Account, err)
		}
		return nil
	})
	if err != nil {
		return learning.Work{}, err
	}
	found.Queued = len(due)
	work := learning.Work{Write: func(ctx context.Context, tx pgx.Tx) (any, error) {
		messages := make([]message.Message, len(due))
		for i, id := range due {
			data, err := json.Marshal(ads.Winner{AdID: id})
			if err != nil {
				return nil, err
			}
			messages[i] = message.Message{Topic: ads.WinnerFound, Data: data}
		}
		return found, outbox.Put(ctx, tx, messages...)
	}}
	if found.Winners == 0 {
		work.Reason = "the account has no winners yet: ads above the winner's pipeline ROAS with enough spend"
	}
	return work, nil
}
