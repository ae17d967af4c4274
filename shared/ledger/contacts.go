package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// SaveContacts records who deals' contacts are, in their order, and returns
// them as recorded: contacts whose data was erased are left out, and those that no
// deal has any more are deleted, but for the hashes of what they were known by.
func (s Store) SaveContacts(ctx context.Context, of map[int64][]Contact) (map[int64][]Contact, error) {
	var erased []int64
	recorded := map[int64][]Contact{}
	batch := &pgx.Batch{}
	s.QueueErased(batch, idsOf(of), &erased)
	s.queueContacts(batch, slices.Sorted(maps.Keys(of)), recorded)
	if err := s.tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("read contacts of deals: %w", err)
	}
	of = without(of, erased)
	changed := map[int64][]Contact{} // nearly always none
	for deal, contacts := range of {
		if !slices.EqualFunc(contacts, recorded[deal], Contact.equal) {
			changed[deal] = contacts
		} else {
			of[deal] = recorded[deal]
		}
	}
	if len(changed) == 0 {
		return of, nil
	}
	deals := slices.Sorted(maps.Keys(changed))
	batch = &pgx.Batch{}
	s.queueLockContacts(batch, deals, idsOf(changed))
	if slices.ContainsFunc(deals, func(id int64) bool { return len(recorded[id]) > 0 }) { // a new deal has none to lose
		s.queueUnlink(batch, deals, idsOf(changed))
	}
	s.QueueErased(batch, idsOf(changed), &erased) // one may have come between: now the contacts are locked
	if err := s.tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("save contacts of deals %v: %w", deals, err)
	}
	changed = without(changed, erased)
	if err := s.link(ctx, deals, changed); err != nil {
		return nil, fmt.Errorf("save contacts of deals %v: %w", deals, err)
	}
	maps.Copy(of, changed)
	return of, nil
}

