-- name: ClaimWakes :many
-- One item a claim asked for. The dispatch rows are locked. Of two items for one wake the first claims
-- and the second gets the same answer. An owner is who the runner must belong to; '' is anybody.
WITH input AS (
    SELECT unnest(@ords::integer[]) AS ord,
           unnest(@tenant_ids::text[]) AS tenant_id,
           unnest(@runner_ids::text[]) AS runner_id,
           unnest(@owners::text[]) AS owner,
           unnest(@entity_urls::text[]) AS entity_url,
           unnest(@generations::bigint[]) AS generation
), decided AS (
    SELECT i.ord, i.tenant_id, i.runner_id, i.entity_url,
           d.outstanding_wake_id, d.generation, d.acked_seq,
           d.active_consumer_id, d.active_epoch, c.start_seq, c.entity_status,
           e.type, e.status, e.version, e.tags, e.spawn_args, e.created_by,
           CASE
               WHEN r.id IS NULL THEN 'no_runner'
               WHEN i.owner <> '' AND r.owner_principal <> i.owner THEN 'foreign_runner'
               WHEN d.entity_url IS NULL OR e.url IS NULL THEN 'no_entity'
               WHEN d.active_runner_id = i.runner_id AND d.active_epoch = i.generation
                   AND c.confirmed_at IS NULL AND c.done_at IS NULL THEN 'repeated'
               WHEN r.admin_status <> 'enabled' THEN 'no_runner'
               WHEN d.active_consumer_id IS NOT NULL THEN 'already_claimed'
               WHEN d.outstanding_wake_id IS NULL OR d.generation <> i.generation
                   OR d.outstanding_runner_id <> i.runner_id THEN
                   CASE WHEN e.status IN ('idle', 'running') THEN 'no_pending_work' ELSE 'not_awake' END
               WHEN e.status NOT IN ('idle', 'running') THEN 'not_awake'
               ELSE 'claimed'
           END AS outcome
    FROM input i
    LEFT JOIN wakelatch.runners r ON r.tenant_id = i.tenant_id AND r.id = i.runner_id
    LEFT JOIN wakelatch.entity_dispatch_state d ON d.tenant_id = i.tenant_id AND d.entity_url = i.entity_url
    LEFT JOIN wakelatch.entities e ON e.tenant_id = i.tenant_id AND e.url = i.entity_url
    LEFT JOIN wakelatch.consumer_claims c
      ON c.tenant_id = d.tenant_id AND c.consumer_id = d.active_consumer_id AND c.epoch = d.active_epoch
), winner AS (
    SELECT DISTINCT ON (decided.tenant_id, decided.entity_url) decided.*
    FROM decided WHERE decided.outcome = 'claimed'
    ORDER BY decided.tenant_id, decided.entity_url, decided.ord
), claim AS (
    INSERT INTO wakelatch.consumer_claims
        (tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, entity_status, start_seq)
    SELECT w.tenant_id, w.outstanding_wake_id, w.generation, w.entity_url, substr(w.entity_url, 2) || '/main',
           w.runner_id, w.status, w.acked_seq
    FROM winner w
), lease AS (
    INSERT INTO wakelatch.claim_leases (tenant_id, consumer_id, epoch, expires_at)
    SELECT w.tenant_id, w.outstanding_wake_id, w.generation,
           statement_timestamp() + (@lease_ms::bigint) * interval '1 millisecond'
    FROM winner w
), dispatch AS (
    UPDATE wakelatch.entity_dispatch_state d
    SET active_consumer_id = w.outstanding_wake_id, active_runner_id = w.runner_id, active_epoch = w.generation,
        active_claimed_at = statement_timestamp(), outstanding_wake_id = NULL, outstanding_runner_id = NULL,
        outstanding_since = NULL, outstanding_emissions = 0, next_attempt_at = NULL
    FROM winner w WHERE d.tenant_id = w.tenant_id AND d.entity_url = w.entity_url
), dismissed AS (
    UPDATE wakelatch.entity_dispatch_state d
    SET outstanding_wake_id = NULL, outstanding_runner_id = NULL, outstanding_since = NULL,
        outstanding_emissions = 0, next_attempt_at = NULL
    FROM decided n
    WHERE n.outcome = 'not_awake' AND d.tenant_id = n.tenant_id AND d.entity_url = n.entity_url
      AND d.outstanding_runner_id = n.runner_id
), running AS (
    UPDATE wakelatch.entities e
    SET status = 'running', version = e.version + 1, updated_at = statement_timestamp()
    FROM winner w WHERE e.tenant_id = w.tenant_id AND e.url = w.entity_url
    RETURNING e.tenant_id, e.url, e.version
), stream AS (
    UPDATE wakelatch.streams s
    SET claim_consumer_id = w.outstanding_wake_id, claim_epoch = w.generation, claim_outside_tail = s.outside_tail
    FROM winner w WHERE s.tenant_id = w.tenant_id AND s.path = substr(w.entity_url, 2) || '/main'
), history AS (
    INSERT INTO wakelatch.claim_events (tenant_id, consumer_id, epoch, transition, entity_url, runner_id, actor)
    SELECT w.tenant_id, w.outstanding_wake_id, w.generation, 'claimed', w.entity_url, w.runner_id, 'runner:' || w.runner_id
    FROM winner w
)
SELECT n.ord,
       (CASE WHEN n.outcome = 'claimed' AND w.ord <> n.ord THEN 'repeated' ELSE n.outcome END)::text AS outcome,
       COALESCE(n.active_consumer_id, n.outstanding_wake_id, '')::text AS consumer_id,
       COALESCE(n.active_epoch, n.generation, 0)::bigint AS epoch,
       COALESCE(n.start_seq, n.acked_seq, 0)::bigint AS start_seq,
       COALESCE(n.type, '')::text AS entity_type,
       COALESCE(n.entity_status, n.status, '')::text AS entity_status,
       COALESCE(n.tags, '{}')::jsonb AS tags,
       COALESCE(n.spawn_args, '{}')::jsonb AS spawn_args,
       COALESCE(n.created_by, '')::text AS created_by,
       COALESCE(running.version, CASE WHEN n.outcome = 'repeated' THEN n.version END, 0)::bigint AS version
