-- What the dashboards show of the whole database, the same on every node.

-- name: ActiveClaimsByTenant :many
-- Every tenant that has a runner, those without a claim with 0.
SELECT t.tenant_id, count(c.epoch)::bigint AS claims,
       COALESCE(extract(epoch FROM statement_timestamp() - min(c.claimed_at)), 0)::double precision AS oldest_seconds,
       count(c.done_at)::bigint AS releasing
FROM (SELECT DISTINCT r.tenant_id FROM wakelatch.runners r) t
LEFT JOIN wakelatch.consumer_claims c ON c.tenant_id = t.tenant_id AND c.status = 'active'
GROUP BY t.tenant_id
ORDER BY claims DESC, t.tenant_id;

-- name: PendingWithoutWake :one
-- A parked entity has pending work, so the index of pending work finds it.
SELECT count(*) FILTER (WHERE d.parked_reason IS NULL AND e.status IN ('idle', 'running') AND e.dispatch_runner_id IS NOT NULL)::bigint AS entities,
       count(*) FILTER (WHERE d.parked_reason IS NOT NULL)::bigint AS parked
FROM wakelatch.entity_dispatch_state d
JOIN wakelatch.entities e ON e.tenant_id = d.tenant_id AND e.url = d.entity_url
WHERE d.last_outside_seq > d.acked_seq AND d.active_consumer_id IS NULL AND d.outstanding_wake_id IS NULL
  AND e.status IN ('idle', 'running', 'paused');

-- name: Violations :many
-- The consistency query: a row for each broken rule, naming what breaks it. Each invariant is read in this
-- one snapshot. overdue_ms is how long work may be on its way before its absence counts.
SELECT 'I1'::text AS invariant, c.tenant_id, c.entity_url AS subject, count(*)::text || ' active claims' AS detail
FROM wakelatch.consumer_claims c WHERE c.status = 'active'
GROUP BY c.tenant_id, c.entity_url HAVING count(*) > 1
UNION ALL
SELECT 'I2', c.tenant_id, c.entity_url, 'active claim of epoch ' || c.epoch || ' is above generation ' || d.generation
FROM wakelatch.consumer_claims c
JOIN wakelatch.entity_dispatch_state d ON d.tenant_id = c.tenant_id AND d.entity_url = c.entity_url
WHERE c.status = 'active' AND c.epoch > d.generation
UNION ALL
SELECT 'I4', d.tenant_id, d.entity_url, 'dispatch state points at claim ' || d.active_consumer_id || ', which is not active'
FROM wakelatch.entity_dispatch_state d
LEFT JOIN wakelatch.consumer_claims c
  ON c.tenant_id = d.tenant_id AND c.consumer_id = d.active_consumer_id AND c.epoch = d.active_epoch AND c.status = 'active'
WHERE d.active_consumer_id IS NOT NULL AND c.epoch IS NULL
UNION ALL
SELECT 'I4', c.tenant_id, c.entity_url, 'active claim ' || c.consumer_id || ' epoch ' || c.epoch || ' is pointed at by nothing'
FROM wakelatch.consumer_claims c
LEFT JOIN wakelatch.entity_dispatch_state d
  ON d.tenant_id = c.tenant_id AND d.entity_url = c.entity_url
 AND d.active_consumer_id = c.consumer_id AND d.active_epoch = c.epoch
WHERE c.status = 'active' AND d.entity_url IS NULL
UNION ALL
SELECT 'I4', c.tenant_id, c.entity_url, 'active claim ' || c.consumer_id || ' epoch ' || c.epoch || ' has no lease'
FROM wakelatch.consumer_claims c
LEFT JOIN wakelatch.claim_leases l
  ON l.tenant_id = c.tenant_id AND l.consumer_id = c.consumer_id AND l.epoch = c.epoch
WHERE c.status = 'active' AND l.epoch IS NULL
UNION ALL
SELECT 'I5', e.tenant_id, e.url, 'running without an active claim'
FROM wakelatch.entities e
LEFT JOIN wakelatch.consumer_claims c ON c.tenant_id = e.tenant_id AND c.entity_url = e.url AND c.status = 'active'
WHERE e.status = 'running' AND c.epoch IS NULL
UNION ALL
SELECT 'I5', e.tenant_id, e.url, 'active claim while ' || e.status
FROM wakelatch.consumer_claims c
JOIN wakelatch.entities e ON e.tenant_id = c.tenant_id AND e.url = c.entity_url
WHERE c.status = 'active' AND e.status NOT IN ('running', 'stopping', 'paused')
UNION ALL
SELECT 'I8', d.tenant_id, d.entity_url,
       CASE WHEN d.outstanding_wake_id IS NULL THEN 'pending work, no claim and no wake out'
            ELSE 'wake ' || d.outstanding_wake_id || ' is out and was not appended again when its time came' END
FROM wakelatch.entity_dispatch_state d
JOIN wakelatch.entities e ON e.tenant_id = d.tenant_id AND e.url = d.entity_url
JOIN wakelatch.runners r ON r.tenant_id = e.tenant_id AND r.id = e.dispatch_runner_id AND r.admin_status = 'enabled'
WHERE d.last_outside_seq > d.acked_seq AND d.active_consumer_id IS NULL
  AND e.status IN ('idle', 'running') AND d.parked_reason IS NULL
  AND (d.next_attempt_at IS NULL AND r.updated_at < statement_timestamp() - (@overdue_ms::bigint) * interval '1 millisecond'
       OR d.next_attempt_at < statement_timestamp() - (@overdue_ms::bigint) * interval '1 millisecond')
LIMIT @max_rows::integer;
