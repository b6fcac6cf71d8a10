-- Arming: every operation that may leave pending work without a wake ends with ArmEntities,
-- LockWakeStreams and AppendWakeEvents over the same candidates. The dispatch rows are locked by then.

-- name: LockDispatch :exec
SELECT 1
FROM wakelatch.entity_dispatch_state d
JOIN (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@entity_urls::text[]) AS entity_url) k
  ON d.tenant_id = k.tenant_id AND d.entity_url = k.entity_url
ORDER BY d.tenant_id, d.entity_url
FOR UPDATE OF d;

-- name: LockDispatchSkipLocked :many
SELECT d.tenant_id, d.entity_url
FROM wakelatch.entity_dispatch_state d
JOIN (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@entity_urls::text[]) AS entity_url) k
  ON d.tenant_id = k.tenant_id AND d.entity_url = k.entity_url
ORDER BY d.tenant_id, d.entity_url
FOR UPDATE OF d SKIP LOCKED;

-- name: LockEntities :exec
SELECT 1
FROM wakelatch.entities e
JOIN (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@entity_urls::text[]) AS entity_url) k
  ON e.tenant_id = k.tenant_id AND e.url = k.entity_url
ORDER BY e.tenant_id, e.url
FOR UPDATE OF e;

-- name: LockStreams :exec
SELECT 1
FROM wakelatch.streams s
JOIN (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@paths::text[]) AS path) k
  ON s.tenant_id = k.tenant_id AND s.path = k.path
ORDER BY s.tenant_id, s.path
FOR UPDATE OF s;

-- name: ArmEntities :many
-- Work of a runner that is not enabled waits for it; see PickWaiting.
WITH candidate AS (
    SELECT DISTINCT ON (c.tenant_id, c.entity_url) c.tenant_id, c.entity_url, c.wake_id
    FROM (SELECT unnest(@tenant_ids::text[]) AS tenant_id,
                 unnest(@entity_urls::text[]) AS entity_url,
                 unnest(@wake_ids::text[]) AS wake_id) c
    ORDER BY c.tenant_id, c.entity_url, c.wake_id
)
UPDATE wakelatch.entity_dispatch_state d
SET generation            = d.generation + 1,
    outstanding_wake_id   = c.wake_id,
    outstanding_runner_id = e.dispatch_runner_id,
    outstanding_since     = statement_timestamp(),
    outstanding_emissions = 1,
    next_attempt_at       = statement_timestamp() + (@emit_again_ms::bigint) * interval '1 millisecond'
FROM candidate c
JOIN wakelatch.entities e ON e.tenant_id = c.tenant_id AND e.url = c.entity_url
JOIN wakelatch.runners r ON r.tenant_id = e.tenant_id AND r.id = e.dispatch_runner_id
WHERE d.tenant_id = c.tenant_id AND d.entity_url = c.entity_url
  AND e.status IN ('idle', 'running')
  AND r.admin_status = 'enabled'
  AND d.last_outside_seq > d.acked_seq
  AND d.active_consumer_id IS NULL
  AND d.outstanding_wake_id IS NULL
  AND d.parked_reason IS NULL
  AND (d.next_attempt_at IS NULL OR d.next_attempt_at <= statement_timestamp())
RETURNING d.tenant_id, d.entity_url, d.generation;

-- name: LockWakeStreams :exec
SELECT 1
FROM wakelatch.streams s
WHERE (s.tenant_id, s.path) IN (
    SELECT d.tenant_id, 'runners/' || d.outstanding_runner_id || '/wake'
    FROM (SELECT unnest(@tenant_ids::text[]) AS tenant_id,
                 unnest(@entity_urls::text[]) AS entity_url,
                 unnest(@wake_ids::text[]) AS wake_id) c
    JOIN wakelatch.entity_dispatch_state d
      ON d.tenant_id = c.tenant_id AND d.entity_url = c.entity_url AND d.outstanding_wake_id = c.wake_id)
ORDER BY s.tenant_id, s.path
FOR UPDATE;

-- name: AppendWakeEvents :many
WITH event AS (
    SELECT s.tenant_id, s.path, s.tail, d.entity_url,
           convert_to('{"type":"wake","subscription_id":'
               || to_json('runner:' || d.outstanding_runner_id || ':'
                   || encode(substr(sha256(convert_to(d.entity_url, 'UTF8')), 1, 8), 'hex'))::text
               || ',"stream":' || to_json(substr(d.entity_url, 2) || '/main')::text
               || ',"generation":' || d.generation::text
               || ',"ts":' || (extract(epoch FROM statement_timestamp()) * 1000)::bigint::text || '}', 'UTF8') AS body
    FROM (SELECT unnest(@tenant_ids::text[]) AS tenant_id,
                 unnest(@entity_urls::text[]) AS entity_url,
                 unnest(@wake_ids::text[]) AS wake_id) c
    JOIN wakelatch.entity_dispatch_state d
      ON d.tenant_id = c.tenant_id AND d.entity_url = c.entity_url AND d.outstanding_wake_id = c.wake_id
    JOIN wakelatch.streams s
      ON s.tenant_id = d.tenant_id AND s.path = 'runners/' || d.outstanding_runner_id || '/wake'
), placed AS (
    SELECT event.tenant_id, event.path, event.body,
           (event.tail + sum(octet_length(event.body) + 1)
               OVER (PARTITION BY event.tenant_id, event.path ORDER BY event.entity_url))::bigint AS end_offset
    FROM event
), message AS (
    INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body)
    SELECT placed.tenant_id, placed.path, placed.end_offset, placed.body FROM placed
)
UPDATE wakelatch.streams s
SET tail = p.tail, outside_tail = p.tail
FROM (SELECT placed.tenant_id, placed.path, max(placed.end_offset)::bigint AS tail
      FROM placed GROUP BY placed.tenant_id, placed.path) p
