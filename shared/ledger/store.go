package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Store reads and writes one portal's deals within a tenant's transaction.
type Store struct {
	tx     pgx.Tx
	portal int64
}

// NewStore returns the store of portal's deals on tx.
func NewStore(tx pgx.Tx, portal int64) Store { return Store{tx, portal} }

// among is the condition that a column is one of the ids that a parameter holds. One id is
// what nearly every event comes with, and equality then leads to the primary key: for ANY
// Postgres reckons with ten, and as long as it knows nothing of a young table, an index that
// begins with the tenant looks as good, and then all of the tenant's rows are read.
func among(parameter string, ids []int64) string {
	if len(ids) == 1 {
		return `= (@` + parameter + `::bigint[])[1]`
	}
	return `= ANY (@` + parameter + `)`
}

// QueueVersions reads into versions what is recorded of the deals. A deal that is not
// recorded is missing from it. xmin changes with every write of a row.
func (s Store) QueueVersions(batch *pgx.Batch, ids []int64, versions Versions) {
	batch.Queue(`
		SELECT deal_id, xmin::text FROM gv.deals WHERE tenant_id = gv.tenant() AND portal_id = @portal AND deal_id `+among("ids", ids),
		pgx.StrictNamedArgs{"portal": s.portal, "ids": ids}).Query(func(rows pgx.Rows) error {
		var id int64
		var version string
		_, err := pgx.ForEachRow(rows, []any{&id, &version}, func() error { versions[id] = version; return nil })
		return err
	})
}

// counts is all of a deal d that the totals of ads are made of, as one text; null where
// several ads share it, whose parts stand in another table.
const counts = `CASE WHEN NOT d.split THEN jsonb_build_array(d.state, d.ad_id, d.value_minor, d.stage_name, d.amount_minor IS NULL,
	d.attribution_confidence)::text END`

// Lock keeps others from writing the deals, recorded or not, until the
// transaction ends, and returns what is recorded of them. What more queues is done after
// it, in the same trip to the server.
func (s Store) Lock(ctx context.Context, ids []int64, more ...func(*pgx.Batch)) (map[int64]Row, error) {
	batch, locked := &pgx.Batch{}, map[int64]Row{}
	// What follows looks rows up by their ids, for which one plan serves as well as another.
	// Where statements are kept by name, Postgres would still plan some of them at each call.
	batch.Queue(`SET LOCAL plan_cache_mode = force_generic_plan`)
	s.queueLock(batch, "deal", ids)
	batch.Queue(`
		SELECT d.deal_id, d.xmin::text, d.state = 'live', d.created_at,
		       CASE WHEN d.split THEN ARRAY(SELECT c.ad_id FROM gv.deal_credits c
		                                    WHERE c.tenant_id = d.tenant_id AND c.portal_id = d.portal_id AND c.deal_id = d.deal_id)
		            ELSE array_remove(ARRAY[d.ad_id], NULL) END, `+counts+`
		FROM   gv.deals d
		WHERE  d.tenant_id = gv.tenant() AND d.portal_id = @portal AND d.deal_id `+among("ids", ids)+`
		ORDER  BY d.deal_id FOR UPDATE`,
		pgx.StrictNamedArgs{"portal": s.portal, "ids": ids}).Query(func(rows pgx.Rows) error {
		var (
			id   int64
			row  Row
			made *time.Time
		)
		_, err := pgx.ForEachRow(rows, []any{&id, &row.Version, &row.Live, &made, &row.AdIDs, &row.Counts}, func() error {
			row.AdIDs = slices.Clone(row.AdIDs) // the next row is scanned into the same array
			row.CreatedAt = time.Time{}
			if made != nil {
				row.CreatedAt = *made
			}
			locked[id] = row
			return nil
		})
		return err
	})
	for _, queue := range more {
		queue(batch)
	}
	if err := s.tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("lock deals %v: %w", ids, err)
	}
	return locked, nil
}

