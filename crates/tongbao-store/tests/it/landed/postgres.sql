-- The tables as tongbao 0.1.0 made them; the names of its steps are in `migrations`.

CREATE TABLE "migrations" (
    "name" varchar(80) NOT NULL, PRIMARY KEY ("name") );
CREATE TABLE "charges" (
    "id" uuid NOT NULL, "app" varchar(40) NOT NULL, "mode" varchar(8) NOT NULL,
    "order_no" varchar(64) NOT NULL, "amount" bigint NOT NULL, "subject" text NOT NULL, "body" text,
    "attach" text, "return_url" text, "client_ip" text, "metadata" text NOT NULL,
    "client_secret" varchar(255) NOT NULL, "created_at" bigint NOT NULL,
    "amount_refunded" bigint NOT NULL, "expires_at" bigint NOT NULL, "status" varchar(16) NOT NULL,
    "reason" varchar(16), "ended_at" bigint, "failure" text, "attempt" uuid, "trade_no" varchar(64),
    "paid_at" bigint, "payer" text, "remark" text, "events" bigint NOT NULL,
    "version" bigint NOT NULL, PRIMARY KEY ("id") );
insert into migrations (name) values ('0001_charges');
CREATE TABLE "attempts" (
    "charge" uuid NOT NULL, "id" uuid NOT NULL, "channel" varchar(40) NOT NULL,
    "account" varchar(80) NOT NULL, "out_trade_no" varchar(64) NOT NULL,
    "created_at" bigint NOT NULL, "status" varchar(16) NOT NULL, "trade_no" varchar(64),
    "paid_at" bigint, "ended_at" bigint, "failure" text, "action" text,
    PRIMARY KEY ("charge", "id") );
insert into migrations (name) values ('0002_attempts');
CREATE TABLE "events" (
    "app" varchar(40) NOT NULL, "mode" varchar(8) NOT NULL, "id" uuid NOT NULL,
    "charge" uuid NOT NULL, "kind" varchar(40) NOT NULL, "sequence" bigint NOT NULL,
    "created_at" bigint NOT NULL, "body" text NOT NULL, PRIMARY KEY ("app", "mode", "id") );
insert into migrations (name) values ('0003_events');
CREATE TABLE "jobs" (
    "id" uuid NOT NULL, "key" varchar(80) NOT NULL, "kind" varchar(40) NOT NULL,
    "subject" uuid NOT NULL, "charge" uuid, "run_at" bigint NOT NULL, "runs" bigint NOT NULL,
    "epoch" bigint NOT NULL, "lease_until" bigint NOT NULL, "lease_owner" uuid, "last_error" text,
    PRIMARY KEY ("id") );
insert into migrations (name) values ('0004_jobs');
CREATE TABLE "endpoints" (
    "id" uuid NOT NULL, "app" varchar(40) NOT NULL, "mode" varchar(8) NOT NULL, "url" text NOT NULL,
    "events" text NOT NULL, "enabled" bigint NOT NULL, "description" text, "secret" text NOT NULL,
    "secret_old" text, "secret_old_until" bigint, "created_at" bigint NOT NULL, PRIMARY KEY ("id") );
insert into migrations (name) values ('0005_endpoints');
CREATE TABLE "deliveries" (
    "id" uuid NOT NULL, "app" varchar(40) NOT NULL, "mode" varchar(8) NOT NULL,
    "event" uuid NOT NULL, "kind" varchar(40) NOT NULL, "endpoint" uuid NOT NULL,
    "created_at" bigint NOT NULL, "status" varchar(16) NOT NULL, "at" bigint NOT NULL,
    "tries" text NOT NULL, "n_tries" bigint NOT NULL, PRIMARY KEY ("id") );
insert into migrations (name) values ('0006_deliveries');
CREATE TABLE "idempotency_keys" (
    "app" varchar(40) NOT NULL, "mode" varchar(8) NOT NULL, "key" varchar(255) NOT NULL,
    "fingerprint" varchar(64) NOT NULL, "charge" uuid, "status" bigint, "body" text,
    "created_at" bigint NOT NULL, PRIMARY KEY ("app", "mode", "key") );
insert into migrations (name) values ('0007_idempotency_keys');
CREATE TABLE "refused_notices" (
    "charge" uuid NOT NULL, "code" varchar(64) NOT NULL, "reason" text NOT NULL,
    "count" bigint NOT NULL, "last_at" bigint NOT NULL, PRIMARY KEY ("charge", "code") );
insert into migrations (name) values ('0008_refused_notices');
CREATE TABLE "api_keys" (
    "id" uuid NOT NULL, "app" varchar(40) NOT NULL, "mode" varchar(8) NOT NULL,
    "hash" varchar(64) NOT NULL, "tail" varchar(16) NOT NULL, "description" text,
    "created_at" bigint NOT NULL, "revoked_at" bigint, PRIMARY KEY ("id") );
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
