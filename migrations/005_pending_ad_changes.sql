-- Changes that wait for their time, an approval, or the executor.

CREATE TABLE gv.pending_ad_changes (
	change_id     uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
	tenant_id     uuid        NOT NULL REFERENCES gv.tenants,
	request_key   text        NOT NULL CHECK (request_key <> ''),
	account_id    text        NOT NULL,
	campaign_id   text        NOT NULL,
	ad_id         text        NOT NULL,
	budget_object text        NOT NULL,
	kind          text        NOT NULL CHECK (kind IN ('budget', 'status')),
	before_minor  bigint      CHECK (before_minor >= 0),
	target_minor  bigint      CHECK (target_minor >= 0),
	target_status text        CHECK (target_status IN ('ACTIVE', 'PAUSED')),
	reason        text        NOT NULL,
	source        text        NOT NULL CHECK (source IN ('allocate', 'fatigue', 'learning', 'member', 'undo')),
	decision_id   uuid,
	requested_by  text        NOT NULL,
	status        text        NOT NULL DEFAULT 'pending' CHECK (status IN
		('pending', 'awaiting_approval', 'applying', 'unknown', 'applied', 'dry_run', 'held', 'failed', 'rejected', 'superseded', 'undone')),
	plan_digest   bytea,
	approved_by   text,
	held_reason   text,
	due_at        timestamptz NOT NULL DEFAULT now(),
	lease_token   uuid,
	lease_until   timestamptz,
	attempt       integer     NOT NULL DEFAULT 0 CHECK (attempt >= 0),
	created_at    timestamptz NOT NULL DEFAULT now(),
	finished_at   timestamptz,
	UNIQUE (tenant_id, request_key),
	CHECK ((kind = 'budget') = (target_minor IS NOT NULL)),
	CHECK ((kind = 'status') = (target_status IS NOT NULL))
);
COMMENT ON COLUMN gv.pending_ad_changes.request_key IS 'What makes a repeated request the same change.';
COMMENT ON COLUMN gv.pending_ad_changes.plan_digest IS 'What an approval approves: exactly this plan and nothing else.';
CREATE UNIQUE INDEX pending_ad_changes_open ON gv.pending_ad_changes (tenant_id, budget_object, kind)
	WHERE status IN ('pending', 'awaiting_approval', 'applying', 'unknown');
CREATE INDEX pending_ad_changes_due ON gv.pending_ad_changes (due_at) WHERE status IN ('pending', 'applying', 'unknown');
CREATE INDEX pending_ad_changes_list ON gv.pending_ad_changes (tenant_id, status, created_at DESC);
CREATE INDEX pending_ad_changes_ad ON gv.pending_ad_changes (tenant_id, ad_id, created_at DESC);
CALL gv.protect('gv.pending_ad_changes', 'SELECT, INSERT, UPDATE', 'SELECT, INSERT, UPDATE');
