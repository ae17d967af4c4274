-- Learning cycles, fatigue sweeps, and the schedules that a tenant's admin edits.

CREATE TABLE gv.learning_cycles (
	tenant_id    uuid        NOT NULL REFERENCES gv.tenants,
	cycle_id     uuid        NOT NULL DEFAULT gen_random_uuid(),
	account_id   text        NOT NULL,
	status       text        NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'completed', 'failed', 'partial')),
	steps        jsonb       NOT NULL DEFAULT '[]',
	requested_by text        NOT NULL,
	started_at   timestamptz NOT NULL DEFAULT now(),
	completed_at timestamptz,
	PRIMARY KEY (tenant_id, cycle_id)
);
CREATE INDEX learning_cycles_recent ON gv.learning_cycles (tenant_id, account_id, started_at DESC);
CREATE UNIQUE INDEX learning_cycles_running ON gv.learning_cycles (tenant_id, account_id) WHERE status = 'running';
CALL gv.protect('gv.learning_cycles', 'SELECT, INSERT, UPDATE', 'SELECT, INSERT, UPDATE');

CREATE TABLE gv.patterns (
	tenant_id   uuid        NOT NULL REFERENCES gv.tenants,
	account_id  text        NOT NULL,
	feature     text        NOT NULL,
	value       text        NOT NULL,
	lift        double precision NOT NULL,
	ads         integer     NOT NULL CHECK (ads > 0),
	updated_at  timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, account_id, feature, value)
);
COMMENT ON COLUMN gv.patterns.lift IS 'Ratio of the pattern''s posterior mean ROAS to the account''s.';
CALL gv.protect('gv.patterns', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE gv.sweeps (
	tenant_id    uuid        NOT NULL REFERENCES gv.tenants,
	sweep_id     uuid        NOT NULL DEFAULT gen_random_uuid(),
	report       jsonb       NOT NULL,
	requested_by text        NOT NULL,
	started_at   timestamptz NOT NULL,
	completed_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, sweep_id)
);
CREATE INDEX sweeps_recent ON gv.sweeps (tenant_id, started_at DESC);
CALL gv.protect('gv.sweeps', 'SELECT, INSERT', 'SELECT, INSERT');

CREATE TABLE gv.schedules (
	tenant_id  uuid        NOT NULL REFERENCES gv.tenants,
	name       text        NOT NULL CHECK (name <> ''),
	cron       text        NOT NULL CHECK (cron <> ''),
	time_zone  text        NOT NULL DEFAULT 'Etc/UTC',
	paused     boolean     NOT NULL DEFAULT false,
	updated_by text        NOT NULL,
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, name)
);
COMMENT ON TABLE gv.schedules IS 'A tenant with a row here has a Cloud Scheduler job of its own; the global tick passes it over.';
CALL gv.protect('gv.schedules', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT');