// queueLock locks records by id, whether they are recorded or not, in one order, so that
// two transactions that want the same ones do not deadlock. What the batch does after
// it finds them locked.
func (s Store) queueLock(batch *pgx.Batch, kind string, ids []int64) {
	batch.Queue(`
		SELECT pg_advisory_xact_lock(key)
		FROM  (SELECT DISTINCT hashtextextended(@kind || ' ' || gv.tenant()::text || ' ' || @portal::bigint::text || ' ' || id::text, 0) AS key
		       FROM unnest(@ids::bigint[]) AS id ORDER BY key) AS ordered`,
		pgx.StrictNamedArgs{"kind": kind, "portal": s.portal, "ids": ids})
}

// Moves are what is known of a deal's way through the stages.
type Moves struct {
	Deal    int64
	Stages  []StageAt
	Current string // the stage that the CRM shows now
}

// AddStages records moves of deals, each once, and returns the latest of all that are
// recorded of each. Of two in the same millisecond it is the one that the CRM
// shows. A move that is dated ahead of now counts as of now: otherwise
// nothing that happens until then could change the deal.
func (s Store) AddStages(ctx context.Context, all []Moves, now time.Time) (map[int64]StageAt, error) {
	var (
		deals, of        []int64
		currents, stages []string
		ats              []time.Time
	)
	for _, m := range all {
		deals, currents = append(deals, m.Deal), append(currents, m.Current)
		for _, to := range m.Stages {
			of, stages, ats = append(of, m.Deal), append(stages, to.ID), append(ats, to.At)
		}
	}
	rows, _ := s.tx.Query(ctx, `
		WITH moves AS (
			SELECT DISTINCT m.deal_id, m.stage_id, least(m.said_at, @now) AS occurred_at, CASE WHEN m.said_at > @now THEN m.said_at END AS dated_at
			FROM   unnest(@of::bigint[], @stages::text[], @ats::timestamptz[]) AS m (deal_id, stage_id, said_at)
			WHERE  NOT EXISTS ( -- heard of before, when its date lay ahead
				SELECT FROM gv.deal_stages k WHERE k.tenant_id = gv.tenant() AND k.portal_id = @portal AND k.deal_id = m.deal_id
				AND    k.stage_id = m.stage_id AND k.dated_at = m.said_at OFFSET 0) -- looked up for each, not joined with all
		), added AS (
			INSERT INTO gv.deal_stages (tenant_id, portal_id, deal_id, stage_id, occurred_at, dated_at)
			SELECT gv.tenant(), @portal::bigint, deal_id, stage_id, occurred_at, dated_at FROM moves
			ON CONFLICT DO NOTHING
		)
		SELECT d.deal_id, latest.stage_id, latest.occurred_at
		FROM   unnest(@deals::bigint[], @currents::text[]) AS d (deal_id, current)
		CROSS  JOIN LATERAL (
			SELECT stage_id, occurred_at FROM (
				SELECT stage_id, occurred_at FROM moves WHERE moves.deal_id = d.deal_id
				UNION ALL
				(SELECT k.stage_id, k.occurred_at FROM gv.deal_stages k
				 WHERE  k.tenant_id = gv.tenant() AND k.portal_id = @portal AND k.deal_id = d.deal_id
				 ORDER  BY k.occurred_at DESC LIMIT 10) -- more than can fall into one millisecond
			) AS known
			ORDER BY occurred_at DESC, (stage_id = d.current) DESC, stage_id DESC LIMIT 1) AS latest`,
		pgx.StrictNamedArgs{"portal": s.portal, "deals": deals, "currents": currents, "of": of, "stages": stages, "ats": ats, "now": now})
	latest := make(map[int64]StageAt, len(all))
	var deal int64
	var at StageAt
	if _, err := pgx.ForEachRow(rows, []any{&deal, &at.ID, &at.At}, func() error { latest[deal] = at; return nil }); err != nil {
		return nil, fmt.Errorf("record stages of deals %v: %w", deals, err)
	}
	for _, id := range deals {
		if _, known := latest[id]; !known {
			return nil, fmt.Errorf("record stages of deal %d: it stands in none", id)
		}
	}
	return latest, nil
}

