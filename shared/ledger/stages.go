package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/money"
)

// PortalStage names a stage of a portal: its id is unique in its pipeline only.
type PortalStage struct{ PipelineID, StageID string }

// StageUse is what is known here of a stage of the portal.
type StageUse struct {
	Name, By string // the tenant's stage and who mapped it; empty where it is not mapped
	Deals    int    // live ones
	Waiting  int    // live ones that stand for no stage
}

// Stages returns what is known of the portal's stages.
func (s Store) Stages(ctx context.Context) (map[PortalStage]StageUse, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT coalesce(m.pipeline_id, d.pipeline_id), coalesce(m.stage_id, d.stage_id), coalesce(m.stage_name, ''), coalesce(m.mapped_by, ''),
		       coalesce(d.deals, 0)::int, coalesce(d.waiting, 0)::int
		FROM   (SELECT * FROM gv.stage_maps WHERE tenant_id = gv.tenant() AND portal_id = $1) m
		FULL   JOIN (
			SELECT pipeline_id, stage_id, count(*) AS deals, count(*) FILTER (WHERE stage_name IS NULL) AS waiting
			FROM   gv.deals WHERE tenant_id = gv.tenant() AND portal_id = $1 AND state = 'live'
			GROUP  BY pipeline_id, stage_id
		) d ON d.pipeline_id = m.pipeline_id AND d.stage_id = m.stage_id`, s.portal)
	all := map[PortalStage]StageUse{}
	var at PortalStage
	var k StageUse
	_, err := pgx.ForEachRow(rows, []any{&at.PipelineID, &at.StageID, &k.Name, &k.By, &k.Deals, &k.Waiting}, func() error {
		all[at] = k
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what the stages of portal %d stand for: %w", s.portal, err)
	}
	return all, nil
}

// AverageDeal is the mean amount of the portal's won deals, else of all that have
// one, else what closed_won is worth.
func (s Store) AverageDeal(ctx context.Context) (average money.Amount, source string, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT coalesce(d.won, d.any, v.value_minor, 0)::bigint,
		       CASE WHEN d.won IS NOT NULL THEN 'won_deals' WHEN d.any IS NOT NULL THEN 'deals' ELSE 'closed_won' END
		FROM   (SELECT round(avg(amount_minor) FILTER (WHERE stage_name = 'closed_won')) AS won, round(avg(amount_minor)) AS any
		        FROM gv.deals WHERE tenant_id = gv.tenant() AND portal_id = $1 AND state = 'live' AND amount_minor > 0) d
		LEFT   JOIN gv.stage_values v ON v.tenant_id = gv.tenant() AND v.stage_name = 'closed_won'`, s.portal).Scan(&average, &source)
	if err != nil {
		return 0, "", fmt.Errorf("average the deals of portal %d: %w", s.portal, err)
	}
	return average, source, nil
}

// LockDeals locks the live deals of the portal's stages.
func (s Store) LockDeals(ctx context.Context, of []PortalStage) error {
	pipelines, stages := make([]string, len(of)), make([]string, len(of))
	for i, m := range of {
		pipelines[i], stages[i] = m.PipelineID, m.StageID
	}
	_, err := s.tx.Exec(ctx, `
		SELECT   FROM gv.deals
		WHERE    tenant_id = gv.tenant() AND portal_id = @portal AND state = 'live'
		AND      (pipeline_id, stage_id) IN (SELECT * FROM unnest(@pipelines::text[], @stages::text[]))
		ORDER BY deal_id FOR UPDATE`,
		pgx.StrictNamedArgs{"portal": s.portal, "pipelines": pipelines, "stages": stages})
	if err != nil {
		return fmt.Errorf("lock deals of portal %d: %w", s.portal, err)
	}
	return nil
}

// StageName returns the tenant's stage for a stage of the portal's pipeline, nil
// where it is not mapped. The stages that every portal starts with map themselves.
func (s Store) StageName(ctx context.Context, pipeline, stage string) (*string, error) {
	args := pgx.StrictNamedArgs{"portal": s.portal, "pipeline": pipeline, "stage": stage}
	// A mapping that changes at this moment is waited for: a row that is there is
	// shared, and for one that is not there is a lock that whoever maps takes alone.
	const find = `
		SELECT stage_name FROM gv.stage_maps
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND pipeline_id = @pipeline AND stage_id = @stage FOR SHARE`
	var name string
	err := s.tx.QueryRow(ctx, find, args).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		if err := s.lockStages(ctx, "pg_advisory_xact_lock_shared"); err != nil {
			return nil, err
		}
		err = s.tx.QueryRow(ctx, find, args).Scan(&name)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		args["name"] = prefilled[stage]
		if s.portal < 0 && args["name"] == "" { // a source of the tenant's own may use the names of its stages
			args["name"] = stage
		}
		err = s.tx.QueryRow(ctx, `
			INSERT INTO gv.stage_maps AS m (tenant_id, portal_id, pipeline_id, stage_id, stage_name)
			SELECT gv.tenant(), @portal, @pipeline, @stage, stage_name FROM gv.stage_values
			WHERE  tenant_id = gv.tenant() AND stage_name = @name
			ON CONFLICT (tenant_id, portal_id, pipeline_id, stage_id) DO UPDATE SET stage_name = m.stage_name
			RETURNING stage_name`, args).Scan(&name)
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look up stage %s of pipeline %s: %w", stage, pipeline, err)
	}
	return &name, nil
}

// LockStages makes sure until the transaction ends that no deal is looked up in the
// portal's mapping while it changes: a deal that finds no mapping takes the same
// lock shared.
func (s Store) LockStages(ctx context.Context) error {
	return s.lockStages(ctx, "pg_advisory_xact_lock")
}

