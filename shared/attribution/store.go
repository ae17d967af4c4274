package attribution

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Store reads and writes a tenant's clicks and conversions in its transaction.
type Store struct{ tx pgx.Tx }

// NewStore returns the store of tx.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

// Lock keeps others who share any of the keys waiting until the transaction ends.
// Who records a click or attributes a conversion calls it before reading or
// writing either, and before locking any row.
func (s Store) Lock(ctx context.Context, keys ...Keys) error {
	var names []string
	for _, k := range keys {
		names = append(names, k.normalised().lockNames()...)
	}
	return s.lock(ctx, names)
}

func (k Keys) lockNames() []string {
	var names []string
	add := func(kind, value string) {
		if value != "" {
			names = append(names, kind+" "+value)
		}
	}
	add("click", k.ClickID)
	for _, p := range platforms {
		add(p.column, *p.of(&k.PlatformIDs))
	}
	for _, l := range leads {
		add(l.column, *l.of(&k.LeadKeys))
	}
	add("fingerprint", k.FingerprintHash)
	if k.UserAgent != "" {
		add("address", k.IP)
	}
	return names
}

// lock takes its locks in one order, so that two transactions cannot deadlock.
func (s Store) lock(ctx context.Context, names []string) error {
	_, err := s.tx.Exec(ctx, `
		SELECT pg_advisory_xact_lock(key)
		FROM  (SELECT DISTINCT hashtextextended('attribution ' || gv.tenant()::text || ' ' || name, 0) AS key
		       FROM unnest(@names::text[]) AS name ORDER BY key) AS ordered`,
		pgx.StrictNamedArgs{"names": names})
	if err != nil {
		return fmt.Errorf("lock attribution keys: %w", err)
	}
	return nil
}

// Record stores c and returns it as it is stored, and whether it is new. A click id
// that is known already keeps what was reported first: a beacon sent twice is one
// click. A click of somebody whose data was erased is not stored again; it is
// returned under an id that nothing has, without what they are known by.
func (s Store) Record(ctx context.Context, c Click) (stored Click, inserted bool, err error) {
	c = c.normalised()
	extra := c.Extra
	if extra == nil {
		extra = map[string]any{}
	}
	kinds, values := c.Keys().listed()
	done, err := s.tx.Exec(ctx, `
		INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid, gclid, gbraid, wbraid, ttclid, fingerprint_hash,
		                       ip_address, user_agent, fbp, device_type, landing_page_url, extra, consent, claimed_at, lead_id, email_hash,
		                       phone_hash)
		SELECT gv.tenant(), @click, @ad, @campaign, @at, nullif(@fbclid, ''), nullif(@gclid, ''), nullif(@gbraid, ''), nullif(@wbraid, ''),
		       nullif(@ttclid, ''), nullif(@fingerprint, ''), nullif(@ip, ''), nullif(@agent, ''), nullif(@fbp, ''), nullif(@device, ''),
		       nullif(@page, ''), @extra::jsonb, @consent::boolean, @claimed::timestamptz, nullif(@lead, ''), nullif(@email, ''),
		       nullif(@phone, '')
		WHERE  NOT EXISTS (
			SELECT FROM gv.contact_hashes h JOIN gv.erasures e USING (tenant_id, portal_id, contact_id)
			WHERE  h.tenant_id = gv.tenant() AND h.kind NOT IN ('fingerprint', 'phone_hash') -- several people may share one
			AND    h.hash IN (SELECT gv.key_hash(gv.tenant(), kind, value) FROM unnest(@kinds::text[], @values::text[]) AS k (kind, value)))
		ON CONFLICT DO NOTHING`,
		pgx.StrictNamedArgs{
			"click": c.ClickID, "ad": c.AdID, "campaign": c.CampaignID, "at": c.ClickedAt, "fbclid": c.FBCLID, "gclid": c.GCLID,
			"gbraid": c.GBRAID, "wbraid": c.WBRAID, "ttclid": c.TTCLID, "fingerprint": c.FingerprintHash, "ip": c.IP, "agent": c.UserAgent,
			"fbp": c.FBP, "device": c.DeviceType, "page": c.LandingPageURL, "extra": extra, "consent": c.Consent, "claimed": c.ClaimedAt,
			"kinds": kinds, "values": values, "lead": c.LeadID, "email": c.EmailHash, "phone": c.PhoneHash,
		})
	if err != nil {
		return c, false, fmt.Errorf("record click %s: %w", c.ClickID, err)
	}
	if done.RowsAffected() == 1 {
		return c, true, nil
	}
	var exists bool
	err = s.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM gv.clicks WHERE tenant_id = gv.tenant() AND click_id = $1)`, c.ClickID).Scan(&exists)
	if err != nil {
		return c, false, fmt.Errorf("look for click %s: %w", c.ClickID, err)
	}
	if !exists {
		return Click{ClickID: uuid.NewString(), AdID: c.AdID, CampaignID: c.CampaignID, ClickedAt: c.ClickedAt}, false, nil
	}
	return c, false, nil
}

// listed returns the keys by kind and value, as gv.contact_keys names them.
func (k Keys) listed() (kinds, values []string) {
	kinds, values = []string{}, []string{}
	add := func(kind, value string) {
		if value != "" {
			kinds, values = append(kinds, kind), append(values, value)
		}
	}
	add("click_id", k.ClickID)
	for _, p := range platforms {
		add(p.column, *p.of(&k.PlatformIDs))
	}
	for _, l := range leads {
		add(l.column, *l.of(&k.LeadKeys))
	}
	add("fingerprint", k.FingerprintHash)
	return kinds, values
}

// Match returns what a conversion of somebody is credited to who is known by these keys, of
// which several may be of one kind: the best match of any of them counts.
func (s Store) Match(ctx context.Context, keys []Keys, m ConvertedAt) (Result, error) {
	one := Subject{Keys: normalised(keys), At: m}
	clicks, o, err := s.candidates(ctx, []Subject{one})
	if err != nil {
		return Result{}, err
	}
	return credit(one.Keys, m, clicks[0], o), nil
}

// Found are the clicks that somebody made in the Lookback before a conversion, best first.
type Found struct {
	Touches []Touch
	Why     string // why none is to be credited, empty where one is
}

// Touches returns what is found for each of the subjects, in their order.
func (s Store) Touches(ctx context.Context, subjects []Subject) ([]Found, error) {
	all := make([]Subject, len(subjects))
	for i, one := range subjects {
		all[i] = Subject{Keys: normalised(one.Keys), At: one.At}
	}
	clicks, o, err := s.candidates(ctx, all)
	if err != nil {
		return nil, err
	}
	found := make([]Found, len(all))
	for i, one := range all {
		found[i].Touches, _ = touches(one.Keys, one.At, clicks[i], o)
		if Best(found[i].Touches) == nil {
			found[i].Why = credit(one.Keys, one.At, clicks[i], o).Reason
		}
	}
	return found, nil
}

func normalised(keys []Keys) []Keys {
	known := make([]Keys, len(keys))
	for i, k := range keys {
		known[i] = k.normalised()
	}
	return known
}
