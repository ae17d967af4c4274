-- Ad accounts, campaigns, ads, and what is known of how they did.

CREATE TABLE gv.accounts (
	tenant_id  uuid        NOT NULL REFERENCES gv.tenants,
	account_id text        NOT NULL CHECK (account_id <> ''),
	name       text        NOT NULL DEFAULT '',
	currency   text        NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z]{3}$'),
	time_zone  text        NOT NULL DEFAULT 'Etc/UTC',
	niche      text        NOT NULL DEFAULT '',
	mode       text        NOT NULL DEFAULT 'dry_run' CHECK (mode IN ('dry_run', 'approval', 'live')),
	paused     boolean     NOT NULL DEFAULT false,
	settings   jsonb       NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, account_id)
);
COMMENT ON COLUMN gv.accounts.settings IS 'Thresholds that the tenant changed: verdict_spend, winner_roas, winner_spend.';
CALL gv.protect('gv.accounts', 'SELECT, INSERT, UPDATE', 'SELECT');

CREATE TABLE gv.campaigns (
	tenant_id          uuid        NOT NULL REFERENCES gv.tenants,
	campaign_id        text        NOT NULL CHECK (campaign_id <> ''),
	account_id         text        NOT NULL,
	name               text        NOT NULL DEFAULT '',
	status             text        NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE', 'PAUSED', 'ARCHIVED', 'DELETED')),
	daily_budget_minor bigint      CHECK (daily_budget_minor >= 0),
	created_at         timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, campaign_id),
	FOREIGN KEY (tenant_id, account_id) REFERENCES gv.accounts
);
COMMENT ON COLUMN gv.campaigns.daily_budget_minor IS 'Where the campaign itself holds the budget; null where its ad sets do.';
CREATE INDEX campaigns_account ON gv.campaigns (tenant_id, account_id);
CALL gv.protect('gv.campaigns', 'SELECT, INSERT, UPDATE', 'SELECT');

CREATE TABLE gv.ads (
	tenant_id              uuid        NOT NULL REFERENCES gv.tenants,
	ad_id                  text        NOT NULL CHECK (ad_id <> ''),
	account_id             text        NOT NULL,
	campaign_id            text        NOT NULL,
	adset_id               text        NOT NULL DEFAULT '',
	name                   text        NOT NULL DEFAULT '',
	status                 text        NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE', 'PAUSED', 'ARCHIVED', 'DELETED')),
	daily_budget_minor     bigint      CHECK (daily_budget_minor >= 0),
	creative_dna           jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(creative_dna) = 'object'),
	impressions            bigint      NOT NULL DEFAULT 0 CHECK (impressions >= 0),
	clicks                 bigint      NOT NULL DEFAULT 0 CHECK (clicks >= 0),
	spend_minor            bigint      NOT NULL DEFAULT 0 CHECK (spend_minor >= 0),
	pipeline_minor         bigint      NOT NULL DEFAULT 0 CHECK (pipeline_minor >= 0),
	revenue_minor          bigint      NOT NULL DEFAULT 0 CHECK (revenue_minor >= 0),
	attribution_confidence real        NOT NULL DEFAULT 1 CHECK (attribution_confidence BETWEEN 0 AND 1),
	value_source           text        NOT NULL DEFAULT 'none' CHECK (value_source IN ('none', 'ledger', 'feedback', 'import')),
	fatigue_status         text        NOT NULL DEFAULT 'INSUFFICIENT_DATA' CHECK (fatigue_status IN
		('HEALTHY', 'FATIGUING', 'SATURATED', 'AUDIENCE_EXHAUSTED', 'INSUFFICIENT_DATA')),
	fatigue_checked_at     timestamptz,
	is_winner              boolean     NOT NULL DEFAULT false,
	created_at             timestamptz NOT NULL DEFAULT now(),
	updated_at             timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, ad_id),
	FOREIGN KEY (tenant_id, account_id) REFERENCES gv.accounts,
	FOREIGN KEY (tenant_id, campaign_id) REFERENCES gv.campaigns,
	CHECK (clicks <= impressions)
);
COMMENT ON COLUMN gv.ads.impressions IS 'Totals to date, settled from gv.ad_metrics and gv.ad_figures; never incremented.';
COMMENT ON COLUMN gv.ads.pipeline_minor IS 'Present value of the ad''s deals, won ones included; revenue_minor is the won part.';
COMMENT ON COLUMN gv.ads.value_source IS 'Where pipeline_minor comes from: the ledger decides, else feedback, else an import.';
COMMENT ON COLUMN gv.ads.attribution_confidence IS 'Mean confidence of the deals'' attribution, weighted by their value.';
CREATE INDEX ads_campaign ON gv.ads (tenant_id, campaign_id);
CREATE INDEX ads_account ON gv.ads (tenant_id, account_id, status);
CREATE INDEX ads_adset ON gv.ads (tenant_id, adset_id) WHERE adset_id <> '';
CREATE INDEX ads_active ON gv.ads (tenant_id, ad_id) WHERE status = 'ACTIVE';
CALL gv.protect('gv.ads', 'SELECT, INSERT, UPDATE', 'SELECT, UPDATE');

