package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/winners"
)

const (
	// claimFor is how long a change of the embedding model is its message's; one
	// that is lost is sent again then.
	claimFor = 5 * time.Minute
	// askBatch bounds what one run asks for of each kind.
	askBatch = 500
)

// askAll asks the function index to go on with changes that are due, and to take
// up winners that it has not.
func (f *function) askAll(ctx context.Context, asked *int) error {
	due, err := claimChanges(ctx, f.db)
	if err != nil {
		return err
	}
	missing, err := missingWinners(ctx, f.db)
	if err != nil {
		return err
	}
	all := append(due, missing...)
	if len(all) == 0 {
		return nil
	}
	err = f.queue.Publish(ctx, all...)
	*asked = len(all) - len(message.UnsentOf(err, len(all)))
	if err != nil {
		return fmt.Errorf("ask to have winners embedded: %w", err)
	}
	return nil
}

// claimChanges claims the changes of the embedding model that are due.
func claimChanges(ctx context.Context, db *pg.Worker) (all []message.Message, err error) {
	var due []winners.DueChange
	err = pg.Across(ctx, db, func(tx pgx.Tx) (err error) {
		due, err = winners.ClaimChanges(ctx, tx, claimFor, askBatch)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, d := range due {
		m, err := asking(d.TenantID, fmt.Sprintf("reembed/%s/%d", d.TenantID, d.Attempt), d.ChangeDue)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// missingWinners lists winners that no search finds: their messages came to
// nothing because the model was away for longer than a message is tried again.
// Each is listed in one minute of the hour, by its name.
func missingWinners(ctx context.Context, db *pg.Worker) (all []message.Message, err error) {
	day := time.Now().UTC().Format(time.DateOnly) // one that can never be embedded is a dead letter a day, not an hour
	err = pg.Across(ctx, db, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `
			SELECT a.tenant_id::text, a.ad_id
			FROM   gv.ads a LEFT JOIN gv.embedding_models m USING (tenant_id)
			WHERE  a.is_winner AND (hashtext(a.ad_id) & 65535) % 60 = extract(minute FROM now())::int
			AND    NOT EXISTS (SELECT FROM gv.winners w WHERE w.tenant_id = a.tenant_id AND w.ad_id = a.ad_id AND w.active AND w.model = m.active)
			ORDER  BY random() LIMIT $1`, askBatch)
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (message.Message, error) {
			var (
				tenant string
				found  ads.Winner
			)
			if err := row.Scan(&tenant, &found.AdID); err != nil {
				return message.Message{}, err
			}
			return asking(tenant, "missing/"+day+"/"+tenant+"/"+found.AdID, found)
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list winners that are not indexed: %w", err)
	}
	return all, nil
}

func asking(tenant, key string, body any) (message.Message, error) {
	data, err := json.Marshal(body)
	return message.Message{
		Topic: ads.WinnerFound, Data: data,
		Attributes: map[string]string{message.KeyAttribute: key, message.TenantAttribute: tenant},
	}, err
}
