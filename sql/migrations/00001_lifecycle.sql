-- +goose Up
-- The claim lifecycle as rows. Every key leads with tenant_id. Lock order, everywhere:
-- entity_dispatch_state, consumer_claims, claim_leases, entities, main streams, wake streams;
-- each set by key. Whoever changes an entity's status holds its dispatch row.

CREATE SCHEMA IF NOT EXISTS wakelatch;

CREATE TABLE wakelatch.runners (
    tenant_id        text        NOT NULL,
    id               text        NOT NULL,
    owner_principal  text        NOT NULL,
    label            text        NOT NULL,
    kind             text        NOT NULL,
    admin_status     text        NOT NULL DEFAULT 'enabled',
    wake_stream      text        NOT NULL,
    sandbox_profiles jsonb       NOT NULL DEFAULT '[]',
    created_at       timestamptz NOT NULL DEFAULT statement_timestamp(),
    updated_at       timestamptz NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT runners_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT runners_admin_status_known CHECK (admin_status IN ('enabled', 'disabled'))
);

-- What a runner's heartbeat changes, apart from its registration so that every heartbeat is a HOT update.
CREATE TABLE wakelatch.runner_diagnostics (
    tenant_id          text NOT NULL,
    runner_id          text NOT NULL,
    last_seen_at       timestamptz,
    lease_expires_at   timestamptz,
    wake_stream_offset text,
    diagnostics        jsonb,
    CONSTRAINT runner_diagnostics_pkey PRIMARY KEY (tenant_id, runner_id)
) WITH (fillfactor = 50);

CREATE TABLE wakelatch.entity_types (
    tenant_id               text        NOT NULL,
    name                    text        NOT NULL,
    description             text        NOT NULL DEFAULT '',
    creation_schema         jsonb,
    inbox_schemas           jsonb,
    state_schemas           jsonb,
    default_dispatch_policy jsonb,
    revision                bigint      NOT NULL DEFAULT 1,
    created_at              timestamptz NOT NULL DEFAULT statement_timestamp(),
    updated_at              timestamptz NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT entity_types_pkey PRIMARY KEY (tenant_id, name)
);

CREATE TABLE wakelatch.entities (
    tenant_id          text        NOT NULL,
    url                text        NOT NULL,
    type               text        NOT NULL,
    status             text        NOT NULL DEFAULT 'idle',
    version            bigint      NOT NULL DEFAULT 1,
    tags               jsonb       NOT NULL DEFAULT '{}',
    spawn_args         jsonb       NOT NULL DEFAULT '{}',
    dispatch_policy    jsonb,
    dispatch_runner_id text,
    created_by         text        NOT NULL,
    spawn_txid         text        NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT statement_timestamp(),
    updated_at         timestamptz NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT entities_pkey PRIMARY KEY (tenant_id, url),
    CONSTRAINT entities_status_known CHECK (status IN ('idle', 'running', 'paused', 'stopping', 'stopped', 'killed')),
    CONSTRAINT entities_version_positive CHECK (version > 0)
) WITH (fillfactor = 80);

CREATE INDEX entities_by_type ON wakelatch.entities (tenant_id, type, url);
CREATE INDEX entities_by_dispatch_runner ON wakelatch.entities (tenant_id, dispatch_runner_id) WHERE dispatch_runner_id IS NOT NULL;

-- The one row that says who owns the entity and whether work is pending:
-- last_outside_seq > acked_seq. It outlives the entity, so that epochs never repeat.
-- next_attempt_at is when pending work is armed again (no wake out) or the outstanding
-- wake is appended again (a wake out).
CREATE TABLE wakelatch.entity_dispatch_state (
    tenant_id             text    NOT NULL,
    entity_url            text    NOT NULL,
    generation            bigint  NOT NULL DEFAULT 0,
    outstanding_wake_id   text,
    outstanding_runner_id text,
    outstanding_since     timestamptz,
    outstanding_emissions integer NOT NULL DEFAULT 0,
    active_consumer_id    text,
    active_runner_id      text,
    active_epoch          bigint,
    active_claimed_at     timestamptz,
    last_outside_seq      bigint  NOT NULL DEFAULT 0,
    acked_seq             bigint  NOT NULL DEFAULT 0,
    failures              integer NOT NULL DEFAULT 0,
    next_attempt_at       timestamptz,
    parked_reason         text,
    last_consumer_id      text,
    last_epoch            bigint,
    last_released_at      timestamptz,
    last_release_cause    text,
    CONSTRAINT entity_dispatch_state_pkey PRIMARY KEY (tenant_id, entity_url),
    CONSTRAINT entity_dispatch_state_generation_positive CHECK (generation >= 0),
    CONSTRAINT entity_dispatch_state_acked_positive CHECK (acked_seq >= 0),
    CONSTRAINT entity_dispatch_state_outstanding_whole CHECK (
        (outstanding_wake_id IS NULL) = (outstanding_runner_id IS NULL)
        AND (outstanding_wake_id IS NULL) = (outstanding_since IS NULL)),
    CONSTRAINT entity_dispatch_state_active_whole CHECK (
        (active_consumer_id IS NULL) = (active_runner_id IS NULL)
        AND (active_consumer_id IS NULL) = (active_epoch IS NULL)
        AND (active_consumer_id IS NULL) = (active_claimed_at IS NULL)),
    CONSTRAINT entity_dispatch_state_active_epoch_reached CHECK (active_epoch <= generation)
) WITH (fillfactor = 70);

