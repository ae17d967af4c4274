package changes

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// holdAds locks the ads of a claim's object, before its object.
func (s Store) holdAds(ctx context.Context, c *Claim, h *held) error {
	h.ads = sortedKeys(c.Splits)
	if !slices.Contains(h.ads, c.AdID) {
		h.ads = append(h.ads, c.AdID)
	}
	rows, _ := s.tx.Query(ctx, `
		SELECT ad_id, adset_id FROM gv.ads WHERE tenant_id = @tenant AND ad_id = ANY (@ads::text[]) ORDER BY ad_id FOR NO KEY UPDATE`,
		pgx.StrictNamedArgs{"tenant": c.TenantID, "ads": h.ads})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ AdID, AdsetID string }])
	if err != nil {
		return fmt.Errorf("lock the ads of change %s: %w", c.ChangeID, err)
	}
	for _, ad := range found {
		if ad.AdID == c.AdID && ad.AdsetID != "" {
			h.adset = "adset/" + ad.AdsetID
		}
	}
	return nil
}

// holdChange locks the change and reads it anew; ErrLost where it is no longer
// the claim's.
func (s Store) holdChange(ctx context.Context, c *Claim) error {
	found, err := s.changes(ctx, `
		SELECT `+changeColumns+`
		FROM   gv.pending_ad_changes p
		JOIN   gv.accounts a USING (tenant_id, account_id)
		WHERE  p.tenant_id = @tenant AND p.change_id = @change AND p.lease_token = @token AND p.attempt = @attempt
		AND    p.status IN ('pending', 'applying', 'unknown')
		FOR    UPDATE OF p`,
		pgx.StrictNamedArgs{"tenant": c.TenantID, "change": c.ChangeID, "token": c.LeaseToken, "attempt": c.Attempt})
	if err != nil {
		return fmt.Errorf("lock change %s: %w", c.ChangeID, err)
	}
	if len(found) == 0 {
		return ErrLost
	}
	c.Change = *found[0]
	return nil
}

// holdCampaign lets one verdict at a time count a campaign's actions, even where a
// run that lost its account's lease is still at its last change.
func (s Store) holdCampaign(ctx context.Context, c *Claim) error {
	_, err := s.tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended(@campaign, 0))`,
		pgx.StrictNamedArgs{"campaign": "changes " + c.TenantID + " " + c.CampaignID})
	if err != nil {
		return fmt.Errorf("lock campaign %s: %w", c.CampaignID, err)
	}
	return nil
}

// account reads how the account's changes are made, and what waits behind this one.
func (s Store) account(ctx context.Context, c *Claim, h *held) error {
	var own, all bool
	err := s.tx.QueryRow(ctx, `
		SELECT a.mode, a.paused, t.paused,
		       (SELECT p.change_id::text FROM gv.pending_ad_changes p
		        WHERE  p.tenant_id = @tenant AND p.budget_object = @object AND p.kind = @kind AND p.change_id <> @change
		        AND    p.status IN ('pending', 'awaiting_approval'))
		FROM   gv.accounts a JOIN gv.tenants t USING (tenant_id)
		WHERE  a.tenant_id = @tenant AND a.account_id = @account`,
		pgx.StrictNamedArgs{"tenant": c.TenantID, "account": c.AccountID, "object": c.BudgetObject, "kind": c.Kind, "change": c.ChangeID}).
		Scan(&h.moment.Mode, &own, &all, &h.newer)
	if err != nil {
		return fmt.Errorf("read account %s: %w", c.AccountID, err)
	}
	h.moment.Paused = PauseReason(c.AccountID, own, all)
	return nil
}

// PauseReason says why nothing is written; "" where neither the account nor the
// whole tenant is paused.
func PauseReason(account string, own, all bool) string {
	switch {
	case all:
		return "all accounts are paused: nothing is written until somebody resumes them"
	case own:
		return "the account " + account + " is paused: nothing is written until somebody resumes it"
	}
	return ""
}

// windows reads what the limits count: the object's moves and writes, and the
// campaign's writes, with what is under way there. A first spend cap has moved from
// what the ad set was taken to have.
func (s Store) windows(ctx context.Context, c *Claim, h *held) error {
	rows, _ := s.tx.Query(ctx, `
		SELECT h.at, h.outcome, true AS own, coalesce(h.before_minor, p.before_minor), h.after_minor
		FROM   gv.ad_change_history h
		LEFT   JOIN gv.pending_ad_changes p ON p.change_id = h.change_id
		WHERE  h.tenant_id = @tenant AND h.budget_object = @object AND h.at > @moves AND h.outcome IN ('applied', 'unknown') AND h.action <> 'none'
		UNION ALL
		SELECT at, outcome, false, NULL, NULL
		FROM   gv.ad_change_history
		WHERE  tenant_id = @tenant AND campaign_id = @campaign AND budget_object <> @object AND at > @actions
		AND    outcome IN ('applied', 'unknown') AND action <> 'none'
		UNION ALL
		SELECT sent_at, 'unknown', false, NULL, NULL
		FROM   gv.pending_ad_changes
		WHERE  tenant_id = @tenant AND campaign_id = @campaign AND change_id <> @change AND status IN ('applying', 'unknown') AND sent_at > @actions
		ORDER  BY at`,
		pgx.StrictNamedArgs{
			"tenant": c.TenantID, "object": c.BudgetObject, "campaign": c.CampaignID, "change": c.ChangeID,
			"moves": h.now.Add(-VelocityWindow), "actions": h.now.Add(-ActionWindow),
		})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		At            time.Time
		Outcome       Status
		Own           bool
		Before, After *int64
	}])
	if err != nil {
		return fmt.Errorf("read what was written lately: %w", err)
	}
	m := &h.moment
	for _, f := range found {
		if within(f.At, h.now, ActionWindow) {
			m.Campaign = append(m.Campaign, f.At)
		}
		if !f.Own {
			continue
		}
		m.Writes = append(m.Writes, f.At)
		if f.Outcome == Applied && f.After != nil {
			move := Move{At: f.At, After: *f.After, Before: *f.After}
			if f.Before != nil {
				move.Before = *f.Before
			}
			m.Moves = append(m.Moves, move)
		}
	}
	return nil
}
