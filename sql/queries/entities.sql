-- name: InsertDispatch :exec
-- A tombstone of an earlier entity keeps its generation; what was pending for it is not pending for the new one.
INSERT INTO wakelatch.entity_dispatch_state AS d (tenant_id, entity_url)
VALUES (@tenant_id, @entity_url)
ON CONFLICT (tenant_id, entity_url) DO UPDATE
SET last_outside_seq = 0, acked_seq = 0, failures = 0, next_attempt_at = NULL, parked_reason = NULL
WHERE NOT EXISTS (SELECT 1 FROM wakelatch.entities e WHERE e.tenant_id = d.tenant_id AND e.url = d.entity_url);

-- name: InsertEntity :exec
-- A policy or runner left out is the entity type's default.
INSERT INTO wakelatch.entities
    (tenant_id, url, type, version, tags, spawn_args, dispatch_policy, dispatch_runner_id, created_by, spawn_txid)
SELECT d.tenant_id, d.entity_url, @type::text, d.deleted_version + 1, (@tags::text)::jsonb, (@spawn_args::text)::jsonb,
       NULLIF(@dispatch_policy::text, '')::jsonb, NULLIF(@dispatch_runner_id::text, ''), @created_by::text, @spawn_txid::text
FROM wakelatch.entity_dispatch_state d
WHERE d.tenant_id = @tenant_id AND d.entity_url = @url;

-- name: InsertMainStream :exec
INSERT INTO wakelatch.streams (tenant_id, path, kind, content_type)
VALUES (@tenant_id, @path, 'main', 'application/json');

-- name: SpawnTargets :one
-- What a spawn must know beforehand: the type's default policy and whether a runner is registered.
SELECT (t.name IS NOT NULL)::boolean AS type_exists,
       COALESCE(t.default_dispatch_policy::text, '')::text AS default_policy
FROM (SELECT 1) one
LEFT JOIN wakelatch.entity_types t ON t.tenant_id = @tenant_id AND t.name = @type;

-- name: RunnerExists :one
SELECT EXISTS (SELECT 1 FROM wakelatch.runners r WHERE r.tenant_id = @tenant_id AND r.id = @id);

-- name: GetEntity :one
SELECT sqlc.embed(e), d.parked_reason
FROM wakelatch.entities e
LEFT JOIN wakelatch.entity_dispatch_state d ON d.tenant_id = e.tenant_id AND d.entity_url = e.url
WHERE e.tenant_id = @tenant_id AND e.url = @url;

-- name: ListEntities :many
SELECT sqlc.embed(e), d.parked_reason
FROM wakelatch.entities e
LEFT JOIN wakelatch.entity_dispatch_state d ON d.tenant_id = e.tenant_id AND d.entity_url = e.url
WHERE e.tenant_id = @tenant_id AND e.url > @after::text
  AND (@type::text = '' OR e.type = @type::text)
  AND (@status::text = '' OR e.status = @status::text)
  AND (@runner_id::text = '' OR e.dispatch_runner_id = @runner_id::text)
  AND (NOT @parked::boolean OR (d.parked_reason IS NOT NULL AND d.last_outside_seq > d.acked_seq))
ORDER BY e.url
LIMIT @max_rows::integer;

