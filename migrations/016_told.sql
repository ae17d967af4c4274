-- What earlier requests told of an ad used to be a row for each ad and request,
-- without end: an account of 10,000 ads asked about every hour wrote 96 million
-- rows before the first was old enough to go, and every one cost an index entry.
-- Now a tenant has a fixed number of shelves; an ad's latest observations stand on
-- one of them.

CREATE TABLE gv.told (
	tenant_id    uuid        NOT NULL REFERENCES gv.tenants,
	shelf        smallint    NOT NULL CHECK (shelf >= 0),
	version      bigint      NOT NULL CHECK (version > 0),
	ads          integer     NOT NULL CHECK (ads >= 0),
	observations integer     NOT NULL CHECK (observations >= 0),
	seen         bytea       NOT NULL,
	updated_at   timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, shelf)
);
-- A shelf is read and written whole, and its numbers hardly get smaller.
ALTER TABLE gv.told ALTER COLUMN seen SET STORAGE EXTERNAL;
COMMENT ON TABLE gv.told IS 'What earlier requests said of ads, stored or not; an ad''s shelf is a hash of its id.';
COMMENT ON COLUMN gv.told.version IS 'Rises with every change: who has read a shelf knows whether it is still that one.';
COMMENT ON COLUMN gv.told.seen IS 'The ads by id, each with its latest observations in the order of arrival; functions/allocate/shelf.go has the form. Money in units, as it was said.';
CALL gv.protect('gv.told', 'SELECT, INSERT, UPDATE', 'SELECT, DELETE');

DROP TABLE gv.observations;
