-- Winning creatives, one row per ad and embedding model.

CREATE SCHEMA IF NOT EXISTS extensions;
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA extensions;
GRANT USAGE ON SCHEMA extensions TO gv_app, gv_worker;
-- The extension may stand elsewhere already; its types are found either way.
SET search_path = gv, extensions, public;

CREATE TABLE gv.winners (
	tenant_id     uuid        NOT NULL REFERENCES gv.tenants,
	ad_id         text        NOT NULL CHECK (ad_id <> ''),
	model         text        NOT NULL CHECK (model <> ''),
	embedding     vector(768) NOT NULL,
	text          text        NOT NULL,
	creative_dna  jsonb       NOT NULL CHECK (jsonb_typeof(creative_dna) = 'object'),
	ad_data       jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(ad_data) = 'object'),
	pipeline_roas double precision NOT NULL CHECK (pipeline_roas >= 0),
	ctr           double precision NOT NULL CHECK (ctr BETWEEN 0 AND 1),
	active        boolean     NOT NULL DEFAULT true,
	content_hash  bytea       NOT NULL,
	indexed_at    timestamptz NOT NULL DEFAULT now(),
	updated_at    timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, ad_id, model)
);
COMMENT ON COLUMN gv.winners.active IS 'false while the ad is below the winner''s bar: kept, but not found.';
COMMENT ON COLUMN gv.winners.ctr IS 'A rate, 0 to 1.';
COMMENT ON COLUMN gv.winners.content_hash IS 'Of model and text: the same content is not embedded twice.';
CREATE INDEX winners_tenant ON gv.winners (tenant_id, model) WHERE active;
CREATE INDEX winners_local ON gv.winners USING hnsw ((embedding::halfvec(768)) halfvec_cosine_ops) WHERE model = 'local-hash-1' AND active;
CALL gv.protect('gv.winners', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE');

RESET search_path;
