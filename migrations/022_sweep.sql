-- How far a sweep has come, and what it needs to be quick.

CREATE TABLE gv.sweep_progress (
	name         text        PRIMARY KEY CHECK (name <> ''),
	tenant_id    uuid        REFERENCES gv.tenants,
	after_tenant uuid        NOT NULL,
	after_ad     text        NOT NULL,
	report       jsonb       NOT NULL DEFAULT '{}',
	started_at   timestamptz NOT NULL,
	updated_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE gv.sweep_progress IS 'A sweep that is under way or was cut short: the next one goes on behind the key it had reached.';
COMMENT ON COLUMN gv.sweep_progress.tenant_id IS 'null: the sweep of all tenants.';
COMMENT ON COLUMN gv.sweep_progress.report IS 'What it has counted so far of the tenant that it was at.';
CALL gv.protect('gv.sweep_progress', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE gv.fatigue_remedies (
	tenant_id   uuid        NOT NULL REFERENCES gv.tenants,
	ad_id       text        NOT NULL,
	remedied_at timestamptz NOT NULL,
	until       timestamptz NOT NULL,
	change_id   uuid,
	refresh_id  uuid,
	skipped     text,
	PRIMARY KEY (tenant_id, ad_id),
	FOREIGN KEY (tenant_id, ad_id) REFERENCES gv.ads
);
COMMENT ON TABLE gv.fatigue_remedies IS 'What was last done for a tired ad; nothing more is before until.';
COMMENT ON COLUMN gv.fatigue_remedies.skipped IS 'Why there was no cut, where there was none.';
CALL gv.protect('gv.fatigue_remedies', 'SELECT, INSERT, UPDATE', 'SELECT, INSERT, UPDATE');

-- A batch writes the messages of many tenants.
GRANT INSERT ON gv.outbox TO gv_worker;

COMMENT ON COLUMN gv.ads.fatigue_checked_at IS 'When fatigue_status was last written: when it changed, and at least daily while it does not.';