FROM decided n
LEFT JOIN winner w ON w.tenant_id = n.tenant_id AND w.entity_url = n.entity_url
LEFT JOIN running ON running.tenant_id = n.tenant_id AND running.url = n.entity_url
ORDER BY n.ord;

-- name: LockClaims :exec
SELECT 1
FROM wakelatch.consumer_claims c
JOIN (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@consumer_ids::text[]) AS consumer_id,
             unnest(@epochs::bigint[]) AS epoch) k
  ON c.tenant_id = k.tenant_id AND c.consumer_id = k.consumer_id AND c.epoch = k.epoch
ORDER BY c.tenant_id, c.consumer_id, c.epoch
FOR UPDATE OF c;

-- name: LockClaimsSkipLocked :many
SELECT c.tenant_id, c.consumer_id, c.epoch
FROM wakelatch.consumer_claims c
JOIN (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@consumer_ids::text[]) AS consumer_id,
             unnest(@epochs::bigint[]) AS epoch) k
  ON c.tenant_id = k.tenant_id AND c.consumer_id = k.consumer_id AND c.epoch = k.epoch
ORDER BY c.tenant_id, c.consumer_id, c.epoch
FOR UPDATE OF c SKIP LOCKED;

-- name: LockLeases :exec
SELECT 1
FROM wakelatch.claim_leases l
JOIN (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@consumer_ids::text[]) AS consumer_id,
             unnest(@epochs::bigint[]) AS epoch) k
  ON l.tenant_id = k.tenant_id AND l.consumer_id = k.consumer_id AND l.epoch = k.epoch
ORDER BY l.tenant_id, l.consumer_id, l.epoch
FOR UPDATE OF l;

-- name: LockStreamsOfClaims :exec
SELECT 1
FROM wakelatch.streams s
WHERE (s.tenant_id, s.path) IN (
    SELECT c.tenant_id, c.stream_path
    FROM (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@consumer_ids::text[]) AS consumer_id,
                 unnest(@epochs::bigint[]) AS epoch) k
    JOIN wakelatch.consumer_claims c
      ON c.tenant_id = k.tenant_id AND c.consumer_id = k.consumer_id AND c.epoch = k.epoch)
ORDER BY s.tenant_id, s.path
FOR UPDATE;

