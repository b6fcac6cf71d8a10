-- Release: done, expiry, hand-back and force release end a claim with these statements, in this order.

-- name: LockDispatchOfClaims :exec
SELECT 1
FROM wakelatch.entity_dispatch_state d
WHERE (d.tenant_id, d.entity_url) IN (
    SELECT c.tenant_id, c.entity_url
    FROM (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@consumer_ids::text[]) AS consumer_id,
                 unnest(@epochs::bigint[]) AS epoch) k
    JOIN wakelatch.consumer_claims c
      ON c.tenant_id = k.tenant_id AND c.consumer_id = k.consumer_id AND c.epoch = k.epoch)
ORDER BY d.tenant_id, d.entity_url
FOR UPDATE;

-- name: LockEntitiesOfClaims :exec
SELECT 1
FROM wakelatch.entities e
WHERE (e.tenant_id, e.url) IN (
    SELECT c.tenant_id, c.entity_url
    FROM (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@consumer_ids::text[]) AS consumer_id,
                 unnest(@epochs::bigint[]) AS epoch) k
    JOIN wakelatch.consumer_claims c
      ON c.tenant_id = k.tenant_id AND c.consumer_id = k.consumer_id AND c.epoch = k.epoch)
ORDER BY e.tenant_id, e.url
FOR UPDATE;

