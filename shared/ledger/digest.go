package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Digests returns a hash of all that is recorded of each deal, so that a caller can
// tell whether recording it again has changed anything. A deal that is not recorded
// is missing from it.
func (s Store) Digests(ctx context.Context, ids []int64) (map[int64]string, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT d.deal_id, md5(concat_ws('|',
			(to_jsonb(d) - 'processed_at')::text,
			(SELECT string_agg(t.stage_id || ' ' || extract(epoch FROM t.occurred_at), ',' ORDER BY t.occurred_at, t.stage_id)
			 FROM   gv.deal_stages t WHERE t.tenant_id = d.tenant_id AND t.portal_id = d.portal_id AND t.deal_id = d.deal_id),
			(SELECT string_agg(concat_ws(' ', dc.position, dc.contact_id, extract(epoch FROM c.converted_at), k.kind, k.value), ','
			                   ORDER BY dc.position, dc.contact_id, k.kind, k.value)
			 FROM   gv.deal_contacts dc
			 JOIN   gv.contacts c USING (tenant_id, portal_id, contact_id)
			 LEFT   JOIN gv.contact_keys k ON k.tenant_id = c.tenant_id AND k.portal_id = c.portal_id AND k.contact_id = c.contact_id
			        AND k.kind NOT IN ('email_hash', 'phone_hash') -- these go with time, not with the CRM
			 WHERE  dc.tenant_id = d.tenant_id AND dc.portal_id = d.portal_id AND dc.deal_id = d.deal_id)))
		FROM   gv.deals d
		WHERE  d.tenant_id = gv.tenant() AND d.portal_id = @portal AND d.deal_id = ANY (@ids)`,
		pgx.StrictNamedArgs{"portal": s.portal, "ids": ids})
	digests := make(map[int64]string, len(ids))
	var id int64
	var digest string
	if _, err := pgx.ForEachRow(rows, []any{&id, &digest}, func() error { digests[id] = digest; return nil }); err != nil {
		return nil, fmt.Errorf("hash deals %v: %w", ids, err)
	}
	return digests, nil
}

// LiveAfter returns up to n live deals with ids above after, in ascending order.
func (s Store) LiveAfter(ctx context.Context, after int64, n int) ([]int64, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT deal_id FROM gv.deals
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND deal_id > @after AND state = 'live'
		ORDER  BY deal_id LIMIT @n`,
		pgx.StrictNamedArgs{"portal": s.portal, "after": after, "n": n})
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("list live deals after %d: %w", after, err)
	}
	return ids, nil
}

// DealsOfContacts returns the recorded deals that any of the contacts belongs to.
func (s Store) DealsOfContacts(ctx context.Context, contacts []int64) ([]int64, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT DISTINCT deal_id FROM gv.deal_contacts
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = ANY (@contacts) ORDER BY deal_id`,
		pgx.StrictNamedArgs{"portal": s.portal, "contacts": contacts})
	deals, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("find deals of %d contacts: %w", len(contacts), err)
	}
	return deals, nil
}

// ContactsAfter returns up to n contacts with ids above after of whom anything is
// recorded and who are not erased, in ascending order.
func (s Store) ContactsAfter(ctx context.Context, after int64, n int) ([]int64, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT contact_id FROM (
			(SELECT contact_id FROM gv.contacts
			 WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND contact_id > @after ORDER BY contact_id LIMIT @n)
			UNION
			(SELECT DISTINCT h.contact_id FROM gv.contact_hashes h
			 WHERE  h.tenant_id = gv.tenant() AND h.portal_id = @portal AND h.contact_id > @after
			 AND    NOT EXISTS (SELECT FROM gv.erasures e WHERE e.tenant_id = h.tenant_id AND e.portal_id = h.portal_id
			        AND e.contact_id = h.contact_id)
			 ORDER  BY h.contact_id LIMIT @n)) AS c
		ORDER BY contact_id LIMIT @n`,
		pgx.StrictNamedArgs{"portal": s.portal, "after": after, "n": n})
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("list contacts after %d: %w", after, err)
	}
	return ids, nil
}
