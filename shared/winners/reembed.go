package winners

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgvector/pgvector-go"

	"github.com/geminivideo/geminivideo/shared/embed"
)

// ChangeDue is a message that says that a tenant's change of the embedding model
// is to be gone on with, under which claim.
type ChangeDue struct {
	Attempt int64 `json:"reembed,omitempty"`
}

// Text is what was embedded of an ad.
type Text struct{ AdID, Text string }

// Embedded is a text with its vector of another model.
type Embedded struct {
	Text
	Vector embed.Vector
}

// Level gives what is kept with both models, and says the same, the figures that
// it has with from. It needs no embedding.
func (s Store) Level(ctx context.Context, from, to string) error {
	const differ = `
		FROM  gv.winners w
		WHERE w.tenant_id = gv.tenant() AND w.model = @from AND n.tenant_id = gv.tenant() AND n.model = @to AND n.ad_id = w.ad_id
		AND    n.text = w.text
		AND   (n.creative_dna, n.ad_data, n.pipeline_roas, n.ctr, n.active) IS DISTINCT FROM
		(w.creative_dna, w.ad_data, w.pipeline_roas, w.ctr, w.active)`
	args := pgx.StrictNamedArgs{"from": from, "to": to}
	rows, _ := s.tx.Query(ctx, `SELECT n.ad_id FROM gv.winners n WHERE EXISTS (SELECT`+differ+`)`, args)
	ads, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("compare the figures of two embedding models: %w", err)
	}
	if len(ads) == 0 {
		return nil
	}
	if err := s.holdAds(ctx, ads); err != nil {
		return err
	}
	_, err = s.tx.Exec(ctx, `
		UPDATE gv.winners n
		SET    creative_dna = w.creative_dna, ad_data = w.ad_data, pipeline_roas = w.pipeline_roas, ctr = w.ctr, active = w.active,
		       updated_at = now()`+
		differ, args)
	if err != nil {
		return fmt.Errorf("level the figures of two embedding models: %w", err)
	}
	return nil
}

// holdAds keeps ads as they are until the transaction ends: who recomputes their
// figures waits, and then corrects every memory of them.
func (s Store) holdAds(ctx context.Context, ads []string) error {
	_, err := s.tx.Exec(ctx, `
		SELECT FROM gv.ads WHERE tenant_id = gv.tenant() AND ad_id = ANY ($1) ORDER BY ad_id FOR SHARE`, ads)
	if err != nil {
		return fmt.Errorf("hold ads: %w", err)
	}
	return nil
}

// lacking are the memories of @from that @to does not have, or not like this.
const lacking = `
	FROM  gv.winners w
	WHERE w.tenant_id = gv.tenant() AND w.model = @from
	AND   NOT EXISTS (SELECT FROM gv.winners n WHERE n.tenant_id = gv.tenant() AND n.ad_id = w.ad_id AND n.model = @to AND n.text = w.text)`

// Lacking returns up to n texts that are kept with from and not yet with to,
// those that searches find first.
func (s Store) Lacking(ctx context.Context, from, to string, n int) ([]Text, error) {
	rows, _ := s.tx.Query(ctx, `SELECT w.ad_id, w.text`+lacking+` ORDER BY w.active DESC, w.ad_id LIMIT @n`,
		pgx.StrictNamedArgs{"from": from, "to": to, "n": n})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Text])
	if err != nil {
		return nil, fmt.Errorf("list what is to be embedded anew: %w", err)
	}
	return found, nil
}

// Left returns how many texts Lacking has to give.
func (s Store) Left(ctx context.Context, from, to string) (n int64, err error) {
	if err = s.tx.QueryRow(ctx, `SELECT count(*)`+lacking, pgx.StrictNamedArgs{"from": from, "to": to}).Scan(&n); err != nil {
		return 0, fmt.Errorf("count what is to be embedded anew: %w", err)
	}
	return n, nil
}