CREATE TABLE gv.ad_metrics (
	tenant_id   uuid    NOT NULL REFERENCES gv.tenants,
	ad_id       text    NOT NULL,
	day         date    NOT NULL,
	impressions bigint  NOT NULL CHECK (impressions >= 0),
	clicks      bigint  NOT NULL CHECK (clicks >= 0),
	spend_minor bigint  NOT NULL CHECK (spend_minor >= 0),
	frequency   real    CHECK (frequency >= 0),
	reach       bigint  CHECK (reach >= 0),
	conversions bigint  NOT NULL DEFAULT 0 CHECK (conversions >= 0),
	value_minor bigint  NOT NULL DEFAULT 0 CHECK (value_minor >= 0),
	PRIMARY KEY (tenant_id, ad_id, day),
	FOREIGN KEY (tenant_id, ad_id) REFERENCES gv.ads,
	CHECK (clicks <= impressions)
);
COMMENT ON COLUMN gv.ad_metrics.day IS 'In the ad account''s time zone.';
COMMENT ON COLUMN gv.ad_metrics.frequency IS 'Impressions per person that day; not additive over days.';
CREATE INDEX ad_metrics_day ON gv.ad_metrics (day, tenant_id, ad_id);
CALL gv.protect('gv.ad_metrics', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE');

CREATE TABLE gv.ad_figures (
	tenant_id      uuid        NOT NULL REFERENCES gv.tenants,
	ad_id          text        NOT NULL,
	source         text        NOT NULL CHECK (source IN ('import', 'feedback')),
	impressions    bigint      CHECK (impressions >= 0),
	clicks         bigint      CHECK (clicks >= 0),
	spend_minor    bigint      CHECK (spend_minor >= 0),
	leads          bigint      CHECK (leads >= 0),
	conversions    bigint      CHECK (conversions >= 0),
	pipeline_minor bigint      CHECK (pipeline_minor >= 0),
	revenue_minor  bigint      CHECK (revenue_minor >= 0),
	observed_at    timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, ad_id, source),
	FOREIGN KEY (tenant_id, ad_id) REFERENCES gv.ads,
	CHECK (clicks <= impressions)
);
COMMENT ON TABLE gv.ad_figures IS 'Totals to date that somebody told us, the latest by source: an undated import, or feedback.';
COMMENT ON COLUMN gv.ad_figures.conversions IS 'Approved conversions: valued as closed_won where no value is given.';
CALL gv.protect('gv.ad_figures', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE gv.observations (
	tenant_id      uuid             NOT NULL, -- no foreign key: 10,000 rows a request, and the decision beside them has one
	ad_id          text             NOT NULL CHECK (ad_id <> ''),
	observation_id bigint           GENERATED ALWAYS AS IDENTITY,
	age_hours      double precision NOT NULL CHECK (age_hours >= 0),
	impressions    bigint           NOT NULL CHECK (impressions >= 0),
	clicks         bigint           NOT NULL CHECK (clicks >= 0),
	spend          double precision NOT NULL CHECK (spend >= 0),
	pipeline_value double precision NOT NULL CHECK (pipeline_value >= 0),
	cash_revenue   double precision CHECK (cash_revenue >= 0),
	observed_at    timestamptz      NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, ad_id, observation_id),
	CHECK (clicks <= impressions)
);
COMMENT ON TABLE gv.observations IS 'What earlier requests said of an ad, stored or not; its clock is the ad''s age. Money in units, as it was said.';
COMMENT ON COLUMN gv.observations.cash_revenue IS 'null where the caller did not say how much of the pipeline value is won.';
CREATE INDEX observations_old ON gv.observations (observed_at);
CALL gv.protect('gv.observations', 'SELECT, INSERT, DELETE', 'SELECT, DELETE');
