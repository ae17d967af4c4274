-- What the queue of changes needs beside its rows: what is known of each object
-- that holds money, which requests a change stands for, and a change's steps.

CREATE TABLE gv.budget_objects (
	tenant_id         uuid        NOT NULL REFERENCES gv.tenants,
	budget_object     text        NOT NULL CHECK (budget_object ~ '^(adset|ad)/.'),
	account_id        text        NOT NULL,
	campaign_id       text        NOT NULL,
	known_minor       bigint      CHECK (known_minor >= 0),
	known_status      text        NOT NULL DEFAULT '',
	known_at          timestamptz,
	foreign_at        timestamptz,
	foreign_was_minor bigint,
	foreign_minor     bigint,
	no_raise_until    timestamptz,
	no_raise_by       uuid,
	paused_by         uuid,
	decided_at        timestamptz,
	decided_by        uuid,
	PRIMARY KEY (tenant_id, budget_object)
);
COMMENT ON TABLE gv.budget_objects IS 'One row per ad set or ad that changes were decided for. Whoever decides or writes holds its row.';
COMMENT ON COLUMN gv.budget_objects.known_minor IS 'What it had when we last read, set or were told it: the daily budget, or under a campaign budget the spend cap.';
COMMENT ON COLUMN gv.budget_objects.foreign_at IS 'When an edit was found that is not ours; decisions made before it are not carried out.';
COMMENT ON COLUMN gv.budget_objects.no_raise_until IS 'The end of the 48 h after a fatigue cut; no_raise_by is that cut.';
COMMENT ON COLUMN gv.budget_objects.paused_by IS 'The change of ours that paused it; null where it runs, or somebody else paused it.';
COMMENT ON COLUMN gv.budget_objects.decided_at IS 'When the newest decision for it was made; an older one is refused.';
CALL gv.protect('gv.budget_objects', 'SELECT, INSERT, UPDATE', 'SELECT, INSERT, UPDATE');

CREATE TABLE gv.change_requests (
	tenant_id   uuid        NOT NULL REFERENCES gv.tenants,
	request_key text        NOT NULL CHECK (request_key <> ''),
	ad_id       text        NOT NULL,
	change_id   uuid        NOT NULL,
	source      text        NOT NULL,
	created_at  timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, request_key)
);
COMMENT ON TABLE gv.change_requests IS 'Which change a request became: one change of a shared ad set stands for the requests of several ads.';
CREATE INDEX change_requests_change ON gv.change_requests (tenant_id, change_id);
CREATE INDEX change_requests_ad ON gv.change_requests (tenant_id, ad_id, created_at DESC);
CALL gv.protect('gv.change_requests', 'SELECT, INSERT', 'SELECT, INSERT');

ALTER TABLE gv.pending_ad_changes
	DROP CONSTRAINT pending_ad_changes_kind_check,
	DROP CONSTRAINT pending_ad_changes_check,
	DROP CONSTRAINT pending_ad_changes_check1,
	ADD CONSTRAINT pending_ad_changes_kind CHECK (kind IN ('budget', 'status', 'spend_limits')),
	ADD CONSTRAINT pending_ad_changes_target CHECK ((kind = 'status') = (target_minor IS NULL)),
	ADD CONSTRAINT pending_ad_changes_target_status CHECK ((kind = 'status') = (target_status IS NOT NULL)),
	ADD COLUMN mode          text        NOT NULL DEFAULT 'dry_run' CHECK (mode IN ('dry_run', 'approval', 'live')),
	ADD COLUMN before_status text        NOT NULL DEFAULT '',
	ADD COLUMN splits        jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(splits) = 'object'),
	ADD COLUMN step_minor    bigint      CHECK (step_minor >= 0),
	ADD COLUMN step_before   bigint      CHECK (step_before >= 0),
	ADD COLUMN floor_minor   bigint      CHECK (floor_minor >= 0),
	ADD COLUMN steps         integer     NOT NULL DEFAULT 0 CHECK (steps >= 0),
	ADD COLUMN sends         integer     NOT NULL DEFAULT 0 CHECK (sends >= 0),
	ADD COLUMN sent_at       timestamptz,
	ADD COLUMN decided_at    timestamptz NOT NULL DEFAULT now(),
	ADD COLUMN approved_at   timestamptz,
	ADD COLUMN progress_at   timestamptz NOT NULL DEFAULT now(),
	ADD COLUMN undo_of       uuid,
	ADD COLUMN superseded_by uuid;
COMMENT ON COLUMN gv.pending_ad_changes.kind IS 'budget: an ad set''s daily budget; spend_limits: its share of a campaign''s budget; status: an ad runs or not.';
COMMENT ON COLUMN gv.pending_ad_changes.target_minor IS 'Where the steps lead in the end.';
COMMENT ON COLUMN gv.pending_ad_changes.mode IS 'The account''s mode when the change was queued; the more careful of this and today''s holds.';
COMMENT ON COLUMN gv.pending_ad_changes.splits IS 'By ad: its part of the target, in minor units.';
COMMENT ON COLUMN gv.pending_ad_changes.step_minor IS 'The absolute amount of the step that is, or was last, written; step_before is what it found.';
COMMENT ON COLUMN gv.pending_ad_changes.floor_minor IS 'The minimum spend that goes with the step''s cap, for spend_limits.';
COMMENT ON COLUMN gv.pending_ad_changes.steps IS 'Steps that were applied; sends are the tries of the present one.';
COMMENT ON COLUMN gv.pending_ad_changes.progress_at IS 'When it was queued, approved or last moved: what waits too long after that is held as stale.';

-- One change of an object waits and at most one is under way: what is under way
-- cannot be called back, and what waits can be replaced.
DROP INDEX gv.pending_ad_changes_open;
CREATE UNIQUE INDEX pending_ad_changes_waiting ON gv.pending_ad_changes (tenant_id, budget_object, kind)
	WHERE status IN ('pending', 'awaiting_approval');
CREATE UNIQUE INDEX pending_ad_changes_under_way ON gv.pending_ad_changes (tenant_id, budget_object)
	WHERE status IN ('applying', 'unknown');
CREATE INDEX pending_ad_changes_account ON gv.pending_ad_changes (tenant_id, account_id, due_at)
	WHERE status IN ('pending', 'applying', 'unknown');
CREATE INDEX pending_ad_changes_object ON gv.pending_ad_changes (tenant_id, budget_object, created_at DESC);

ALTER TABLE gv.ad_change_history
	ADD COLUMN before_status text    NOT NULL DEFAULT '',
	ADD COLUMN after_status  text    NOT NULL DEFAULT '',
	ADD COLUMN floor_minor   bigint  CHECK (floor_minor >= 0),
	ADD COLUMN attempt       integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
	ADD COLUMN mode          text    NOT NULL DEFAULT '';
COMMENT ON COLUMN gv.ad_change_history.duration_ms IS 'How long the platform took to take the write and to confirm it.';
CREATE INDEX ad_change_history_change ON gv.ad_change_history (tenant_id, change_id, at);
