-- Deletion: what could be long is first ended, then emptied in batches, each a transaction of its own, and
-- removed last. generation is the stream's, as GetStream answers it: one that is made at the path since is left alone.

-- name: EndEntity :many
-- Everything that belongs to the entity is locked. From here on it takes nothing; its claim is released in this
-- transaction.
WITH state AS (
    SELECT e.tenant_id, e.url, e.version, e.spawn_txid, e.dispatch_runner_id, s.path, s.tail,
           (extract(epoch FROM s.created_at) * 1000000)::bigint AS generation
    FROM wakelatch.entities e
    JOIN wakelatch.streams s ON s.tenant_id = e.tenant_id AND s.path = substr(e.url, 2) || '/main'
    WHERE e.tenant_id = @tenant_id AND e.url = @url
), entity AS (
    UPDATE wakelatch.entities e
    SET status = 'killed', version = e.version + 1, updated_at = statement_timestamp()
    FROM state w WHERE e.tenant_id = w.tenant_id AND e.url = w.url AND e.status <> 'killed'
    RETURNING e.version
), stream AS (
    UPDATE wakelatch.streams s
    SET closed_at = COALESCE(s.closed_at, statement_timestamp())
    FROM state w WHERE s.tenant_id = w.tenant_id AND s.path = w.path
), dispatch AS (
    UPDATE wakelatch.entity_dispatch_state d
    SET outstanding_wake_id = NULL, outstanding_runner_id = NULL, outstanding_since = NULL, outstanding_emissions = 0,
        next_attempt_at = NULL
    FROM state w WHERE d.tenant_id = w.tenant_id AND d.entity_url = w.url
), action AS (
    INSERT INTO wakelatch.actions (tenant_id, id, action, entity_url, runner_id, actor, reason)
    SELECT w.tenant_id, 'delete-' || w.spawn_txid, 'entity_deleted', w.url, w.dispatch_runner_id, @actor::text, @reason::text
    FROM state w
    ON CONFLICT (tenant_id, id) DO NOTHING
)
SELECT w.path, w.tail, w.generation, COALESCE((SELECT entity.version FROM entity), w.version)::bigint AS version
FROM state w;

-- name: RemoveEntity :many
-- Follows EndEntity and the release. No row: the stream still holds more than a batch. The dispatch row stays, with
-- nothing of the entity in it but its generation and its version, so that an entity of the name goes on from them.
WITH target AS (
    SELECT s.tenant_id, s.path FROM wakelatch.streams s
    WHERE s.tenant_id = @tenant_id AND s.path = @path
      AND NOT EXISTS (SELECT 1 FROM wakelatch.stream_messages m
                      WHERE m.tenant_id = s.tenant_id AND m.stream_path = s.path AND m.end_offset <= s.tail - @max_bytes::bigint)
      AND NOT EXISTS (SELECT 1 FROM wakelatch.stream_messages m
                      WHERE m.tenant_id = s.tenant_id AND m.stream_path = s.path
                      ORDER BY m.end_offset OFFSET @max_rows::integer LIMIT 1)
      AND NOT EXISTS (SELECT 1 FROM wakelatch.stream_producers p
                      WHERE p.tenant_id = s.tenant_id AND p.stream_path = s.path
                      ORDER BY p.producer_id OFFSET @max_rows::integer LIMIT 1)
), messages AS (
    DELETE FROM wakelatch.stream_messages m USING target t WHERE m.tenant_id = t.tenant_id AND m.stream_path = t.path
), producers AS (
    DELETE FROM wakelatch.stream_producers p USING target t WHERE p.tenant_id = t.tenant_id AND p.stream_path = t.path
), stream AS (
    DELETE FROM wakelatch.streams s USING target t WHERE s.tenant_id = t.tenant_id AND s.path = t.path
), dispatch AS (
    UPDATE wakelatch.entity_dispatch_state d
    SET last_outside_seq = 0, acked_seq = 0, failures = 0, next_attempt_at = NULL, parked_reason = NULL,
        deleted_version = e.version
    FROM target t JOIN wakelatch.entities e ON e.tenant_id = t.tenant_id AND e.url = @url::text
    WHERE d.tenant_id = e.tenant_id AND d.entity_url = e.url
)
DELETE FROM wakelatch.entities e USING target t
WHERE e.tenant_id = t.tenant_id AND e.url = @url::text
RETURNING e.url;

