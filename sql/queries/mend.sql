-- Mending brings the rows of one entity into agreement and leaves the rest to the sweep, which ends and wakes with the
-- same statements as ever. On an entity that agrees with itself nothing changes. Everything is locked before MendDispatch.

-- name: TracesOfEntity :one
SELECT (EXISTS (SELECT 1 FROM wakelatch.entities e WHERE e.tenant_id = @tenant_id AND e.url = @entity_url)
     OR EXISTS (SELECT 1 FROM wakelatch.entity_dispatch_state d WHERE d.tenant_id = @tenant_id AND d.entity_url = @entity_url)
     OR EXISTS (SELECT 1 FROM wakelatch.consumer_claims c WHERE c.tenant_id = @tenant_id AND c.entity_url = @entity_url))::boolean AS found;

-- name: MendMissingDispatch :exec
-- A dispatch row that is gone is made again: what no claim acknowledged is pending. Before the row is locked.
INSERT INTO wakelatch.entity_dispatch_state (tenant_id, entity_url, last_outside_seq, acked_seq)
SELECT @tenant_id, @entity_url,
       COALESCE((SELECT s.outside_tail FROM wakelatch.streams s
                 WHERE s.tenant_id = @tenant_id AND s.path = substr(@entity_url, 2) || '/main'), 0),
       COALESCE((SELECT max(c.done_ack_seq) FROM wakelatch.consumer_claims c
                 WHERE c.tenant_id = @tenant_id AND c.entity_url = @entity_url AND c.status <> 'active'), 0)
ON CONFLICT (tenant_id, entity_url) DO NOTHING;

-- name: LockActiveClaimsOfEntity :exec
SELECT 1 FROM wakelatch.consumer_claims c
WHERE c.tenant_id = @tenant_id AND c.entity_url = @entity_url AND c.status = 'active'
ORDER BY c.tenant_id, c.consumer_id, c.epoch
FOR UPDATE;

-- name: LockActiveLeasesOfEntity :exec
SELECT 1 FROM wakelatch.claim_leases l
WHERE (l.tenant_id, l.consumer_id, l.epoch) IN (
    SELECT c.tenant_id, c.consumer_id, c.epoch FROM wakelatch.consumer_claims c
    WHERE c.tenant_id = @tenant_id AND c.entity_url = @entity_url AND c.status = 'active')
ORDER BY l.tenant_id, l.consumer_id, l.epoch
FOR UPDATE;

-- name: MendDispatch :exec
-- The entity is under its newest active claim or under none, and no epoch is above its generation. Work that waits
-- without a claim is due, unless its time is still to come.
UPDATE wakelatch.entity_dispatch_state d
SET generation = GREATEST(d.generation, top.epoch),
    active_consumer_id = held.consumer_id, active_runner_id = held.runner_id, active_epoch = held.epoch, active_claimed_at = held.claimed_at,
    outstanding_wake_id = CASE WHEN held.epoch IS NULL THEN d.outstanding_wake_id END,
    outstanding_runner_id = CASE WHEN held.epoch IS NULL THEN d.outstanding_runner_id END,
    outstanding_since = CASE WHEN held.epoch IS NULL THEN d.outstanding_since END,
    outstanding_emissions = CASE WHEN held.epoch IS NULL THEN d.outstanding_emissions ELSE 0 END,
    next_attempt_at = CASE WHEN held.epoch IS NOT NULL THEN NULL
        WHEN d.last_outside_seq > d.acked_seq AND d.parked_reason IS NULL THEN COALESCE(d.next_attempt_at, statement_timestamp())
        ELSE d.next_attempt_at END
FROM (SELECT max(c.epoch) AS epoch FROM wakelatch.consumer_claims c WHERE c.tenant_id = @tenant_id AND c.entity_url = @entity_url) top
LEFT JOIN wakelatch.consumer_claims held
  ON held.tenant_id = @tenant_id AND held.entity_url = @entity_url AND held.status = 'active'
 AND held.epoch = (SELECT max(c.epoch) FROM wakelatch.consumer_claims c
                   WHERE c.tenant_id = @tenant_id AND c.entity_url = @entity_url AND c.status = 'active')
WHERE d.tenant_id = @tenant_id AND d.entity_url = @entity_url;

-- name: MendLeases :exec
-- An active claim without a lease gets one that is over, and so does one that is not the entity's, or whose entity is
-- stopped, killed or gone: the sweep ends it.
INSERT INTO wakelatch.claim_leases AS l (tenant_id, consumer_id, epoch, expires_at)
SELECT c.tenant_id, c.consumer_id, c.epoch, statement_timestamp()
FROM wakelatch.consumer_claims c
LEFT JOIN wakelatch.entity_dispatch_state d
  ON d.tenant_id = c.tenant_id AND d.entity_url = c.entity_url AND d.active_consumer_id = c.consumer_id AND d.active_epoch = c.epoch
