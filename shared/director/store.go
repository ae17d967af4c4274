package director

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// Store keeps plans, and reads what they are written from, on a transaction of
// one tenant.
type Store struct{ tx pgx.Tx }

// NewStore returns the plans of tx's tenant.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

// Subject is what a plan is about, and who asked for it.
type Subject struct {
	AccountID, VideoID, AdID, RefreshID string // "" where there is none
	RequestedBy                         string
}

// Add keeps a plan and returns it as it is kept. A refresh gets one plan,
// whatever is added for it.
func (s Store) Add(ctx context.Context, about Subject, kind Kind, by By, c Content) (Plan, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return Plan{}, fmt.Errorf("write a plan: %w", err)
	}
	rows, _ := s.tx.Query(ctx, `
		WITH made AS (SELECT gen_random_uuid() AS plan_id), added AS (
			INSERT INTO gv.plans AS p (tenant_id, plan_id, account_id, video_id, ad_id, refresh_id, kind, plan, generated_by, fallback_reason,
			       requested_by, request_key)
			SELECT gv.tenant(), plan_id, @account, nullif(@video, ''), nullif(@ad, ''), nullif(@refresh, '')::uuid, @kind, @plan, @by,
			       nullif(@why, ''), @who,
			       coalesce('refresh/' || nullif(@refresh, ''), plan_id::text)
			FROM   made
			ON CONFLICT DO NOTHING -- of either key: two at once may meet at the refresh's first
			RETURNING p.*
		)
		SELECT `+planColumns+` FROM added`,
		pgx.StrictNamedArgs{
			"account": about.AccountID, "video": about.VideoID, "ad": about.AdID, "refresh": about.RefreshID,
			"kind": string(kind), "plan": data, "by": by.GeneratedBy, "why": by.FallbackReason, "who": about.RequestedBy,
		})
	plan, err := pgx.CollectExactlyOneRow(rows, planRow)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return s.one(ctx, `SELECT `+planColumns+` FROM gv.plans WHERE tenant_id = gv.tenant() AND request_key = 'refresh/' || $1`, about.RefreshID)
	case err != nil:
		return Plan{}, fmt.Errorf("keep a plan: %w", err)
	}
	return plan, nil
}

// Get returns a plan.
func (s Store) Get(ctx context.Context, id string) (Plan, error) {
	return s.one(ctx, `SELECT `+planColumns+` FROM gv.plans WHERE tenant_id = gv.tenant() AND plan_id = $1`, id)
}

const planColumns = `plan_id::text, kind, account_id, coalesce(video_id, ''), coalesce(ad_id, ''), coalesce(refresh_id::text, ''), created_at,
	requested_by, generated_by, coalesce(fallback_reason, ''), plan`

func planRow(row pgx.CollectableRow) (p Plan, err error) {
	var data []byte
	err = row.Scan(&p.PlanID, &p.Kind, &p.AccountID, &p.VideoID, &p.AdID, &p.RefreshID, &p.CreatedAt, &p.Requested, &p.GeneratedBy,
		&p.FallbackReason, &data)
	if err != nil {
		return p, err
	}
	p.CreatedAt = p.CreatedAt.UTC()
	return p, json.Unmarshal(data, &p.Content)
}

func (s Store) one(ctx context.Context, sql, id string) (Plan, error) {
	rows, _ := s.tx.Query(ctx, sql, id)
	plan, err := pgx.CollectExactlyOneRow(rows, planRow)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Plan{}, fault.NotFoundf("there is no plan with this id")
	case err != nil:
		return Plan{}, fmt.Errorf("read plan %s: %w", id, err)
	}
	return plan, nil
}

// Summary is a plan in a list.
type Summary struct {
	PlanID         string    `json:"plan_id"`
	Kind           Kind      `json:"kind" enum:"battle_plan,fix_plan"`
	AccountID      string    `json:"account_id"`
	VideoID        string    `json:"video_id,omitempty"`
	AdID           string    `json:"ad_id,omitempty" doc:"The tired ad that it is to replace."`
	RefreshID      string    `json:"refresh_id,omitempty"`
	CreatedAt      time.Time `json:"created_at"`
	GeneratedBy    string    `json:"generated_by"`
	FallbackReason string    `json:"fallback_reason,omitempty"`
	HookType       string    `json:"hook_type"`
	HookText       string    `json:"hook_text"`
	PredictedCTR   float64   `json:"predicted_ctr" doc:"A rate: 0.02 is 2%."`
}

// Filter says which plans to list. Empty members ask for all.
type Filter struct {
	AccountID, Kind string
	VideoID, AdID   string
	AfterTime       time.Time // only those older than this and AfterID; zero from the newest on
	AfterID         string
	Limit           int
}

// List lists plans, newest first.
func (s Store) List(ctx context.Context, f Filter) ([]Summary, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   plan_id::text, kind, account_id, coalesce(video_id, '') AS video_id, coalesce(ad_id, '') AS ad_id,
		       coalesce(refresh_id::text, '') AS refresh_id,
		         created_at, generated_by, coalesce(fallback_reason, '') AS fallback_reason,
		         coalesce(plan->'hook'->>'type', '') AS hook_type, coalesce(plan->'hook'->>'text', '') AS hook_text,
		         coalesce((plan->'prediction'->>'predicted_ctr')::double precision, 0) AS predicted_ctr
		FROM     gv.plans
		WHERE    tenant_id = gv.tenant() AND (@account = '' OR account_id = @account) AND (@kind = '' OR kind = @kind)
		AND      (@video = '' OR video_id = @video) AND (@ad = '' OR ad_id = @ad)
		AND      (@first OR (created_at, plan_id) < (@after_time::timestamptz, @after_id::uuid))
		ORDER BY created_at DESC, plan_id DESC
		LIMIT    @limit`,
		pgx.StrictNamedArgs{
			"account": f.AccountID, "kind": f.Kind, "video": f.VideoID, "ad": f.AdID, "limit": f.Limit,
			"first": f.AfterID == "", "after_time": f.AfterTime, "after_id": orNil(f.AfterID),
		})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Summary])
	if err != nil {
		return nil, fmt.Errorf("list plans: %w", err)
	}
	for i := range found {
		found[i].CreatedAt = found[i].CreatedAt.UTC()
	}
	return found, nil
}

func orNil(id string) any {
	if id == "" {
		return nil
	}
	return id
}
