-- What the oracle needs beside a model: on how much data it was trained, and why
-- it serves or does not.

ALTER TABLE gv.model_registry ADD COLUMN basis jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(basis) = 'object');
ALTER TABLE gv.model_registry ADD COLUMN verdict text NOT NULL DEFAULT '';
COMMENT ON COLUMN gv.model_registry.account_id IS 'The account that it is for; empty: any account of the tenant.';
COMMENT ON COLUMN gv.model_registry.basis IS 'Sums over the data that it was trained on, to tell cheaply when there is enough new to learn from.';
COMMENT ON COLUMN gv.model_registry.verdict IS 'Why it became the champion, or did not.';
CREATE INDEX model_registry_newest ON gv.model_registry (tenant_id, account_id, name, trained_at DESC);
-- Old challengers go, so that a table of models stays small.
GRANT DELETE ON gv.model_registry TO gv_app, gv_worker;