-- name: ReleaseClaims :many
-- Everything these claims hold is locked. An active claim ends; if the dispatch state still points at it,
-- the entity is cleared. Expiry counts only for a lease that has ended, is not done, and was swept within
-- grace_ms: nobody expires because every node was away. A done that is recorded is judged as a done, whatever
-- the cause; a hand-back is a failure only if the entity's last claim was handed back too, so that one costs
-- nothing and a row of them slows down. The park_after'th failure in a row parks the entity; 0 parks nothing.
WITH input AS (
    SELECT unnest(@ords::integer[]) AS ord,
           unnest(@tenant_ids::text[]) AS tenant_id,
           unnest(@consumer_ids::text[]) AS consumer_id,
           unnest(@epochs::bigint[]) AS epoch,
           unnest(@causes::text[]) AS cause
), state AS (
    SELECT i.ord, i.tenant_id, i.consumer_id, i.epoch, i.cause,
           c.entity_url, c.stream_path, c.runner_id, c.status, c.done_at, c.done_outcome, c.released_at,
           d.generation, d.active_epoch, d.acked_seq, d.last_outside_seq, d.failures, d.last_release_cause,
           e.status AS entity_status,
           COALESCE(d.active_consumer_id = c.consumer_id AND d.active_epoch = c.epoch, false) AS points_here,
           GREATEST(d.acked_seq, COALESCE((
               SELECT m.end_offset FROM wakelatch.stream_messages m
               WHERE m.tenant_id = c.tenant_id AND m.stream_path = c.stream_path AND m.end_offset <= c.done_ack_seq
               ORDER BY m.end_offset DESC LIMIT 1), 0)) AS acked_after,
           (c.status = 'active' AND CASE i.cause
               WHEN 'done' THEN c.done_at IS NOT NULL
               WHEN 'expired' THEN c.done_at IS NULL AND l.expires_at <= statement_timestamp() AND (
                   SELECT w.last_sweep_at > statement_timestamp() - (@grace_ms::bigint) * interval '1 millisecond'
                   FROM wakelatch.sweep_state w)
               WHEN 'handed_back' THEN c.done_at IS NULL
               ELSE true END) AS ends
    FROM input i
    JOIN wakelatch.consumer_claims c
      ON c.tenant_id = i.tenant_id AND c.consumer_id = i.consumer_id AND c.epoch = i.epoch
    LEFT JOIN wakelatch.claim_leases l
      ON l.tenant_id = c.tenant_id AND l.consumer_id = c.consumer_id AND l.epoch = c.epoch
    LEFT JOIN wakelatch.entity_dispatch_state d ON d.tenant_id = c.tenant_id AND d.entity_url = c.entity_url
    LEFT JOIN wakelatch.entities e ON e.tenant_id = c.tenant_id AND e.url = c.entity_url
), judged AS (
    SELECT state.*,
           (CASE WHEN state.cause = 'expired' THEN 'expired'
                 WHEN state.done_outcome = 'failed' THEN 'failed' ELSE 'released' END) AS ended_status,
           (state.last_outside_seq > state.acked_after) AS pending,
           (CASE WHEN state.cause = 'expired' THEN true
                 WHEN state.done_at IS NOT NULL THEN state.last_outside_seq > state.acked_after
                     AND (state.acked_after = state.acked_seq OR state.done_outcome = 'failed')
                 ELSE state.cause = 'handed_back' AND state.last_release_cause IS NOT DISTINCT FROM 'handed_back' END) AS failure
    FROM state WHERE state.ends
), ending AS (
    SELECT j.*,
           (CASE WHEN j.failure AND j.pending AND j.points_here AND j.entity_status IN ('running', 'paused')
                   AND j.failures + 1 >= @park_after::integer AND @park_after::integer > 0 THEN
               CASE j.failures WHEN 0 THEN 'a claim' ELSE (j.failures + 1)::text || ' claims in a row' END
               || ' ended without progress; the last one: '
               || CASE WHEN j.cause = 'expired' THEN 'expired'
                       WHEN j.done_outcome = 'failed' THEN 'failed'
                       WHEN j.done_outcome IS NOT NULL THEN 'done, but nothing acknowledged'
                       ELSE 'handed back' END
               || ' (consumer ' || j.consumer_id || ', epoch ' || j.epoch::text || ', runner ' || j.runner_id || ')'
           END) AS parked_reason
    FROM judged j
), claim AS (
    UPDATE wakelatch.consumer_claims c
    SET status = x.ended_status, released_at = statement_timestamp(), release_cause = x.cause,
        released_by = @released_by::text, entity_cleared = x.points_here
    FROM ending x
    WHERE c.tenant_id = x.tenant_id AND c.consumer_id = x.consumer_id AND c.epoch = x.epoch AND c.status = 'active'
), lease AS (
    DELETE FROM wakelatch.claim_leases l USING ending x
    WHERE l.tenant_id = x.tenant_id AND l.consumer_id = x.consumer_id AND l.epoch = x.epoch
), dispatch AS (
    UPDATE wakelatch.entity_dispatch_state d
    SET active_consumer_id = NULL, active_runner_id = NULL, active_epoch = NULL, active_claimed_at = NULL,
        acked_seq = x.acked_after,
        failures = CASE WHEN x.failure THEN d.failures + 1 WHEN x.done_at IS NULL THEN d.failures ELSE 0 END,
        parked_reason = COALESCE(x.parked_reason, d.parked_reason),
        next_attempt_at = CASE WHEN x.failure AND x.pending AND x.parked_reason IS NULL THEN statement_timestamp() + least(
            (@backoff_ms::bigint) * power(2, least(d.failures, 20)),
            @backoff_max_ms::bigint) * interval '1 millisecond' END,
        last_consumer_id = x.consumer_id, last_epoch = x.epoch,
        last_released_at = statement_timestamp(), last_release_cause = x.cause
    FROM ending x
    WHERE x.points_here AND d.tenant_id = x.tenant_id AND d.entity_url = x.entity_url
), entity AS (
    UPDATE wakelatch.entities e
    SET status = CASE e.status WHEN 'running' THEN 'idle' WHEN 'stopping' THEN 'stopped' ELSE e.status END,
        version = e.version + 1, updated_at = statement_timestamp()
    FROM ending x
    WHERE x.points_here AND e.tenant_id = x.tenant_id AND e.url = x.entity_url
      AND (e.status IN ('running', 'stopping') OR x.parked_reason IS NOT NULL)
    RETURNING e.tenant_id, e.url, e.version
), stream AS (
    UPDATE wakelatch.streams s
    SET sealed_epoch = x.epoch
    FROM ending x
    WHERE s.tenant_id = x.tenant_id AND s.path = x.stream_path
      AND s.claim_consumer_id = x.consumer_id AND s.claim_epoch = x.epoch AND s.sealed_epoch < x.epoch
), history AS (
    INSERT INTO wakelatch.claim_events
        (tenant_id, consumer_id, epoch, transition, entity_url, runner_id, cause, entity_cleared, actor, reason)
    SELECT state.tenant_id, state.consumer_id, state.epoch,
           COALESCE(x.ended_status, 'done_late'), state.entity_url, state.runner_id, state.cause,
           COALESCE(x.points_here, false), @actor::text, NULLIF(@reason::text, '')
    FROM state LEFT JOIN ending x ON x.ord = state.ord
    WHERE state.ends OR (state.cause = 'done' AND state.done_at > state.released_at)
    ON CONFLICT (tenant_id, consumer_id, epoch, transition) DO NOTHING
), action AS (
    INSERT INTO wakelatch.actions (tenant_id, id, action, entity_url, actor, reason)
    SELECT x.tenant_id, 'parked:' || x.consumer_id || ':' || x.epoch::text, 'parked', x.entity_url, 'system:parking', x.parked_reason
    FROM ending x WHERE x.parked_reason IS NOT NULL
    ON CONFLICT (tenant_id, id) DO NOTHING
)
SELECT state.ord, state.tenant_id::text AS tenant_id, state.consumer_id::text AS consumer_id,
       state.epoch::bigint AS epoch, state.entity_url, state.stream_path, state.runner_id,
       (CASE WHEN state.ends THEN 'released'
             WHEN state.status = 'active' THEN 'kept'
             WHEN state.cause = 'done' AND state.done_at > state.released_at THEN 'stale'
             ELSE 'repeated' END)::text AS outcome,
       (state.ends AND state.points_here)::boolean AS entity_cleared,
       COALESCE(ending.failure AND ending.pending AND ending.parked_reason IS NULL, false)::boolean AS backs_off,
       COALESCE(ending.parked_reason, '')::text AS parked_reason,
       COALESCE(state.generation, 0)::bigint AS current_epoch,
       COALESCE(entity.version, 0)::bigint AS version,
       COALESCE(extract(epoch FROM statement_timestamp() - state.done_at), 0)::double precision AS seconds_since_done
