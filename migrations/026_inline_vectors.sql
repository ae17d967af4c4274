-- An exact search reads every vector of a tenant. In the row itself, that is one
-- page after the other; moved out and compressed, a vector costs ten times as much
-- to fetch as to compare.

ALTER TABLE gv.winners ALTER COLUMN embedding SET STORAGE PLAIN;
