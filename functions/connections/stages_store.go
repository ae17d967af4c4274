package connections

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/money"
)

// place names a stage of the portal: its id is unique in its pipeline only.
type place struct{ PipelineID, StageID string }

// knownStage is what is known here of a stage of the portal.
type knownStage struct {
	Name, By string // empty where it is not mapped
	Deals    int    // live ones
	Waiting  int    // live ones that stand for no stage
}

// mapped returns what is known of the portal's stages.
func mapped(ctx context.Context, tx pgx.Tx, portal int64) (map[place]knownStage, error) {
	rows, _ := tx.Query(ctx, `
		SELECT coalesce(m.pipeline_id, d.pipeline_id), coalesce(m.stage_id, d.stage_id), coalesce(m.stage_name, ''), coalesce(m.mapped_by, ''),
		       coalesce(d.deals, 0)::int, coalesce(d.waiting, 0)::int
		FROM   (SELECT * FROM gv.stage_maps WHERE tenant_id = gv.tenant() AND portal_id = $1) m
		FULL   JOIN (
			SELECT pipeline_id, stage_id, count(*) AS deals, count(*) FILTER (WHERE stage_name IS NULL) AS waiting
			FROM   gv.deals WHERE tenant_id = gv.tenant() AND portal_id = $1 AND state = 'live'
			GROUP  BY pipeline_id, stage_id
		) d ON d.pipeline_id = m.pipeline_id AND d.stage_id = m.stage_id`, portal)
	all := map[place]knownStage{}
	var at place
	var k knownStage
	_, err := pgx.ForEachRow(rows, []any{&at.PipelineID, &at.StageID, &k.Name, &k.By, &k.Deals, &k.Waiting}, func() error {
		all[at] = k
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what the stages of portal %d stand for: %w", portal, err)
	}
	return all, nil
}

// averageDeal is the mean amount of the portal's won deals, else of all that have
// one, else what closed_won is worth.
func averageDeal(ctx context.Context, tx pgx.Tx, portal int64) (average money.Amount, source string, err error) {
	err = tx.QueryRow(ctx, `
		SELECT coalesce(d.won, d.any, s.value_minor, 0)::bigint,
		       CASE WHEN d.won IS NOT NULL THEN 'won_deals' WHEN d.any IS NOT NULL THEN 'deals' ELSE 'closed_won' END
		FROM   (SELECT round(avg(amount_minor) FILTER (WHERE stage_name = 'closed_won')) AS won, round(avg(amount_minor)) AS any
		        FROM gv.deals WHERE tenant_id = gv.tenant() AND portal_id = $1 AND state = 'live' AND amount_minor > 0) d
		LEFT   JOIN gv.stage_values s ON s.tenant_id = gv.tenant() AND s.stage_name = 'closed_won'`, portal).Scan(&average, &source)
	if err != nil {
		return 0, "", fmt.Errorf("average the deals of portal %d: %w", portal, err)
	}
	return average, source, nil
}

func byDeals(a, b Unmapped) int {
	return cmp.Or(cmp.Compare(b.Deals, a.Deals), cmp.Compare(a.PipelineID, b.PipelineID), cmp.Compare(a.StageID, b.StageID))
}

// lockDeals locks the live deals of the portal's stages.
func lockDeals(ctx context.Context, tx pgx.Tx, portal int64, of []stageMapping) error {
	pipelines, stages := make([]string, len(of)), make([]string, len(of))
	for i, m := range of {
		pipelines[i], stages[i] = m.PipelineID, m.StageID
	}
	_, err := tx.Exec(ctx, `
		SELECT   FROM gv.deals
		WHERE    tenant_id = gv.tenant() AND portal_id = @portal AND state = 'live'
		AND      (pipeline_id, stage_id) IN (SELECT * FROM unnest(@pipelines::text[], @stages::text[]))
		ORDER BY deal_id FOR UPDATE`,
		pgx.StrictNamedArgs{"portal": portal, "pipelines": pipelines, "stages": stages})
	if err != nil {
		return fmt.Errorf("lock deals of portal %d: %w", portal, err)
	}
	return nil
}

// lockMaps takes a lock that is held shared while a deal finds no mapping (shared/ledger), and
// alone while mappings change, so that no deal slips between the two.
func lockMaps(ctx context.Context, tx pgx.Tx, portal int64) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('gv.stage_maps ' || gv.tenant()::text || ' ' || $1::bigint, 0))`, portal)
	if err != nil {
		return fmt.Errorf("lock the stage mapping of portal %d: %w", portal, err)
	}
	return nil
}

// mapStage records what a stage of the portal stands for.
func mapStage(ctx context.Context, tx pgx.Tx, portal int64, at place, name, label, who string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO gv.stage_maps AS m (tenant_id, portal_id, pipeline_id, stage_id, stage_name, label, mapped_by)
		VALUES (gv.tenant(), @portal, @pipeline, @stage, @name, @label, @who)
		ON CONFLICT (tenant_id, portal_id, pipeline_id, stage_id) DO UPDATE
		SET stage_name = excluded.stage_name, label = excluded.label, mapped_by = excluded.mapped_by, updated_at = now()
		WHERE (m.stage_name, m.label) IS DISTINCT FROM (excluded.stage_name, excluded.label)`,
		pgx.StrictNamedArgs{"portal": portal, "pipeline": at.PipelineID, "stage": at.StageID, "name": name, "label": label, "who": who})
	if err != nil {
		return fmt.Errorf("map stage %s of pipeline %s: %w", at.StageID, at.PipelineID, err)
	}
	return nil
}

// unmapStage forgets what a stage of the portal stands for.
func unmapStage(ctx context.Context, tx pgx.Tx, portal int64, at place) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM gv.stage_maps WHERE tenant_id = gv.tenant() AND portal_id = @portal AND pipeline_id = @pipeline AND stage_id = @stage`,
		pgx.StrictNamedArgs{"portal": portal, "pipeline": at.PipelineID, "stage": at.StageID})
	if err != nil {
		return fmt.Errorf("unmap stage %s of pipeline %s: %w", at.StageID, at.PipelineID, err)
	}
	return nil
}

// moveDeals puts the live deals of a stage of the portal into the tenant's stage,
// or into none, and returns the ads that they are credited to. Their value then
// is revenue's Revalue to say; in no stage it is 0.
func moveDeals(ctx context.Context, tx pgx.Tx, portal int64, at place, name *string) (deals int, adIDs []string, err error) {
	err = tx.QueryRow(ctx, `
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
		pgx.StrictNamedArgs{"portal": portal, "pipeline": at.PipelineID, "stage": at.StageID, "name": name}).Scan(&deals, &adIDs)
	if err != nil {
		return 0, nil, fmt.Errorf("move deals of stage %s of pipeline %s: %w", at.StageID, at.PipelineID, err)
	}
	return deals, adIDs, nil
}