-- name: DeleteStreamMessages :execrows
-- The oldest messages of a closed stream or a wake stream, as many as the limits allow but at least one. Offsets
-- count bytes.
WITH page AS (
    SELECT m.end_offset, first_value(m.end_offset) OVER (ORDER BY m.end_offset) AS first_end
    FROM wakelatch.streams s
    JOIN wakelatch.stream_messages m ON m.tenant_id = s.tenant_id AND m.stream_path = s.path
    WHERE s.tenant_id = @tenant_id AND s.path = @path AND (s.closed_at IS NOT NULL OR s.kind = 'wake')
      AND (extract(epoch FROM s.created_at) * 1000000)::bigint = @generation::bigint
    ORDER BY m.end_offset
    LIMIT @max_rows::integer
)
DELETE FROM wakelatch.stream_messages m
WHERE m.tenant_id = @tenant_id AND m.stream_path = @path
  AND m.end_offset <= (SELECT max(page.end_offset) FROM page WHERE page.end_offset <= page.first_end + @max_bytes::bigint);

-- name: DeleteStreamProducers :execrows
WITH page AS (
    SELECT p.producer_id
    FROM wakelatch.streams s
    JOIN wakelatch.stream_producers p ON p.tenant_id = s.tenant_id AND p.stream_path = s.path
    WHERE s.tenant_id = @tenant_id AND s.path = @path AND s.closed_at IS NOT NULL
      AND (extract(epoch FROM s.created_at) * 1000000)::bigint = @generation::bigint
    ORDER BY p.producer_id
    LIMIT @max_rows::integer
)
DELETE FROM wakelatch.stream_producers p
WHERE p.tenant_id = @tenant_id AND p.stream_path = @path
  AND p.producer_id <= (SELECT max(page.producer_id) FROM page);

-- name: ActiveClaimsOfRunner :many
SELECT c.consumer_id, c.epoch, c.stream_path
FROM wakelatch.consumer_claims c
WHERE c.tenant_id = @tenant_id AND c.runner_id = @runner_id AND c.status = 'active'
ORDER BY c.consumer_id, c.epoch
LIMIT @max_rows::integer;

-- name: ClearOutstandingOfRunner :execrows
-- The rows are locked here: a claim of one of these wakes that is under way ends first.
WITH mine AS (
    SELECT d.tenant_id, d.entity_url
    FROM wakelatch.entity_dispatch_state d
    WHERE d.tenant_id = @tenant_id AND d.outstanding_runner_id = @runner_id::text
    ORDER BY d.tenant_id, d.entity_url
    LIMIT @max_rows::integer
    FOR UPDATE
)
UPDATE wakelatch.entity_dispatch_state d
SET outstanding_wake_id = NULL, outstanding_runner_id = NULL, outstanding_since = NULL, outstanding_emissions = 0,
    next_attempt_at = NULL
FROM mine
WHERE d.tenant_id = mine.tenant_id AND d.entity_url = mine.entity_url AND d.outstanding_runner_id = @runner_id::text;

-- name: RemoveRunner :execrows
-- Nothing happens while the runner may still take work. Its wake stream stays, without its messages: a registration
-- under the id goes on behind the last offset, so a reader that kept one misses nothing.
WITH gone AS (
    DELETE FROM wakelatch.runners r
    WHERE r.tenant_id = @tenant_id AND r.id = @id::text AND r.admin_status = 'disabled'
    RETURNING r.tenant_id, r.id
), liveness AS (
    DELETE FROM wakelatch.runner_diagnostics l USING gone g WHERE l.tenant_id = g.tenant_id AND l.runner_id = g.id
)
INSERT INTO wakelatch.actions (tenant_id, id, action, runner_id, actor, reason)
SELECT g.tenant_id, @action_id::text, 'runner_deleted', g.id, @actor::text, @reason::text
FROM gone g;