LEFT JOIN wakelatch.entities e ON e.tenant_id = c.tenant_id AND e.url = c.entity_url AND e.status NOT IN ('stopped', 'killed')
LEFT JOIN wakelatch.claim_leases have
  ON have.tenant_id = c.tenant_id AND have.consumer_id = c.consumer_id AND have.epoch = c.epoch
WHERE c.tenant_id = @tenant_id AND c.entity_url = @entity_url AND c.status = 'active'
  AND (have.epoch IS NULL OR d.entity_url IS NULL OR e.url IS NULL)
ON CONFLICT (tenant_id, consumer_id, epoch) DO UPDATE SET expires_at = LEAST(l.expires_at, statement_timestamp());

-- name: MendStatus :exec
UPDATE wakelatch.entities e
SET status = CASE e.status WHEN 'idle' THEN 'running' WHEN 'running' THEN 'idle' ELSE 'stopped' END,
    version = e.version + 1, updated_at = statement_timestamp()
WHERE e.tenant_id = @tenant_id AND e.url = @url
  AND e.status IN ('idle', 'running', 'stopping')
  AND (e.status = 'idle') = EXISTS (
      SELECT 1 FROM wakelatch.consumer_claims c WHERE c.tenant_id = e.tenant_id AND c.entity_url = e.url AND c.status = 'active');

-- name: OverdueClaims :many
-- Active claims that a sweep should have ended: done, or past their lease, for this long.
SELECT c.tenant_id, c.consumer_id, c.epoch, c.entity_url,
       (c.done_at IS NOT NULL)::boolean AS done,
       extract(epoch FROM statement_timestamp() - COALESCE(c.done_at, l.expires_at))::double precision AS seconds
FROM wakelatch.consumer_claims c
JOIN wakelatch.claim_leases l ON l.tenant_id = c.tenant_id AND l.consumer_id = c.consumer_id AND l.epoch = c.epoch
WHERE c.status = 'active'
  AND COALESCE(c.done_at, l.expires_at) < statement_timestamp() - (@overdue_ms::bigint) * interval '1 millisecond'
ORDER BY COALESCE(c.done_at, l.expires_at)
LIMIT @max_rows::integer;

-- name: ParkedEntities :many
SELECT d.tenant_id, d.entity_url, COALESCE(d.parked_reason, '')::text AS reason
FROM wakelatch.entity_dispatch_state d
JOIN wakelatch.entities e ON e.tenant_id = d.tenant_id AND e.url = d.entity_url
WHERE d.parked_reason IS NOT NULL
ORDER BY d.tenant_id, d.entity_url
LIMIT @max_rows::integer;

-- name: AbsentRunners :many
-- Runners that work waits for and that are not there for it: not registered, told to take none, or not heard of.
SELECT e.tenant_id, e.dispatch_runner_id::text AS runner_id, (r.id IS NOT NULL)::boolean AS registered,
       COALESCE(r.admin_status, '')::text AS admin_status, count(*)::bigint AS entities, min(e.url)::text AS example,
       (max(l.lease_expires_at) IS NULL)::boolean AS never_seen
FROM wakelatch.entity_dispatch_state d
JOIN wakelatch.entities e ON e.tenant_id = d.tenant_id AND e.url = d.entity_url
LEFT JOIN wakelatch.runners r ON r.tenant_id = e.tenant_id AND r.id = e.dispatch_runner_id
LEFT JOIN wakelatch.runner_diagnostics l ON l.tenant_id = r.tenant_id AND l.runner_id = r.id
WHERE d.last_outside_seq > d.acked_seq AND d.active_consumer_id IS NULL AND d.parked_reason IS NULL
  AND e.status IN ('idle', 'running') AND e.dispatch_runner_id IS NOT NULL
  AND (r.id IS NULL OR r.admin_status <> 'enabled' OR l.lease_expires_at IS NULL OR l.lease_expires_at <= statement_timestamp())
GROUP BY e.tenant_id, e.dispatch_runner_id, r.id, r.admin_status
ORDER BY count(*) DESC, e.tenant_id, e.dispatch_runner_id
LIMIT @max_rows::integer;

-- name: SinceLastSweep :one
SELECT COALESCE(extract(epoch FROM statement_timestamp() - max(w.last_sweep_at)), 0)::double precision AS seconds FROM wakelatch.sweep_state w;

-- name: HasSecret :one
SELECT EXISTS (SELECT 1 FROM wakelatch.secrets s WHERE s.name = @name) AS found;
