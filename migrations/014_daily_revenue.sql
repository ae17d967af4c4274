-- A day's value may hold more than what has been won.

ALTER TABLE gv.ad_metrics ADD COLUMN revenue_minor bigint CHECK (revenue_minor >= 0);
COMMENT ON COLUMN gv.ad_metrics.revenue_minor IS 'The won part of value_minor; null: all of it.';
