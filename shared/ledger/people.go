package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// LeadFound makes a lead's id the key of a contact, in the place of the hashes of its
// addresses. A contact that is no longer recorded stays so.
func (s Store) LeadFound(ctx context.Context, contact int64, lead string) error {
	args, batch := pgx.NamedArgs{"portal": s.portal, "contact": contact, "lead": lead}, &pgx.Batch{}
	for _, sql := range []string{
		`DELETE FROM gv.contact_keys WHERE tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = @contact AND kind IN ('email_hash', 'phone_hash')`,
		`INSERT INTO gv.contact_keys (tenant_id, portal_id, contact_id, kind, value)
		 SELECT tenant_id, portal_id, contact_id, 'lead_id', @lead FROM gv.contacts WHERE tenant_id = gv.tenant() AND portal_id = @portal
		        AND contact_id = @contact
		 ON     CONFLICT DO NOTHING`,
		`INSERT INTO gv.contact_hashes (tenant_id, portal_id, contact_id, kind, hash)
		 SELECT gv.tenant(), @portal, @contact, 'lead_id', gv.key_hash(gv.tenant(), 'lead_id', @lead)
		 WHERE  NOT EXISTS (SELECT FROM gv.erasures e WHERE e.tenant_id = gv.tenant() AND e.portal_id = @portal AND e.contact_id = @contact)
		 ON     CONFLICT DO NOTHING`,
	} {
		batch.Queue(sql, args)
	}
	if err := s.tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("record the lead of contact %d: %w", contact, err)
	}
	return nil
}

// RetainPeople deletes, across tenants, up to n hashes of e-mail addresses and phone
// numbers of contacts whose conversion and deals all lie before since. tx is a
// worker's. It returns how many it deleted.
func RetainPeople(ctx context.Context, tx pgx.Tx, since time.Time, n int) (deleted int64, more bool, err error) {
	for _, sql := range []string{
		`DELETE FROM gv.contact_keys WHERE ctid IN (
			SELECT k.ctid FROM gv.contact_keys k JOIN gv.contacts c USING (tenant_id, portal_id, contact_id)
			WHERE  k.kind IN ('email_hash', 'phone_hash') AND c.converted_at < @since
			AND    NOT EXISTS (
				SELECT FROM gv.deal_contacts dc JOIN gv.deals d USING (tenant_id, portal_id, deal_id)
				WHERE  dc.tenant_id = k.tenant_id AND dc.portal_id = k.portal_id AND dc.contact_id = k.contact_id AND d.created_at >= @since)
			LIMIT  @n)`,
		`DELETE FROM gv.contact_hashes WHERE ctid IN (
			SELECT ctid FROM gv.contact_hashes WHERE kind IN ('email_hash', 'phone_hash') AND saved_at < @since LIMIT @n)`,
	} {
		done, err := tx.Exec(ctx, sql, pgx.StrictNamedArgs{"since": since, "n": n})
		if err != nil {
			return deleted, false, fmt.Errorf("clear what contacts are recognised by: %w", err)
		}
		deleted += done.RowsAffected()
		more = more || done.RowsAffected() >= int64(n)
	}
	return deleted, more, nil
}
