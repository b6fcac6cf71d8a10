-- A runner's registration and its liveness are two rows, so that a heartbeat writes only the narrow one.

-- name: LockOutstandingOfRunner :exec
-- if_back narrows it to a runner whose liveness lease ended and that has not registered or been enabled since:
-- those two have emitted its wakes again already.
SELECT 1
FROM wakelatch.entity_dispatch_state d
WHERE d.tenant_id = @tenant_id AND d.outstanding_runner_id = @runner_id::text
  AND (NOT @if_back::boolean OR EXISTS (
      SELECT 1
      FROM wakelatch.runners r
      JOIN wakelatch.runner_diagnostics l ON l.tenant_id = r.tenant_id AND l.runner_id = r.id
      WHERE r.tenant_id = @tenant_id AND r.id = @runner_id::text
        AND l.lease_expires_at <= statement_timestamp() AND r.updated_at < l.lease_expires_at))
ORDER BY d.tenant_id, d.entity_url
FOR UPDATE;

-- name: EmitOutstandingAgain :execrows
-- The rows that LockOutstandingOfRunner locked. One that became outstanding since was emitted just now; it is
-- taken too unless somebody holds it, because waiting here would be out of order.
UPDATE wakelatch.entity_dispatch_state d
SET next_attempt_at = LEAST(d.next_attempt_at, statement_timestamp())
FROM (
    SELECT o.tenant_id, o.entity_url
    FROM wakelatch.entity_dispatch_state o
    WHERE o.tenant_id = @tenant_id AND o.outstanding_runner_id = @runner_id::text
      AND EXISTS (
          SELECT 1
          FROM wakelatch.runners r
          LEFT JOIN wakelatch.runner_diagnostics l ON l.tenant_id = r.tenant_id AND l.runner_id = r.id
          WHERE r.tenant_id = @tenant_id AND r.id = @runner_id::text AND r.admin_status = 'enabled'
            AND (@owner_principal::text = '' OR r.owner_principal = @owner_principal::text)
            AND (NOT @if_back::boolean
                OR l.lease_expires_at <= statement_timestamp() AND r.updated_at < l.lease_expires_at))
    FOR UPDATE OF o SKIP LOCKED
) mine
WHERE d.tenant_id = mine.tenant_id AND d.entity_url = mine.entity_url;

-- name: UpsertRunner :exec
-- What is left out ('' and null) keeps its value on a runner that exists. Nobody takes over another's runner.
INSERT INTO wakelatch.runners AS r
    (tenant_id, id, owner_principal, label, kind, admin_status, wake_stream, sandbox_profiles)
VALUES (@tenant_id, @id, @owner_principal,
        COALESCE(NULLIF(@label::text, ''), @id),
        COALESCE(NULLIF(@kind::text, ''), 'local'),
        COALESCE(NULLIF(@admin_status::text, ''), 'enabled'),
        @wake_stream,
        COALESCE(NULLIF(@sandbox_profiles::text, '')::jsonb, '[]'))
ON CONFLICT (tenant_id, id) DO UPDATE
SET label = COALESCE(NULLIF(@label::text, ''), r.label),
    kind = COALESCE(NULLIF(@kind::text, ''), r.kind),
    admin_status = COALESCE(NULLIF(@admin_status::text, ''), r.admin_status),
    sandbox_profiles = COALESCE(NULLIF(@sandbox_profiles::text, '')::jsonb, r.sandbox_profiles),
    updated_at = statement_timestamp()
WHERE r.owner_principal = EXCLUDED.owner_principal;

-- name: InsertRunnerDiagnostics :exec
INSERT INTO wakelatch.runner_diagnostics (tenant_id, runner_id)
VALUES (@tenant_id, @runner_id)
ON CONFLICT (tenant_id, runner_id) DO NOTHING;

-- name: InsertWakeStream :exec
INSERT INTO wakelatch.streams (tenant_id, path, kind, content_type)
VALUES (@tenant_id, @path, 'wake', 'application/json')
ON CONFLICT (tenant_id, path) DO NOTHING;

-- name: GetRunner :many
SELECT r.id, r.owner_principal, r.label, r.kind, r.admin_status, r.wake_stream, r.sandbox_profiles,
       r.created_at, r.updated_at, l.last_seen_at, l.lease_expires_at, l.wake_stream_offset, l.diagnostics,
       (CASE WHEN r.admin_status = 'disabled' OR l.lease_expires_at IS NULL THEN 'offline'
             WHEN l.lease_expires_at > statement_timestamp() THEN 'online'
             ELSE 'expired' END)::text AS liveness,
       COALESCE(extract(epoch FROM l.lease_expires_at - statement_timestamp()) * 1000, 0)::bigint AS lease_remaining_ms
FROM wakelatch.runners r
LEFT JOIN wakelatch.runner_diagnostics l ON l.tenant_id = r.tenant_id AND l.runner_id = r.id
WHERE r.tenant_id = @tenant_id AND r.id = @id;

-- name: ListRunners :many
SELECT r.id, r.owner_principal, r.label, r.kind, r.admin_status, r.wake_stream, r.sandbox_profiles,
       r.created_at, r.updated_at, l.last_seen_at, l.lease_expires_at, l.wake_stream_offset, l.diagnostics,
       (CASE WHEN r.admin_status = 'disabled' OR l.lease_expires_at IS NULL THEN 'offline'
             WHEN l.lease_expires_at > statement_timestamp() THEN 'online'
             ELSE 'expired' END)::text AS liveness,
       COALESCE(extract(epoch FROM l.lease_expires_at - statement_timestamp()) * 1000, 0)::bigint AS lease_remaining_ms
