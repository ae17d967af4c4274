-- An account whose ads fall together gets one alarm: the cause is not any one ad's.

CREATE TABLE gv.account_alerts (
	tenant_id   uuid             NOT NULL REFERENCES gv.tenants,
	account_id  text             NOT NULL,
	kind        text             NOT NULL CHECK (kind IN ('ctr_down', 'cpm_up')),
	opened_at   timestamptz      NOT NULL,
	since       date             NOT NULL,
	ads         integer          NOT NULL CHECK (ads > 0),
	fell_by     double precision NOT NULL,
	detail      text             NOT NULL,
	action      text             NOT NULL,
	seen_at     timestamptz      NOT NULL,
	resolved_at timestamptz,
	PRIMARY KEY (tenant_id, account_id, kind, opened_at),
	FOREIGN KEY (tenant_id, account_id) REFERENCES gv.accounts
);
CREATE UNIQUE INDEX account_alerts_open ON gv.account_alerts (tenant_id, account_id, kind) WHERE resolved_at IS NULL;
COMMENT ON TABLE gv.account_alerts IS 'Ads of an account that fell together. shared/sweep writes it; at most one of a kind is open per account.';
COMMENT ON COLUMN gv.account_alerts.since IS 'The day, in the account''s time zone, on which most of them began to fall.';
COMMENT ON COLUMN gv.account_alerts.fell_by IS 'The median change of the ads, as a share above 0: by how much CTR fell, or CPM rose.';
COMMENT ON COLUMN gv.account_alerts.seen_at IS 'When a sweep last found it.';
CALL gv.protect('gv.account_alerts', 'SELECT, INSERT, UPDATE', 'SELECT, INSERT, UPDATE');
