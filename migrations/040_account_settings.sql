-- How a tenant runs an ad account: what a conversion without a value is worth,
-- when a sale pays for its ad, how a deal's credit is shared, how long clicks are
-- kept, and what is written into the CRM.

ALTER TABLE gv.accounts
	ADD COLUMN conversion_value_minor bigint  CHECK (conversion_value_minor BETWEEN 0 AND 1000000000000000),
	ADD COLUMN break_even             float8  CHECK (break_even > 0 AND break_even <= 1000000),
	ADD COLUMN margin                 float8  CHECK (margin > 0 AND margin <= 1),
	ADD COLUMN attribution_model      text    NOT NULL DEFAULT 'last' CHECK (attribution_model IN ('last', 'first', 'position')),
	ADD COLUMN click_retention_days   integer NOT NULL DEFAULT 90 CHECK (click_retention_days BETWEEN 8 AND 400),
	ADD COLUMN lead_property          text    NOT NULL DEFAULT '' CHECK (lead_property ~ '^([a-z][a-z0-9_]{0,99})?$'),
	ADD COLUMN write_back             boolean NOT NULL DEFAULT false,
	ADD CONSTRAINT accounts_break_even_or_margin CHECK (break_even IS NULL OR margin IS NULL);
COMMENT ON COLUMN gv.accounts.conversion_value_minor IS 'What a conversion without a value of its own is taken to be worth, in minor units; null where nobody said, and then it is worth 0.';
COMMENT ON COLUMN gv.accounts.break_even IS 'The pipeline ROAS at which a sale pays for its ad; null where nobody said, and then it is 1/margin, or 1.';
COMMENT ON COLUMN gv.accounts.margin IS 'The share of a sale that is left after its own costs: break_even is 1/margin. Never beside break_even.';
COMMENT ON COLUMN gv.accounts.attribution_model IS 'Which of a contact''s clicks before its first conversion get a deal''s credit: the last, the first, or all by position.';
COMMENT ON COLUMN gv.accounts.click_retention_days IS 'Days after which a click of this account''s ads that no deal is credited to is deleted. A click of an ad that is not known goes by the tenant''s longest.';
COMMENT ON COLUMN gv.accounts.lead_property IS 'The CRM''s contact property that holds the id of a Meta lead; empty where none does. A contact is looked at for each name that any account of the tenant has.';
COMMENT ON COLUMN gv.accounts.write_back IS 'Whether the credited ad is written into the deals of this account''s ads in the CRM.';
COMMENT ON COLUMN gv.accounts.settings IS 'Thresholds that the tenant changed, in units: gemini_daily_cap_usd, verdict_spend, winner_roas, winner_spend.';
