package changes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Due is an account that has something to do.
type Due struct {
	TenantID, AccountID string
	// At is when its first change falls due.
	At time.Time
}

// Due lists the accounts of all tenants whose changes fall due until then, those
// first that wait longest. What a pause holds back is not due; what was sent
// before it and never heard of is, for reading is no write. It needs pg.Across.
func (s Store) Due(ctx context.Context, until time.Time) ([]Due, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   p.tenant_id, p.account_id, min(p.due_at) AS at
		FROM     gv.pending_ad_changes p
		JOIN     gv.accounts a USING (tenant_id, account_id)
		JOIN     gv.tenants t USING (tenant_id)
		WHERE    p.due_at <= @until AND (p.lease_until IS NULL OR p.lease_until < clock_timestamp())
		AND      (p.status IN ('applying', 'unknown')
		          OR p.status = 'pending' AND NOT a.paused AND NOT t.paused
		             AND NOT EXISTS (SELECT FROM gv.pending_ad_changes u
		                             WHERE u.tenant_id = p.tenant_id AND u.budget_object = p.budget_object AND u.status IN ('applying', 'unknown')))
		GROUP BY p.tenant_id, p.account_id
		ORDER BY at`,
		pgx.StrictNamedArgs{"until": until})
	due, err := pgx.CollectRows(rows, pgx.RowToStructByName[Due])
	if err != nil {
		return nil, fmt.Errorf("list the accounts that are due: %w", err)
	}
	return due, nil
}

// Claim is a change that one executor may act on until its lease ends.
type Claim struct {
	Change
	LeaseToken string
	// Prior is the status that the change was claimed in.
	Prior Status
}

// ErrLost is returned where somebody else has claimed the change since.
var ErrLost = errors.New("the claim of the change is lost")

// Claim claims the account's change that is due longest, for the time of lease;
// nil where none is due. A change waits while another of its object is under way.
func (s Store) Claim(ctx context.Context, tenant, account string, lease time.Duration) (*Claim, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	c := &Claim{LeaseToken: uuid.NewString()}
	found, err := s.changes(ctx, `
		WITH next AS (
			SELECT c.change_id
			FROM   gv.pending_ad_changes c
			JOIN   gv.accounts a USING (tenant_id, account_id)
			JOIN   gv.tenants t USING (tenant_id)
			WHERE  c.tenant_id = @tenant AND c.account_id = @account AND c.due_at <= @now
			AND    (c.lease_until IS NULL OR c.lease_until < clock_timestamp())
			AND    (c.status IN ('applying', 'unknown')
			        OR c.status = 'pending' AND NOT a.paused AND NOT t.paused
			           AND NOT EXISTS (SELECT FROM gv.pending_ad_changes u
			                           WHERE u.tenant_id = c.tenant_id AND u.budget_object = c.budget_object AND u.status IN ('applying', 'unknown')))
			ORDER  BY c.due_at, c.change_id LIMIT 1
			FOR    UPDATE OF c SKIP LOCKED
		)
		UPDATE gv.pending_ad_changes p
		SET    attempt = p.attempt + 1, lease_token = @token, lease_until = clock_timestamp() + @lease::interval
		FROM   next, gv.accounts a
		WHERE  p.change_id = next.change_id AND a.tenant_id = p.tenant_id AND a.account_id = p.account_id
		RETURNING `+changeColumns,
		pgx.StrictNamedArgs{"tenant": tenant, "account": account, "now": now, "token": c.LeaseToken, "lease": lease})
	if err != nil {
		return nil, fmt.Errorf("claim a change of account %s: %w", account, err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	c.Change, c.Prior = *found[0], found[0].Status
	return c, nil
}

// held is what Decide and Settle hold and know: the rows, locked in the order of
// ads, objects, change, campaign.
type held struct {
	now    time.Time
	moment Moment
	ads    []string // the ads of the object
	adset  string   // that of the ad whose status changes
	newer  *string  // the change that waits behind this one
}

// hold locks what belongs to a claim and reads what a verdict over it rests on.
func (s Store) hold(ctx context.Context, c *Claim) (*held, error) {
	h := &held{}
	if err := s.holdAds(ctx, c, h); err != nil {
		return nil, err
	}
	names := []string{c.BudgetObject}
	if c.Kind == KindStatus && h.adset != "" {
		names = append(names, h.adset)
	}
	objects, err := s.holdObjects(ctx, c.TenantID, names)
	if err != nil {
		return nil, err
	}
	if err := s.holdChange(ctx, c); err != nil {
		return nil, err
	}
	if err := s.holdCampaign(ctx, c); err != nil {
		return nil, err
	}
	if h.now, err = s.Now(ctx); err != nil {
		return nil, err
	}
	h.moment.Now, h.moment.Change = h.now, &c.Change
	h.moment.Object = objects[c.BudgetObject]
	if len(names) > 1 {
		h.moment.Adset = objects[names[1]]
	}
	if h.moment.Object == nil {
		return nil, fmt.Errorf("change %s: nothing is known of %s", c.ChangeID, c.BudgetObject)
	}
	if err := s.account(ctx, c, h); err != nil {
		return nil, err
	}
	return h, s.windows(ctx, c, h)
}
