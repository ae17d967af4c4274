package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Hash is what is kept of something that a contact was known by.
type Hash struct {
	Kind  string
	Value []byte
}

// SaveHashes records what the contact is known by as hashes, whether or not it has
// a deal, and takes over those of the contacts that were merged into it: an erasure
// finds the clicks by them when nothing else of the contact is left. A contact
// whose data was erased is left out.
func (s Store) SaveHashes(ctx context.Context, c Contact, merged []int64) error {
	batch := &pgx.Batch{}
	s.queueHashes(batch, keysOf(c))
	if len(merged) > 0 {
		batch.Queue(`
			INSERT INTO gv.contact_hashes (tenant_id, portal_id, contact_id, kind, hash)
			SELECT DISTINCT gv.tenant(), @portal::bigint, @contact::bigint, kind, hash FROM gv.contact_hashes
			WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = ANY (@merged)
			AND    NOT EXISTS (SELECT FROM gv.erasures e WHERE e.tenant_id = gv.tenant() AND e.portal_id = @portal AND e.contact_id = @contact)
			ON     CONFLICT DO NOTHING`,
			pgx.StrictNamedArgs{"portal": s.portal, "contact": c.ID, "merged": merged})
	}
	if err := s.tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("record what contact %d is known by: %w", c.ID, err)
	}
	return nil
}

func (s Store) queueHashes(batch *pgx.Batch, k contactKeys) {
	batch.Queue(`
		INSERT INTO gv.contact_hashes (tenant_id, portal_id, contact_id, kind, hash)
		SELECT DISTINCT gv.tenant(), @portal::bigint, k.contact_id, k.kind, gv.key_hash(gv.tenant(), k.kind, k.value)
		FROM   unnest(@contacts::bigint[], @kinds::text[], @values::text[]) AS k (contact_id, kind, value)
		WHERE  NOT EXISTS (SELECT FROM gv.erasures e WHERE e.tenant_id = gv.tenant() AND e.portal_id = @portal AND e.contact_id = k.contact_id)
		ON     CONFLICT DO NOTHING`,
		pgx.StrictNamedArgs{"portal": s.portal, "contacts": k.contacts, "kinds": k.kinds, "values": k.values})
}

// Erase deletes what the ledger has of the contact and leaves a tombstone, so that
// nothing delivered later brings it back. It returns the hashes of all that the
// contact was known by, for the clicks that carry it, and the deals that lose the
// contact: they keep the credit that was found.
func (s Store) Erase(ctx context.Context, contact int64) (hashes []Hash, deals []int64, err error) {
	lock := &pgx.Batch{}
	s.queueLock(lock, "contact", []int64{contact})
	if err := s.tx.SendBatch(ctx, lock).Close(); err != nil {
		return nil, nil, fmt.Errorf("erase contact %d: %w", contact, err)
	}
	args := pgx.StrictNamedArgs{"portal": s.portal, "contact": contact}
	rows, _ := s.tx.Query(ctx, `
		SELECT kind, hash FROM gv.contact_hashes WHERE tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = @contact
		UNION
		SELECT kind, gv.key_hash(tenant_id, kind, value) FROM gv.contact_keys WHERE tenant_id = gv.tenant() AND portal_id = @portal
		       AND contact_id = @contact`, args)
	if hashes, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Hash]); err != nil {
		return nil, nil, fmt.Errorf("read what contact %d was known by: %w", contact, err)
	}
	rows, _ = s.tx.Query(ctx, `
		SELECT deal_id FROM gv.deal_contacts WHERE tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = @contact
		UNION
		SELECT deal_id FROM gv.deal_touches WHERE tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = @contact
		ORDER BY deal_id`, args)
	if deals, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
		return nil, nil, fmt.Errorf("find deals of contact %d: %w", contact, err)
	}
	for _, sql := range []string{
		`INSERT INTO gv.erasures (tenant_id, portal_id, contact_id) VALUES (gv.tenant(), @portal, @contact) ON CONFLICT DO NOTHING`,
		`INSERT INTO gv.contact_hashes (tenant_id, portal_id, contact_id, kind, hash)
		 SELECT tenant_id, portal_id, contact_id, kind, gv.key_hash(tenant_id, kind, value) FROM gv.contact_keys
		 WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = @contact
		 ON     CONFLICT DO NOTHING`,
		`UPDATE gv.deal_touches SET contact_id = NULL WHERE tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = @contact`,
		`DELETE FROM gv.contacts WHERE tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = @contact`,
	} {
		if _, err := s.tx.Exec(ctx, sql, args); err != nil {
			return nil, nil, fmt.Errorf("erase contact %d: %w", contact, err)
		}
	}
	return hashes, deals, nil
}

// RenameClicks puts new ids in the place of clicks' old ones, in every portal's
// deals: the old ones were somebody's personal data.
func (s Store) RenameClicks(ctx context.Context, renamed map[string]string) error {
	if len(renamed) == 0 {
		return nil
	}
	old, fresh := make([]string, 0, len(renamed)), make([]string, 0, len(renamed))
	for from, to := range renamed {
		old, fresh = append(old, from), append(fresh, to)
	}
	for _, table := range []string{
		`UPDATE gv.deals d SET click_id = r.fresh`,
		`UPDATE gv.deal_touches d SET click_id = r.fresh`,
	} {
		_, err := s.tx.Exec(ctx, table+` FROM unnest($1::text[], $2::text[]) AS r (old, fresh) WHERE d.tenant_id = gv.tenant() AND d.click_id = r.old`, old, fresh)
		if err != nil {
			return fmt.Errorf("rename erased clicks: %w", err)
		}
	}
	return nil
}
