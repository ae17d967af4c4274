package queue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/meta"
)

// Load locks what belongs to a claimed change and returns what the rules take into
// account for it; ErrClaimLost where it is no longer claimed.
func (s Store) Load(ctx context.Context, c *Claim) (state changes.State, err error) {
	adset, err := s.lockAds(ctx, c, &state)
	if err != nil {
		return state, err
	}
	names := []string{c.BudgetObject}
	if c.Kind == changes.KindStatus && adset != "" {
		names = append(names, adset)
	}
	objects, err := s.lockObjects(ctx, c.TenantID, names)
	if err != nil {
		return state, err
	}
	if state.Object = objects[c.BudgetObject]; state.Object == nil {
		return state, fmt.Errorf("change %s: there is no row of %s", c.ChangeID, c.BudgetObject)
	}
	state.Adset = objects[adset]
	if err := s.lockChange(ctx, c, &state); err != nil {
		return state, err
	}
	if err := s.lockCampaign(ctx, c); err != nil {
		return state, err
	}
	if state.Now, err = s.Now(ctx); err != nil {
		return state, err
	}
	if err := s.account(ctx, c, &state); err != nil {
		return state, err
	}
	return state, s.windows(ctx, c, &state)
}

// lockAds locks the ads of a change, before its object, and returns the ad set of
// its ad.
func (s Store) lockAds(ctx context.Context, c *Claim, state *changes.State) (adset string, err error) {
	for id := range c.Splits {
		state.Ads = append(state.Ads, id)
	}
	slices.Sort(state.Ads)
	if !slices.Contains(state.Ads, c.AdID) {
		state.Ads = append(state.Ads, c.AdID)
	}
	rows, _ := s.tx.Query(ctx, `
		SELECT ad_id, adset_id FROM gv.ads WHERE tenant_id = @tenant AND ad_id = ANY (@ads::text[]) ORDER BY ad_id FOR NO KEY UPDATE`,
		pgx.StrictNamedArgs{"tenant": c.TenantID, "ads": state.Ads})
	var ad, set string
	_, err = pgx.ForEachRow(rows, []any{&ad, &set}, func() error {
		if ad == c.AdID && set != "" {
			adset = "adset/" + set
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("lock the ads of change %s: %w", c.ChangeID, err)
	}
	return adset, nil
}

// lockChange locks the change and the one that it undoes, and reads them again.
func (s Store) lockChange(ctx context.Context, c *Claim, state *changes.State) error {
	found, err := s.read(ctx, `
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
		return ErrClaimLost
	}
	state.Change = *found[0]
	state.Grain = meta.Step(state.Change.Currency)
	if c.UndoOf == nil {
		return nil
	}
	if state.Undoes, err = s.one(ctx, c.TenantID, *c.UndoOf); err != nil {
		return err
	}
	return nil
}

// one locks a change; nil where there is none with this id.
func (s Store) one(ctx context.Context, tenant, id string) (*changes.Change, error) {
	found, err := s.read(ctx, `
		SELECT `+changeColumns+`
		FROM   gv.pending_ad_changes p JOIN gv.accounts a USING (tenant_id, account_id)
		WHERE  p.tenant_id = @tenant AND p.change_id = @id
		FOR    UPDATE OF p`, pgx.StrictNamedArgs{"tenant": tenant, "id": id})
	if err != nil {
		return nil, fmt.Errorf("look up change %s: %w", id, err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found[0], nil
}

// lockCampaign makes one transaction at a time count a campaign's writes, even
// where a run that lost its account's lease is still at its last change.
func (s Store) lockCampaign(ctx context.Context, c *Claim) error {
	_, err := s.tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended(@campaign, 0))`,
		pgx.StrictNamedArgs{"campaign": "changes " + c.TenantID + " " + c.CampaignID})
	if err != nil {
		return fmt.Errorf("lock campaign %s: %w", c.CampaignID, err)
	}
	return nil
}

// account reads how the account's changes are carried out, and which change waits
// for this one.
func (s Store) account(ctx context.Context, c *Claim, state *changes.State) error {
	var own, all bool
	err := s.tx.QueryRow(ctx, `
		SELECT a.mode, a.paused, t.paused,
		       (SELECT p.change_id::text FROM gv.pending_ad_changes p
		        WHERE  p.tenant_id = @tenant AND p.budget_object = @object AND p.kind = @kind AND p.change_id <> @change
		        AND    p.status IN ('pending', 'awaiting_approval'))
		FROM   gv.accounts a JOIN gv.tenants t USING (tenant_id)
		WHERE  a.tenant_id = @tenant AND a.account_id = @account`,
		pgx.StrictNamedArgs{"tenant": c.TenantID, "account": c.AccountID, "object": c.BudgetObject, "kind": c.Kind, "change": c.ChangeID}).
		Scan(&state.Mode, &own, &all, &state.Newer)
	if err != nil {
		return fmt.Errorf("read account %s: %w", c.AccountID, err)
	}
	state.Paused = changes.PauseReason(c.Account(), own, all)
	return nil
}

// windows reads what the limits count. An object's moves are our writes to it, and
// those whose outcome stayed unknown; undos and what they undo do not count. The
// first spend cap of an ad set moves from its estimated budget.
func (s Store) windows(ctx context.Context, c *Claim, state *changes.State) error {
	rows, _ := s.tx.Query(ctx, `
		SELECT h.at, true AS own,
		       h.outcome IN ('applied', 'held') AND h.after_minor IS NOT NULL AND p.source IS DISTINCT FROM 'undo'
		       AND NOT EXISTS (SELECT FROM gv.pending_ad_changes u
		                       WHERE u.tenant_id = h.tenant_id AND u.undo_of = h.change_id AND u.steps > 0 AND u.status <> 'undone') AS moves,
		       coalesce(h.before_minor, p.before_minor), h.after_minor
		FROM   gv.ad_change_history h
		LEFT   JOIN gv.pending_ad_changes p ON p.change_id = h.change_id
		WHERE  h.tenant_id = @tenant AND h.budget_object = @object AND h.at > @moves AND h.outcome IN ('applied', 'unknown', 'held')
		AND    h.action <> 'none'
		UNION ALL
		SELECT at, false, false, NULL, NULL
		FROM   gv.ad_change_history
		WHERE  tenant_id = @tenant AND campaign_id = @campaign AND budget_object <> @object AND at > @actions
		AND    outcome IN ('applied', 'unknown') AND action <> 'none'
		UNION ALL
		SELECT sent_at, false, false, NULL, NULL
		FROM   gv.pending_ad_changes
		WHERE  tenant_id = @tenant AND campaign_id = @campaign AND change_id <> @change AND status IN ('applying', 'unknown')
		AND    sent_at > @actions
		ORDER  BY at`,
		pgx.StrictNamedArgs{
			"tenant": c.TenantID, "object": c.BudgetObject, "campaign": c.CampaignID, "change": c.ChangeID,
			"moves": state.Now.Add(-changes.VelocityWindow), "actions": state.Now.Add(-changes.ActionWindow),
		})
	var (
		at            time.Time
		own, moves    bool
		before, after *int64
	)
	_, err := pgx.ForEachRow(rows, []any{&at, &own, &moves, &before, &after}, func() error {
		if at.After(state.Now.Add(-changes.ActionWindow)) {
			state.Campaign = append(state.Campaign, at)
		}
		if own {
			state.Writes = append(state.Writes, at)
		}
		if moves {
			move := changes.Move{At: at, After: *after, Before: *after}
			if before != nil {
				move.Before = *before
			}
			state.Moves = append(state.Moves, move)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read recent writes: %w", err)
	}
	return nil
}
