package winners

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// Models says which embedding models a tenant's memory is kept with. While it
// changes from one to another, everything is kept with both, searches use the
// active one, and nothing of one is compared with anything of the other.
type Models struct {
	// Active is what searches use.
	Active string
	// Target is what Active is about to become; "" where nothing changes.
	Target string
}

// All returns the active model and the one that it is about to become.
func (m Models) All() []string {
	if m.Target == "" {
		return []string{m.Active}
	}
	return []string{m.Active, m.Target}
}

// rest is how soon after a change another one may begin: while a new version
// of the functions replaces an old one, both know another model, and neither may
// undo what the other does.
const rest = "1 hour"

const begin = `
	UPDATE gv.embedding_models SET target = @model, due_at = now(), last_error = NULL
	WHERE  active <> @model AND target IS DISTINCT FROM @model
	AND    (switched_at IS NULL OR switched_at < now() - @rest::interval)`

func beginning(configured string) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{"model": configured, "rest": rest}
}

// Begin sets the change to the configured model going for every tenant that
// searches with another one, in a transaction across tenants.
func Begin(ctx context.Context, tx pgx.Tx, configured string) (tenants int64, err error) {
	tag, err := tx.Exec(ctx, begin, beginning(configured))
	if err != nil {
		return 0, fmt.Errorf("begin to change the embedding model: %w", err)
	}
	return tag.RowsAffected(), nil
}

// Models returns the tenant's models, where configured names the one that new
// vectors are made with. Where the two differ it sets the change going.
func (s Store) Models(ctx context.Context, configured string) (Models, error) {
	m, err := s.models(ctx, "")
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Models{Active: configured}, nil // no winner is stored yet
	case err != nil:
		return m, err
	case m.Active == configured || m.Target == configured:
		return m, nil
	}
	tag, err := s.tx.Exec(ctx, begin+` AND tenant_id = gv.tenant()`, beginning(configured))
	if err != nil {
		return m, fmt.Errorf("begin to change the embedding model: %w", err)
	}
	if tag.RowsAffected() > 0 {
		m.Target = configured
	}
	return m, nil
}

// Hold returns the tenant's models as Models does, and keeps them as they are
// until the transaction ends: who writes a memory calls it first, so that the
// active model cannot change to one that lacks it.
func (s Store) Hold(ctx context.Context, configured string) (Models, error) {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.embedding_models (tenant_id, active) VALUES (gv.tenant(), $1) ON CONFLICT DO NOTHING`, configured)
	if err != nil {
		return Models{}, fmt.Errorf("set the embedding model: %w", err)
	}
	return s.models(ctx, "FOR SHARE")
}

func (s Store) models(ctx context.Context, lock string) (m Models, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT active, coalesce(target, '') FROM gv.embedding_models WHERE tenant_id = gv.tenant() `+lock).Scan(&m.Active, &m.Target)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return m, fmt.Errorf("read the embedding models: %w", err)
	}
	return m, err
}

// Embedder returns what tenant's searches are embedded with: the active model.
// Where this process has no way to use it, because its key is gone, it is the
// configured one: what has been embedded with it by then is found.
func (m Models) Embedder(models embed.Models, tenant string) (embed.Embedder, error) {
	for _, model := range []string{m.Active, models.Configured()} {
		if e, ok := models.Of(tenant, model); ok {
			return e, nil
		}
	}
	return nil, fmt.Errorf("there is no embedding model %s here", models.Configured())
}

// Embedder returns what tenant's searches are embedded with now.
func Embedder(ctx context.Context, db *pg.DB, models embed.Models, tenant string) (e embed.Embedder, err error) {
	err = pg.InTenant(ctx, db, tenant, func(tx pgx.Tx) error {
		m, err := NewStore(tx).Models(ctx, models.Configured())
		if err != nil {
			return err
		}
		e, err = m.Embedder(models, tenant)
		return err
	})
	return e, err
}

// Probe embeds what is looked for as tenant's memory is searched, and returns it
// as a query that lacks only its limits.
func Probe(ctx context.Context, db *pg.DB, models embed.Models, tenant, text string) (Query, error) {
	e, err := Embedder(ctx, db, models, tenant)
	if err != nil {
		return Query{}, err
	}
	vector, err := e.Query(ctx, text)
	if err != nil {
		return Query{}, fmt.Errorf("embed a query with %s: %w", e.Model(), err)
	}
	return Query{Model: e.Model(), Vector: vector}, nil
}
