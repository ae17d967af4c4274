SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '110s';

-- A search of a large winner memory compares short codes instead of vectors: 128 bytes
-- instead of 3 kB a winner. Only the winners with the nearest codes are then compared by
-- their vectors. Writers of winners wait until this file is done: half a minute to a minute for
-- 250,000 winners.
SET search_path = gv, extensions, public;

-- winner_code is a vector's code of 1,024 bits: the share of bits in which two codes differ
-- estimates the angle between their vectors, as a share of half a turn (Charikar, STOC 2002).
-- The bits are the signs of the vector's components after a rotation, because a text of few
-- words has few components that are not zero. The rotation is a Walsh-Hadamard transform of
-- ten stages: each stage adds and subtracts the two halves, and all but the last shift the
-- differences, so that the next one pairs other components. It takes 30 microseconds.
CREATE FUNCTION gv.winner_code(embedding vector) RETURNS bit(1024)
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, extensions, public
	AS $$
DECLARE
	v vector := embedding || array_fill(0::real, ARRAY[1024 - vector_dims(embedding)])::vector;
	d vector;
BEGIN
	FOR stage IN 0..8 LOOP
		d := subvector(v, 1, 512) - subvector(v, 513, 512);
		v := (subvector(v, 1, 512) + subvector(v, 513, 512))
		     || subvector(d, 513 - (1 << stage), 1 << stage) || subvector(d, 1, 512 - (1 << stage));
	END LOOP;
	v := (subvector(v, 1, 512) + subvector(v, 513, 512)) || (subvector(v, 1, 512) - subvector(v, 513, 512));
	RETURN binary_quantize(v);
END $$;
REVOKE ALL ON FUNCTION gv.winner_code FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gv.winner_code TO gv_app, gv_worker;

-- Its own table, because 50 of its rows fit into a page, and two of gv.winners.
CREATE TABLE gv.winner_codes (
	tenant_id uuid             NOT NULL,
	ctr       double precision NOT NULL,
	code      bit(1024)        NOT NULL,
	model     text             NOT NULL,
	ad_id     text             NOT NULL
) WITH (parallel_workers = 0, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
COMMENT ON TABLE gv.winner_codes IS 'One row for each active row of gv.winners; a trigger there writes it.';
COMMENT ON COLUMN gv.winner_codes.ctr IS 'As in gv.winners: searches filter by it before they choose candidates.';
-- A short varlena would be copied for each comparison.
ALTER TABLE gv.winner_codes ALTER COLUMN code SET STORAGE PLAIN;
CALL gv.protect('gv.winner_codes', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE');

CREATE FUNCTION gv.write_winner_code() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, extensions, public
	AS $$
BEGIN
	IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND (NOT NEW.active OR (NEW.tenant_id, NEW.ad_id, NEW.model) <> (OLD.tenant_id, OLD.ad_id, OLD.model)) THEN
		DELETE FROM gv.winner_codes WHERE tenant_id = OLD.tenant_id AND ad_id = OLD.ad_id AND model = OLD.model;
	END IF;
	IF TG_OP <> 'DELETE' AND NEW.active THEN
		INSERT INTO gv.winner_codes (tenant_id, ad_id, model, ctr, code)
		VALUES (NEW.tenant_id, NEW.ad_id, NEW.model, NEW.ctr, gv.winner_code(NEW.embedding))
		ON CONFLICT (tenant_id, ad_id, model) DO UPDATE SET ctr = excluded.ctr, code = excluded.code;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER write_winner_code AFTER INSERT ON gv.winners FOR EACH ROW WHEN (NEW.active) EXECUTE FUNCTION gv.write_winner_code();
CREATE TRIGGER rewrite_winner_code AFTER UPDATE ON gv.winners FOR EACH ROW
	WHEN ((OLD.tenant_id, OLD.ad_id, OLD.model, OLD.active, OLD.ctr, OLD.embedding) IS DISTINCT FROM
	(NEW.tenant_id, NEW.ad_id, NEW.model, NEW.active, NEW.ctr, NEW.embedding)) EXECUTE FUNCTION gv.write_winner_code();
CREATE TRIGGER remove_winner_code AFTER DELETE ON gv.winners FOR EACH ROW WHEN (OLD.active) EXECUTE FUNCTION gv.write_winner_code();

INSERT INTO gv.winner_codes (tenant_id, ad_id, model, ctr, code)
SELECT tenant_id, ad_id, model, ctr, gv.winner_code(embedding) FROM gv.winners WHERE active;
ALTER TABLE gv.winner_codes ADD PRIMARY KEY (tenant_id, ad_id, model), ADD FOREIGN KEY (tenant_id) REFERENCES gv.tenants;
-- Winners of many tenants lie mixed in the table. The scan of one tenant's codes reads
-- nothing but the first index once the table is vacuumed; the second one is for counting.
CREATE INDEX winner_codes_scan ON gv.winner_codes (tenant_id, model) INCLUDE (ctr, code, ad_id);
CREATE INDEX winner_codes_count ON gv.winner_codes (tenant_id, model);
ANALYZE gv.winner_codes;
RESET search_path;