-- name: SendMessages :many
-- One item a message. Dispatch rows, entities and main streams are locked. A key already used on the
-- entity adds nothing. A message whose mode is not paused resumes a paused entity. One that names a spawn is for
-- that entity and for none that has its name since; '' is any.
WITH input AS (
    SELECT unnest(@ords::integer[]) AS ord,
           unnest(@tenant_ids::text[]) AS tenant_id,
           unnest(@entity_urls::text[]) AS entity_url,
           unnest(@keys::text[]) AS key,
           unnest(@bodies::bytea[]) AS body,
           unnest(@offset_marks::bytea[]) AS offset_marks,
           unnest(@sizes::bigint[]) AS size,
           unnest(@resumes::boolean[]) AS resumes,
           unnest(@spawn_txids::text[]) AS spawn_txid,
           unnest(@actors::text[]) AS actor,
           unnest(@action_ids::text[]) AS action_id
), decided AS (
    SELECT i.*, s.path, s.tail,
           CASE
               WHEN e.url IS NULL OR s.path IS NULL OR d.entity_url IS NULL THEN 'not_found'
               WHEN i.spawn_txid <> '' AND i.spawn_txid <> e.spawn_txid THEN 'not_found'
               WHEN EXISTS (SELECT 1 FROM wakelatch.stream_messages m
                            WHERE m.tenant_id = i.tenant_id AND m.stream_path = s.path AND m.key = i.key)
                   OR row_number() OVER (PARTITION BY i.tenant_id, i.entity_url, i.key ORDER BY i.ord) > 1 THEN 'repeated'
               WHEN e.status NOT IN ('idle', 'running', 'paused') OR s.closed_at IS NOT NULL THEN 'not_running'
               ELSE 'sent'
           END AS outcome,
           COALESCE(e.status, '') AS status
    FROM input i
    LEFT JOIN wakelatch.entities e ON e.tenant_id = i.tenant_id AND e.url = i.entity_url
    LEFT JOIN wakelatch.entity_dispatch_state d ON d.tenant_id = i.tenant_id AND d.entity_url = i.entity_url
    LEFT JOIN wakelatch.streams s ON s.tenant_id = i.tenant_id AND s.path = substr(i.entity_url, 2) || '/main'
), placed AS (
    SELECT n.*, (n.tail + sum(n.size) OVER (PARTITION BY n.tenant_id, n.entity_url ORDER BY n.ord))::bigint AS end_offset
    FROM decided n WHERE n.outcome = 'sent'
), message AS (
    INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body, offset_marks, key)
    SELECT p.tenant_id, p.path, p.end_offset, p.body, p.offset_marks, p.key FROM placed p
), moved AS (
    SELECT p.tenant_id, p.entity_url, p.path, max(p.end_offset)::bigint AS tail, bool_or(p.resumes) AS resumes
    FROM placed p GROUP BY p.tenant_id, p.entity_url, p.path
), stream AS (
    UPDATE wakelatch.streams s SET tail = m.tail, outside_tail = m.tail
    FROM moved m WHERE s.tenant_id = m.tenant_id AND s.path = m.path
), dispatch AS (
    UPDATE wakelatch.entity_dispatch_state d SET last_outside_seq = m.tail
    FROM moved m WHERE d.tenant_id = m.tenant_id AND d.entity_url = m.entity_url
    RETURNING d.tenant_id, d.entity_url, d.active_consumer_id
), resumed AS (
    UPDATE wakelatch.entities e
    SET status = CASE WHEN d.active_consumer_id IS NULL THEN 'idle' ELSE 'running' END,
        version = e.version + 1, updated_at = statement_timestamp()
    FROM moved m JOIN dispatch d ON d.tenant_id = m.tenant_id AND d.entity_url = m.entity_url
    WHERE m.resumes AND e.tenant_id = m.tenant_id AND e.url = m.entity_url AND e.status = 'paused'
    RETURNING e.tenant_id, e.url, e.version
), action AS (
    INSERT INTO wakelatch.actions (tenant_id, id, action, entity_url, actor)
    SELECT DISTINCT ON (p.tenant_id, p.entity_url) p.tenant_id, p.action_id, 'resumed', p.entity_url, p.actor
    FROM placed p JOIN resumed r ON r.tenant_id = p.tenant_id AND r.url = p.entity_url
    WHERE p.resumes
    ORDER BY p.tenant_id, p.entity_url, p.ord
    ON CONFLICT (tenant_id, id) DO NOTHING
)
SELECT n.ord, n.outcome::text AS outcome, n.status::text AS status,
       COALESCE(m.tail, CASE WHEN n.outcome = 'repeated' THEN n.tail END, 0)::bigint AS tail,
       COALESCE(r.version, 0)::bigint AS version
FROM decided n
LEFT JOIN moved m ON m.tenant_id = n.tenant_id AND m.entity_url = n.entity_url
LEFT JOIN resumed r ON r.tenant_id = n.tenant_id AND r.url = n.entity_url
ORDER BY n.ord;

