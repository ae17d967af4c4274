SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '110s';

-- A search of the winner memory was two or three statements, each planned anew for each search,
-- each with the vector as text. As functions they are planned once a connection and take one
-- trip to the database.
SET search_path = gv, extensions, public;

-- winners_by_codes compares the query's code with those of all winners that pass the limit of
-- the CTR, then, of the nearest, the query's codes of four weights, which stand for the rotated
-- vector in steps of a fifteenth of its range, and then the vectors of the best of these. Comparing
-- the vector itself with the winner's signs tells the angle twice as exactly as comparing signs
-- with signs does; of 1,500 to 30,000 texts the candidates include 99.98% of the ten nearest.
--
-- codes are the signs of the rotated query, of what is left after eight fifteenths of the
-- largest component, and so on with four and two: shared/winners makes them.
--
-- With a limit of the similarity nothing is left out in between, so that the caller can tell by
-- furthest, the most bits in which a compared winner's code differs, whether others may pass.
-- all_compared says that nobody else passes the limit of the CTR.
CREATE FUNCTION gv.winners_by_codes(of_model text, query vector, codes bit[], wanted integer, least_ctr float8, least_similarity float8, winners bigint)
	RETURNS TABLE (all_compared boolean, furthest float8, ad_id text, similarity float8, creative_dna jsonb, pipeline_roas float8, ctr float8, embedding bytea)
	LANGUAGE plpgsql STABLE ROWS 20
	SET search_path = gv, extensions, public SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off
	AS $$
#variable_conflict use_column
DECLARE
	mine       uuid   := gv.tenant();
	code_8     bit    varying := codes[1];
	code_4     bit    varying := codes[2];
	code_2     bit    varying := codes[3];
	code_1     bit    varying := codes[4];
	nearest    bigint := greatest(least(300 + winners / 25, 700), winners / 43, wanted * 10);
	candidates bigint := greatest(least(100 + winners / 100, 200), winners / 150, wanted * 4);
	sample     bigint := least(winners / 8, 1000);
	within     float8 := 1024;
	chosen     text[];
BEGIN
	IF least_similarity > 0 THEN
		candidates := nearest;
	END IF;
	-- Sorting all of many codes takes a third of the scan's time. A sample of them says how near
	-- a code must be to be sorted at all: half as many again as are needed should pass.
	IF winners >= 3000 AND least_ctr = 0 THEN
		SELECT s.bits INTO within
		FROM  (SELECT code <~> code_8 AS bits FROM gv.winner_codes WHERE tenant_id = mine AND model = of_model LIMIT sample) AS s
		ORDER  BY s.bits OFFSET sample * nearest * 3 / 2 / winners + 8 LIMIT 1;
		within := coalesce(within, 1024);
	END IF;
	LOOP
		SELECT array_agg(c.ad_id), max(c.bits) INTO chosen, furthest
		FROM  (SELECT n.ad_id, n.bits
		       FROM  (SELECT ad_id, code, code <~> code_8 AS bits
		              FROM   gv.winner_codes
		              WHERE  tenant_id = mine AND model = of_model AND ctr >= least_ctr AND code <~> code_8 <= within
		              ORDER  BY bits
		              LIMIT  nearest) AS n
		       ORDER  BY 8 * n.bits + 4 * (n.code <~> code_4) + 2 * (n.code <~> code_2) + (n.code <~> code_1)
		       LIMIT  candidates) AS c;
		EXIT WHEN within >= 1024 OR cardinality(chosen) = candidates;
		within := 1024; -- the sample was not like the rest
	END LOOP;
	all_compared := within >= 1024 AND coalesce(cardinality(chosen), 0) < candidates;
	furthest := CASE WHEN least_similarity > 0 THEN furthest END;
	-- OFFSET 0 keeps the planner from joining all vectors where it has no statistics.
	RETURN QUERY
	SELECT all_compared, furthest, best.ad_id, least(greatest(1 - best.distance, 0), 1), w.creative_dna, w.pipeline_roas, w.ctr, vector_send(w.embedding)
	FROM  (SELECT c.ad_id, w.distance
	       FROM   unnest(chosen) AS c (ad_id)
	       CROSS  JOIN LATERAL (SELECT embedding <=> query AS distance FROM gv.winners
	              WHERE tenant_id = mine AND ad_id = c.ad_id AND model = of_model OFFSET 0) AS w
	       ORDER  BY w.distance, c.ad_id
	       LIMIT  wanted) AS best
	CROSS  JOIN LATERAL (SELECT creative_dna, pipeline_roas, ctr, embedding FROM gv.winners
	       WHERE tenant_id = mine AND ad_id = best.ad_id AND model = of_model OFFSET 0) AS w
	ORDER  BY best.distance, best.ad_id;
