package attribution

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Conversion is something that a click may have led to, other than a CRM deal.
type Conversion struct {
	ID, Type string
	Value    money.Amount // in the tenant's currency
	At       ConvertedAt
	Keys     Keys
}

// Attribute credits a conversion to its click and records both. The same
// conversion again is derived again: it answers the same unless its time, what it
// is known by, or the clicks have changed. A key that it no longer comes with
// stays known. What belongs to somebody whose data was erased is not recorded.
func (s Store) Attribute(ctx context.Context, c Conversion) (Result, error) {
	// Twins of one conversion go one after the other, each before it locks keys.
	if err := s.lock(ctx, []string{"conversion " + c.ID}); err != nil {
		return Result{}, err
	}
	was, err := s.recorded(ctx, `v.conversion_id = $1`, c.ID)
	if err != nil {
		return Result{}, err
	}
	if c.Keys, err = s.withoutErased(ctx, c.Keys.normalised()); err != nil {
		return Result{}, err
	}
	var before *recorded
	if len(was) > 0 {
		before = &was[0]
		c.Keys = c.Keys.or(before.Keys)
	}
	if err := s.Lock(ctx, c.Keys); err != nil {
		return Result{}, err
	}
	found, err := s.Match(ctx, []Keys{c.Keys}, c.At)
	if err != nil {
		return Result{}, err
	}
	if before != nil {
		found = before.standing(c.At, found)
	}
	return found, s.save(ctx, c, found)
}

func (k Keys) or(other Keys) Keys {
	first := func(a *string, b string) {
		if *a == "" {
			*a = b
		}
	}
	first(&k.ClickID, other.ClickID)
	for _, p := range platforms {
		first(p.of(&k.PlatformIDs), *p.of(&other.PlatformIDs))
	}
	first(&k.LeadID, other.LeadID)
	first(&k.FingerprintHash, other.FingerprintHash)
	first(&k.IP, other.IP)
	first(&k.UserAgent, other.UserAgent)
	return k
}

// withoutErased returns the keys without those of somebody whose data was erased.
func (s Store) withoutErased(ctx context.Context, k Keys) (Keys, error) {
	kinds, values := k.listed()
	var erased bool
	err := s.tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM gv.contact_hashes h JOIN gv.erasures e USING (tenant_id, portal_id, contact_id)
			WHERE  h.tenant_id = gv.tenant() AND h.kind NOT IN ('fingerprint', 'phone_hash')
			AND    h.hash IN (SELECT gv.key_hash(gv.tenant(), kind, value) FROM unnest(@kinds::text[], @values::text[]) AS k (kind, value)))`,
		pgx.StrictNamedArgs{"kinds": kinds, "values": values}).Scan(&erased)
	if err != nil {
		return k, fmt.Errorf("look for erased keys of a conversion: %w", err)
	}
	if erased {
		return Keys{}, nil
	}
	return k, nil
}

// recorded is a conversion as it is stored, with its credit.
type recorded struct {
	Conversion
	credit  Result
	cleared bool // what the credit was found by is gone
}

// standing returns what the conversion, now at m, is credited to when the clicks
// that are left come to found.
func (r recorded) standing(m ConvertedAt, found Result) Result {
	at := r.credit.ClickedAt
	if !r.cleared || at.After(m.Until) || at.Before(m.From.Add(-WindowOf(r.credit.Method))) || !r.credit.outlasts(found) {
		return found
	}
	r.credit.WindowHours = tidy(max(m.From.Sub(at).Hours(), 0))
	return r.credit
}

// recorded returns conversions in the order of their ids, locked. The condition is
// one of this file's own.
func (s Store) recorded(ctx context.Context, condition string, arg any) ([]recorded, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT v.conversion_id, v.converted_at, v.converted_until, coalesce(v.key_click_id, ''), coalesce(v.fbclid, ''), coalesce(v.gclid, ''),
		       coalesce(v.gbraid, ''), coalesce(v.wbraid, ''), coalesce(v.ttclid, ''), coalesce(v.lead_id, ''),
		       coalesce(v.fingerprint_hash, ''), coalesce(v.ip_address, ''), coalesce(v.user_agent, ''),
		       coalesce(v.click_id, ''), coalesce(v.ad_id, ''), coalesce(v.campaign_id, ''), v.method, v.confidence, v.reason,
		       coalesce(k.clicked_at, v.converted_at),
		       v.click_id IS NOT NULL AND (
				k.click_id IS NULL OR v.click_id LIKE 'erased%'
				OR v.method IN ('fingerprint', 'probabilistic') AND coalesce(v.cleared_at, k.cleared_at) IS NOT NULL
				OR v.cleared_at IS NOT NULL AND coalesce(v.key_click_id, v.fbclid, v.gclid, v.gbraid, v.wbraid, v.ttclid, v.lead_id) IS NULL)
		FROM   gv.conversions v LEFT JOIN gv.clicks k ON k.tenant_id = v.tenant_id AND k.click_id = v.click_id
		WHERE  v.tenant_id = gv.tenant() AND `+condition+`
		ORDER  BY v.conversion_id FOR UPDATE OF v`, arg)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r recorded, err error) {
		k, c := &r.Keys, &r.credit
		err = row.Scan(&r.ID, &r.At.From, &r.At.Until, &k.ClickID, &k.FBCLID, &k.GCLID, &k.GBRAID, &k.WBRAID, &k.TTCLID, &k.LeadID,
			&k.FingerprintHash, &k.IP, &k.UserAgent, &c.ClickID, &c.AdID, &c.CampaignID, &c.Method, &c.Confidence, &c.Reason, &c.ClickedAt,
			&r.cleared)
		c.Layer = layerOf(c.Method)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("read conversions: %w", err)
	}
	return all, nil
}