-- name: ConfirmClaim :many
-- The claim and its lease are locked. confirm_id tells a retry of the same request from a second process.
WITH state AS (
    SELECT c.* FROM wakelatch.consumer_claims c
    WHERE c.tenant_id = @tenant_id AND c.consumer_id = @consumer_id AND c.epoch = @epoch
), confirmed AS (
    UPDATE wakelatch.consumer_claims c
    SET confirmed_at = statement_timestamp(), confirm_id = @confirm_id::text
    FROM state s
    WHERE c.tenant_id = s.tenant_id AND c.consumer_id = s.consumer_id AND c.epoch = s.epoch
      AND s.status = 'active' AND s.done_at IS NULL AND s.confirmed_at IS NULL
    RETURNING c.tenant_id, c.consumer_id, c.epoch, c.entity_url, c.runner_id
), renewed AS (
    UPDATE wakelatch.claim_leases l
    SET expires_at = statement_timestamp() + (@lease_ms::bigint) * interval '1 millisecond'
    FROM confirmed c
    WHERE l.tenant_id = c.tenant_id AND l.consumer_id = c.consumer_id AND l.epoch = c.epoch
), history AS (
    INSERT INTO wakelatch.claim_events (tenant_id, consumer_id, epoch, transition, entity_url, runner_id, actor)
    SELECT c.tenant_id, c.consumer_id, c.epoch, 'confirmed', c.entity_url, c.runner_id, 'runner:' || c.runner_id
    FROM confirmed c
)
SELECT s.stream_path,
       (CASE WHEN EXISTS (SELECT 1 FROM confirmed) THEN 'confirmed'
             WHEN s.status <> 'active' THEN s.status
             WHEN s.done_at IS NOT NULL THEN 'done'
             WHEN s.confirm_id = @confirm_id::text THEN 'confirmed'
             ELSE 'already_confirmed' END)::text AS outcome,
       COALESCE(s.release_cause, '')::text AS release_cause
FROM state s;

-- name: RenewLeases :many
WITH input AS (
    SELECT unnest(@ords::integer[]) AS ord,
           unnest(@tenant_ids::text[]) AS tenant_id,
           unnest(@consumer_ids::text[]) AS consumer_id,
           unnest(@epochs::bigint[]) AS epoch
), renewed AS (
    UPDATE wakelatch.claim_leases l
    SET expires_at = statement_timestamp() + (@lease_ms::bigint) * interval '1 millisecond',
        last_heartbeat_at = statement_timestamp()
    FROM input i
    WHERE l.tenant_id = i.tenant_id AND l.consumer_id = i.consumer_id AND l.epoch = i.epoch
    RETURNING l.tenant_id, l.consumer_id, l.epoch
)
SELECT i.ord,
       (r.epoch IS NOT NULL)::boolean AS renewed,
       COALESCE(c.status, '')::text AS status,
       COALESCE(c.release_cause, '')::text AS release_cause
FROM input i
LEFT JOIN renewed r ON r.tenant_id = i.tenant_id AND r.consumer_id = i.consumer_id AND r.epoch = i.epoch
LEFT JOIN wakelatch.consumer_claims c
  ON r.epoch IS NULL AND c.tenant_id = i.tenant_id AND c.consumer_id = i.consumer_id AND c.epoch = i.epoch
ORDER BY i.ord;

-- name: RenewLeaseOnRead :execrows
-- Until its first heartbeat the holder's read of the main stream keeps the claim alive.
UPDATE wakelatch.claim_leases l
SET expires_at = statement_timestamp() + (@lease_ms::bigint) * interval '1 millisecond'
FROM wakelatch.streams s
JOIN wakelatch.consumer_claims c
  ON c.tenant_id = s.tenant_id AND c.consumer_id = s.claim_consumer_id AND c.epoch = s.claim_epoch
WHERE s.tenant_id = @tenant_id AND s.path = @path AND s.sealed_epoch < s.claim_epoch
  AND c.runner_id = @runner_id AND c.status = 'active'
  AND l.tenant_id = c.tenant_id AND l.consumer_id = c.consumer_id AND l.epoch = c.epoch
  AND l.last_heartbeat_at IS NULL;

