-- Backfill and reconcile: how far a connected portal's deals have been read, by
-- which run, and what each run had to repair. functions/reconcile claims the rows
-- that are due.

CREATE TABLE gv.crm_syncs (
	tenant_id            uuid        NOT NULL REFERENCES gv.tenants,
	portal_id            bigint      NOT NULL,
	due_at               timestamptz NOT NULL DEFAULT now(),
	requested_by         text        NOT NULL DEFAULT 'connected',
	claim                uuid,
	claimed_until        timestamptz,
	phase                text        NOT NULL DEFAULT 'deals' CHECK (phase IN ('deals', 'contacts', 'compare')),
	deals_at             timestamptz,
	deals_after          bigint      NOT NULL DEFAULT 0,
	contacts_at          timestamptz,
	contacts_after       bigint      NOT NULL DEFAULT 0,
	compare_after        bigint      NOT NULL DEFAULT 0,
	backfill_state       text        NOT NULL DEFAULT 'waiting' CHECK (backfill_state IN ('waiting', 'running', 'completed', 'cancelled')),
	backfill_days        integer     NOT NULL DEFAULT 540 CHECK (backfill_days BETWEEN 1 AND 3650),
	backfill_since       timestamptz,
	backfill_total       integer     CHECK (backfill_total >= 0),
	backfill_read        integer     NOT NULL DEFAULT 0 CHECK (backfill_read >= 0),
	backfill_started_at  timestamptz,
	backfill_finished_at timestamptz,
	run_started_at       timestamptz,
	run_seen             integer     NOT NULL DEFAULT 0 CHECK (run_seen >= 0),
	run_repaired         integer     NOT NULL DEFAULT 0 CHECK (run_repaired >= 0),
	run_gone             integer     NOT NULL DEFAULT 0 CHECK (run_gone >= 0),
	last_started_at      timestamptz,
	last_finished_at     timestamptz,
	last_seen            integer     NOT NULL DEFAULT 0 CHECK (last_seen >= 0),
	last_repaired        integer     NOT NULL DEFAULT 0 CHECK (last_repaired >= 0),
	last_gone            integer     NOT NULL DEFAULT 0 CHECK (last_gone >= 0),
	repaired_total       bigint      NOT NULL DEFAULT 0 CHECK (repaired_total >= 0),
	last_error           text,
	last_error_at        timestamptz,
	PRIMARY KEY (tenant_id, portal_id),
	FOREIGN KEY (tenant_id, portal_id) REFERENCES gv.hubspot_connections
);
COMMENT ON TABLE gv.crm_syncs IS 'One row per connected portal: the position of its backfill or reconcile, and the results of the last run.';
COMMENT ON COLUMN gv.crm_syncs.due_at IS 'When the next run may begin: an hour after the last one, or at once on request.';
COMMENT ON COLUMN gv.crm_syncs.claim IS 'The run that works on the portal until claimed_until; a run that lost its claim writes nothing more.';
COMMENT ON COLUMN gv.crm_syncs.deals_at IS 'Deals whose last change in the CRM is before this are read; those changed at this very time up to the id deals_after.';
COMMENT ON COLUMN gv.crm_syncs.compare_after IS 'The largest deal id that the comparison of ids has passed; 0 at its beginning.';
COMMENT ON COLUMN gv.crm_syncs.run_repaired IS 'Deals of the run under way whose ledger rows differed from the CRM; run_gone of them no longer exist there.';
CREATE INDEX crm_syncs_due ON gv.crm_syncs (due_at);
CALL gv.protect('gv.crm_syncs', 'SELECT, INSERT, UPDATE', 'SELECT, INSERT, UPDATE');
