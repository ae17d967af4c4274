-- Whether a deal was ever credited to an ad follows from gv.deal_touches, whose
-- rows outlive the deal. The column depended on the order of events; nothing
-- reads it any more, and a later migration drops it.

COMMENT ON COLUMN gv.ads.deal_credited IS 'No longer read or written: gv.deal_touches says which deals were credited to the ad.';