-- name: WriteTag :many
-- The entity and its main stream are locked. An attempt whose answer was lost is told by its event's key,
-- before anything else: the claim may have ended since. With a holder the write is fenced like an append. An
-- empty value is no value: remove says that the tag goes.
WITH state AS (
    SELECT e.tenant_id, e.url, e.status, e.version, e.tags, s.path, s.tail, s.outside_tail,
           CASE
               WHEN EXISTS (SELECT 1 FROM wakelatch.stream_messages m
                            WHERE m.tenant_id = s.tenant_id AND m.stream_path = s.path AND m.key = @event_key::text) THEN 'written_before'
               WHEN @held::boolean AND NOT (s.claim_consumer_id IS NOT DISTINCT FROM @consumer_id::text
                   AND s.claim_epoch IS NOT DISTINCT FROM @epoch::bigint AND s.sealed_epoch < @epoch::bigint) THEN 'fenced'
               WHEN e.status NOT IN ('idle', 'running', 'paused') OR s.closed_at IS NOT NULL THEN 'not_running'
               WHEN @remove::boolean AND NOT e.tags ? @key::text THEN 'unchanged'
               WHEN NOT @remove::boolean AND NOT e.tags ? @key::text
                   AND (SELECT count(*) FROM jsonb_object_keys(e.tags)) >= @max_tags::integer THEN 'too_many'
               ELSE 'written' END AS outcome
    FROM wakelatch.entities e
    JOIN wakelatch.streams s ON s.tenant_id = e.tenant_id AND s.path = substr(e.url, 2) || '/main'
    WHERE e.tenant_id = @tenant_id AND e.url = @url
), message AS (
    INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body, offset_marks, key)
    SELECT w.tenant_id, w.path, w.tail + @size::bigint, @body::bytea, @offset_marks::bytea, @event_key::text
    FROM state w WHERE w.outcome = 'written'
), stream AS (
    UPDATE wakelatch.streams s
    SET tail = s.tail + @size::bigint,
        outside_tail = CASE WHEN @held::boolean THEN s.outside_tail ELSE s.tail + @size::bigint END
    FROM state w WHERE w.outcome = 'written' AND s.tenant_id = w.tenant_id AND s.path = w.path
), entity AS (
    UPDATE wakelatch.entities e
    SET tags = CASE WHEN @remove::boolean THEN e.tags - @key::text
                    ELSE e.tags || jsonb_build_object(@key::text, @value::text) END,
        version = e.version + 1, updated_at = statement_timestamp()
    FROM state w WHERE w.outcome = 'written' AND e.tenant_id = w.tenant_id AND e.url = w.url
    RETURNING e.version
)
SELECT w.outcome::text AS outcome, w.status, w.path,
       (w.tail + CASE WHEN w.outcome = 'written' THEN @size::bigint ELSE 0 END)::bigint AS tail,
       COALESCE((SELECT entity.version FROM entity), w.version)::bigint AS version
FROM state w;

-- name: LockDispatchForSignal :many
SELECT d.active_consumer_id, d.active_epoch
FROM wakelatch.entity_dispatch_state d
WHERE d.tenant_id = @tenant_id AND d.entity_url = @entity_url
FOR UPDATE;

