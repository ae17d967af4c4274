-- Beside until when a fatigue cut forbids raises, above which amount: what the cut
-- leads to, whatever plan stands for it or has replaced it since.

ALTER TABLE gv.budget_objects ADD COLUMN no_raise_above bigint CHECK (no_raise_above >= 0);
COMMENT ON COLUMN gv.budget_objects.no_raise_above IS 'What the fatigue cut no_raise_by leads to, in minor units; null where that is not known: what the object has counts then.';
