-- What people ask of the lifecycle. Nothing here locks or changes a row. Pages go from the newest to the oldest, by a
-- time and by keys that part rows of one time; a page holds what comes before the cursor.

-- name: ClaimsOfEntity :many
-- Epochs of an entity grow with time.
SELECT c.consumer_id, c.epoch
FROM wakelatch.consumer_claims c
WHERE c.tenant_id = @tenant_id AND c.entity_url = @entity_url AND c.epoch < @before_epoch::bigint
  AND (@status::text = '' OR c.status = @status::text)
  AND (@runner_id::text = '' OR c.runner_id = @runner_id::text)
ORDER BY c.epoch DESC
LIMIT @max_rows::integer;

-- name: ClaimsActive :many
SELECT c.consumer_id, c.epoch
FROM wakelatch.consumer_claims c
WHERE c.tenant_id = @tenant_id AND c.status = 'active'
  AND (@runner_id::text = '' OR c.runner_id = @runner_id::text)
  AND c.claimed_at <= @before_at::timestamptz
  AND (c.claimed_at < @before_at::timestamptz OR (c.consumer_id || ' ' || c.epoch) COLLATE "C" < @before_key::text)
ORDER BY c.claimed_at DESC, (c.consumer_id || ' ' || c.epoch) COLLATE "C" DESC
LIMIT @max_rows::integer;

-- name: ClaimsTroubled :many
-- Those with the status expired or failed, which an index of their own holds.
SELECT c.consumer_id, c.epoch
FROM wakelatch.consumer_claims c
WHERE c.tenant_id = @tenant_id AND c.status IN ('expired', 'failed') AND c.status = @status::text
  AND (@runner_id::text = '' OR c.runner_id = @runner_id::text)
  AND c.claimed_at <= @before_at::timestamptz
  AND (c.claimed_at < @before_at::timestamptz OR (c.consumer_id || ' ' || c.epoch) COLLATE "C" < @before_key::text)
ORDER BY c.claimed_at DESC, (c.consumer_id || ' ' || c.epoch) COLLATE "C" DESC
LIMIT @max_rows::integer;

-- name: ClaimsNewest :many
-- From the history of each runner that ever claimed, which an index finds one by one; there are few of them. The
-- transition is claimed or released, and the claim carries the same time as it.
WITH RECURSIVE claimants AS (
    SELECT (SELECT min(e.runner_id) FROM wakelatch.claim_events e WHERE e.tenant_id = @tenant_id
              AND (@runner_id::text = '' OR e.runner_id = @runner_id::text)) AS runner_id
    UNION ALL
    SELECT (SELECT min(e.runner_id) FROM wakelatch.claim_events e WHERE e.tenant_id = @tenant_id
              AND e.runner_id > n.runner_id AND @runner_id::text = '')
    FROM claimants n WHERE n.runner_id IS NOT NULL
)
SELECT made.consumer_id, made.epoch
FROM claimants n
CROSS JOIN LATERAL (
    SELECT e.at, e.consumer_id, e.epoch
    FROM wakelatch.claim_events e
    WHERE e.tenant_id = @tenant_id AND e.runner_id = n.runner_id AND e.transition = @transition
      AND e.at <= @before_at::timestamptz
      AND (e.at < @before_at::timestamptz OR (e.consumer_id || ' ' || e.epoch) COLLATE "C" < @before_key::text)
    ORDER BY e.at DESC, (e.consumer_id || ' ' || e.epoch) COLLATE "C" DESC
    LIMIT @max_rows::integer
) made
ORDER BY made.at DESC, (made.consumer_id || ' ' || made.epoch) COLLATE "C" DESC
LIMIT @max_rows::integer;

-- name: ShowClaims :many
SELECT sqlc.embed(c), l.expires_at, l.last_heartbeat_at,
       COALESCE(GREATEST(extract(epoch FROM l.expires_at - statement_timestamp()) * 1000, 0), 0)::bigint AS lease_remaining_ms
