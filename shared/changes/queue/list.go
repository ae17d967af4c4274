package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/changes"
)

// AnyOpen as the Status of a Filter selects all changes that are not finished.
const AnyOpen changes.Status = "open"

// Filter selects changes, or lines of the history; a field that is "" or zero
// selects all.
type Filter struct {
	Status    changes.Status
	AccountID string
	AdID      string
	// CampaignID selects lines of the history only.
	CampaignID string
	ChangeID   string
	// Before and BeforeID are the last line of the page before.
	Before   time.Time
	BeforeID string
	Limit    int
}

func (f Filter) args(tenant string) pgx.StrictNamedArgs {
	args := pgx.StrictNamedArgs{
		"tenant": tenant, "account": f.AccountID, "ad": f.AdID, "change": orNull(f.ChangeID), "limit": f.Limit, "first": f.BeforeID == "",
		"at": f.Before, "id": f.BeforeID,
	}
	if f.BeforeID == "" {
		args["id"] = "00000000-0000-0000-0000-000000000000"
	}
	return args
}

// Listed is a change beside its object and its account as they are now.
type Listed struct {
	changes.Change
	Known       *int64
	AccountMode changes.Mode
	Paused      bool
	AllPaused   bool
	// Ads are those whose requests became the change.
	Ads []string
}

// Present is the change as an approval would bind it now. A finished one stays as
// it was.
func (l *Listed) Present() changes.Change {
	if !l.Status.Open() {
		return l.Change
	}
	return l.StartingFrom(l.Known)
}

// WhyNot says why the change was not, or not yet, carried out; "" where there is
// nothing to explain.
func (l *Listed) WhyNot() string {
	switch l.Status {
	case changes.StatusApplied, changes.StatusUndone:
		return ""
	case changes.StatusPending:
		if why := changes.PauseReason(l.Account(), l.Paused, l.AllPaused); why != "" {
			return why
		}
	case changes.StatusAwaiting:
		if l.HeldReason == "" {
			return "waits for an admin's approval"
		}
	}
	return l.HeldReason
}

// List returns changes, the newest first.
func (s Store) List(ctx context.Context, tenant string, f Filter) ([]Listed, error) {
	args := f.args(tenant)
	args["status"] = f.Status
	rows, _ := s.tx.Query(ctx, `
		SELECT `+changeColumns+`, o.known_minor AS known, a.mode AS account_mode, a.paused, t.paused AS all_paused,
		       ARRAY(SELECT DISTINCT r.ad_id FROM gv.change_requests r WHERE r.tenant_id = p.tenant_id AND r.change_id = p.change_id
		       ORDER BY 1) AS ads
		FROM   gv.pending_ad_changes p
		JOIN   gv.accounts a USING (tenant_id, account_id)
		JOIN   gv.tenants t USING (tenant_id)
		LEFT   JOIN gv.budget_objects o ON o.tenant_id = p.tenant_id AND o.budget_object = p.budget_object
		WHERE  p.tenant_id = @tenant AND (@status = '' OR p.status = @status
		        OR @status = 'open' AND p.status IN ('pending', 'awaiting_approval', 'applying', 'unknown'))
		               AND (@account = '' OR p.account_id = @account)
		AND    (@ad = '' OR p.ad_id = @ad OR p.splits ? @ad)
		AND    (@change::uuid IS NULL OR p.change_id = @change::uuid)
		AND    (@first OR (p.created_at, p.change_id) < (@at, @id::uuid))
		ORDER  BY p.created_at DESC, p.change_id DESC
		LIMIT  @limit`, args)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Listed])
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	return found, nil
}

// Line is a line of the history in a list.
type Line struct {
	HistoryID                                           string
	ChangeID                                            *string
	AccountID, CampaignID, AdID, BudgetObject, Currency string
	// AdName is what the ad is called, or its id where nobody named it.
	AdName                                              string
	Action                                              string
	Outcome                                             changes.Status
	BeforeMinor, AfterMinor, FloorMinor                 *int64
	BeforeStatus, AfterStatus, Reason, Initiator, Trace string
	DurationMS                                          *int
	Attempt                                             int
	Mode                                                string
	At                                                  time.Time
	// Until is when the next change of the object was applied; nil where this is the
	// last one, or was not applied.
	Until *time.Time
}

// History returns lines of the history, the newest first.
func (s Store) History(ctx context.Context, tenant string, f Filter) ([]Line, error) {
	args := f.args(tenant)
	args["outcome"], args["campaign"] = f.Status, f.CampaignID
	rows, _ := s.tx.Query(ctx, `
		SELECT h.history_id, h.change_id, h.account_id, h.campaign_id, h.ad_id, h.budget_object, coalesce(a.currency, '') AS currency, h.action,
		       h.outcome,
		       h.before_minor, h.after_minor, h.floor_minor, h.before_status, h.after_status, h.reason, h.initiator,
		       coalesce(h.platform_trace, '') AS trace, h.duration_ms, h.attempt, h.mode, h.at, n.at AS until,
		       coalesce(nullif(b.name, ''), h.ad_id) AS ad_name
		FROM   gv.ad_change_history h
		LEFT   JOIN gv.accounts a USING (tenant_id, account_id)
		LEFT   JOIN gv.ads b ON b.tenant_id = h.tenant_id AND b.ad_id = h.ad_id
		LEFT   JOIN LATERAL (
			SELECT min(n.at) AS at FROM gv.ad_change_history n
			WHERE  h.outcome = 'applied' AND h.action <> 'none' AND n.tenant_id = h.tenant_id AND n.budget_object = h.budget_object AND n.at > h.at
			AND    n.outcome = 'applied' AND n.action <> 'none') AS n ON true
		WHERE  h.tenant_id = @tenant AND (@outcome = '' OR h.outcome = @outcome) AND (@account = '' OR h.account_id = @account)
		AND    (@campaign = '' OR h.campaign_id = @campaign)
		AND    (@ad = '' OR h.ad_id = @ad OR EXISTS (SELECT FROM gv.change_requests r
		        WHERE r.tenant_id = h.tenant_id AND r.change_id = h.change_id AND r.ad_id = @ad))
		AND    (@change::uuid IS NULL OR h.change_id = @change::uuid)
		AND    (@first OR (h.at, h.history_id) < (@at, @id::uuid))
		ORDER  BY h.at DESC, h.history_id DESC
		LIMIT  @limit`, args)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Line])
	if err != nil {
		return nil, fmt.Errorf("list the history: %w", err)
	}
	return found, nil
}
