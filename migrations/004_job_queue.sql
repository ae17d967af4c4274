-- The plumbing of at-least-once delivery: what has been handled (inbox), what is
-- still to be sent (outbox), what could not be handled (dead letters), who may
-- run (leases), and which writes a caller has already made (idempotency keys).

CREATE TABLE gv.inbox (
	tenant_id   uuid        NOT NULL REFERENCES gv.tenants,
	consumer    text        NOT NULL,
	event_key   text        NOT NULL CHECK (event_key <> ''),
	subject     text,
	received_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, consumer, event_key)
);
COMMENT ON COLUMN gv.inbox.subject IS 'Whose event it was, such as contact/77, so that an erasure finds it.';
CREATE INDEX inbox_old ON gv.inbox (received_at);
CREATE INDEX inbox_subject ON gv.inbox (tenant_id, subject) WHERE subject IS NOT NULL;
CALL gv.protect('gv.inbox', 'SELECT, INSERT, DELETE', 'SELECT, DELETE');

CREATE TABLE gv.outbox (
	message_id   uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
	tenant_id    uuid        NOT NULL REFERENCES gv.tenants,
	topic        text        NOT NULL CHECK (topic <> ''),
	data         bytea       NOT NULL,
	attributes   jsonb       NOT NULL DEFAULT '{}',
	subject      text,
	attempt      integer     NOT NULL DEFAULT 0 CHECK (attempt >= 0),
	due_at       timestamptz NOT NULL DEFAULT now(),
	last_error   text,
	created_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN gv.outbox.due_at IS 'When it may be (re)sent: a claim moves it ahead, which makes the claim a lease.';
CREATE INDEX outbox_due ON gv.outbox (due_at);
CREATE INDEX outbox_tenant_due ON gv.outbox (tenant_id, due_at);
CREATE INDEX outbox_subject ON gv.outbox (tenant_id, subject) WHERE subject IS NOT NULL;
CALL gv.protect('gv.outbox', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, UPDATE, DELETE');

CREATE TABLE gv.dead_letters (
	dead_letter_id uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
	tenant_id      uuid        REFERENCES gv.tenants,
	topic          text        NOT NULL CHECK (topic <> ''),
	message_id     text        NOT NULL CHECK (message_id <> ''),
	data           bytea       NOT NULL,
	attributes     jsonb       NOT NULL DEFAULT '{}',
	subject        text,
	reason         text        NOT NULL CHECK (reason <> ''),
	attempts       integer     NOT NULL DEFAULT 1 CHECK (attempts >= 0),
	received_at    timestamptz NOT NULL DEFAULT now(),
	replayed_at    timestamptz,
	replayed_by    text,
	UNIQUE (topic, message_id)
);
COMMENT ON COLUMN gv.dead_letters.tenant_id IS 'null where the message does not tell whose it is; then only operators see it.';
CREATE INDEX dead_letters_recent ON gv.dead_letters (tenant_id, received_at DESC, dead_letter_id);
CREATE INDEX dead_letters_subject ON gv.dead_letters (tenant_id, subject) WHERE subject IS NOT NULL;
CALL gv.protect('gv.dead_letters', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE');

CREATE TABLE gv.leases (
	name       text        PRIMARY KEY CHECK (name <> ''),
	tenant_id  uuid        REFERENCES gv.tenants,
	token      uuid        NOT NULL,
	expires_at timestamptz NOT NULL
);
COMMENT ON TABLE gv.leases IS 'Locks are rows: sessions do not survive a transaction pooler.';
CALL gv.protect('gv.leases', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE gv.idempotency_keys (
	tenant_id  uuid        NOT NULL REFERENCES gv.tenants,
	operation  text        NOT NULL,
	key        text        NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
	body_hash  bytea       NOT NULL,
	answer     bytea       NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, operation, key)
);
COMMENT ON TABLE gv.idempotency_keys IS 'Written in the transaction of the effect itself, so there is never one without the other; kept 24 hours.';
CREATE INDEX idempotency_keys_old ON gv.idempotency_keys (created_at);
CALL gv.protect('gv.idempotency_keys', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, DELETE');
