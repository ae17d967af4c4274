-- What has had its time goes, as the relay clears it: finished changes and the
-- requests they came from, and the reports of sweeps. The history of what was done
-- on the platform stays.

GRANT DELETE ON gv.pending_ad_changes, gv.change_requests, gv.sweeps TO gv_worker;
CREATE INDEX pending_ad_changes_finished ON gv.pending_ad_changes (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX change_requests_old ON gv.change_requests (created_at);
CREATE INDEX sweeps_old ON gv.sweeps (completed_at);
