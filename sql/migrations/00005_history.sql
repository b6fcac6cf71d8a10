-- +goose Up
-- A runner's history, and from it the list of its claims: what happens to a claim grows at the end of each runner's
-- part and never changes, where an index of consumer_claims would be written again with every release.
CREATE INDEX claim_events_by_runner ON wakelatch.claim_events (tenant_id, runner_id, at);
-- Claims that ended badly are few, so that looking for them costs the others nothing.
CREATE INDEX consumer_claims_troubled ON wakelatch.consumer_claims (tenant_id, claimed_at) WHERE status IN ('expired', 'failed');

-- An operator mended what contradicted itself on one entity.
ALTER TABLE wakelatch.actions DROP CONSTRAINT actions_action_known;
ALTER TABLE wakelatch.actions ADD CONSTRAINT actions_action_known CHECK (action IN (
    'spawned', 'signalled', 'resumed', 'parked', 'unparked', 'moved', 'entity_deleted', 'send_dropped', 'mended',
    'drained', 'enabled', 'disabled', 'runner_deleted'));
