-- What a pipeline stage is worth, per tenant, and what it was worth before.

CREATE TABLE gv.stage_values (
	tenant_id   uuid        NOT NULL REFERENCES gv.tenants,
	stage_name  text        NOT NULL CHECK (stage_name <> ''),
	value_minor bigint      NOT NULL CHECK (value_minor >= 0),
	confidence  real        NOT NULL CHECK (confidence BETWEEN 0 AND 1),
	description text        NOT NULL DEFAULT '',
	updated_at  timestamptz NOT NULL DEFAULT now(),
	updated_by  text        NOT NULL DEFAULT 'default',
	PRIMARY KEY (tenant_id, stage_name)
);
COMMENT ON COLUMN gv.stage_values.value_minor IS 'In minor units of the tenant''s currency.';
CALL gv.protect('gv.stage_values', 'SELECT, INSERT, UPDATE');

CREATE TABLE gv.stage_value_history (
	tenant_id   uuid        NOT NULL REFERENCES gv.tenants,
	stage_name  text        NOT NULL,
	value_minor bigint      NOT NULL CHECK (value_minor >= 0),
	confidence  real        NOT NULL CHECK (confidence BETWEEN 0 AND 1),
	valid_from  timestamptz NOT NULL,
	valid_until timestamptz NOT NULL,
	replaced_by text        NOT NULL,
	history_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY
);
CREATE INDEX stage_value_history_stage ON gv.stage_value_history (tenant_id, stage_name, valid_until DESC);
CALL gv.protect('gv.stage_value_history', 'SELECT, INSERT');

-- Every tenant starts with the contract's stages, in its own currency.
CREATE FUNCTION gv.default_stages() RETURNS trigger
	LANGUAGE plpgsql
	AS $$
BEGIN
	INSERT INTO gv.stage_values (tenant_id, stage_name, value_minor, confidence, description)
	SELECT NEW.tenant_id, s.stage_name, s.units * (10 ^ gv.decimals(NEW.currency))::bigint, s.confidence, s.description
	FROM (VALUES
		('lead',                      0::bigint, 0.10::real, 'Asked, nothing promised yet'),
		('appointment_scheduled',  2250,         0.60,       'A date is set'),
		('show_up',                9000,         0.85,       'Came to the appointment'),
		('closed_won',            15000,         1.00,       'Bought; the deal''s real amount counts where it is known'),
		('closed_lost',               0,         1.00,       'Will not buy')
	) AS s (stage_name, units, confidence, description);
	RETURN NEW;
END
$$;
CREATE TRIGGER default_stages AFTER INSERT ON gv.tenants FOR EACH ROW EXECUTE FUNCTION gv.default_stages();
