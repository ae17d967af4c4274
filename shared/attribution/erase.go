package attribution

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/idempotency"
)

// Hash is what is kept of something that a contact was known by.
type Hash struct {
	Kind  string
	Value []byte
}

// erasedPrefix begins the id that a click has once its own was erased.
const erasedPrefix = "erased-"

// Erase removes the personal data of clicks and conversions that carry any of the
// hashed keys. A click that a deal or a conversion is credited to, whoever's it is,
// keeps its ad and its time under a new id; any other is deleted, and so are the
// answers that name a click. It returns the new ids by the old ones.
func (s Store) Erase(ctx context.Context, hashes []Hash) (renamed map[string]string, err error) {
	found, keys, err := s.carrying(ctx, hashes)
	if err != nil || len(hashes) == 0 {
		return nil, err
	}
	// Nobody matches by these keys while they go.
	if err := s.Lock(ctx, keys...); err != nil {
		return nil, err
	}
	if err := idempotency.EraseClicks(ctx, s.tx, found); err != nil {
		return nil, err
	}
	renamed = map[string]string{}
	for _, id := range found {
		credited, err := s.credited(ctx, id)
		if err != nil {
			return nil, err
		}
		if !credited {
			if _, err := s.tx.Exec(ctx, `DELETE FROM gv.clicks WHERE tenant_id = gv.tenant() AND click_id = $1`, id); err != nil {
				return nil, fmt.Errorf("erase a click: %w", err)
			}
			continue
		}
		if strings.HasPrefix(id, erasedPrefix) {
			renamed[id] = id
		} else {
			renamed[id] = erasedPrefix + uuid.NewString()
		}
		_, err = s.tx.Exec(ctx, `
			UPDATE gv.clicks
			SET    click_id = @new, fbclid = NULL, gclid = NULL, gbraid = NULL, wbraid = NULL, ttclid = NULL, fingerprint_hash = NULL,
			       lead_id = NULL, email_hash = NULL, phone_hash = NULL, lead_portal_id = NULL, lead_contact_id = NULL, ip_address = NULL,
			       user_agent = NULL, fbp = NULL, device_type = NULL, landing_page_url = NULL, extra = '{}', cleared_at = now()
			WHERE  tenant_id = gv.tenant() AND click_id = @old`,
			pgx.StrictNamedArgs{"old": id, "new": renamed[id]})
		if err != nil {
			return nil, fmt.Errorf("erase a click's personal data: %w", err)
		}
	}
	return renamed, s.eraseConversions(ctx, hashes, renamed)
}