FROM state
LEFT JOIN ending ON ending.ord = state.ord
LEFT JOIN entity ON entity.tenant_id = state.tenant_id AND entity.url = state.entity_url
ORDER BY state.ord;

-- name: NotifyEnded :exec
-- Tells every node which of these claims are over. One that goes on, because its lease was renewed before the
-- locks were held, is left out: its holder's token is good. payloads says which events share one.
SELECT pg_notify(@channel::text, '[' || string_agg(k.event, ',') || ']')
FROM (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@consumer_ids::text[]) AS consumer_id,
             unnest(@epochs::bigint[]) AS epoch, unnest(@events::text[]) AS event,
             unnest(@payloads::integer[]) AS payload) k
JOIN wakelatch.consumer_claims c
  ON c.tenant_id = k.tenant_id AND c.consumer_id = k.consumer_id AND c.epoch = k.epoch
WHERE c.status <> 'active'
GROUP BY k.payload;

-- name: AdvanceSweep :one
-- Locks the one row, so that of several nodes one sees the gap.
WITH before AS (
    SELECT w.last_sweep_at FROM wakelatch.sweep_state w FOR UPDATE
)
UPDATE wakelatch.sweep_state w
SET last_sweep_at = GREATEST(w.last_sweep_at, statement_timestamp())
FROM before
RETURNING before.last_sweep_at::timestamptz AS previous,
          (before.last_sweep_at < statement_timestamp() - (@grace_ms::bigint) * interval '1 millisecond')::boolean AS gap;

-- name: LockLeasesAliveAt :exec
SELECT 1 FROM wakelatch.claim_leases
WHERE expires_at > @since::timestamptz
ORDER BY tenant_id, consumer_id, epoch
FOR UPDATE;

-- name: ExtendLeasesAliveAt :execrows
-- The rows that LockLeasesAliveAt locked. A lease made since is new; it is taken too unless somebody holds it,
-- because waiting here would be out of order.
UPDATE wakelatch.claim_leases l
SET expires_at = GREATEST(l.expires_at, statement_timestamp() + (@lease_ms::bigint) * interval '1 millisecond')
FROM (
    SELECT a.tenant_id, a.consumer_id, a.epoch
    FROM wakelatch.claim_leases a
    WHERE a.expires_at > @since::timestamptz
    FOR UPDATE SKIP LOCKED
) alive
WHERE l.tenant_id = alive.tenant_id AND l.consumer_id = alive.consumer_id AND l.epoch = alive.epoch;

-- name: PickExpired :many
SELECT l.tenant_id, l.consumer_id, l.epoch, c.entity_url, c.stream_path
FROM wakelatch.claim_leases l
JOIN wakelatch.consumer_claims c
  ON c.tenant_id = l.tenant_id AND c.consumer_id = l.consumer_id AND c.epoch = l.epoch
WHERE l.expires_at <= statement_timestamp() AND c.done_at IS NULL
ORDER BY l.expires_at
LIMIT @max_rows::integer;

-- name: PickOverdue :many
SELECT tenant_id, consumer_id, epoch, entity_url, stream_path
FROM wakelatch.consumer_claims
WHERE status = 'active' AND done_at <= statement_timestamp() - (@overdue_ms::bigint) * interval '1 millisecond'
ORDER BY done_at
LIMIT @max_rows::integer;