// Copy keeps what from has of each ad with to as well, where it still says what
// was embedded.
func (s Store) Copy(ctx context.Context, from, to string, all []Embedded) error {
	ads, texts := make([]string, len(all)), make([]string, len(all))
	vectors, hashes := make([]string, len(all)), make([][]byte, len(all))
	for i, e := range all {
		ads[i], texts[i] = e.AdID, e.Text.Text
		vectors[i], hashes[i] = pgvector.NewVector(e.Vector).String(), hash(to, e.Text.Text)
	}
	if err := s.holdAds(ctx, ads); err != nil {
		return err
	}
	_, err := s.tx.Exec(ctx, `
		WITH held AS MATERIALIZED (
			SELECT w.ad_id, w.text, w.creative_dna, w.ad_data, w.pipeline_roas, w.ctr, w.active, e.vector, e.hash
			FROM   unnest(@ads::text[], @texts::text[], @vectors::text[], @hashes::bytea[]) AS e (ad_id, text, vector, hash)
			JOIN   gv.winners w ON w.tenant_id = gv.tenant() AND w.model = @from AND w.ad_id = e.ad_id AND w.text = e.text
			ORDER  BY w.ad_id FOR UPDATE OF w
		)
		INSERT INTO gv.winners (tenant_id, ad_id, model, embedding, text, creative_dna, ad_data, pipeline_roas, ctr, active, content_hash)
		SELECT gv.tenant(), ad_id, @to, vector::vector, text, creative_dna, ad_data, pipeline_roas, ctr, active, hash FROM held
		ON CONFLICT (tenant_id, ad_id, model) DO UPDATE
		SET    embedding = excluded.embedding, text = excluded.text, creative_dna = excluded.creative_dna, ad_data = excluded.ad_data,
		       pipeline_roas = excluded.pipeline_roas, ctr = excluded.ctr, active = excluded.active, content_hash = excluded.content_hash,
		       indexed_at = now(), updated_at = now()`,
		pgx.StrictNamedArgs{"from": from, "to": to, "ads": ads, "texts": texts, "vectors": vectors, "hashes": hashes})
	if err != nil {
		return fmt.Errorf("keep %d memories with another embedding model: %w", len(all), err)
	}
	return nil
}

// Switch makes the target the active model, in one statement, where nothing is
// missing from it; it reports whether it did. Writers of memories hold the row
// that is locked first, so none of theirs can be overlooked. The old vectors are
// kept for as long as keep says, for searches that have begun, and in case of
// another change of mind.
func (s Store) Switch(ctx context.Context, m Models, keep time.Duration) (bool, error) {
	if _, err := s.tx.Exec(ctx, `SELECT FROM gv.embedding_models WHERE tenant_id = gv.tenant() FOR UPDATE`); err != nil {
		return false, fmt.Errorf("lock the embedding model: %w", err)
	}
	if err := s.Level(ctx, m.Active, m.Target); err != nil {
		return false, err
	}
	done, err := s.tx.Exec(ctx, `
		UPDATE gv.embedding_models
		SET    active = @to, target = NULL, switched_at = now(), due_at = now() + @keep::interval, last_error = NULL
		WHERE  tenant_id = gv.tenant() AND active = @from AND target = @to AND NOT EXISTS (SELECT`+lacking+`)`,
		pgx.StrictNamedArgs{"from": m.Active, "to": m.Target, "keep": keep})
	if err != nil {
		return false, fmt.Errorf("change the embedding model: %w", err)
	}
	return done.RowsAffected() == 1, nil
}

// Change is where a tenant's change of the embedding model stands.
type Change struct {
	Models
	Attempt  int64
	Switched *time.Time
}

// Change returns where the change stands; found is false where there never was
// anything to change.
func (s Store) Change(ctx context.Context) (c Change, found bool, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT active, coalesce(target, ''), attempt, switched_at FROM gv.embedding_models WHERE tenant_id = gv.tenant()`).
		Scan(&c.Active, &c.Target, &c.Attempt, &c.Switched)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return c, false, nil
	case err != nil:
		return c, false, fmt.Errorf("read the change of the embedding model: %w", err)
	}
	return c, true, nil
}

// Abandon ends a change that nobody wants any more.
func (s Store) Abandon(ctx context.Context) error {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.embedding_models SET target = NULL, due_at = now(), last_error = NULL WHERE tenant_id = gv.tenant()`)
	if err != nil {
		return fmt.Errorf("end a change of the embedding model: %w", err)
	}
	return nil
}

// Never is for Resume: there is nothing to go on with.
const Never = -time.Hour

// Resume says when the change is gone on with: after a while, and why then, or
// Never. It changes nothing where another claim has
// taken over.
func (s Store) Resume(ctx context.Context, attempt int64, after time.Duration, why string) error {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.embedding_models
		SET    due_at = CASE WHEN @after::interval >= interval '0' THEN now() + @after::interval END, last_error = nullif(@why, '')
		WHERE  tenant_id = gv.tenant() AND attempt = @attempt`,
		pgx.StrictNamedArgs{"attempt": attempt, "after": after, "why": why})
	if err != nil {
		return fmt.Errorf("put off a change of the embedding model: %w", err)
	}
	return nil
}

// Clear removes up to n memories of models that are neither active nor about to
// be, and returns how many.
func (s Store) Clear(ctx context.Context, n int) (int64, error) {
	done, err := s.tx.Exec(ctx, `
		DELETE FROM gv.winners WHERE tenant_id = gv.tenant() AND (ad_id, model) IN (
			SELECT w.ad_id, w.model FROM gv.winners w JOIN gv.embedding_models m USING (tenant_id)
			WHERE  w.tenant_id = gv.tenant() AND w.model <> m.active AND w.model IS DISTINCT FROM m.target LIMIT $1)`, n)
	if err != nil {
		return 0, fmt.Errorf("remove old vectors: %w", err)
	}
	return done.RowsAffected(), nil
}
