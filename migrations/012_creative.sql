-- Videos, the plans written for them, and requests to replace a tired creative.

CREATE TABLE gv.videos (
	tenant_id     uuid        NOT NULL REFERENCES gv.tenants,
	video_id      uuid        NOT NULL DEFAULT gen_random_uuid(),
	uri           text        NOT NULL CHECK (uri <> ''),
	content_type  text        NOT NULL,
	size_bytes    bigint      NOT NULL CHECK (size_bytes >= 0),
	status        text        NOT NULL DEFAULT 'uploaded' CHECK (status IN ('uploaded', 'analyzing', 'analyzed', 'failed')),
	creative_dna  jsonb       CHECK (jsonb_typeof(creative_dna) = 'object'),
	failure       text,
	generated_by  text,
	uploaded_by   text        NOT NULL,
	created_at    timestamptz NOT NULL DEFAULT now(),
	analyzed_at   timestamptz,
	PRIMARY KEY (tenant_id, video_id),
	CHECK ((status = 'analyzed') = (creative_dna IS NOT NULL)),
	CHECK (status <> 'failed' OR failure IS NOT NULL)
);
CREATE INDEX videos_recent ON gv.videos (tenant_id, created_at DESC);
CALL gv.protect('gv.videos', 'SELECT, INSERT, UPDATE');

CREATE TABLE gv.plans (
	tenant_id    uuid        NOT NULL REFERENCES gv.tenants,
	plan_id      uuid        NOT NULL DEFAULT gen_random_uuid(),
	account_id   text        NOT NULL,
	video_id     text,
	ad_id        text,
	refresh_id   uuid,
	kind         text        NOT NULL CHECK (kind IN ('battle_plan', 'fix_plan')),
	plan         jsonb       NOT NULL,
	generated_by text        NOT NULL,
	request_key  text        NOT NULL,
	created_at   timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, plan_id),
	UNIQUE (tenant_id, request_key)
);
CREATE INDEX plans_recent ON gv.plans (tenant_id, created_at DESC);
CALL gv.protect('gv.plans', 'SELECT, INSERT');

CREATE TABLE gv.refreshes (
	tenant_id    uuid        NOT NULL REFERENCES gv.tenants,
	refresh_id   uuid        NOT NULL DEFAULT gen_random_uuid(),
	ad_id        text        NOT NULL,
	reason       text        NOT NULL,
	status       text        NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'planned', 'failed')),
	failure      text,
	requested_by text        NOT NULL,
	requested_at timestamptz NOT NULL DEFAULT now(),
	finished_at  timestamptz,
	PRIMARY KEY (tenant_id, refresh_id)
);
CREATE UNIQUE INDEX refreshes_open ON gv.refreshes (tenant_id, ad_id) WHERE status = 'queued';
CREATE INDEX refreshes_recent ON gv.refreshes (tenant_id, requested_at DESC);
CALL gv.protect('gv.refreshes', 'SELECT, INSERT, UPDATE', 'SELECT, INSERT');
