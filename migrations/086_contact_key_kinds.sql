-- Every kind of click id that a contact is known by, and a lead form's id: an
-- earlier file named a shorter list than the one before it.

ALTER TABLE gv.contact_keys DROP CONSTRAINT contact_keys_kind_check;
ALTER TABLE gv.contact_keys ADD CONSTRAINT contact_keys_kind_check
	CHECK (kind IN ('click_id', 'fbclid', 'gclid', 'gbraid', 'wbraid', 'ttclid', 'fingerprint', 'lead_id'));