// Save records live deals; what they are credited to is SetCredit's.
func (s Store) Save(ctx context.Context, deals ...Deal) error {
	n := len(deals)
	ids, pipelines, stages, ats := make([]int64, n), make([]string, n), make([]string, n), make([]time.Time, n)
	names, amounts, issues, values := make([]*string, n), make([]*int64, n), make([]*string, n), make([]int64, n)
	confidences, created := make([]float64, n), make([]time.Time, n)
	for i, d := range deals {
		ids[i], pipelines[i], stages[i], ats[i], names[i] = d.ID, d.PipelineID, d.Stage.ID, d.Stage.At, d.StageName
		amounts[i], issues[i], values[i], confidences[i], created[i] = (*int64)(d.Amount), d.AmountIssue, int64(d.Value), d.Confidence,
			d.CreatedAt
	}
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.deals AS d (tenant_id, portal_id, deal_id, state, pipeline_id, stage_id, stage_at, stage_name,
		                           amount_minor, amount_issue, value_minor, stage_confidence, created_at)
		SELECT gv.tenant(), @portal, n.deal_id, 'live', n.pipeline, n.stage, n.stage_at, n.name, n.amount, n.issue, n.value, n.confidence,
		       n.created
		FROM   unnest(@ids::bigint[], @pipelines::text[], @stages::text[], @ats::timestamptz[], @names::text[], @amounts::bigint[],
		              @issues::text[], @values::bigint[], @confidences::float8[], @created::timestamptz[])
		       AS n (deal_id, pipeline, stage, stage_at, name, amount, issue, value, confidence, created)
		ON CONFLICT (tenant_id, portal_id, deal_id) DO UPDATE
		SET state = 'live', merged_into = NULL, pipeline_id = excluded.pipeline_id, stage_id = excluded.stage_id,
		    stage_at = excluded.stage_at, stage_name = excluded.stage_name, amount_minor = excluded.amount_minor,
		    amount_issue = excluded.amount_issue, value_minor = excluded.value_minor,
		    stage_confidence = excluded.stage_confidence, created_at = excluded.created_at, processed_at = now()`,
		pgx.StrictNamedArgs{
			"portal": s.portal, "ids": ids, "pipelines": pipelines, "stages": stages, "ats": ats, "names": names, "amounts": amounts,
			"issues": issues, "values": values, "confidences": confidences, "created": created,
		})
	if err != nil {
		return fmt.Errorf("save deals %v: %w", ids, err)
	}
	return nil
}

// MarkGone records that the CRM has no such deal any more: it was deleted, or
// merged into another. Its value and credit go; the clicks that were found for it
// wait in gv.deal_touches for its return, when its contacts may be gone.
func (s Store) MarkGone(ctx context.Context, deal int64, mergedInto *int64) error {
	batch := &pgx.Batch{}
	s.queueLockContacts(batch, []int64{deal}, []int64{})
	s.queueUnlink(batch, []int64{deal}, []int64{})
	batch.Queue(`
		WITH stages AS (
			DELETE FROM gv.deal_stages WHERE tenant_id = gv.tenant() AND portal_id = @portal AND deal_id = @deal
		), credits AS (
			DELETE FROM gv.deal_credits WHERE tenant_id = gv.tenant() AND portal_id = @portal AND deal_id = @deal
		)
		INSERT INTO gv.deals AS d (tenant_id, portal_id, deal_id, state, merged_into)
		VALUES (gv.tenant(), @portal, @deal, 'gone', @into)
		ON CONFLICT (tenant_id, portal_id, deal_id) DO UPDATE
		SET state = 'gone', merged_into = excluded.merged_into, pipeline_id = '', stage_id = '', stage_name = NULL, stage_at = NULL,
		    amount_minor = NULL, amount_issue = NULL, value_minor = 0, stage_confidence = 0, contact_id = NULL, created_at = NULL,
		    converted_at = NULL, click_id = NULL, ad_id = NULL, campaign_id = NULL, attribution_method = 'unattributed',
		    attribution_confidence = 0, attribution_reason = '', split = false, processed_at = now()`,
		pgx.StrictNamedArgs{"portal": s.portal, "deal": deal, "into": mergedInto})
	if err := s.tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("mark deal %d gone: %w", deal, err)
	}
	return nil
}

// SetCredit records what live deals are credited to, and returns by deal what of it counts
// now, as Row.Counts does.
func (s Store) SetCredit(ctx context.Context, credits map[int64]Credit) (map[int64]*string, error) {
	var (
		n                                        = len(credits)
		ids                                      = slices.Sorted(maps.Keys(credits))
		contacts, converted                      = make([]*int64, n), make([]*time.Time, n)
		clicks, ads, campaigns, methods, reasons = make([]*string, n), make([]*string, n), make([]*string, n), make([]string, n),
			make([]string, n)
		confidences, splits = make([]float64, n), make([]bool, n)

		shared   []int64 // by share
		sharers  []string
		from, to []float64
	)
	for i, id := range ids {
		c := credits[id]
		contacts[i], converted[i], clicks[i], ads[i], campaigns[i] = c.ContactID, c.ConvertedAt, c.ClickID, c.AdID, c.CampaignID
		methods[i], confidences[i], reasons[i], splits[i] = c.Method, c.Confidence, c.Reason, len(c.Shares) > 0
		for _, share := range c.Shares {
			shared, sharers, from, to = append(shared, id), append(sharers, share.AdID), append(from, share.From), append(to, share.To)
		}
	}
	batch, now := &pgx.Batch{}, make(map[int64]*string, n)
	batch.Queue(`
		WITH before AS (
			DELETE FROM gv.deal_credits WHERE tenant_id = gv.tenant() AND portal_id = @portal AND deal_id `+among("ids", ids)+`
		)
		UPDATE gv.deals d
		SET    contact_id = c.contact, converted_at = c.converted, click_id = c.click, ad_id = c.ad, campaign_id = c.campaign,
		       attribution_method = c.method, attribution_confidence = c.confidence, attribution_reason = c.reason, split = c.split,
		       processed_at = now()
		FROM   unnest(@ids::bigint[], @contacts::bigint[], @converted::timestamptz[], @clicks::text[], @ads::text[], @campaigns::text[],
		              @methods::text[], @confidences::float8[], @reasons::text[], @splits::boolean[])
		       AS c (deal_id, contact, converted, click, ad, campaign, method, confidence, reason, split)
		WHERE  d.tenant_id = gv.tenant() AND d.portal_id = @portal AND d.deal_id = c.deal_id AND d.state = 'live'
		AND    d.deal_id `+among("ids", ids)+`
		RETURNING d.deal_id, `+counts,
		pgx.StrictNamedArgs{
			"portal": s.portal, "ids": ids, "contacts": contacts, "converted": converted, "clicks": clicks, "ads": ads, "campaigns": campaigns,
			"methods": methods, "confidences": confidences, "reasons": reasons, "splits": splits,
		}).Query(func(rows pgx.Rows) error {
		var (
			id   int64
			text *string
		)
		_, err := pgx.ForEachRow(rows, []any{&id, &text}, func() error { now[id] = text; return nil })
		return err
	})
	if len(shared) > 0 {
		batch.Queue(`
			INSERT INTO gv.deal_credits (tenant_id, portal_id, deal_id, ad_id, share_from, share_to)
			SELECT gv.tenant(), @portal, deal, ad, a::numeric, b::numeric
			FROM   unnest(@deals::bigint[], @ads::text[], @from::float8[], @to::float8[]) AS s (deal, ad, a, b)`,
			pgx.StrictNamedArgs{"portal": s.portal, "deals": shared, "ads": sharers, "from": from, "to": to})
	}
	if err := s.tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("credit deals %v: %w", ids, err)
	}
	return now, nil
}
