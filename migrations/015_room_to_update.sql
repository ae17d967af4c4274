-- An ad's figures are settled again and again, and none of them is indexed: with
-- room on the page an update stays on it and touches no index.

ALTER TABLE gv.ads SET (fillfactor = 70);