FROM (SELECT unnest(@ords::integer[]) AS ord, unnest(@consumer_ids::text[]) AS consumer_id, unnest(@epochs::bigint[]) AS epoch) k
JOIN wakelatch.consumer_claims c
  ON c.tenant_id = @tenant_id AND c.consumer_id = k.consumer_id AND c.epoch = k.epoch
LEFT JOIN wakelatch.claim_leases l
  ON l.tenant_id = c.tenant_id AND l.consumer_id = c.consumer_id AND l.epoch = c.epoch
ORDER BY k.ord;

-- name: EntityHistory :many
-- Transitions of claims and actions as one list; key parts those of one time.
SELECT h.at::timestamptz AS at, h.key::text AS key, h.kind::text AS kind, h.what::text AS what,
       h.consumer_id::text AS consumer_id, h.epoch::bigint AS epoch, h.entity_url::text AS entity_url, h.runner_id::text AS runner_id,
       h.cause::text AS cause, h.entity_cleared, h.actor::text AS actor, h.reason::text AS reason, h.details
FROM (
    (SELECT e.at, ('claim ' || e.consumer_id || ' ' || e.epoch || ' ' || e.transition) COLLATE "C" AS key,
            'claim' AS kind, e.transition AS what, e.consumer_id, e.epoch, e.entity_url, e.runner_id,
            COALESCE(e.cause, '') AS cause, e.entity_cleared, e.actor, COALESCE(e.reason, '') AS reason, NULL::jsonb AS details
     FROM wakelatch.claim_events e
     WHERE e.tenant_id = @tenant_id AND e.entity_url = @entity_url::text AND e.at <= @before_at::timestamptz
       AND (e.at < @before_at::timestamptz
            OR ('claim ' || e.consumer_id || ' ' || e.epoch || ' ' || e.transition) COLLATE "C" < @before_key::text)
     ORDER BY e.at DESC, 2 DESC
     LIMIT @max_rows::integer)
    UNION ALL
    (SELECT a.at, ('action ' || a.id) COLLATE "C",
            CASE WHEN a.entity_url IS NULL THEN 'runner' ELSE 'entity' END, a.action, '', 0, COALESCE(a.entity_url, ''),
            COALESCE(a.runner_id, ''), '', NULL, a.actor, COALESCE(a.reason, ''), a.details
     FROM wakelatch.actions a
     WHERE a.tenant_id = @tenant_id AND a.entity_url = @entity_url::text AND a.at <= @before_at::timestamptz
       AND (a.at < @before_at::timestamptz OR ('action ' || a.id) COLLATE "C" < @before_key::text)
     ORDER BY a.at DESC, 2 DESC
     LIMIT @max_rows::integer)
) h
ORDER BY h.at DESC, h.key COLLATE "C" DESC
LIMIT @max_rows::integer;

-- name: RunnerHistory :many
SELECT h.at::timestamptz AS at, h.key::text AS key, h.kind::text AS kind, h.what::text AS what,
       h.consumer_id::text AS consumer_id, h.epoch::bigint AS epoch, h.entity_url::text AS entity_url, h.runner_id::text AS runner_id,
       h.cause::text AS cause, h.entity_cleared, h.actor::text AS actor, h.reason::text AS reason, h.details
