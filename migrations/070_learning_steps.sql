-- A learning cycle is worked step by step: each step is a row with its state, so
-- that a cycle that was cut short goes on at the step where it stopped. A cycle is
-- worked under a lease; a runner that dies loses it when its time is up.

ALTER TABLE gv.learning_cycles
	ADD COLUMN trigger_retrain    boolean          NOT NULL DEFAULT true,
	ADD COLUMN accuracy_threshold double precision NOT NULL DEFAULT 0.8 CHECK (accuracy_threshold BETWEEN 0 AND 1),
	ADD COLUMN lease_token        uuid,
	ADD COLUMN lease_until        timestamptz;
COMMENT ON COLUMN gv.learning_cycles.lease_token IS 'Of the run that works on the cycle; null where none does.';
COMMENT ON COLUMN gv.learning_cycles.steps IS 'Not used any more: gv.learning_steps has the steps.';

CREATE TABLE gv.learning_steps (
	tenant_id    uuid        NOT NULL REFERENCES gv.tenants,
	cycle_id     uuid        NOT NULL,
	step         smallint    NOT NULL CHECK (step > 0),
	name         text        NOT NULL CHECK (name <> ''),
	status       text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'active', 'completed', 'skipped', 'failed')),
	attempts     integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
	reason       text        NOT NULL DEFAULT '',
	result       jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(result) = 'object'),
	started_at   timestamptz,
	completed_at timestamptz,
	PRIMARY KEY (tenant_id, cycle_id, step)
);
COMMENT ON COLUMN gv.learning_steps.result IS 'What the step found, written in the transaction that completes it.';
COMMENT ON COLUMN gv.learning_steps.attempts IS 'How often it was begun and neither ended nor handed on.';
CALL gv.protect('gv.learning_steps', 'SELECT, INSERT, UPDATE');

-- What was predicted of creatives and ads, and what became of it.
CREATE TABLE gv.predictions (
	tenant_id         uuid             NOT NULL REFERENCES gv.tenants,
	prediction_id     uuid             NOT NULL DEFAULT gen_random_uuid(),
	account_id        text             NOT NULL CHECK (account_id <> ''),
	ad_id             text,
	dna_hash          bytea            NOT NULL,
	source            text             NOT NULL CHECK (source IN ('gate', 'cycle')),
	model_version     text             NOT NULL,
	segment           text             NOT NULL DEFAULT '',
	ctr               double precision NOT NULL CHECK (ctr >= 0),
	ctr_low           double precision NOT NULL CHECK (ctr_low >= 0),
	ctr_high          double precision NOT NULL CHECK (ctr_high >= ctr_low),
	roas              double precision NOT NULL CHECK (roas >= 0),
	roas_low          double precision NOT NULL CHECK (roas_low >= 0),
	roas_high         double precision NOT NULL CHECK (roas_high >= roas_low),
	from_impressions  bigint           NOT NULL DEFAULT 0 CHECK (from_impressions >= 0),
	from_clicks       bigint           NOT NULL DEFAULT 0 CHECK (from_clicks >= 0),
	from_spend_minor  bigint           NOT NULL DEFAULT 0 CHECK (from_spend_minor >= 0),
	from_value_minor  bigint           NOT NULL DEFAULT 0 CHECK (from_value_minor >= 0),
	made_at           timestamptz      NOT NULL,
	state             text             NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'successful', 'failed', 'expired')),
	impressions       bigint           CHECK (impressions >= 0),
	clicks            bigint           CHECK (clicks >= 0),
	spend             double precision CHECK (spend >= 0),
	value             double precision CHECK (value >= 0),
	deals             double precision CHECK (deals >= 0),
	arrived           double precision CHECK (arrived BETWEEN 0 AND 1),
	judged_at         timestamptz,
	PRIMARY KEY (tenant_id, prediction_id)
);
COMMENT ON TABLE gv.predictions IS 'Each prediction beside what its ad did afterwards; the learning cycle judges it once its conversions could have arrived.';
COMMENT ON COLUMN gv.predictions.from_impressions IS 'What the ad had when it was predicted: only what came after is its outcome.';
COMMENT ON COLUMN gv.predictions.value IS 'Pipeline value that came after, in units; deals is about how many deals it is made of, arrived the share of conversions that could have shown.';
CREATE UNIQUE INDEX predictions_gate ON gv.predictions (tenant_id, account_id, dna_hash, model_version) WHERE source = 'gate';
CREATE INDEX predictions_account ON gv.predictions (tenant_id, account_id, made_at DESC);
CREATE INDEX predictions_open ON gv.predictions (tenant_id, account_id) WHERE state = 'open';
CREATE INDEX predictions_ad ON gv.predictions (tenant_id, ad_id, made_at DESC) WHERE ad_id IS NOT NULL;
CALL gv.protect('gv.predictions', 'SELECT, INSERT, UPDATE, DELETE');
