SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '110s';

-- A tenant's Slack channel: its notices as messages at once, and a daily and a weekly
-- summary.

CREATE TABLE gv.slack_connections (
	tenant_id       uuid        PRIMARY KEY REFERENCES gv.tenants,
	url             text        NOT NULL CHECK (url <> ''),
	url_set_at      timestamptz NOT NULL DEFAULT now(),
	at_once         boolean     NOT NULL,
	daily           boolean     NOT NULL,
	weekly          boolean     NOT NULL,
	kinds           text[]      NOT NULL DEFAULT '{}',
	time_zone       text        NOT NULL CHECK (time_zone <> ''),
	hour            smallint    NOT NULL CHECK (hour BETWEEN 0 AND 23),
	weekday         smallint    NOT NULL CHECK (weekday BETWEEN 0 AND 6),
	daily_from      timestamptz NOT NULL,
	daily_at        timestamptz NOT NULL,
	weekly_from     timestamptz NOT NULL,
	weekly_at       timestamptz NOT NULL,
	next_at         timestamptz NOT NULL DEFAULT now(),
	failures        integer     NOT NULL DEFAULT 0 CHECK (failures >= 0),
	failing_since   timestamptz,
	last_sent_at    timestamptz,
	last_error      text,
	claim           uuid,
	claimed_until   timestamptz,
	updated_by      text        NOT NULL,
	updated_at      timestamptz NOT NULL DEFAULT now(),
	disabled_at     timestamptz,
	disabled_reason text
);
COMMENT ON TABLE gv.slack_connections IS 'The Slack channel that a tenant''s notices and summaries are posted to.';
COMMENT ON COLUMN gv.slack_connections.url IS 'Secret Manager name of the incoming webhook''s address, which is a secret: who has it can post.';
COMMENT ON COLUMN gv.slack_connections.kinds IS 'The kinds of notices that are posted at once; empty: all.';
COMMENT ON COLUMN gv.slack_connections.weekday IS 'The day of the weekly summary, 0 is Sunday.';
COMMENT ON COLUMN gv.slack_connections.daily_at IS 'When the next daily summary is due; it covers the time since daily_from.';
COMMENT ON COLUMN gv.slack_connections.next_at IS 'Nothing is posted before: Slack said so, or a delivery failed.';
CALL gv.protect('gv.slack_connections', 'SELECT, INSERT, UPDATE', 'SELECT, UPDATE');
CREATE INDEX slack_connections_due ON gv.slack_connections (next_at) WHERE disabled_at IS NULL;

CREATE TABLE gv.slack_notices (
	tenant_id uuid        NOT NULL REFERENCES gv.tenants,
	notice_id uuid        NOT NULL DEFAULT gen_random_uuid(),
	kind      text        NOT NULL CHECK (kind <> ''),
	ad_id     text        NOT NULL DEFAULT '',
	text      text        NOT NULL,
	at        timestamptz NOT NULL,
	put_at    timestamptz NOT NULL DEFAULT now(),
	sent_at   timestamptz,
	PRIMARY KEY (tenant_id, notice_id)
);
COMMENT ON TABLE gv.slack_notices IS 'Notices that wait for their Slack message, and for 30 days those that were posted.';
CREATE INDEX slack_notices_waiting ON gv.slack_notices (tenant_id, put_at) WHERE sent_at IS NULL;
CREATE INDEX slack_notices_old ON gv.slack_notices (put_at);
CALL gv.protect('gv.slack_notices', 'SELECT, INSERT, UPDATE', 'SELECT, INSERT, DELETE');