func (s Store) save(ctx context.Context, c Conversion, r Result) error {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.conversions (tenant_id, conversion_id, conversion_type, value_minor, converted_at, converted_until,
		                            key_click_id, fbclid, gclid, gbraid, wbraid, ttclid, lead_id, fingerprint_hash, ip_address, user_agent,
		                            click_id, ad_id, campaign_id, method, confidence, reason)
		VALUES (gv.tenant(), @id, @type, @value, @from, @until,
		        nullif(@key_click, ''), nullif(@fbclid, ''), nullif(@gclid, ''), nullif(@gbraid, ''), nullif(@wbraid, ''), nullif(@ttclid, ''),
		        nullif(@lead, ''),
		        nullif(@fingerprint, ''), nullif(@ip, ''), nullif(@agent, ''),
		        nullif(@click, ''), nullif(@ad, ''), nullif(@campaign, ''), @method, @confidence, @reason)
		ON CONFLICT (tenant_id, conversion_id) DO UPDATE
		SET conversion_type = excluded.conversion_type, value_minor = excluded.value_minor, converted_at = excluded.converted_at,
		    converted_until = excluded.converted_until, key_click_id = excluded.key_click_id, fbclid = excluded.fbclid,
		    gclid = excluded.gclid, gbraid = excluded.gbraid, wbraid = excluded.wbraid, ttclid = excluded.ttclid, lead_id = excluded.lead_id,
		    fingerprint_hash = excluded.fingerprint_hash, ip_address = excluded.ip_address,
		    user_agent = excluded.user_agent, click_id = excluded.click_id, ad_id = excluded.ad_id,
		    campaign_id = excluded.campaign_id, method = excluded.method, confidence = excluded.confidence,
		    reason = excluded.reason, attributed_at = now()`,
		pgx.StrictNamedArgs{
			"id": c.ID, "type": c.Type, "value": c.Value, "from": c.At.From, "until": c.At.Until,
			"key_click": c.Keys.ClickID, "fbclid": c.Keys.FBCLID, "gclid": c.Keys.GCLID, "gbraid": c.Keys.GBRAID, "wbraid": c.Keys.WBRAID,
			"ttclid": c.Keys.TTCLID, "lead": c.Keys.LeadID, "fingerprint": c.Keys.FingerprintHash,
			"ip": c.Keys.IP, "agent": c.Keys.UserAgent, "click": r.ClickID, "ad": r.AdID, "campaign": r.CampaignID,
			"method": r.Method, "confidence": r.Confidence, "reason": r.Reason,
		})
	if err != nil {
		return fmt.Errorf("record conversion %s: %w", c.ID, err)
	}
	return nil
}

// Rederive credits recorded conversions again, after the clicks have changed. Each
// is locked before its clicks are read, so that of two clicks recorded at once
// the one that comes second sees the first.
func (s Store) Rederive(ctx context.Context, conversions []string) error {
	if len(conversions) == 0 {
		return nil
	}
	locked, err := s.recorded(ctx, `v.conversion_id = ANY ($1)`, conversions)
	if err != nil {
		return err
	}
	for _, c := range locked {
		r, err := s.Match(ctx, []Keys{c.Keys}, c.At)
		if err != nil {
			return err
		}
		r = c.standing(c.At, r)
		_, err = s.tx.Exec(ctx, `
			UPDATE gv.conversions
			SET    click_id = nullif(@click, ''), ad_id = nullif(@ad, ''), campaign_id = nullif(@campaign, ''), method = @method,
			       confidence = @confidence, reason = @reason, attributed_at = now()
			WHERE  tenant_id = gv.tenant() AND conversion_id = @id`,
			pgx.StrictNamedArgs{
				"id": c.ID, "click": r.ClickID, "ad": r.AdID, "campaign": r.CampaignID,
				"method": r.Method, "confidence": r.Confidence, "reason": r.Reason,
			})
		if err != nil {
			return fmt.Errorf("credit conversion %s again: %w", c.ID, err)
		}
	}
	return nil
}
