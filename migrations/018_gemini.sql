-- What Gemini is asked for and costs, by tenant and day, and which embedding
-- model a tenant's memory is searched with while it changes to another.

CREATE TABLE gv.gemini_days (
	tenant_id       uuid   NOT NULL REFERENCES gv.tenants,
	day             date   NOT NULL,
	tokens          bigint NOT NULL DEFAULT 0 CHECK (tokens >= 0),
	cost_micros     bigint NOT NULL DEFAULT 0 CHECK (cost_micros >= 0),
	reserved_tokens bigint NOT NULL DEFAULT 0 CHECK (reserved_tokens >= 0),
	reserved_micros bigint NOT NULL DEFAULT 0 CHECK (reserved_micros >= 0),
	PRIMARY KEY (tenant_id, day)
);
COMMENT ON TABLE gv.gemini_days IS 'One row is what the caps are kept by: a call is reserved here before it is made and settled after it. Days are UTC.';
COMMENT ON COLUMN gv.gemini_days.cost_micros IS 'Millionths of a USD, of the models whose price is known.';
COMMENT ON COLUMN gv.gemini_days.reserved_micros IS 'Of calls under way, and of those that a crash cut off: they may have been paid for.';
CALL gv.protect('gv.gemini_days', 'SELECT, INSERT, UPDATE');

CREATE TABLE gv.gemini_usage (
	tenant_id     uuid   NOT NULL REFERENCES gv.tenants,
	day           date   NOT NULL,
	model         text   NOT NULL CHECK (model <> ''),
	purpose       text   NOT NULL CHECK (purpose <> ''),
	calls         bigint NOT NULL DEFAULT 0 CHECK (calls >= 0),
	failed        bigint NOT NULL DEFAULT 0 CHECK (failed BETWEEN 0 AND calls),
	input_tokens  bigint NOT NULL DEFAULT 0 CHECK (input_tokens >= 0),
	output_tokens bigint NOT NULL DEFAULT 0 CHECK (output_tokens >= 0),
	cost_micros   bigint NOT NULL DEFAULT 0 CHECK (cost_micros >= 0),
	PRIMARY KEY (tenant_id, day, model, purpose)
);
COMMENT ON COLUMN gv.gemini_usage.failed IS 'Of the calls: those whose answer could not be used. They may have cost something all the same.';
COMMENT ON COLUMN gv.gemini_usage.cost_micros IS 'Millionths of a USD; 0 while the model''s price is not known.';
CALL gv.protect('gv.gemini_usage', 'SELECT, INSERT, UPDATE');

-- The lowest daily cap that the tenant's accounts set, in millionths of a USD;
-- null where none does.
CREATE FUNCTION gv.gemini_cap_micros() RETURNS bigint
	LANGUAGE sql STABLE
	AS $$
SELECT min(floor(least(greatest((settings->>'gemini_daily_cap_usd')::numeric, 0), 1e9) * 1e6))::bigint
FROM   gv.accounts
WHERE  tenant_id = gv.tenant() AND jsonb_typeof(settings->'gemini_daily_cap_usd') = 'number'
$$;
REVOKE ALL ON FUNCTION gv.gemini_cap_micros FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gv.gemini_cap_micros TO gv_app;

CREATE TABLE gv.embedding_models (
	tenant_id   uuid        PRIMARY KEY REFERENCES gv.tenants,
	active      text        NOT NULL CHECK (active <> ''),
	target      text        CHECK (target <> '' AND target <> active),
	due_at      timestamptz,
	attempt     bigint      NOT NULL DEFAULT 0 CHECK (attempt >= 0),
	last_error  text,
	switched_at timestamptz
);
COMMENT ON COLUMN gv.embedding_models.active IS 'The model whose vectors searches compare.';
COMMENT ON COLUMN gv.embedding_models.target IS 'The model that the memory is being embedded with; it becomes active when nothing is missing from it.';
COMMENT ON COLUMN gv.embedding_models.due_at IS 'When the change is to be gone on with, or after it the old vectors removed; a claim moves it ahead, which makes the claim a lease.';
COMMENT ON COLUMN gv.embedding_models.attempt IS 'Counts claims: a message of an older one changes nothing.';
CREATE INDEX embedding_models_due ON gv.embedding_models (due_at) WHERE due_at IS NOT NULL;
CALL gv.protect('gv.embedding_models', 'SELECT, INSERT, UPDATE', 'SELECT, UPDATE');

INSERT INTO gv.embedding_models (tenant_id, active)
SELECT DISTINCT ON (tenant_id) tenant_id, model FROM gv.winners GROUP BY tenant_id, model ORDER BY tenant_id, count(*) DESC, model;

-- Ads whose winner-found message came to nothing are found again by these.
CREATE INDEX ads_winners ON gv.ads (tenant_id, ad_id) WHERE is_winner;

-- A partial index for each model that settings name by default or that is common;
-- memories of any other model are searched exactly, however large.
SET search_path = gv, extensions, public;
CREATE INDEX winners_gemini_1 ON gv.winners USING hnsw ((embedding::halfvec(768)) halfvec_cosine_ops) WHERE model = 'gemini-embedding-001' AND active;
CREATE INDEX winners_gemini_2 ON gv.winners USING hnsw ((embedding::halfvec(768)) halfvec_cosine_ops) WHERE model = 'gemini-embedding-2' AND active;
RESET search_path;
