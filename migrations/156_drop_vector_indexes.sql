SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '110s';

-- Searches compare codes (155). A build of before compares all vectors where it finds no
-- HNSW index, so these can go.
DROP INDEX gv.winners_local, gv.winners_gemini_1, gv.winners_gemini_2;

-- What was measured is the recall of those indexes.
DELETE FROM gv.search_recall;
COMMENT ON TABLE gv.search_recall IS 'The last measurement: of the nearest that an exact search finds, the share that a search by codes finds.';