func (s Store) lockStages(ctx context.Context, lock string) error {
	_, err := s.tx.Exec(ctx, `SELECT `+lock+`(hashtextextended('gv.stage_maps ' || gv.tenant()::text || ' ' || $1::bigint, 0))`, s.portal)
	if err != nil {
		return fmt.Errorf("lock the stage mapping of portal %d: %w", s.portal, err)
	}
	return nil
}

// MapStage records what a stage of the portal stands for.
func (s Store) MapStage(ctx context.Context, at PortalStage, name, label, who string) error {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.stage_maps AS m (tenant_id, portal_id, pipeline_id, stage_id, stage_name, label, mapped_by)
		VALUES (gv.tenant(), @portal, @pipeline, @stage, @name, @label, @who)
		ON CONFLICT (tenant_id, portal_id, pipeline_id, stage_id) DO UPDATE
		SET stage_name = excluded.stage_name, label = excluded.label, mapped_by = excluded.mapped_by, updated_at = now()
		WHERE (m.stage_name, m.label) IS DISTINCT FROM (excluded.stage_name, excluded.label)`,
		pgx.StrictNamedArgs{"portal": s.portal, "pipeline": at.PipelineID, "stage": at.StageID, "name": name, "label": label, "who": who})
	if err != nil {
		return fmt.Errorf("map stage %s of pipeline %s: %w", at.StageID, at.PipelineID, err)
	}
	return nil
}

// UnmapStage forgets what a stage of the portal stands for.
func (s Store) UnmapStage(ctx context.Context, at PortalStage) error {
	_, err := s.tx.Exec(ctx, `
		DELETE FROM gv.stage_maps WHERE tenant_id = gv.tenant() AND portal_id = @portal AND pipeline_id = @pipeline AND stage_id = @stage`,
		pgx.StrictNamedArgs{"portal": s.portal, "pipeline": at.PipelineID, "stage": at.StageID})
	if err != nil {
		return fmt.Errorf("unmap stage %s of pipeline %s: %w", at.StageID, at.PipelineID, err)
	}
	return nil
}

// MoveDeals puts the live deals of a stage of the portal into the tenant's stage,
// or into none, and returns the ads that they are credited to. Revalue then gives
// them their value; in no stage it is 0.
func (s Store) MoveDeals(ctx context.Context, at PortalStage, name *string) (deals int, adIDs []string, err error) {
	err = s.tx.QueryRow(ctx, `
		WITH locked AS (
			SELECT deal_id FROM gv.deals
			WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND pipeline_id = @pipeline AND stage_id = @stage AND state = 'live'
			ORDER  BY deal_id FOR UPDATE
		), moved AS (
			UPDATE gv.deals d
			SET    stage_name = @name, processed_at = now(),
			       value_minor = CASE WHEN @name::text IS NULL THEN 0 ELSE d.value_minor END,
			       stage_confidence = CASE WHEN @name::text IS NULL THEN 0 ELSE d.stage_confidence END
			FROM   locked l
			WHERE  d.tenant_id = gv.tenant() AND d.portal_id = @portal AND d.deal_id = l.deal_id AND d.stage_name IS DISTINCT FROM @name::text
			RETURNING d.ad_id
		)
		SELECT count(*)::int, coalesce(array_agg(DISTINCT ad_id) FILTER (WHERE ad_id IS NOT NULL), '{}') FROM moved`,
		pgx.StrictNamedArgs{"portal": s.portal, "pipeline": at.PipelineID, "stage": at.StageID, "name": name}).Scan(&deals, &adIDs)
	if err != nil {
		return 0, nil, fmt.Errorf("move deals of stage %s of pipeline %s: %w", at.StageID, at.PipelineID, err)
	}
	return deals, adIDs, nil
}

// Revalue gives the live deals of one of the tenant's stages, whatever their portal,
// the value that they have now: in the stage called won their own amount, where they
// have one, and else what the stage is worth. One whose amount cannot be used stays
// at 0. It returns how many deals
// changed and the ads that they are credited to, which are then to be recomputed.
func Revalue(ctx context.Context, tx pgx.Tx, stage, won string) (deals int, adIDs []string, err error) {
	err = tx.QueryRow(ctx, `
		WITH worth AS (
			SELECT d.portal_id, d.deal_id, s.confidence,
			       CASE WHEN d.amount_issue IS NOT NULL THEN 0
			            WHEN s.stage_name = @won THEN coalesce(d.amount_minor, s.value_minor)
			            ELSE s.value_minor END AS value_minor
			FROM   gv.deals d
			JOIN   gv.stage_values s USING (tenant_id, stage_name)
			WHERE  d.tenant_id = gv.tenant() AND d.stage_name = @stage AND d.state = 'live'
		), revalued AS (
			UPDATE gv.deals d
			SET    value_minor = w.value_minor, stage_confidence = w.confidence, processed_at = now()
			FROM   worth w
			WHERE  d.tenant_id = gv.tenant() AND d.portal_id = w.portal_id AND d.deal_id = w.deal_id
			AND    (d.value_minor, d.stage_confidence) IS DISTINCT FROM (w.value_minor, w.confidence)
			RETURNING d.ad_id
		)
		SELECT count(*), coalesce(array_agg(DISTINCT ad_id) FILTER (WHERE ad_id IS NOT NULL), '{}') FROM revalued`,
		pgx.StrictNamedArgs{"stage": stage, "won": won}).Scan(&deals, &adIDs)
	if err != nil {
		return 0, nil, fmt.Errorf("revalue deals of stage %s: %w", stage, err)
	}
	return deals, adIDs, nil
}
