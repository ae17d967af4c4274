-- What the hourly sync with Meta remembers, and the ad sets that it reads.

ALTER TABLE gv.meta_connections
	ADD COLUMN attempted_at  timestamptz,
	ADD COLUMN synced_at     timestamptz,
	ADD COLUMN resume_day    date,
	ADD COLUMN retry_at      timestamptz,
	ADD COLUMN last_error_at timestamptz;
COMMENT ON COLUMN gv.meta_connections.attempted_at IS 'When a sync last began: the account that has waited longest is next.';
COMMENT ON COLUMN gv.meta_connections.synced_at IS 'When the account was last read to the end.';
COMMENT ON COLUMN gv.meta_connections.synced_through IS 'The last whole day, in the account''s zone, that has been read.';
COMMENT ON COLUMN gv.meta_connections.resume_day IS 'Days after this one were read by a run that was cut short; null where none was.';
COMMENT ON COLUMN gv.meta_connections.retry_at IS 'Not to be tried before: Meta refused the token, or wants to be called less.';
COMMENT ON COLUMN gv.meta_connections.last_error IS 'Why the last sync failed, in plain words; null once one succeeds.';

-- Whoever connects the account again has mended what was wrong with it.
CREATE FUNCTION gv.meta_reconnected() RETURNS trigger
	LANGUAGE plpgsql
	AS $$
BEGIN
	NEW.retry_at := NULL;
	NEW.last_error := NULL;
	NEW.last_error_at := NULL;
	RETURN NEW;
END
$$;
CREATE TRIGGER meta_reconnected BEFORE UPDATE ON gv.meta_connections FOR EACH ROW
	WHEN ((OLD.access_token, OLD.access_token_set_at, OLD.connected_at, OLD.disconnected_at)
	      IS DISTINCT FROM (NEW.access_token, NEW.access_token_set_at, NEW.connected_at, NEW.disconnected_at))
	EXECUTE FUNCTION gv.meta_reconnected();

CREATE TABLE gv.ad_sets (
	tenant_id          uuid        NOT NULL REFERENCES gv.tenants,
	adset_id           text        NOT NULL CHECK (adset_id <> ''),
	account_id         text        NOT NULL,
	campaign_id        text        NOT NULL,
	name               text        NOT NULL DEFAULT '',
	status             text        NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE', 'PAUSED', 'ARCHIVED', 'DELETED')),
	daily_budget_minor bigint      CHECK (daily_budget_minor >= 0),
	PRIMARY KEY (tenant_id, adset_id),
	FOREIGN KEY (tenant_id, campaign_id) REFERENCES gv.campaigns
);
COMMENT ON TABLE gv.ad_sets IS 'As Meta has them. An ad that is alone in its ad set has the set''s budget in gv.ads, too.';
COMMENT ON COLUMN gv.ad_sets.daily_budget_minor IS 'null where the campaign holds the budget, or it is not a daily one.';
CREATE INDEX ad_sets_campaign ON gv.ad_sets (tenant_id, campaign_id);
CALL gv.protect('gv.ad_sets', 'SELECT, INSERT, UPDATE', 'SELECT');

ALTER TABLE gv.campaigns ADD COLUMN from_meta boolean NOT NULL DEFAULT false;
ALTER TABLE gv.ads ADD COLUMN from_meta boolean NOT NULL DEFAULT false;
ALTER TABLE gv.ad_metrics
	ADD COLUMN from_meta       boolean NOT NULL DEFAULT false,
	ADD COLUMN value_from_meta boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN gv.ads.from_meta IS 'Meta has listed it: where it does no more, it was archived or deleted there.';
COMMENT ON COLUMN gv.ad_metrics.from_meta IS 'Meta told the day''s figures: where it takes the day back, they go.';
COMMENT ON COLUMN gv.ad_metrics.value_from_meta IS 'Its conversions and their value, too; false where an import knew them and Meta does not.';
