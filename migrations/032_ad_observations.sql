-- gv.told held the observations of ads that allocation requests carried. It is
-- named by what is in it; an ad's bucket is a hash of its id.

ALTER TABLE gv.told RENAME TO ad_observations;
ALTER TABLE gv.ad_observations RENAME COLUMN shelf TO bucket;
ALTER TABLE gv.ad_observations RENAME COLUMN seen TO records;
ALTER TABLE gv.ad_observations RENAME CONSTRAINT told_pkey TO ad_observations_pkey;
ALTER TABLE gv.ad_observations RENAME CONSTRAINT told_tenant_id_fkey TO ad_observations_tenant_id_fkey;
ALTER TABLE gv.ad_observations RENAME CONSTRAINT told_shelf_check TO ad_observations_bucket_check;
ALTER TABLE gv.ad_observations RENAME CONSTRAINT told_version_check TO ad_observations_version_check;
ALTER TABLE gv.ad_observations RENAME CONSTRAINT told_ads_check TO ad_observations_ads_check;
ALTER TABLE gv.ad_observations RENAME CONSTRAINT told_observations_check TO ad_observations_observations_check;

COMMENT ON TABLE gv.ad_observations IS 'The latest observations of each ad that allocation requests carried, for stored ads and others. One row per tenant and bucket.';
COMMENT ON COLUMN gv.ad_observations.bucket IS 'A hash of the ad''s id: a tenant has a fixed number of rows, whatever the number of its ads.';
COMMENT ON COLUMN gv.ad_observations.version IS 'Rises with every write. A request that read an older version reads the bucket again before it writes.';
COMMENT ON COLUMN gv.ad_observations.records IS 'The bucket''s ads by id, each with its latest observations in the order of arrival, packed; money in units.';
COMMENT ON COLUMN gv.ads.impressions IS 'Totals to date: recomputed from gv.ad_metrics and gv.ad_figures, never incremented.';
COMMENT ON TABLE gv.gemini_days IS 'The spending caps of each day (UTC) are enforced here: a call reserves its cost before it is made and replaces it by the real cost afterwards.';
