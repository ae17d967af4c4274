-- The decision ledger: every allocation, complete enough to be computed again.

CREATE TABLE gv.decisions (
	tenant_id         uuid        NOT NULL REFERENCES gv.tenants,
	decision_id       uuid        NOT NULL,
	created_at        timestamptz NOT NULL,
	account_id        text        NOT NULL DEFAULT '',
	currency          text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
	requested_by      text        NOT NULL,
	model_version     text        NOT NULL CHECK (model_version <> ''),
	architecture      text        NOT NULL CHECK (architecture <> ''),
	seed              bigint      NOT NULL,
	num_ads           integer     NOT NULL CHECK (num_ads > 0),
	total_minor       bigint      NOT NULL CHECK (total_minor >= 0),
	unallocated_minor bigint      NOT NULL CHECK (unallocated_minor BETWEEN 0 AND total_minor),
	inputs            bytea       NOT NULL,
	posterior         bytea       NOT NULL,
	answer            bytea       NOT NULL,
	PRIMARY KEY (tenant_id, decision_id, created_at)
) PARTITION BY RANGE (created_at);
COMMENT ON COLUMN gv.decisions.decision_id IS 'A UUIDv7: its time is created_at, so a look-up by id needs one partition.';
COMMENT ON COLUMN gv.decisions.inputs IS 'Gzipped JSON: all that the sampler was given.';
COMMENT ON COLUMN gv.decisions.answer IS 'Gzipped: the answer''s bytes as they were sent.';
CREATE INDEX decisions_recent ON gv.decisions (tenant_id, created_at DESC);
CALL gv.protect('gv.decisions', 'SELECT, INSERT', 'SELECT');

CREATE TABLE gv.decisions_rest PARTITION OF gv.decisions DEFAULT;
ALTER TABLE gv.decisions_rest ENABLE ROW LEVEL SECURITY;

-- partition_decisions makes the partitions of this month and the next and drops
-- those older than 400 days. A month is one in UTC, whatever the session's zone,
-- so that partitions meet. Safe to call at any time; the relay does.
CREATE FUNCTION gv.partition_decisions(today date) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
	AS $$
DECLARE
	month date;
	name  text;
	old   record;
BEGIN
	PERFORM pg_advisory_xact_lock(hashtext('gv.partition_decisions'));
	FOR month IN SELECT (date_trunc('month', today) + make_interval(months => m))::date FROM generate_series(0, 1) AS m LOOP
		name := 'decisions_' || to_char(month, 'YYYYMM');
		IF to_regclass('gv.' || name) IS NULL
			AND NOT EXISTS (SELECT FROM gv.decisions_rest
				WHERE created_at >= month::timestamptz AND created_at < (month + interval '1 month')::timestamptz) THEN
			EXECUTE format('CREATE TABLE gv.%I PARTITION OF gv.decisions FOR VALUES FROM (%L) TO (%L)',
				name, month::timestamptz, (month + interval '1 month')::timestamptz);
			EXECUTE format('ALTER TABLE gv.%I ENABLE ROW LEVEL SECURITY', name);
		END IF;
	END LOOP;
	FOR old IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'gv.decisions'::regclass AND c.relname ~ '^decisions_[0-9]{6}$'
		AND to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month' < today - interval '400 days' LOOP
		EXECUTE format('DROP TABLE gv.%I', old.relname);
	END LOOP;
	DELETE FROM gv.decisions_rest WHERE created_at < today - interval '400 days';
END
$$;
REVOKE ALL ON FUNCTION gv.partition_decisions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gv.partition_decisions TO gv_worker;
SELECT gv.partition_decisions(current_date);