-- name: RecordDones :many
-- The claims and their streams are locked. From the commit on no write of these epochs lands.
WITH input AS (
    SELECT unnest(@ords::integer[]) AS ord,
           unnest(@tenant_ids::text[]) AS tenant_id,
           unnest(@consumer_ids::text[]) AS consumer_id,
           unnest(@epochs::bigint[]) AS epoch,
           unnest(@outcomes::text[]) AS outcome,
           unnest(@acked_streams::text[])::jsonb AS acked_streams
), first AS (
    SELECT DISTINCT ON (i.tenant_id, i.consumer_id, i.epoch) i.*
    FROM input i ORDER BY i.tenant_id, i.consumer_id, i.epoch, i.ord
), recorded AS (
    UPDATE wakelatch.consumer_claims c
    SET done_at = statement_timestamp(), done_outcome = f.outcome, acked_streams = f.acked_streams,
        done_ack_seq = (SELECT max((a.value ->> 'offset')::bigint) FROM jsonb_array_elements(f.acked_streams) a
                        WHERE a.value ->> 'path' = c.stream_path)
    FROM first f
    WHERE c.tenant_id = f.tenant_id AND c.consumer_id = f.consumer_id AND c.epoch = f.epoch AND c.done_at IS NULL
    RETURNING f.ord, c.tenant_id, c.consumer_id, c.epoch, c.entity_url, c.stream_path, c.runner_id, c.status
), sealed AS (
    UPDATE wakelatch.streams s
    SET sealed_epoch = r.epoch
    FROM recorded r
    WHERE s.tenant_id = r.tenant_id AND s.path = r.stream_path
      AND s.claim_consumer_id = r.consumer_id AND s.claim_epoch = r.epoch AND s.sealed_epoch < r.epoch
), history AS (
    INSERT INTO wakelatch.claim_events (tenant_id, consumer_id, epoch, transition, entity_url, runner_id, actor)
    SELECT r.tenant_id, r.consumer_id, r.epoch, 'done', r.entity_url, r.runner_id, 'runner:' || r.runner_id
    FROM recorded r
)
SELECT i.ord,
       (CASE WHEN c.epoch IS NULL THEN 'unknown'
             WHEN r.ord IS NULL THEN 'repeated'
             WHEN r.status = 'active' THEN 'recorded'
             ELSE 'late' END)::text AS outcome,
       COALESCE(c.stream_path, '')::text AS stream_path
FROM input i
LEFT JOIN wakelatch.consumer_claims c
  ON c.tenant_id = i.tenant_id AND c.consumer_id = i.consumer_id AND c.epoch = i.epoch
LEFT JOIN recorded r ON r.ord = i.ord
ORDER BY i.ord;

-- name: GetClaim :one
SELECT * FROM wakelatch.consumer_claims
WHERE tenant_id = @tenant_id AND consumer_id = @consumer_id AND epoch = @epoch;

-- name: ListActiveClaims :many
SELECT tenant_id, stream_path, consumer_id, epoch
FROM wakelatch.consumer_claims
WHERE status = 'active' AND done_at IS NULL;

-- name: ListReleasedSince :many
-- since is the database's clock as an earlier call returned it.
SELECT c.tenant_id, c.stream_path, c.epoch
FROM wakelatch.consumer_claims c
WHERE c.released_at > @since::timestamptz;

-- name: CurrentClaim :one
-- The stream's claim as an append would be judged: in_force is false when none is, and epoch is then
-- the highest epoch known to be over.
SELECT COALESCE(s.claim_consumer_id, '')::text AS consumer_id,
       COALESCE(s.claim_epoch, 0)::bigint AS epoch,
       COALESCE(s.claim_epoch > s.sealed_epoch, false)::boolean AS in_force
FROM wakelatch.streams s
WHERE s.tenant_id = @tenant_id AND s.path = @path AND s.kind = 'main';

-- name: DatabaseNow :one
SELECT statement_timestamp()::timestamptz AS now;

-- name: VerifyClaim :one
-- The claim as a write of its holder would be judged. in_force is false once it is done, sealed or ended.
SELECT c.consumer_id, c.epoch, c.entity_url, c.stream_path, c.runner_id, c.claimed_at,
       (CASE WHEN c.status = 'active' AND c.done_at IS NOT NULL THEN 'done' ELSE c.status END)::text AS status,
       COALESCE(c.release_cause, '')::text AS release_cause,
       (c.status = 'active' AND c.done_at IS NULL
        AND COALESCE(s.claim_consumer_id = c.consumer_id AND s.claim_epoch = c.epoch AND s.sealed_epoch < c.epoch, false))::boolean AS in_force,
       COALESCE(d.generation, c.epoch)::bigint AS current_epoch,
       l.expires_at AS lease_expires_at,
       COALESCE((extract(epoch FROM l.expires_at - statement_timestamp()) * 1000)::bigint, 0)::bigint AS lease_remaining_ms
FROM wakelatch.consumer_claims c
LEFT JOIN wakelatch.claim_leases l
  ON l.tenant_id = c.tenant_id AND l.consumer_id = c.consumer_id AND l.epoch = c.epoch
LEFT JOIN wakelatch.streams s ON s.tenant_id = c.tenant_id AND s.path = c.stream_path
LEFT JOIN wakelatch.entity_dispatch_state d ON d.tenant_id = c.tenant_id AND d.entity_url = c.entity_url
WHERE c.tenant_id = @tenant_id AND c.consumer_id = @consumer_id AND c.epoch = @epoch;
