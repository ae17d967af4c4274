package attribution

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Conversion is something that a click may have led to, other than a CRM deal.
type Conversion struct {
	ID, Type string
	Value    money.Amount // in the tenant's currency
	At       Moment
	Keys     Keys
}

// Attribute credits a conversion to its click and records both. The same
// conversion again is derived anew: it answers the same unless its time, what it
// is known by, or the clicks have changed. A key that it is no longer told with
// stays known.
func (s Store) Attribute(ctx context.Context, c Conversion) (Result, error) {
	// Twins of one conversion go one after the other, each before it locks keys.
	if err := s.lock(ctx, []string{"conversion " + c.ID}); err != nil {
		return Result{}, err
	}
	known, err := s.knownKeys(ctx, c.ID)
	if err != nil {
		return Result{}, err
	}
	c.Keys = c.Keys.normalised().or(known)
	if err := s.Lock(ctx, c.Keys); err != nil {
		return Result{}, err
	}
	found, err := s.MatchAny(ctx, []Keys{c.Keys}, c.At)
	if err != nil {
		return Result{}, err
	}
	return found, s.save(ctx, c, found)
}

func (k Keys) or(other Keys) Keys {
	first := func(a, b string) string {
		if a != "" {
			return a
		}
		return b
	}
	return Keys{
		ClickID: first(k.ClickID, other.ClickID), FBCLID: first(k.FBCLID, other.FBCLID), GCLID: first(k.GCLID, other.GCLID),
		FingerprintHash: first(k.FingerprintHash, other.FingerprintHash),
		IP:              first(k.IP, other.IP), UserAgent: first(k.UserAgent, other.UserAgent),
	}
}

func (s Store) knownKeys(ctx context.Context, conversion string) (k Keys, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT coalesce(key_click_id, ''), coalesce(fbclid, ''), coalesce(gclid, ''), coalesce(fingerprint_hash, ''),
		       coalesce(ip_address, ''), coalesce(user_agent, '')
		FROM   gv.conversions
		WHERE  tenant_id = gv.tenant() AND conversion_id = $1`,
		conversion).Scan(&k.ClickID, &k.FBCLID, &k.GCLID, &k.FingerprintHash, &k.IP, &k.UserAgent)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return k, fmt.Errorf("read conversion %s: %w", conversion, err)
	}
	return k, nil
}

func (s Store) save(ctx context.Context, c Conversion, r Result) error {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.conversions (tenant_id, conversion_id, conversion_type, value_minor, converted_at, converted_until,
		                            key_click_id, fbclid, gclid, fingerprint_hash, ip_address, user_agent,
		                            click_id, ad_id, campaign_id, method, confidence, reason)
		VALUES (gv.tenant(), @id, @type, @value, @from, @until,
		        nullif(@key_click, ''), nullif(@fbclid, ''), nullif(@gclid, ''), nullif(@fingerprint, ''), nullif(@ip, ''), nullif(@agent, ''),
		        nullif(@click, ''), nullif(@ad, ''), nullif(@campaign, ''), @method, @confidence, @reason)
		ON CONFLICT (tenant_id, conversion_id) DO UPDATE
		SET conversion_type = excluded.conversion_type, value_minor = excluded.value_minor, converted_at = excluded.converted_at,
		    converted_until = excluded.converted_until, key_click_id = excluded.key_click_id, fbclid = excluded.fbclid,
		    gclid = excluded.gclid, fingerprint_hash = excluded.fingerprint_hash, ip_address = excluded.ip_address,
		    user_agent = excluded.user_agent, click_id = excluded.click_id, ad_id = excluded.ad_id,
		    campaign_id = excluded.campaign_id, method = excluded.method, confidence = excluded.confidence,
		    reason = excluded.reason, attributed_at = now()`,
		pgx.StrictNamedArgs{
			"id": c.ID, "type": c.Type, "value": c.Value, "from": c.At.From, "until": c.At.Until,
			"key_click": c.Keys.ClickID, "fbclid": c.Keys.FBCLID, "gclid": c.Keys.GCLID, "fingerprint": c.Keys.FingerprintHash,
			"ip": c.Keys.IP, "agent": c.Keys.UserAgent, "click": r.ClickID, "ad": r.AdID, "campaign": r.CampaignID,
			"method": r.Method, "confidence": r.Confidence, "reason": r.Reason,
		})
	if err != nil {
		return fmt.Errorf("record conversion %s: %w", c.ID, err)
	}
	return nil
}

// Rederive credits recorded conversions anew, after the clicks have changed. Each
// is locked before its clicks are read, so that of two clicks recorded at once
// the one that comes second sees the first.
func (s Store) Rederive(ctx context.Context, conversions []string) error {
	if len(conversions) == 0 {
		return nil
	}
	rows, _ := s.tx.Query(ctx, `
		SELECT conversion_id, converted_at, converted_until, coalesce(key_click_id, ''), coalesce(fbclid, ''), coalesce(gclid, ''),
		       coalesce(fingerprint_hash, ''), coalesce(ip_address, ''), coalesce(user_agent, '')
		FROM   gv.conversions
		WHERE  tenant_id = gv.tenant() AND conversion_id = ANY ($1)
		ORDER  BY conversion_id FOR UPDATE`, conversions)
	locked, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Conversion, err error) {
		k := &c.Keys
		err = row.Scan(&c.ID, &c.At.From, &c.At.Until, &k.ClickID, &k.FBCLID, &k.GCLID, &k.FingerprintHash, &k.IP, &k.UserAgent)
		return c, err
	})
	if err != nil {
		return fmt.Errorf("lock conversions: %w", err)
	}
	for _, c := range locked {
		r, err := s.MatchAny(ctx, []Keys{c.Keys}, c.At)
		if err != nil {
			return err
		}
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
			return fmt.Errorf("credit conversion %s anew: %w", c.ID, err)
		}
	}
	return nil
}
