-- The tables as tongbao 0.1.0 made them; the names of its steps are in `migrations`.

CREATE TABLE "migrations" (
    "name" varchar(80) NOT NULL, PRIMARY KEY ("name") );
CREATE TABLE "charges" (
    "id" blob NOT NULL, "app" varchar(40) NOT NULL, "mode" varchar(8) NOT NULL,
    "order_no" varchar(64) NOT NULL, "amount" integer NOT NULL, "subject" text NOT NULL,
    "body" text, "attach" text, "return_url" text, "client_ip" text, "metadata" text NOT NULL,
    "client_secret" varchar(255) NOT NULL, "created_at" integer NOT NULL,
    "amount_refunded" integer NOT NULL, "expires_at" integer NOT NULL,
    "status" varchar(16) NOT NULL, "reason" varchar(16), "ended_at" integer, "failure" text,
    "attempt" blob, "trade_no" varchar(64), "paid_at" integer, "payer" text, "remark" text,
    "events" integer NOT NULL, "version" integer NOT NULL, PRIMARY KEY ("id") );
insert into migrations (name) values ('0001_charges');
CREATE TABLE "attempts" (
    "charge" blob NOT NULL, "id" blob NOT NULL, "channel" varchar(40) NOT NULL,
    "account" varchar(80) NOT NULL, "out_trade_no" varchar(64) NOT NULL,
    "created_at" integer NOT NULL, "status" varchar(16) NOT NULL, "trade_no" varchar(64),
    "paid_at" integer, "ended_at" integer, "failure" text, "action" text,
    PRIMARY KEY ("charge", "id") );
insert into migrations (name) values ('0002_attempts');
CREATE TABLE "events" (
    "app" varchar(40) NOT NULL, "mode" varchar(8) NOT NULL, "id" blob NOT NULL,
    "charge" blob NOT NULL, "kind" varchar(40) NOT NULL, "sequence" integer NOT NULL,
    "created_at" integer NOT NULL, "body" text NOT NULL, PRIMARY KEY ("app", "mode", "id") );
insert into migrations (name) values ('0003_events');
CREATE TABLE "jobs" (
    "id" blob NOT NULL, "key" varchar(80) NOT NULL, "kind" varchar(40) NOT NULL,
    "subject" blob NOT NULL, "charge" blob, "run_at" integer NOT NULL, "runs" integer NOT NULL,
    "epoch" integer NOT NULL, "lease_until" integer NOT NULL, "lease_owner" blob, "last_error" text,
    PRIMARY KEY ("id") ) without rowid;
insert into migrations (name) values ('0004_jobs');
CREATE TABLE "endpoints" (
    "id" blob NOT NULL, "app" varchar(40) NOT NULL, "mode" varchar(8) NOT NULL, "url" text NOT NULL,
    "events" text NOT NULL, "enabled" integer NOT NULL, "description" text, "secret" text NOT NULL,
    "secret_old" text, "secret_old_until" integer, "created_at" integer NOT NULL,
    PRIMARY KEY ("id") );
insert into migrations (name) values ('0005_endpoints');
CREATE TABLE "deliveries" (
    "id" blob NOT NULL, "app" varchar(40) NOT NULL, "mode" varchar(8) NOT NULL,
    "event" blob NOT NULL, "kind" varchar(40) NOT NULL, "endpoint" blob NOT NULL,
    "created_at" integer NOT NULL, "status" varchar(16) NOT NULL, "at" integer NOT NULL,
    "tries" text NOT NULL, "n_tries" integer NOT NULL, PRIMARY KEY ("id") );
insert into migrations (name) values ('0006_deliveries');
CREATE TABLE "idempotency_keys" (
    "app" varchar(40) NOT NULL, "mode" varchar(8) NOT NULL, "key" varchar(255) NOT NULL,
    "fingerprint" varchar(64) NOT NULL, "charge" blob, "status" integer, "body" text,
    "created_at" integer NOT NULL, PRIMARY KEY ("app", "mode", "key") );
insert into migrations (name) values ('0007_idempotency_keys');
CREATE TABLE "refused_notices" (
    "charge" blob NOT NULL, "code" varchar(64) NOT NULL, "reason" text NOT NULL,
    "count" integer NOT NULL, "last_at" integer NOT NULL, PRIMARY KEY ("charge", "code") );
insert into migrations (name) values ('0008_refused_notices');
CREATE TABLE "api_keys" (
    "id" blob NOT NULL, "app" varchar(40) NOT NULL, "mode" varchar(8) NOT NULL,
    "hash" varchar(64) NOT NULL, "tail" varchar(16) NOT NULL, "description" text,
    "created_at" integer NOT NULL, "revoked_at" integer, PRIMARY KEY ("id") );
insert into migrations (name) values ('0009_api_keys');
CREATE UNIQUE INDEX "charges_order_no" ON "charges" ("app", "mode", "order_no");
insert into migrations (name) values ('0010_charges_order_no');
CREATE INDEX "charges_scope" ON "charges" ("app", "mode", "id");
insert into migrations (name) values ('0011_charges_scope');
CREATE UNIQUE INDEX "attempts_out_trade_no" ON "attempts" ("account", "out_trade_no");
insert into migrations (name) values ('0012_attempts_out_trade_no');
CREATE UNIQUE INDEX "events_sequence" ON "events" ("charge", "sequence");
insert into migrations (name) values ('0013_events_sequence');
CREATE UNIQUE INDEX "jobs_key" ON "jobs" ("key");
insert into migrations (name) values ('0014_jobs_key');
CREATE INDEX "jobs_due" ON "jobs" ("lease_until", "run_at", "id");
insert into migrations (name) values ('0015_jobs_due');
CREATE INDEX "endpoints_scope" ON "endpoints" ("app", "mode", "id");
insert into migrations (name) values ('0016_endpoints_scope');
CREATE INDEX "deliveries_scope" ON "deliveries" ("app", "mode", "id");
insert into migrations (name) values ('0017_deliveries_scope');
CREATE INDEX "deliveries_endpoint" ON "deliveries" ("endpoint", "id");
insert into migrations (name) values ('0018_deliveries_endpoint');
CREATE INDEX "deliveries_event" ON "deliveries" ("event", "id");
insert into migrations (name) values ('0019_deliveries_event');
CREATE INDEX "idempotency_keys_created_at" ON "idempotency_keys" ("created_at");
insert into migrations (name) values ('0020_idempotency_keys_created_at');
CREATE UNIQUE INDEX "api_keys_hash" ON "api_keys" ("hash");
insert into migrations (name) values ('0021_api_keys_hash');