CREATE INDEX entity_dispatch_state_due ON wakelatch.entity_dispatch_state (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX entity_dispatch_state_pending ON wakelatch.entity_dispatch_state (tenant_id, entity_url) WHERE last_outside_seq > acked_seq;
CREATE INDEX entity_dispatch_state_outstanding ON wakelatch.entity_dispatch_state (tenant_id, outstanding_runner_id) WHERE outstanding_runner_id IS NOT NULL;

CREATE TABLE wakelatch.consumer_claims (
    tenant_id      text        NOT NULL,
    consumer_id    text        NOT NULL,
    epoch          bigint      NOT NULL,
    entity_url     text        NOT NULL,
    stream_path    text        NOT NULL,
    runner_id      text        NOT NULL,
    status         text        NOT NULL DEFAULT 'active',
    entity_status  text        NOT NULL,
    start_seq      bigint      NOT NULL,
    claimed_at     timestamptz NOT NULL DEFAULT statement_timestamp(),
    confirmed_at   timestamptz,
    confirm_id     text,
    done_at        timestamptz,
    done_outcome   text,
    done_ack_seq   bigint,
    acked_streams  jsonb,
    released_at    timestamptz,
    release_cause  text,
    released_by    text,
    entity_cleared boolean,
    CONSTRAINT consumer_claims_pkey PRIMARY KEY (tenant_id, consumer_id, epoch),
    CONSTRAINT consumer_claims_epoch_positive CHECK (epoch > 0),
    CONSTRAINT consumer_claims_status_known CHECK (status IN ('active', 'released', 'expired', 'failed')),
    CONSTRAINT consumer_claims_done_outcome_known CHECK (done_outcome IN ('succeeded', 'failed')),
    CONSTRAINT consumer_claims_release_whole CHECK (
        (status = 'active') = (released_at IS NULL) AND (status = 'active') = (release_cause IS NULL)
        AND (status = 'active') = (released_by IS NULL) AND (status = 'active') = (entity_cleared IS NULL)),
    CONSTRAINT consumer_claims_confirm_whole CHECK ((confirmed_at IS NULL) = (confirm_id IS NULL)),
    CONSTRAINT consumer_claims_done_whole CHECK ((done_at IS NULL) = (done_outcome IS NULL))
) WITH (fillfactor = 70);

-- I1: at most one active claim per entity.
CREATE UNIQUE INDEX consumer_claims_one_active ON wakelatch.consumer_claims (tenant_id, entity_url) WHERE status = 'active';
-- I2: an epoch of an entity is claimed once.
CREATE UNIQUE INDEX consumer_claims_epoch_once ON wakelatch.consumer_claims (tenant_id, entity_url, epoch);
CREATE INDEX consumer_claims_active_by_runner ON wakelatch.consumer_claims (tenant_id, runner_id) WHERE status = 'active';
CREATE INDEX consumer_claims_done_unreleased ON wakelatch.consumer_claims (done_at) WHERE status = 'active' AND done_at IS NOT NULL;
CREATE INDEX consumer_claims_by_release ON wakelatch.consumer_claims (released_at) WHERE released_at IS NOT NULL;

-- A row exists exactly while its claim is active. Nothing that a heartbeat changes is indexed.
CREATE TABLE wakelatch.claim_leases (
    tenant_id         text        NOT NULL,
    consumer_id       text        NOT NULL,
    epoch             bigint      NOT NULL,
    expires_at        timestamptz NOT NULL,
    last_heartbeat_at timestamptz,
    last_progress_at  timestamptz,
    CONSTRAINT claim_leases_pkey PRIMARY KEY (tenant_id, consumer_id, epoch)
) WITH (fillfactor = 50);

-- Offsets count bytes: the end offset of an append is the sum of all sizes up to it. kind 'main' is an
-- entity's stream, written by the holder of its claim and by the server; kind 'wake' by the server alone.
-- outside_tail is the end of the last append that was not the holder's; claim_outside_tail is its value
-- when the current claim was made. An append by (claim_consumer_id, claim_epoch) is in force while
-- sealed_epoch < claim_epoch.
CREATE TABLE wakelatch.streams (
    tenant_id          text        NOT NULL,
    path               text        NOT NULL,
    kind               text        NOT NULL DEFAULT 'plain',
    content_type       text        NOT NULL,
    tail               bigint      NOT NULL DEFAULT 0,
    outside_tail       bigint      NOT NULL DEFAULT 0,
    last_stream_seq    text,
    claim_consumer_id  text,
    claim_epoch        bigint,
    claim_outside_tail bigint      NOT NULL DEFAULT 0,
    sealed_epoch       bigint      NOT NULL DEFAULT 0,
    closed_at          timestamptz,
    created_at         timestamptz NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT streams_pkey PRIMARY KEY (tenant_id, path),
    CONSTRAINT streams_kind_known CHECK (kind IN ('plain', 'main', 'wake')),
    CONSTRAINT streams_tail_positive CHECK (tail >= 0 AND outside_tail <= tail AND claim_outside_tail <= tail),
    CONSTRAINT streams_claim_whole CHECK ((claim_consumer_id IS NULL) = (claim_epoch IS NULL)),
    CONSTRAINT streams_claim_on_main CHECK (kind = 'main' OR claim_consumer_id IS NULL)
) WITH (fillfactor = 70);

-- One row an append. body is the items of a JSON append joined by commas, else the bytes. offset_marks are the
-- places in body where "headers.offset" is spliced in on read (server/stream says how they are packed).
-- key identifies an append that no producer does, so that a retry finds what was already written.
CREATE TABLE wakelatch.stream_messages (
    tenant_id    text        NOT NULL,
    stream_path  text        NOT NULL,
    end_offset   bigint      NOT NULL,
    body         bytea       NOT NULL,
    offset_marks bytea,
    key          text,
    created_at   timestamptz NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT stream_messages_pkey PRIMARY KEY (tenant_id, stream_path, end_offset)
);

CREATE UNIQUE INDEX stream_messages_key_once ON wakelatch.stream_messages (tenant_id, stream_path, key) WHERE key IS NOT NULL;

CREATE TABLE wakelatch.stream_producers (
    tenant_id   text        NOT NULL,
    stream_path text        NOT NULL,
    producer_id text        NOT NULL,
    epoch       bigint      NOT NULL,
    last_seq    bigint      NOT NULL,
    end_offset  bigint      NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT stream_producers_pkey PRIMARY KEY (tenant_id, stream_path, producer_id),
    CONSTRAINT stream_producers_positive CHECK (epoch >= 0 AND last_seq >= 0)
) WITH (fillfactor = 70);

-- Append-only history; a transition of a claim happens once.
CREATE TABLE wakelatch.claim_events (
    tenant_id      text        NOT NULL,
    consumer_id    text        NOT NULL,
    epoch          bigint      NOT NULL,
    transition     text        NOT NULL,
    entity_url     text        NOT NULL,
    runner_id      text        NOT NULL,
    cause          text,
    entity_cleared boolean,
    actor          text        NOT NULL,
    reason         text,
    at             timestamptz NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT claim_events_pkey PRIMARY KEY (tenant_id, consumer_id, epoch, transition),
    CONSTRAINT claim_events_transition_known CHECK (transition IN
        ('claimed', 'confirmed', 'done', 'released', 'expired', 'failed', 'done_late'))
);

CREATE INDEX claim_events_by_entity ON wakelatch.claim_events (tenant_id, entity_url, at);

-- One row: how an outage of ours is recognised.
CREATE TABLE wakelatch.sweep_state (
    one           boolean     NOT NULL DEFAULT true,
    last_sweep_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT sweep_state_pkey PRIMARY KEY (one),
    CONSTRAINT sweep_state_one CHECK (one)
);
INSERT INTO wakelatch.sweep_state DEFAULT VALUES;

CREATE TABLE wakelatch.secrets (
    name       text        NOT NULL,
    value      bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT secrets_pkey PRIMARY KEY (name)
);
