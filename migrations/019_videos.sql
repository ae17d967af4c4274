-- What is known of a video before it is analysed, who analyses it, and files on
-- their way that no video stands for yet.

ALTER TABLE gv.videos
	ADD COLUMN name          text        NOT NULL DEFAULT '',
	ADD COLUMN object        text        NOT NULL DEFAULT '',
	ADD COLUMN generation    bigint      NOT NULL DEFAULT 0,
	ADD COLUMN content_key   text        CHECK (content_key <> ''),
	ADD COLUMN facts         jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(facts) = 'object'),
	ADD COLUMN attempts      integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
	ADD COLUMN waiting_for   text,
	ADD COLUMN claim         uuid,
	ADD COLUMN claimed_until timestamptz,
	ADD UNIQUE (tenant_id, content_key);
COMMENT ON COLUMN gv.videos.name IS 'What its owner calls the file; nothing goes by it.';
COMMENT ON COLUMN gv.videos.object IS 'The file''s name under the tenant''s prefix of the bucket.';
COMMENT ON COLUMN gv.videos.generation IS 'The state of the object that was checked: another one is another video.';
COMMENT ON COLUMN gv.videos.content_key IS 'What makes two uploads one video: the SHA-256 of its bytes, or the object and its generation.';
COMMENT ON COLUMN gv.videos.facts IS 'What the file says of itself: duration, size of the picture, sound.';
COMMENT ON COLUMN gv.videos.attempts IS 'How many analyses were begun since one was last asked for.';
COMMENT ON COLUMN gv.videos.waiting_for IS 'Why the analysis has to be tried again later; null where it has not.';
COMMENT ON COLUMN gv.videos.claim IS 'Which run analyses it, until claimed_until; a run that lost its claim writes nothing.';

-- A video that waits for the model has a status of its own, and one that is
-- analysed again keeps what is known until there is better.
ALTER TABLE gv.videos DROP CONSTRAINT videos_status_check, DROP CONSTRAINT videos_check;
ALTER TABLE gv.videos
	ADD CONSTRAINT videos_status_check CHECK (status IN ('uploaded', 'analyzing', 'waiting', 'analyzed', 'failed')),
	ADD CONSTRAINT videos_analyzed_check CHECK (status <> 'analyzed' OR creative_dna IS NOT NULL AND generated_by IS NOT NULL),
	ADD CONSTRAINT videos_waiting_check CHECK ((status = 'waiting') = (waiting_for IS NOT NULL));

CREATE TABLE gv.uploads (
	tenant_id    uuid        NOT NULL REFERENCES gv.tenants,
	upload_id    uuid        NOT NULL,
	object       text        NOT NULL CHECK (object <> ''),
	started_at   timestamptz NOT NULL DEFAULT now(),
	abandoned_at timestamptz,
	PRIMARY KEY (tenant_id, upload_id)
);
COMMENT ON TABLE gv.uploads IS 'Written before a file is; gone in the transaction that makes the file a video. What stays here is a file that nobody knows, to be removed.';
COMMENT ON COLUMN gv.uploads.abandoned_at IS 'Set before the file is removed: from then on it cannot become a video.';
CREATE INDEX uploads_leftover ON gv.uploads (tenant_id, started_at);
CALL gv.protect('gv.uploads', 'SELECT, INSERT, UPDATE, DELETE');
