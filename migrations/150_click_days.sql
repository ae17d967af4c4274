SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '110s';

-- How many clicks of a day a tenant has taken from strangers: who has a page's key can
-- send any number, and each one is a row.

CREATE TABLE gv.click_days (
	tenant_id uuid   NOT NULL REFERENCES gv.tenants,
	day       date   NOT NULL,
	reserved  bigint NOT NULL CHECK (reserved >= 0),
	PRIMARY KEY (tenant_id, day)
);
COMMENT ON TABLE gv.click_days IS 'What of the daily limit on clicks with a publishable key is used up.';
COMMENT ON COLUMN gv.click_days.day IS 'In UTC.';
COMMENT ON COLUMN gv.click_days.reserved IS 'Clicks that instances may take; they reserve many at a time, and may take fewer.';
CALL gv.protect('gv.click_days', 'SELECT, INSERT, UPDATE');