// link records contacts, and that they are the deals'.
func (s Store) link(ctx context.Context, deals []int64, contacts map[int64][]Contact) error {
	var (
		one                = map[int64]Contact{}
		linked, of, places []int64
	)
	for _, deal := range deals {
		for place, c := range contacts[deal] {
			one[c.ID] = c
			linked, of, places = append(linked, c.ID), append(of, deal), append(places, int64(place))
		}
	}
	if len(linked) == 0 {
		return nil
	}
	var ids []int64
	var ats []time.Time
	all := make([]Contact, 0, len(one))
	for _, id := range slices.Sorted(maps.Keys(one)) {
		ids, ats, all = append(ids, id), append(ats, one[id].ConvertedAt), append(all, one[id])
	}
	keys := keysOf(all...)
	args := pgx.StrictNamedArgs{"portal": s.portal, "ids": ids, "contacts": keys.contacts, "kinds": keys.kinds, "values": keys.values}
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO gv.contacts AS c (tenant_id, portal_id, contact_id, converted_at)
		SELECT gv.tenant(), @portal, id, at FROM unnest(@ids::bigint[], @ats::timestamptz[]) AS n (id, at)
		ON CONFLICT (tenant_id, portal_id, contact_id) DO UPDATE SET converted_at = excluded.converted_at
		WHERE c.converted_at <> excluded.converted_at`,
		pgx.StrictNamedArgs{"portal": s.portal, "ids": ids, "ats": ats})
	batch.Queue(`
		DELETE FROM gv.contact_keys
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND contact_id `+among("ids", ids)+`
		AND    (contact_id, kind, value) NOT IN (SELECT * FROM unnest(@contacts::bigint[], @kinds::text[], @values::text[]))`, args)
	batch.Queue(`
		INSERT INTO gv.contact_keys (tenant_id, portal_id, contact_id, kind, value)
		SELECT gv.tenant(), @portal, k.* FROM unnest(@contacts::bigint[], @kinds::text[], @values::text[]) AS k
		ON CONFLICT DO NOTHING`,
		pgx.StrictNamedArgs{"portal": s.portal, "contacts": keys.contacts, "kinds": keys.kinds, "values": keys.values})
	s.queueHashes(batch, keys)
	batch.Queue(`
		INSERT INTO gv.deal_contacts (tenant_id, portal_id, deal_id, contact_id, position)
		SELECT gv.tenant(), @portal, l.* FROM unnest(@deals::bigint[], @linked::bigint[], @places::bigint[]) AS l`,
		pgx.StrictNamedArgs{"portal": s.portal, "deals": of, "linked": linked, "places": places})
	return s.tx.SendBatch(ctx, batch).Close()
}

// contactKeys are the keys of several contacts, side by side.
type contactKeys struct {
	contacts      []int64
	kinds, values []string
}

func keysOf(contacts ...Contact) (k contactKeys) {
	k = contactKeys{[]int64{}, []string{}, []string{}}
	for _, c := range contacts {
		for _, key := range c.Keys {
			k.contacts, k.kinds, k.values = append(k.contacts, c.ID), append(k.kinds, key.Kind), append(k.values, key.Value)
		}
	}
	return k
}

// idsOf returns the contacts of all the deals, each once.
func idsOf(of map[int64][]Contact) []int64 {
	ids := map[int64]bool{}
	for _, contacts := range of {
		for _, c := range contacts {
			ids[c.ID] = true
		}
	}
	return slices.AppendSeq([]int64{}, maps.Keys(ids))
}

// without returns the deals' contacts without those that were erased.
func without(of map[int64][]Contact, erased []int64) map[int64][]Contact {
	left := make(map[int64][]Contact, len(of))
	for deal, contacts := range of {
		left[deal] = slices.DeleteFunc(slices.Clone(contacts), func(c Contact) bool { return slices.Contains(erased, c.ID) })
	}
	return left
}

// queueLockContacts locks the deals' contacts and those to keep, so that one is not deleted
// while another deal gains it.
func (s Store) queueLockContacts(batch *pgx.Batch, deals, keep []int64) {
	batch.Queue(`
		SELECT pg_advisory_xact_lock(key)
		FROM  (SELECT DISTINCT hashtextextended('contact ' || gv.tenant()::text || ' ' || @portal::bigint::text || ' ' || id::text, 0) AS key
		       FROM (SELECT contact_id AS id FROM gv.deal_contacts WHERE tenant_id = gv.tenant() AND portal_id = @portal
		              AND deal_id `+among("deals", deals)+`
		             UNION
		             SELECT unnest(@keep::bigint[])) AS concerned
		       ORDER BY key) AS ordered`,
		pgx.StrictNamedArgs{"portal": s.portal, "deals": deals, "keep": keep})
}

// queueUnlink takes their contacts, which are locked, from the deals and deletes those that
// no deal has any more, other than keep.
func (s Store) queueUnlink(batch *pgx.Batch, deals, keep []int64) {
	batch.Queue(`
		WITH unlinked AS (
			DELETE FROM gv.deal_contacts WHERE tenant_id = gv.tenant() AND portal_id = @portal AND deal_id `+among("deals", deals)+`
			RETURNING   contact_id
		)
		DELETE FROM gv.contacts c
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND contact_id IN (SELECT contact_id FROM unlinked) AND contact_id <> ALL (@keep)
		AND    NOT EXISTS (SELECT FROM gv.deal_contacts dc
		                   WHERE dc.tenant_id = gv.tenant() AND dc.portal_id = @portal AND dc.contact_id = c.contact_id
		                   AND    dc.deal_id <> ALL (@deals))`,
		pgx.StrictNamedArgs{"portal": s.portal, "deals": deals, "keep": keep})
}

// Contacts returns deals' recorded contacts in their order.
func (s Store) Contacts(ctx context.Context, deals []int64) (map[int64][]Contact, error) {
	batch, all := &pgx.Batch{}, map[int64][]Contact{}
	s.queueContacts(batch, deals, all)
	if err := s.tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("read contacts of deals %v: %w", deals, err)
	}
	return all, nil
}

// queueContacts reads deals' recorded contacts into all.
func (s Store) queueContacts(batch *pgx.Batch, deals []int64, all map[int64][]Contact) {
	batch.Queue(`
		SELECT   dc.deal_id, c.contact_id, c.converted_at, coalesce(k.kind, ''), coalesce(k.value, '')
		FROM     gv.deal_contacts dc
		CROSS    JOIN LATERAL ( -- OFFSET has each looked up by its id, however little is known of the tables
			SELECT contact_id, converted_at FROM gv.contacts
			WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = dc.contact_id OFFSET 0) AS c
		LEFT     JOIN LATERAL (
			SELECT kind, value FROM gv.contact_keys
			WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = dc.contact_id OFFSET 0) AS k ON true
		WHERE    dc.tenant_id = gv.tenant() AND dc.portal_id = @portal AND dc.deal_id `+among("deals", deals)+`
		ORDER BY dc.deal_id, dc.position, c.contact_id, k.kind, k.value`,
		pgx.StrictNamedArgs{"portal": s.portal, "deals": deals}).Query(func(rows pgx.Rows) error {
		var (
			deal, id int64
			at       time.Time
			key      Key
		)
		_, err := pgx.ForEachRow(rows, []any{&deal, &id, &at, &key.Kind, &key.Value}, func() error {
			theirs := all[deal]
			if len(theirs) == 0 || theirs[len(theirs)-1].ID != id {
				theirs = append(theirs, Contact{ID: id, ConvertedAt: at})
			}
			if key.Kind != "" {
				last := &theirs[len(theirs)-1]
				last.Keys = append(last.Keys, key)
			}
			all[deal] = theirs
			return nil
		})
		return err
	})
}

// DealsOfContact returns the recorded deals that the contact belongs to.
func (s Store) DealsOfContact(ctx context.Context, contact int64) ([]int64, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT deal_id FROM gv.deal_contacts
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = @contact ORDER BY deal_id`,
		pgx.StrictNamedArgs{"portal": s.portal, "contact": contact})
	deals, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("find deals of contact %d: %w", contact, err)
	}
	return deals, nil
}

// QueueErased puts those of the contacts that were erased into erased.
func (s Store) QueueErased(batch *pgx.Batch, contacts []int64, erased *[]int64) {
	batch.Queue(`SELECT contact_id FROM gv.erasures WHERE tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = ANY (@contacts)`,
		pgx.StrictNamedArgs{"portal": s.portal, "contacts": contacts}).Query(func(rows pgx.Rows) (err error) {
		*erased, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
}
