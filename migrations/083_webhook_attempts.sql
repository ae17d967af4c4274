-- Every attempt to deliver a notice, and since when a webhook fails: after a day a
-- notice is given up, after a week the webhook is switched off.

ALTER TABLE gv.webhooks ADD COLUMN failing_since timestamptz;
COMMENT ON COLUMN gv.webhooks.failing_since IS 'When the first delivery failed since the last one that succeeded; null while they succeed.';

CREATE TABLE gv.webhook_attempts (
	tenant_id uuid        NOT NULL REFERENCES gv.tenants,
	notice_id text        NOT NULL CHECK (notice_id <> ''),
	attempt   integer     NOT NULL CHECK (attempt > 0),
	kind      text        NOT NULL,
	at        timestamptz NOT NULL DEFAULT now(),
	delivered boolean     NOT NULL,
	status    integer,
	reason    text,
	took_ms   integer     NOT NULL CHECK (took_ms >= 0),
	next_at   timestamptz,
	PRIMARY KEY (tenant_id, notice_id, attempt)
);
COMMENT ON COLUMN gv.webhook_attempts.status IS 'What the receiver answered; null where it did not.';
COMMENT ON COLUMN gv.webhook_attempts.next_at IS 'When the notice is sent again; null where it was delivered or given up.';
CREATE INDEX webhook_attempts_recent ON gv.webhook_attempts (tenant_id, at DESC);
CREATE INDEX webhook_attempts_old ON gv.webhook_attempts (at);
CALL gv.protect('gv.webhook_attempts', 'SELECT, INSERT', 'SELECT, DELETE');
