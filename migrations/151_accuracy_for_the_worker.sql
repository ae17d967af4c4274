SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '110s';

-- The relay measures how accurate predictions are, over all tenants.

CREATE POLICY worker ON gv.learning_steps TO gv_worker USING (true) WITH CHECK (true);
GRANT SELECT ON gv.learning_steps TO gv_worker;