FROM wakelatch.runners r
LEFT JOIN wakelatch.runner_diagnostics l ON l.tenant_id = r.tenant_id AND l.runner_id = r.id
WHERE r.tenant_id = @tenant_id AND r.id > @after::text
  AND (@owner_principal::text = '' OR r.owner_principal = @owner_principal::text)
ORDER BY r.id
LIMIT @max_rows::bigint;

-- name: SetRunnerAdminStatus :exec
-- What is so already makes no history.
WITH changed AS (
    UPDATE wakelatch.runners r
    SET admin_status = @admin_status, updated_at = statement_timestamp()
    WHERE r.tenant_id = @tenant_id AND r.id = @id AND r.admin_status <> @admin_status
    RETURNING r.tenant_id, r.id, r.admin_status
)
INSERT INTO wakelatch.actions (tenant_id, id, action, runner_id, actor, reason)
SELECT c.tenant_id, @action_id::text,
       (CASE c.admin_status WHEN 'draining' THEN 'drained' ELSE c.admin_status END) AS action,
       c.id, @actor::text, NULLIF(@reason::text, '')
FROM changed c;

-- name: RecordRunnerHeartbeat :exec
-- No indexed column changes: the update stays on its page. What is left out ('') keeps its value. Nobody has read
-- beyond the tail of the wake stream, whose consumed events may be removed.
UPDATE wakelatch.runner_diagnostics
SET last_seen_at = statement_timestamp(),
    lease_expires_at = statement_timestamp() + (@lease_ms::bigint) * interval '1 millisecond',
    wake_stream_offset = COALESCE((
        SELECT CASE WHEN @read_to::bigint <= s.tail THEN @wake_stream_offset::text ELSE lpad(s.tail::text, 16, '0') END
        FROM wakelatch.streams s
        WHERE @wake_stream_offset::text <> '' AND s.tenant_id = @tenant_id AND s.path = 'runners/' || @runner_id::text || '/wake'),
        wake_stream_offset),
    diagnostics = COALESCE(NULLIF(@diagnostics::text, '')::jsonb, diagnostics)
WHERE tenant_id = @tenant_id AND runner_id = @runner_id::text;

-- name: RunnerAdminStatus :one
SELECT admin_status FROM wakelatch.runners WHERE tenant_id = @tenant_id AND id = @id;

-- name: RunnerClaims :many
-- Overdue ones first, then those without progress for longest. total counts all of them.
-- An append shows in the stream: its tail is past the last outside append while the holder wrote last.
WITH mine AS (
    SELECT c.consumer_id, c.epoch, c.entity_url, c.stream_path, c.claimed_at, c.done_at,
           l.last_heartbeat_at, l.expires_at,
           (CASE WHEN c.done_at IS NOT NULL THEN c.done_at <= statement_timestamp() - (@done_grace_ms::bigint) * interval '1 millisecond'
                 ELSE l.expires_at <= statement_timestamp() - (@lease_grace_ms::bigint) * interval '1 millisecond' END) AS overdue,
           GREATEST(c.claimed_at, l.last_heartbeat_at, l.last_progress_at, c.done_at, (
               SELECT m.created_at
               FROM wakelatch.streams s
               JOIN wakelatch.stream_messages m
                 ON m.tenant_id = s.tenant_id AND m.stream_path = s.path AND m.end_offset = s.tail
               WHERE s.tenant_id = c.tenant_id AND s.path = c.stream_path AND s.tail > s.outside_tail
                 AND s.claim_consumer_id = c.consumer_id AND s.claim_epoch = c.epoch)) AS progress_at
    FROM wakelatch.consumer_claims c
    LEFT JOIN wakelatch.claim_leases l
      ON l.tenant_id = c.tenant_id AND l.consumer_id = c.consumer_id AND l.epoch = c.epoch
    WHERE c.tenant_id = @tenant_id AND c.runner_id = @runner_id AND c.status = 'active'
)
SELECT mine.consumer_id, mine.epoch, mine.entity_url, mine.stream_path, mine.claimed_at, mine.done_at,
       mine.last_heartbeat_at, mine.expires_at,
       COALESCE(mine.overdue, false)::boolean AS overdue,
       COALESCE(extract(epoch FROM statement_timestamp() - COALESCE(mine.done_at, mine.expires_at)), 0)::double precision AS overdue_seconds,
       mine.progress_at::timestamptz AS progress_at,
       extract(epoch FROM statement_timestamp() - mine.progress_at)::double precision AS quiet_seconds,
       count(*) OVER () AS total
FROM mine
ORDER BY COALESCE(mine.overdue, false) DESC, mine.progress_at, mine.consumer_id
LIMIT @max_rows::bigint;

-- name: RunnerDispatchCounts :many
SELECT (SELECT count(*) FROM wakelatch.consumer_claims c
        WHERE c.tenant_id = @tenant_id AND c.runner_id = @runner_id::text AND c.status = 'active') AS active_claims,
       (SELECT count(*) FROM wakelatch.entity_dispatch_state d
        WHERE d.tenant_id = @tenant_id AND d.outstanding_runner_id = @runner_id::text) AS outstanding_wakes,
       (SELECT count(*) FROM wakelatch.entities e
        JOIN wakelatch.entity_dispatch_state d ON d.tenant_id = e.tenant_id AND d.entity_url = e.url
        WHERE e.tenant_id = @tenant_id AND e.dispatch_runner_id = @runner_id::text
          AND e.status NOT IN ('stopped', 'killed') AND d.last_outside_seq > d.acked_seq) AS pending_work;
