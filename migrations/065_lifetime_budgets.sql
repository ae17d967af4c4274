-- Lifetime budgets, which are refused when a change is queued, and undos that an
-- admin forces over somebody else's edit.

ALTER TABLE gv.campaigns ADD COLUMN lifetime_budget boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN gv.campaigns.lifetime_budget IS 'Meta says that it has a lifetime budget: no daily budget of it or of its ad sets can be changed.';
ALTER TABLE gv.ad_sets ADD COLUMN lifetime_budget boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN gv.ad_sets.lifetime_budget IS 'Meta says that it has a lifetime budget: it has no daily budget to change.';

ALTER TABLE gv.pending_ad_changes ADD COLUMN forced boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN gv.pending_ad_changes.forced IS 'An admin wants this undo although somebody else edited the object since.';
CREATE INDEX pending_ad_changes_undo ON gv.pending_ad_changes (tenant_id, undo_of) WHERE undo_of IS NOT NULL;
