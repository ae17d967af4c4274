-- How much of what an exact search finds the index finds, measured now and then.

CREATE TABLE gv.search_recall (
	tenant_id   uuid             NOT NULL REFERENCES gv.tenants,
	model       text             NOT NULL CHECK (model <> ''),
	recall      double precision NOT NULL CHECK (recall BETWEEN 0 AND 1),
	sampled     integer          NOT NULL CHECK (sampled > 0),
	winners     bigint           NOT NULL CHECK (winners >= 0),
	measured_at timestamptz      NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, model)
);
COMMENT ON TABLE gv.search_recall IS 'The last measurement: of the ten nearest to some of the tenant''s own vectors, the share that a search through the index finds.';
COMMENT ON COLUMN gv.search_recall.winners IS 'How many there were then: one that has grown is measured anew.';
CALL gv.protect('gv.search_recall', 'SELECT, INSERT, UPDATE');
