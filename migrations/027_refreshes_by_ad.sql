-- A sweep asks of each tired ad when its creative was last replaced. Without an
-- index by ad it read all of a tenant's requests for every one of them.
CREATE INDEX refreshes_ad ON gv.refreshes (tenant_id, ad_id, requested_at DESC);