END $$;

-- search_winners returns the nearest winners, best first, after a row that says how many there
-- are and how good the codes have been seen to be, where that still stands. Up to few of them
-- are all compared; more are searched by their codes where these are good enough; and else
-- there is no row but the first.
CREATE FUNCTION gv.search_winners(of_model text, query real[], codes bit[], wanted integer, least_ctr float8, least_similarity float8, few bigint,
	fresh interval, least_sampled integer, least_recall float8)
	RETURNS TABLE (winners bigint, recall float8, sampled integer, measured_at timestamptz,
	               all_compared boolean, furthest float8, ad_id text, similarity float8, creative_dna jsonb, pipeline_roas float8, ctr float8, embedding bytea)
	LANGUAGE plpgsql STABLE ROWS 20
	SET search_path = gv, extensions, public SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off
	AS $$
#variable_conflict use_column
DECLARE
	mine  uuid   := gv.tenant();
	probe vector := query::vector;
BEGIN
	winners := (SELECT count(*) FROM gv.winner_codes WHERE tenant_id = mine AND model = of_model);
	SELECT r.recall, r.sampled, r.measured_at INTO recall, sampled, measured_at
	FROM   gv.search_recall r
	WHERE  r.tenant_id = mine AND r.model = of_model AND r.measured_at > now() - fresh AND r.winners * 5 / 4 >= search_winners.winners;
	recall := coalesce(recall, 0);
	sampled := coalesce(sampled, 0);
	measured_at := coalesce(measured_at, 'epoch');
	RETURN NEXT;
	IF winners <= few THEN
		RETURN QUERY
		SELECT NULL::bigint, NULL::float8, NULL::integer, NULL::timestamptz, true, NULL::float8,
		       best.ad_id, least(greatest(1 - best.distance, 0), 1), w.creative_dna, w.pipeline_roas, w.ctr, vector_send(w.embedding)
		FROM  (SELECT c.ad_id, w.distance
		       FROM   gv.winner_codes c
		       CROSS  JOIN LATERAL (SELECT embedding <=> probe AS distance FROM gv.winners
		              WHERE tenant_id = mine AND ad_id = c.ad_id AND model = of_model OFFSET 0) AS w
		       WHERE  c.tenant_id = mine AND c.model = of_model AND c.ctr >= least_ctr
		       AND    least(greatest(1 - w.distance, 0), 1) >= least_similarity
		       ORDER  BY w.distance, c.ad_id
		       LIMIT  wanted) AS best
		CROSS  JOIN LATERAL (SELECT creative_dna, pipeline_roas, ctr, embedding FROM gv.winners
		       WHERE tenant_id = mine AND ad_id = best.ad_id AND model = of_model OFFSET 0) AS w
		ORDER  BY best.distance, best.ad_id;
	ELSIF sampled >= least_sampled AND recall >= least_recall THEN
		RETURN QUERY
		SELECT NULL::bigint, NULL::float8, NULL::integer, NULL::timestamptz, n.*
		FROM   gv.winners_by_codes(of_model, probe, codes, wanted, least_ctr, least_similarity, winners) AS n;
	END IF;
END $$;
REVOKE ALL ON FUNCTION gv.winners_by_codes, gv.search_winners FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gv.winners_by_codes, gv.search_winners TO gv_app;
RESET search_path;