// carrying returns the ids of the clicks that carry a hashed key, and their keys.
func (s Store) carrying(ctx context.Context, hashes []Hash) (ids []string, keys []Keys, err error) {
	byKind := split(hashes)
	rows, _ := s.tx.Query(ctx, `
		SELECT click_id, coalesce(fbclid, ''), coalesce(gclid, ''), coalesce(gbraid, ''), coalesce(wbraid, ''), coalesce(ttclid, ''),
		       coalesce(lead_id, ''), coalesce(email_hash, ''), coalesce(phone_hash, ''),
		       coalesce(fingerprint_hash, ''), coalesce(ip_address, ''), coalesce(user_agent, '')
		FROM   gv.clicks
		WHERE  tenant_id = gv.tenant()
		AND   (gv.key_hash(tenant_id, 'click_id', click_id) = ANY (@click_id) OR `+hashed+`
		       OR email_hash IS NOT NULL AND gv.key_hash(tenant_id, 'email_hash', email_hash) = ANY (@email_hash)
		       OR phone_hash IS NOT NULL AND gv.key_hash(tenant_id, 'phone_hash', phone_hash) = ANY (@phone_hash))
		ORDER  BY click_id`, byKind)
	var k Keys
	_, err = pgx.ForEachRow(rows, []any{
		&k.ClickID, &k.FBCLID, &k.GCLID, &k.GBRAID, &k.WBRAID, &k.TTCLID, &k.LeadID, &k.EmailHash, &k.PhoneHash, &k.FingerprintHash, &k.IP,
		&k.UserAgent,
	}, func() error {
		ids, keys = append(ids, k.ClickID), append(keys, k)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("find an erased contact's clicks: %w", err)
	}
	return ids, keys, nil
}

// hashed finds rows of clicks or of conversions by the keys that both have.
const hashed = `fbclid IS NOT NULL AND gv.key_hash(tenant_id, 'fbclid', fbclid) = ANY (@fbclid)
	OR gclid IS NOT NULL AND gv.key_hash(tenant_id, 'gclid', gclid) = ANY (@gclid)
	OR gbraid IS NOT NULL AND gv.key_hash(tenant_id, 'gbraid', gbraid) = ANY (@gbraid)
	OR wbraid IS NOT NULL AND gv.key_hash(tenant_id, 'wbraid', wbraid) = ANY (@wbraid)
	OR lead_id IS NOT NULL AND gv.key_hash(tenant_id, 'lead_id', lead_id) = ANY (@lead_id)
	OR ttclid IS NOT NULL AND gv.key_hash(tenant_id, 'ttclid', ttclid) = ANY (@ttclid)
	OR fingerprint_hash IS NOT NULL AND gv.key_hash(tenant_id, 'fingerprint', fingerprint_hash) = ANY (@fingerprint)`

func split(hashes []Hash) pgx.StrictNamedArgs {
	args := pgx.StrictNamedArgs{"click_id": [][]byte{}, "fingerprint": [][]byte{}}
	for _, p := range platforms {
		args[p.column] = [][]byte{}
	}
	for _, l := range leads {
		args[l.column] = [][]byte{}
	}
	for _, h := range hashes {
		if list, ok := args[h.Kind].([][]byte); ok {
			args[h.Kind] = append(list, h.Value)
		}
	}
	return args
}

// credited reports whether a deal, live or gone, or a conversion has the click.
func (s Store) credited(ctx context.Context, click string) (is bool, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM gv.deal_touches WHERE tenant_id = gv.tenant() AND click_id = $1)
		    OR EXISTS (SELECT FROM gv.deals WHERE tenant_id = gv.tenant() AND click_id = $1)
		    OR EXISTS (SELECT FROM gv.conversions WHERE tenant_id = gv.tenant() AND click_id = $1)`, click).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("look whose credit a click has: %w", err)
	}
	return is, nil
}

// eraseConversions clears what conversions with a hashed key, or of an erased
// click, are known by; their credit to an ad stays.
func (s Store) eraseConversions(ctx context.Context, hashes []Hash, renamed map[string]string) error {
	args := split(hashes)
	delete(args, "email_hash") // no conversion has these
	delete(args, "phone_hash")
	old, fresh := make([]string, 0, len(renamed)), make([]string, 0, len(renamed))
	for from, to := range renamed {
		old, fresh = append(old, from), append(fresh, to)
	}
	args["old"], args["new"] = old, fresh
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.conversions v
		SET    key_click_id = NULL, fbclid = NULL, gclid = NULL, gbraid = NULL, wbraid = NULL, ttclid = NULL, lead_id = NULL,
		       fingerprint_hash = NULL,
		       ip_address = NULL, user_agent = NULL, cleared_at = now(),
		       click_id = coalesce((SELECT r.fresh FROM unnest(@old::text[], @new::text[]) AS r (old, fresh) WHERE r.old = v.click_id),
		       v.click_id)
		WHERE  tenant_id = gv.tenant()
		AND   (click_id = ANY (@old) OR key_click_id IS NOT NULL AND gv.key_hash(tenant_id, 'click_id', key_click_id) = ANY (@click_id)
		       OR `+hashed+`)`, args)
	if err != nil {
		return fmt.Errorf("erase conversions' personal data: %w", err)
	}
	return nil
}
