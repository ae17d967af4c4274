SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '110s';

-- What a decision expects, beside its total: a list shows it without opening the answer.

ALTER TABLE gv.decisions
	ADD COLUMN expected_return_minor double precision,
	ADD COLUMN expected_gain_minor   double precision;
COMMENT ON COLUMN gv.decisions.expected_return_minor IS 'Posterior mean of the pipeline value that a day of the split finally brings, in minor units; NULL for decisions before migration 130.';
COMMENT ON COLUMN gv.decisions.expected_gain_minor IS 'expected_return_minor less the same of the budgets before the split; NULL for decisions before migration 130.';