FROM (
    (SELECT e.at, ('claim ' || e.consumer_id || ' ' || e.epoch || ' ' || e.transition) COLLATE "C" AS key,
            'claim' AS kind, e.transition AS what, e.consumer_id, e.epoch, e.entity_url, e.runner_id,
            COALESCE(e.cause, '') AS cause, e.entity_cleared, e.actor, COALESCE(e.reason, '') AS reason, NULL::jsonb AS details
     FROM wakelatch.claim_events e
     WHERE e.tenant_id = @tenant_id AND e.runner_id = @runner_id::text AND e.at <= @before_at::timestamptz
       AND (e.at < @before_at::timestamptz
            OR ('claim ' || e.consumer_id || ' ' || e.epoch || ' ' || e.transition) COLLATE "C" < @before_key::text)
     ORDER BY e.at DESC, 2 DESC
     LIMIT @max_rows::integer)
    UNION ALL
    (SELECT a.at, ('action ' || a.id) COLLATE "C",
            CASE WHEN a.entity_url IS NULL THEN 'runner' ELSE 'entity' END, a.action, '', 0, COALESCE(a.entity_url, ''),
            COALESCE(a.runner_id, ''), '', NULL, a.actor, COALESCE(a.reason, ''), a.details
     FROM wakelatch.actions a
     WHERE a.tenant_id = @tenant_id AND a.runner_id = @runner_id::text AND a.at <= @before_at::timestamptz
       AND (a.at < @before_at::timestamptz OR ('action ' || a.id) COLLATE "C" < @before_key::text)
     ORDER BY a.at DESC, 2 DESC
     LIMIT @max_rows::integer)
) h
ORDER BY h.at DESC, h.key COLLATE "C" DESC
LIMIT @max_rows::integer;

-- name: KnownEntity :one
-- The dispatch row outlives the entity, and so does the history.
SELECT EXISTS (SELECT 1 FROM wakelatch.entity_dispatch_state d WHERE d.tenant_id = @tenant_id AND d.entity_url = @entity_url) AS known;

-- name: KnownRunner :one
SELECT EXISTS (SELECT 1 FROM wakelatch.runners r WHERE r.tenant_id = @tenant_id AND r.id = @id) AS known;

-- name: ShowDispatch :many
-- Everything about one entity in one snapshot: none or one row. runner_id is the runner that its wakes go to: the one
-- of the wake that is out, else the one of its policy.
SELECT sqlc.embed(d), statement_timestamp()::timestamptz AS now,
       COALESCE(e.status, 'deleted')::text AS status, COALESCE(e.dispatch_runner_id, '')::text AS dispatch_runner_id,
       (d.last_outside_seq > d.acked_seq)::boolean AS pending,
       COALESCE((SELECT m.created_at FROM wakelatch.stream_messages m
        WHERE d.last_outside_seq > d.acked_seq AND m.tenant_id = d.tenant_id
          AND m.stream_path = substr(d.entity_url, 2) || '/main' AND m.end_offset > d.acked_seq
        ORDER BY m.end_offset LIMIT 1), statement_timestamp())::timestamptz AS pending_since,
       COALESCE(c.status, '')::text AS claim_status, c.confirmed_at, c.done_at, l.expires_at, l.last_heartbeat_at,
       COALESCE(d.outstanding_runner_id, e.dispatch_runner_id, '')::text AS runner_id, (r.id IS NOT NULL)::boolean AS runner_registered,
       COALESCE(r.admin_status, '')::text AS runner_admin_status, p.last_seen_at AS runner_last_seen_at,
       p.lease_expires_at AS runner_lease_expires_at
FROM wakelatch.entity_dispatch_state d
LEFT JOIN wakelatch.entities e ON e.tenant_id = d.tenant_id AND e.url = d.entity_url
LEFT JOIN wakelatch.consumer_claims c
  ON c.tenant_id = d.tenant_id AND c.consumer_id = d.active_consumer_id AND c.epoch = d.active_epoch
LEFT JOIN wakelatch.claim_leases l
  ON l.tenant_id = c.tenant_id AND l.consumer_id = c.consumer_id AND l.epoch = c.epoch
LEFT JOIN wakelatch.runners r
  ON r.tenant_id = d.tenant_id AND r.id = COALESCE(d.outstanding_runner_id, e.dispatch_runner_id)
LEFT JOIN wakelatch.runner_diagnostics p ON p.tenant_id = r.tenant_id AND p.runner_id = r.id
WHERE d.tenant_id = @tenant_id AND d.entity_url = @entity_url;
