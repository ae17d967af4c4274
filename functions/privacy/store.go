package privacy

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/message"
)

// portals returns the portals that know the contact, or only the one asked for.
func portals(ctx context.Context, tx pgx.Tx, contact, only int64) ([]int64, error) {
	rows, _ := tx.Query(ctx, `
		SELECT portal_id FROM (
			SELECT portal_id FROM gv.contacts WHERE tenant_id = gv.tenant() AND contact_id = @contact
			UNION SELECT portal_id FROM gv.contact_hashes WHERE tenant_id = gv.tenant() AND contact_id = @contact
			UNION SELECT portal_id FROM gv.erasures WHERE tenant_id = gv.tenant() AND contact_id = @contact
			UNION SELECT portal_id FROM gv.deal_touches WHERE tenant_id = gv.tenant() AND contact_id = @contact
			UNION SELECT portal_id FROM gv.deals WHERE tenant_id = gv.tenant() AND contact_id = @contact) AS p
		WHERE  @only::bigint IN (0, portal_id) ORDER BY portal_id`,
		pgx.StrictNamedArgs{"contact": contact, "only": only})
	found, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("find the portals of contact %d: %w", contact, err)
	}
	return found, nil
}

// carried finds rows of clicks, or of conversions, that carry one of the contact's
// keys, as it is known or as a hash. own is the column of our own click id.
func carried(own string) string {
	condition := `%s IN (SELECT hash FROM gv.contact_hashes h WHERE h.tenant_id = gv.tenant() AND h.portal_id = @portal AND h.contact_id = @contact)`
	sql := fmt.Sprintf(condition, `gv.key_hash(x.tenant_id, 'click_id', x.`+own+`)`)
	for kind, column := range map[string]string{
		"fbclid": "fbclid", "gclid": "gclid", "gbraid": "gbraid", "wbraid": "wbraid", "ttclid": "ttclid", "fingerprint": "fingerprint_hash",
		"lead_id": "lead_id",
	} {
		sql += ` OR x.` + column + ` IS NOT NULL AND ` + fmt.Sprintf(condition, `gv.key_hash(x.tenant_id, '`+kind+`', x.`+column+`)`)
	}
	return sql
}

// held collects what is stored of the contact.
func held(ctx context.Context, tx pgx.Tx, portal, contact int64) (Held, error) {
	h := Held{PortalID: portal, ContactID: contact}
	args := pgx.StrictNamedArgs{"portal": portal, "contact": contact}
	fail := func(err error) (Held, error) {
		return h, fmt.Errorf("read what is held of contact %d of portal %d: %w", contact, portal, err)
	}
	err := tx.QueryRow(ctx, `
		SELECT (SELECT erased_at FROM gv.erasures WHERE tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = @contact),
		       (SELECT converted_at FROM gv.contacts WHERE tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = @contact),
		       (SELECT count(*) FROM gv.contact_hashes WHERE tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = @contact)`, args).
		Scan(&h.ErasedAt, &h.ConvertedAt, &h.Hashes)
	if err != nil {
		return fail(err)
	}
	subject := message.ContactSubject(portal, contact)
	err = tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM gv.inbox WHERE tenant_id = gv.tenant() AND subject = $1),
		       (SELECT count(*) FROM gv.outbox WHERE tenant_id = gv.tenant() AND subject = $1),
		       (SELECT count(*) FROM gv.dead_letters WHERE tenant_id = gv.tenant() AND subject = $1)`, subject).
		Scan(&h.Messages.Handled, &h.Messages.Waiting, &h.Messages.Failed)
	if err != nil {
		return fail(err)
	}
	var errs [4]error
	h.Keys, errs[0] = list[Key](ctx, tx, `
		SELECT kind, value FROM gv.contact_keys WHERE tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = @contact ORDER BY kind,
		       value`, args)
	h.Deals, errs[1] = list[Deal](ctx, tx, `
		SELECT   d.deal_id, coalesce(d.stage_name, d.stage_id), coalesce(d.ad_id, ''), d.attribution_method, d.attribution_reason,
		         EXISTS (SELECT FROM gv.deal_contacts dc WHERE dc.tenant_id = d.tenant_id AND dc.portal_id = d.portal_id
		         AND dc.deal_id = d.deal_id AND dc.contact_id = @contact),
		         coalesce(d.click_id, '')
		FROM     gv.deals d
		WHERE    d.tenant_id = gv.tenant() AND d.portal_id = @portal
		AND     (d.contact_id = @contact
		         OR EXISTS (SELECT FROM gv.deal_contacts dc WHERE dc.tenant_id = d.tenant_id AND dc.portal_id = d.portal_id
		                AND dc.deal_id = d.deal_id AND dc.contact_id = @contact)
		         OR EXISTS (SELECT FROM gv.deal_touches t WHERE t.tenant_id = d.tenant_id AND t.portal_id = d.portal_id AND t.deal_id = d.deal_id
		                AND t.contact_id = @contact))
		ORDER BY d.deal_id`, args)
	h.Clicks, errs[2] = list[Click](ctx, tx, `
		SELECT   click_id, ad_id, campaign_id, clicked_at, coalesce(fbclid, ''), coalesce(gclid, ''), coalesce(gbraid, ''), coalesce(wbraid, ''),
		         coalesce(ttclid, ''), coalesce(fbp, ''), coalesce(fingerprint_hash, ''), coalesce(ip_address, ''), coalesce(user_agent, ''),
		         coalesce(device_type, ''), coalesce(landing_page_url, ''), extra, consent, coalesce(lead_id, ''),
		         email_hash IS NOT NULL, phone_hash IS NOT NULL
		FROM     gv.clicks x WHERE tenant_id = gv.tenant() AND (`+carried("click_id")+`
		         OR lead_portal_id = @portal AND lead_contact_id = @contact
		         OR email_hash IS NOT NULL AND gv.key_hash(tenant_id, 'email_hash', email_hash) IN (SELECT hash FROM gv.contact_hashes h
		                WHERE h.tenant_id = gv.tenant() AND h.portal_id = @portal AND h.contact_id = @contact)
		         OR phone_hash IS NOT NULL AND gv.key_hash(tenant_id, 'phone_hash', phone_hash) IN (SELECT hash FROM gv.contact_hashes h
		                WHERE h.tenant_id = gv.tenant() AND h.portal_id = @portal AND h.contact_id = @contact))
		ORDER BY clicked_at, click_id`, args)
	h.Conversions, errs[3] = list[Conversion](ctx, tx, `
		SELECT   conversion_id, conversion_type, converted_at, coalesce(ip_address, ''), coalesce(user_agent, ''), coalesce(ad_id, ''), method
		FROM     gv.conversions x WHERE tenant_id = gv.tenant() AND (`+carried("key_click_id")+`) ORDER BY converted_at, conversion_id`, args)
	if err := errors.Join(errs[:]...); err != nil {
		return fail(err)
	}
	return h, nil
}

func list[T any](ctx context.Context, tx pgx.Tx, sql string, args pgx.StrictNamedArgs) ([]T, error) {
	rows, _ := tx.Query(ctx, sql, args)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	return append([]T{}, found...), err
}
