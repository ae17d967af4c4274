-- Whether Meta still learns how to deliver an ad set: its figures swing then, and
-- a tiring ad is no more than one explanation.

ALTER TABLE gv.ad_sets ADD COLUMN learning boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN gv.ad_sets.learning IS 'Meta''s learning_stage_info says LEARNING.';
