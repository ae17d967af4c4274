-- What the last sweep found of each ad stood in gv.ads, a wide row with four
-- indexes: writing it took longer than reading and judging the days behind it. Now
-- it has rows of its own, which are written only when they change.

CREATE TABLE gv.ad_fatigue (
	tenant_id  uuid        NOT NULL, -- no foreign key: a sweep writes 100,000 at once, of ads that it has just read
	ad_id      text        NOT NULL,
	status     text        NOT NULL CHECK (status IN ('HEALTHY', 'FATIGUING', 'SATURATED', 'AUDIENCE_EXHAUSTED', 'INSUFFICIENT_DATA')),
	changed_at timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, ad_id)
) WITH (fillfactor = 90);
COMMENT ON TABLE gv.ad_fatigue IS 'Each ad''s fatigue status as the last sweep found it; without a row it is INSUFFICIENT_DATA.';
COMMENT ON COLUMN gv.ad_fatigue.changed_at IS 'When the figures were read that it changed by.';
CALL gv.protect('gv.ad_fatigue', 'SELECT, INSERT, UPDATE', 'SELECT, INSERT, UPDATE');

INSERT INTO gv.ad_fatigue (tenant_id, ad_id, status, changed_at)
SELECT tenant_id, ad_id, fatigue_status, coalesce(fatigue_checked_at, now()) FROM gv.ads WHERE fatigue_status <> 'INSUFFICIENT_DATA';

-- They go when no function of before reads or writes them any more.
COMMENT ON COLUMN gv.ads.fatigue_status IS 'No longer written: see gv.ad_fatigue.';
COMMENT ON COLUMN gv.ads.fatigue_checked_at IS 'No longer written.';
