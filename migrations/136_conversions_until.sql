SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '110s';

-- A click asks whether any conversion comes after it: nearly always none does.
CREATE INDEX conversions_until ON gv.conversions (tenant_id, converted_until);
