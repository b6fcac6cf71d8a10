-- name: MoveEntity :many
-- The dispatch row and the entity are locked. An attempt whose answer was lost is told by its action. For another
-- runner a wake that is out is taken back, and a wait that the old one's failures earned ends: arming follows.
WITH state AS (
    SELECT e.tenant_id, e.url, e.status, e.version, e.dispatch_runner_id,
           e.dispatch_runner_id IS DISTINCT FROM @dispatch_runner_id::text AS elsewhere,
           CASE
               WHEN EXISTS (SELECT 1 FROM wakelatch.actions a WHERE a.tenant_id = e.tenant_id AND a.id = @action_id::text) THEN 'moved_before'
               WHEN e.status NOT IN ('idle', 'running', 'paused') THEN 'not_running'
               WHEN e.dispatch_policy IS NOT DISTINCT FROM (@dispatch_policy::text)::jsonb
                   AND e.dispatch_runner_id IS NOT DISTINCT FROM @dispatch_runner_id::text THEN 'unchanged'
               ELSE 'moved' END AS outcome
    FROM wakelatch.entities e
    WHERE e.tenant_id = @tenant_id AND e.url = @url
), entity AS (
    UPDATE wakelatch.entities e
    SET dispatch_policy = (@dispatch_policy::text)::jsonb, dispatch_runner_id = @dispatch_runner_id::text,
        version = e.version + 1, updated_at = statement_timestamp()
    FROM state w WHERE w.outcome = 'moved' AND e.tenant_id = w.tenant_id AND e.url = w.url
    RETURNING e.version
), dispatch AS (
    UPDATE wakelatch.entity_dispatch_state d
    SET outstanding_wake_id = NULL, outstanding_runner_id = NULL, outstanding_since = NULL, outstanding_emissions = 0,
        next_attempt_at = NULL
    FROM state w WHERE w.outcome = 'moved' AND w.elsewhere AND d.tenant_id = w.tenant_id AND d.entity_url = w.url
), action AS (
    INSERT INTO wakelatch.actions (tenant_id, id, action, entity_url, runner_id, actor, reason, details)
    SELECT w.tenant_id, @action_id::text, 'moved', w.url, @dispatch_runner_id::text, @actor::text, @reason::text,
           jsonb_build_object('from', w.dispatch_runner_id, 'to', @dispatch_runner_id::text)
    FROM state w WHERE w.outcome = 'moved'
)
SELECT w.outcome::text AS outcome, w.status, COALESCE((SELECT entity.version FROM entity), w.version)::bigint AS version
FROM state w;