-- name: ApplySignal :many
-- The version grows with the status: a signal that leaves it is an event and no news of the entity.
-- Everything the signal touches is locked. An attempt whose answer was lost is told by its event's key. The
-- signal is appended to the entity's stream before a kill closes it. A SIGCONT that resumes is work: whatever the pause held back is looked
-- at again, and at once.
WITH state AS (
    SELECT e.tenant_id, e.url, e.status, e.version, s.path, s.tail,
           CASE
               WHEN EXISTS (SELECT 1 FROM wakelatch.stream_messages m
                            WHERE m.tenant_id = s.tenant_id AND m.stream_path = s.path AND m.key = @event_key::text) THEN 'applied_before'
               WHEN e.status IN ('stopping', 'stopped', 'killed') AND @signal::text <> 'SIGKILL' THEN 'not_running'
               WHEN e.status = 'killed' THEN 'unchanged'
               ELSE 'applied' END AS outcome,
           CASE @signal::text
               WHEN 'SIGSTOP' THEN 'paused'
               WHEN 'SIGKILL' THEN 'killed'
               WHEN 'SIGTERM' THEN CASE WHEN d.active_consumer_id IS NULL THEN 'stopped' ELSE 'stopping' END
               WHEN 'SIGCONT' THEN CASE WHEN e.status <> 'paused' THEN e.status
                   WHEN d.active_consumer_id IS NULL THEN 'idle' ELSE 'running' END
               ELSE e.status END AS next_status
    FROM wakelatch.entities e
    JOIN wakelatch.entity_dispatch_state d ON d.tenant_id = e.tenant_id AND d.entity_url = e.url
    JOIN wakelatch.streams s ON s.tenant_id = e.tenant_id AND s.path = substr(e.url, 2) || '/main'
    WHERE e.tenant_id = @tenant_id AND e.url = @url
), message AS (
    INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body, offset_marks, key)
    SELECT w.tenant_id, w.path, w.tail + @size::bigint, @body::bytea, @offset_marks::bytea, @event_key::text
    FROM state w WHERE w.outcome = 'applied'
), stream AS (
    UPDATE wakelatch.streams s
    SET tail = s.tail + @size::bigint, outside_tail = s.tail + @size::bigint,
        closed_at = CASE WHEN @signal::text = 'SIGKILL' THEN statement_timestamp() ELSE s.closed_at END
    FROM state w WHERE w.outcome = 'applied' AND s.tenant_id = w.tenant_id AND s.path = w.path
), entity AS (
    UPDATE wakelatch.entities e
    SET status = w.next_status, version = e.version + 1, updated_at = statement_timestamp()
    FROM state w WHERE w.outcome = 'applied' AND w.next_status <> w.status AND e.tenant_id = w.tenant_id AND e.url = w.url
    RETURNING e.version
), dispatch AS (
    UPDATE wakelatch.entity_dispatch_state d
    SET outstanding_wake_id = CASE WHEN w.next_status NOT IN ('idle', 'running') THEN NULL ELSE d.outstanding_wake_id END,
        outstanding_runner_id = CASE WHEN w.next_status NOT IN ('idle', 'running') THEN NULL ELSE d.outstanding_runner_id END,
        outstanding_since = CASE WHEN w.next_status NOT IN ('idle', 'running') THEN NULL ELSE d.outstanding_since END,
        outstanding_emissions = CASE WHEN w.next_status NOT IN ('idle', 'running') THEN 0 ELSE d.outstanding_emissions END,
        next_attempt_at = CASE WHEN w.next_status NOT IN ('idle', 'running') OR w.status = 'paused' THEN NULL ELSE d.next_attempt_at END,
        last_outside_seq = CASE WHEN @signal::text = 'SIGCONT' AND w.status = 'paused' THEN w.tail + @size::bigint ELSE d.last_outside_seq END
    FROM state w WHERE w.outcome = 'applied' AND d.tenant_id = w.tenant_id AND d.entity_url = w.url
), action AS (
    INSERT INTO wakelatch.actions (tenant_id, id, action, entity_url, actor, reason, details)
    SELECT w.tenant_id, @event_key::text, 'signalled', w.url, @actor::text, NULLIF(@reason::text, ''),
           jsonb_build_object('signal', @signal::text, 'from', w.status, 'to', w.next_status)
    FROM state w WHERE w.outcome = 'applied'
)
SELECT w.outcome::text AS outcome, w.status, w.path,
       (w.tail + CASE WHEN w.outcome = 'applied' THEN @size::bigint ELSE 0 END)::bigint AS tail,
       COALESCE((SELECT entity.version FROM entity), w.version)::bigint AS version
FROM state w;

-- name: DelayTarget :many
-- What a delayed message is for, and when it is due.
SELECT e.status, e.spawn_txid,
       (statement_timestamp() + (@after_ms::bigint) * interval '1 millisecond')::timestamptz AS due_at
FROM wakelatch.entities e
WHERE e.tenant_id = @tenant_id AND e.url = @url;
