-- Plans by account and by what asked for them; why the template wrote one.

ALTER TABLE gv.plans ADD COLUMN fallback_reason text;
ALTER TABLE gv.plans ADD COLUMN requested_by text NOT NULL DEFAULT '';
COMMENT ON COLUMN gv.plans.plan IS 'What the plan says and goes by: prediction, winners, hook, scenes and so on, as it is shown.';
COMMENT ON COLUMN gv.plans.fallback_reason IS 'Why the template wrote it and not a language model; null where a model did.';
COMMENT ON COLUMN gv.plans.request_key IS 'refresh/ID for a refresh, whose redelivery must write no second plan; else the plan''s own id, and the Idempotency-Key guards it.';
CREATE UNIQUE INDEX plans_refresh ON gv.plans (tenant_id, refresh_id) WHERE refresh_id IS NOT NULL;
CREATE INDEX plans_account ON gv.plans (tenant_id, account_id, created_at DESC);

COMMENT ON COLUMN gv.refreshes.failure IS 'Why it failed, or, while it is queued, why the last attempt did.';
