package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// SaveContacts records who a deal's contacts are, in their order, and returns
// them as recorded: contacts whose data was erased are left out, and those that no
// deal has any more are deleted, but for the hashes of what they were known by.
func (s Store) SaveContacts(ctx context.Context, deal int64, contacts []Contact) ([]Contact, error) {
	contacts, err := s.withoutErased(ctx, contacts)
	if err != nil {
		return nil, err
	}
	recorded, err := s.Contacts(ctx, deal)
	if err != nil {
		return nil, err
	}
	if slices.EqualFunc(contacts, recorded, Contact.equal) {
		return recorded, nil // as it nearly always is
	}
	ids := make([]int64, len(contacts))
	for i, c := range contacts {
		ids[i] = c.ID
	}
	if err := s.unlink(ctx, deal, ids); err != nil {
		return nil, fmt.Errorf("save contacts of deal %d: %w", deal, err)
	}
	// An erasure may have come between: now the contacts are locked.
	if contacts, err = s.withoutErased(ctx, contacts); err != nil {
		return nil, err
	}
	for position, c := range contacts {
		if err := s.saveContact(ctx, c); err != nil {
			return nil, fmt.Errorf("save contact %d: %w", c.ID, err)
		}
		_, err = s.tx.Exec(ctx, `
			INSERT INTO gv.deal_contacts (tenant_id, portal_id, deal_id, contact_id, position)
			VALUES (gv.tenant(), @portal, @deal, @contact, @position)`,
			pgx.StrictNamedArgs{"portal": s.portal, "deal": deal, "contact": c.ID, "position": position})
		if err != nil {
			return nil, fmt.Errorf("save contact %d of deal %d: %w", c.ID, deal, err)
		}
	}
	return contacts, nil
}

func (s Store) withoutErased(ctx context.Context, contacts []Contact) ([]Contact, error) {
	if len(contacts) == 0 {
		return nil, nil
	}
	ids := make([]int64, len(contacts))
	for i, c := range contacts {
		ids[i] = c.ID
	}
	erased, err := s.Erased(ctx, ids...)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(contacts), func(c Contact) bool { return slices.Contains(erased, c.ID) }), nil
}

// unlink takes its contacts from the deal and deletes those that no deal has any
// more, other than keep. Contacts are locked, so that one is not deleted while
// another deal gains it.
func (s Store) unlink(ctx context.Context, deal int64, keep []int64) error {
	rows, _ := s.tx.Query(ctx, `
		SELECT contact_id FROM gv.deal_contacts WHERE tenant_id = gv.tenant() AND portal_id = @portal AND deal_id = @deal`,
		pgx.StrictNamedArgs{"portal": s.portal, "deal": deal})
	linked, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	if err := s.lock(ctx, "contact", append(linked, keep...)); err != nil {
		return err
	}
	if _, err := s.tx.Exec(ctx, `
		DELETE FROM gv.deal_contacts WHERE tenant_id = gv.tenant() AND portal_id = @portal AND deal_id = @deal`,
		pgx.StrictNamedArgs{"portal": s.portal, "deal": deal}); err != nil {
		return err
	}
	_, err = s.tx.Exec(ctx, `
		DELETE FROM gv.contacts c
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = ANY (@linked) AND contact_id <> ALL (coalesce(@keep::bigint[], '{}'))
		AND    NOT EXISTS (SELECT FROM gv.deal_contacts dc WHERE dc.tenant_id = gv.tenant() AND dc.portal_id = @portal AND dc.contact_id = c.contact_id)`,
		pgx.StrictNamedArgs{"portal": s.portal, "linked": linked, "keep": keep})
	return err
}

func (s Store) saveContact(ctx context.Context, c Contact) error {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.contacts AS c (tenant_id, portal_id, contact_id, converted_at) VALUES (gv.tenant(), @portal, @contact, @at)
		ON CONFLICT (tenant_id, portal_id, contact_id) DO UPDATE SET converted_at = excluded.converted_at
		WHERE c.converted_at <> excluded.converted_at`,
		pgx.StrictNamedArgs{"portal": s.portal, "contact": c.ID, "at": c.ConvertedAt})
	if err != nil {
		return err
	}
	kinds, values := make([]string, len(c.Keys)), make([]string, len(c.Keys))
	for i, k := range c.Keys {
		kinds[i], values[i] = k.Kind, k.Value
	}
	args := pgx.StrictNamedArgs{"portal": s.portal, "contact": c.ID, "kinds": kinds, "values": values}
	_, err = s.tx.Exec(ctx, `
		DELETE FROM gv.contact_keys
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = @contact
		AND    (kind, value) NOT IN (SELECT * FROM unnest(@kinds::text[], @values::text[]))`, args)
	if err != nil {
		return err
	}
	_, err = s.tx.Exec(ctx, `
		INSERT INTO gv.contact_keys (tenant_id, portal_id, contact_id, kind, value)
		SELECT gv.tenant(), @portal, @contact, kind, value FROM unnest(@kinds::text[], @values::text[]) AS k (kind, value)
		ON CONFLICT DO NOTHING`, args)
	if err != nil {
		return err
	}
	return s.SaveHashes(ctx, c, nil)
}

// Contacts returns the deal's recorded contacts in their order.
func (s Store) Contacts(ctx context.Context, deal int64) ([]Contact, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   c.contact_id, c.converted_at, coalesce(k.kind, ''), coalesce(k.value, '')
		FROM     gv.deal_contacts dc
		JOIN     gv.contacts c USING (tenant_id, portal_id, contact_id)
		LEFT     JOIN gv.contact_keys k USING (tenant_id, portal_id, contact_id)
		WHERE    dc.tenant_id = gv.tenant() AND dc.portal_id = @portal AND dc.deal_id = @deal
		ORDER BY dc.position, c.contact_id, k.kind, k.value`,
		pgx.StrictNamedArgs{"portal": s.portal, "deal": deal})
	var (
		all []Contact
		id  int64
		at  time.Time
		key Key
	)
	_, err := pgx.ForEachRow(rows, []any{&id, &at, &key.Kind, &key.Value}, func() error {
		if len(all) == 0 || all[len(all)-1].ID != id {
			all = append(all, Contact{ID: id, ConvertedAt: at})
		}
		if key.Kind != "" {
			last := &all[len(all)-1]
			last.Keys = append(last.Keys, key)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read contacts of deal %d: %w", deal, err)
	}
	return all, nil
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

// Erased returns those of the contacts whose data was erased.
func (s Store) Erased(ctx context.Context, contacts ...int64) ([]int64, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT contact_id FROM gv.erasures WHERE tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = ANY (@contacts)`,
		pgx.StrictNamedArgs{"portal": s.portal, "contacts": contacts})
	erased, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("look up erasures of contacts %v: %w", contacts, err)
	}
	return erased, nil
}
