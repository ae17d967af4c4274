-- Trained models: what they learned from, how well they did, which one serves.

CREATE TABLE gv.model_registry (
	model_id      uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
	tenant_id     uuid        NOT NULL REFERENCES gv.tenants,
	account_id    text        NOT NULL,
	name          text        NOT NULL CHECK (name <> ''),
	version       text        NOT NULL CHECK (version <> ''),
	role          text        NOT NULL CHECK (role IN ('champion', 'challenger', 'retired')),
	fingerprint   text        NOT NULL,
	training_rows integer     NOT NULL CHECK (training_rows >= 0),
	parameters    bytea       NOT NULL,
	metrics       jsonb       NOT NULL DEFAULT '{}',
	trained_at    timestamptz NOT NULL DEFAULT now(),
	promoted_at   timestamptz,
	UNIQUE (tenant_id, account_id, name, version)
);
COMMENT ON COLUMN gv.model_registry.fingerprint IS 'Hash of the training data: the same data trains the same model.';
CREATE UNIQUE INDEX model_registry_champion ON gv.model_registry (tenant_id, account_id, name) WHERE role = 'champion';
CALL gv.protect('gv.model_registry', 'SELECT, INSERT, UPDATE', 'SELECT, INSERT, UPDATE');
