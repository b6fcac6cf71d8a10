-- +goose Up
-- A delayed message whose entity is gone when it is due is dropped, and the history says so.
ALTER TABLE wakelatch.actions DROP CONSTRAINT actions_action_known;
ALTER TABLE wakelatch.actions ADD CONSTRAINT actions_action_known CHECK (action IN (
    'spawned', 'signalled', 'resumed', 'parked', 'unparked', 'moved', 'entity_deleted', 'send_dropped',
    'drained', 'enabled', 'disabled', 'runner_deleted'));

-- The version of the entity that was deleted, so that one spawned under its name goes on from it: whoever waits for
-- a newer version waits for the name.
ALTER TABLE wakelatch.entity_dispatch_state ADD COLUMN deleted_version bigint NOT NULL DEFAULT 0;

-- Every sweep looks for runners that were registered or enabled since the last one: their work waited for them.
CREATE INDEX runners_by_change ON wakelatch.runners (updated_at);
