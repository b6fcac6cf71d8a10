-- +goose Up
-- What people and the system do to entities and runners, with the reason. What happens to a claim is in claim_events.
-- details is what the action needs beside: the signal, the old and the new runner.
CREATE TABLE wakelatch.actions (
    tenant_id  text        NOT NULL,
    id         text        NOT NULL,
    action     text        NOT NULL,
    entity_url text,
    runner_id  text,
    actor      text        NOT NULL,
    reason     text,
    details    jsonb,
    at         timestamptz NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT actions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT actions_action_known CHECK (action IN (
        'spawned', 'signalled', 'resumed', 'parked', 'unparked', 'moved', 'entity_deleted',
        'drained', 'enabled', 'disabled', 'runner_deleted')),
    CONSTRAINT actions_of_something CHECK (entity_url IS NOT NULL OR runner_id IS NOT NULL)
);
CREATE INDEX actions_by_entity ON wakelatch.actions (tenant_id, entity_url, at) WHERE entity_url IS NOT NULL;
CREATE INDEX actions_by_runner ON wakelatch.actions (tenant_id, runner_id, at) WHERE runner_id IS NOT NULL;
CREATE INDEX actions_by_age ON wakelatch.actions (at);

-- A draining runner gets no new wake and finishes what it has.
ALTER TABLE wakelatch.runners DROP CONSTRAINT runners_admin_status_known;
ALTER TABLE wakelatch.runners ADD CONSTRAINT runners_admin_status_known CHECK (admin_status IN ('enabled', 'draining', 'disabled'));