WHERE s.tenant_id = p.tenant_id AND s.path = p.path
RETURNING s.tenant_id, s.path, s.tail;

-- name: PickDue :many
SELECT tenant_id, entity_url
FROM wakelatch.entity_dispatch_state
WHERE next_attempt_at <= statement_timestamp()
ORDER BY next_attempt_at
LIMIT @max_rows::integer;

-- name: EmitAgain :many
-- The outstanding wakes among these entities whose time has come: one more emission each, the next
-- after twice the wait. Entities with nothing to do are not looked at again until something happens, nor wakes of
-- a runner that is not enabled until it is.
WITH due AS (
    SELECT d.tenant_id, d.entity_url,
           COALESCE((SELECT d.outstanding_wake_id FROM wakelatch.runners r
                     WHERE r.tenant_id = d.tenant_id AND r.id = d.outstanding_runner_id AND r.admin_status = 'enabled'), '')::text AS wake_id
    FROM (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@entity_urls::text[]) AS entity_url) c
    JOIN wakelatch.entity_dispatch_state d ON d.tenant_id = c.tenant_id AND d.entity_url = c.entity_url
    WHERE d.next_attempt_at <= statement_timestamp()
)
UPDATE wakelatch.entity_dispatch_state d
SET outstanding_emissions = CASE WHEN d.outstanding_wake_id IS NULL THEN 0 WHEN due.wake_id = '' THEN d.outstanding_emissions
        ELSE d.outstanding_emissions + 1 END,
    next_attempt_at = CASE WHEN due.wake_id = '' THEN NULL
        ELSE statement_timestamp() + least(
            (@emit_again_ms::bigint) * power(2, least(d.outstanding_emissions, 20)),
            @emit_again_max_ms::bigint) * interval '1 millisecond' END
FROM due
WHERE d.tenant_id = due.tenant_id AND d.entity_url = due.entity_url
RETURNING d.tenant_id, d.entity_url, due.wake_id;

-- name: LastSweep :one
SELECT w.last_sweep_at::timestamptz AS last_sweep_at FROM wakelatch.sweep_state w;

-- name: ChangedRunners :many
-- The enabled runners that were registered or enabled since, by the database's clock. Usually there is none, and
-- then what waits is not looked at: it may be very much, for a runner that is not enabled.
SELECT r.tenant_id, r.id
FROM wakelatch.runners r
WHERE r.admin_status = 'enabled' AND r.updated_at > @since::timestamptz;

-- name: PickWaiting :many
-- Pending work of these runners that nothing wakes: it waited for its runner, or its sender had not seen it enabled.
SELECT d.tenant_id, d.entity_url
FROM (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@runner_ids::text[]) AS runner_id) k
JOIN wakelatch.entities e ON e.tenant_id = k.tenant_id AND e.dispatch_runner_id = k.runner_id
JOIN wakelatch.entity_dispatch_state d ON d.tenant_id = e.tenant_id AND d.entity_url = e.url
WHERE e.status IN ('idle', 'running')
  AND d.last_outside_seq > d.acked_seq AND d.active_consumer_id IS NULL AND d.outstanding_wake_id IS NULL
  AND d.parked_reason IS NULL AND d.next_attempt_at IS NULL
LIMIT @max_rows::integer;

-- name: WakeIsOut :many
SELECT (d.outstanding_wake_id IS NOT NULL)::boolean AS out
FROM wakelatch.entity_dispatch_state d
WHERE d.tenant_id = @tenant_id AND d.entity_url = @entity_url;

-- name: Unpark :many
-- The dispatch row and the entity are locked. An entity that is not parked is left as it is. Arming follows.
WITH state AS (
    SELECT e.tenant_id, e.url, e.version, d.parked_reason
    FROM wakelatch.entities e
    JOIN wakelatch.entity_dispatch_state d ON d.tenant_id = e.tenant_id AND d.entity_url = e.url
    WHERE e.tenant_id = @tenant_id AND e.url = @url
), dispatch AS (
    UPDATE wakelatch.entity_dispatch_state d
    SET parked_reason = NULL, failures = 0, next_attempt_at = NULL
    FROM state w WHERE w.parked_reason IS NOT NULL AND d.tenant_id = w.tenant_id AND d.entity_url = w.url
), entity AS (
    UPDATE wakelatch.entities e
    SET version = e.version + 1, updated_at = statement_timestamp()
    FROM state w WHERE w.parked_reason IS NOT NULL AND e.tenant_id = w.tenant_id AND e.url = w.url
    RETURNING e.version
), action AS (
    INSERT INTO wakelatch.actions (tenant_id, id, action, entity_url, actor, reason, details)
    SELECT w.tenant_id, @action_id::text, 'unparked', w.url, @actor::text, @reason::text,
           jsonb_build_object('parked_reason', w.parked_reason)
    FROM state w WHERE w.parked_reason IS NOT NULL
    ON CONFLICT (tenant_id, id) DO NOTHING
)
SELECT COALESCE((SELECT entity.version FROM entity), w.version)::bigint AS version FROM state w;
