-- An import is a function of its rows: each row has a key, and the same key in a
-- later import replaces it. A day without a breakdown is its own row in
-- gv.ad_metrics, totals to date in gv.ad_figures; periods of several days and the
-- parts of a breakdown get tables here.

CREATE TABLE gv.ad_periods (
	tenant_id              uuid    NOT NULL REFERENCES gv.tenants,
	ad_id                  text    NOT NULL,
	first_day              date    NOT NULL,
	last_day               date    NOT NULL,
	impressions            bigint  NOT NULL CHECK (impressions >= 0),
	clicks                 bigint  NOT NULL CHECK (clicks >= 0),
	spend_minor            bigint  NOT NULL CHECK (spend_minor >= 0),
	leads                  bigint  CHECK (leads >= 0),
	conversions            bigint  CHECK (conversions >= 0),
	pipeline_minor         bigint  CHECK (pipeline_minor >= 0),
	revenue_minor          bigint  CHECK (revenue_minor >= 0),
	conversion_value_minor bigint  CHECK (conversion_value_minor >= 0),
	counted                boolean NOT NULL DEFAULT true,
	PRIMARY KEY (tenant_id, ad_id, first_day, last_day),
	FOREIGN KEY (tenant_id, ad_id) REFERENCES gv.ads,
	CHECK (first_day < last_day),
	CHECK (clicks <= impressions)
);
COMMENT ON TABLE gv.ad_periods IS 'Imported figures of several days together, in the ad account''s time zone. A single day is in gv.ad_metrics.';
COMMENT ON COLUMN gv.ad_periods.counted IS 'false where the period overlaps a shorter one or an imported day, which count instead.';
COMMENT ON COLUMN gv.ad_periods.conversion_value_minor IS 'What the import said that a conversion without a value is worth; null: what the account says.';
CALL gv.protect('gv.ad_periods', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE gv.report_parts (
	tenant_id      uuid   NOT NULL REFERENCES gv.tenants,
	ad_id          text   NOT NULL,
	first_day      date   NOT NULL,
	last_day       date   NOT NULL,
	part           uuid   NOT NULL,
	view           bigint NOT NULL,
	impressions    bigint NOT NULL CHECK (impressions >= 0),
	clicks         bigint NOT NULL CHECK (clicks >= 0),
	spend_minor    bigint NOT NULL CHECK (spend_minor >= 0),
	reach          bigint,
	frequency      double precision,
	leads          bigint,
	conversions    bigint,
	pipeline_minor bigint,
	revenue_minor  bigint,
	PRIMARY KEY (tenant_id, ad_id, first_day, last_day, part),
	FOREIGN KEY (tenant_id, ad_id) REFERENCES gv.ads
);
COMMENT ON TABLE gv.report_parts IS 'The rows of imported reports that a breakdown splits: an ad''s day, period or total is their sum.';
COMMENT ON COLUMN gv.report_parts.first_day IS '-infinity, as is last_day, where the figures are totals to date.';
COMMENT ON COLUMN gv.report_parts.part IS 'A hash of the breakdown''s values.';
COMMENT ON COLUMN gv.report_parts.view IS 'A hash of the breakdown''s columns. All parts of one ad and time have the same: a report that splits the same figures in another way replaces them.';
CALL gv.protect('gv.report_parts', 'SELECT, INSERT, UPDATE, DELETE');

ALTER TABLE gv.ad_metrics
	ADD COLUMN imported               boolean NOT NULL DEFAULT false,
	ADD COLUMN conversion_value_minor bigint CHECK (conversion_value_minor >= 0);
COMMENT ON COLUMN gv.ad_metrics.imported IS 'An import had this day, whether or not Meta has it too.';
COMMENT ON COLUMN gv.ad_metrics.conversion_value_minor IS 'What the import said that a conversion without a value is worth; null: what the account says.';
UPDATE gv.ad_metrics SET imported = true WHERE NOT from_meta;

ALTER TABLE gv.ad_figures ADD COLUMN conversion_value_minor bigint CHECK (conversion_value_minor >= 0);
COMMENT ON COLUMN gv.ad_figures.conversion_value_minor IS 'What the import said that a conversion without a value is worth; null: what the account says.';
COMMENT ON COLUMN gv.ad_figures.conversions IS 'Approved conversions; where no value is given each is worth conversion_value_minor, as an estimate.';

ALTER TABLE gv.ads
	ADD COLUMN assumed_minor bigint  NOT NULL DEFAULT 0 CHECK (assumed_minor >= 0),
	ADD COLUMN deal_credited boolean NOT NULL DEFAULT false,
	ADD COLUMN described_on  date,
	ADD COLUMN budget_on     date;
COMMENT ON COLUMN gv.ads.assumed_minor IS 'The part of pipeline_minor that is conversions times an assumed value. No ad is a winner by it.';
COMMENT ON COLUMN gv.ads.deal_credited IS 'The ledger has credited a deal to the ad at some time: its value is the ledger''s from then on, even where no deal is left.';
COMMENT ON COLUMN gv.ads.described_on IS 'The last day of the newest report that gave the name, status and campaign; null where none did.';
COMMENT ON COLUMN gv.ads.budget_on IS 'The last day of the report that gave the daily budget; null where the platform or a change of ours did.';
UPDATE gv.ads SET deal_credited = true WHERE value_source = 'ledger';

ALTER TABLE gv.campaigns
	ADD COLUMN described_on date,
	ADD COLUMN budget_on    date;
COMMENT ON COLUMN gv.campaigns.described_on IS 'The last day of the newest report that gave the name; null where none did.';
COMMENT ON COLUMN gv.campaigns.budget_on IS 'The last day of the report that gave the budget; null where the platform did.';
