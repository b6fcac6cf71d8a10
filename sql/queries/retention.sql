-- What is kept no longer, in batches. Ages are of the database's clock. Rows that somebody holds are left to the next
-- turn, so that no batch waits for anybody and two nodes share the work.

-- name: PickOldClaims :many
-- Ended claims from oldest to newest, beginning at since, which spares each batch the rows that the ones before it
-- removed. An active claim has no released_at.
SELECT tenant_id, consumer_id, epoch, released_at::timestamptz AS released_at
FROM wakelatch.consumer_claims
WHERE released_at <= statement_timestamp() - (@age_ms::bigint) * interval '1 millisecond' AND released_at >= @since::timestamptz
ORDER BY released_at
LIMIT @max_rows::integer
FOR UPDATE SKIP LOCKED;

-- name: DeleteEventsOfClaims :execrows
-- The claims are locked: no transition of theirs is written any more, and the snapshot is younger than the last one.
DELETE FROM wakelatch.claim_events e
USING (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@consumer_ids::text[]) AS consumer_id,
              unnest(@epochs::bigint[]) AS epoch) k
WHERE e.tenant_id = k.tenant_id AND e.consumer_id = k.consumer_id AND e.epoch = k.epoch;

-- name: DeleteClaims :execrows
DELETE FROM wakelatch.consumer_claims c
USING (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@consumer_ids::text[]) AS consumer_id,
              unnest(@epochs::bigint[]) AS epoch) k
WHERE c.tenant_id = k.tenant_id AND c.consumer_id = k.consumer_id AND c.epoch = k.epoch;

-- name: DeleteOldActions :one
-- Actions never change, so that one statement may pick and remove. newest is where the next batch begins.
WITH old AS (
    SELECT a.tenant_id, a.id
    FROM wakelatch.actions a
    WHERE a.at <= statement_timestamp() - (@age_ms::bigint) * interval '1 millisecond' AND a.at >= @since::timestamptz
    ORDER BY a.at
    LIMIT @max_rows::integer
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM wakelatch.actions a USING old
    WHERE a.tenant_id = old.tenant_id AND a.id = old.id
    RETURNING a.at
)
SELECT count(*)::bigint AS removed, COALESCE(max(gone.at), @since::timestamptz)::timestamptz AS newest FROM gone;

-- name: PageReaders :many
-- The runners after a key that have said how far they read. What a runner reports is its own word, and only an offset
-- of a stream's form is taken for one.
SELECT tenant_id, runner_id, wake_stream_offset::bigint AS consumed
FROM wakelatch.runner_diagnostics
WHERE (tenant_id, runner_id) > (@after_tenant::text, @after_runner::text) AND wake_stream_offset ~ '^[0-9]{16}$'
ORDER BY tenant_id, runner_id
LIMIT @max_rows::integer;

-- name: DeleteConsumedWakes :execrows
-- Of each runner's wake stream what it has read, is old enough, and tells of no wake that is still out. A wake's
-- generation is outstanding once, so what is not outstanding in this snapshot never is again; events of later wakes are
-- behind the snapshot.
WITH reader AS (
    SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@runner_ids::text[]) AS runner_id, unnest(@consumed::bigint[]) AS consumed
), old AS (
    SELECT m.tenant_id, m.stream_path, m.end_offset
    FROM reader r
    CROSS JOIN LATERAL (
        SELECT e.tenant_id, e.stream_path, e.end_offset
        FROM wakelatch.stream_messages e
        WHERE e.tenant_id = r.tenant_id AND e.stream_path = 'runners/' || r.runner_id || '/wake' AND e.end_offset <= r.consumed
          AND e.created_at <= statement_timestamp() - (@age_ms::bigint) * interval '1 millisecond'
          AND (SELECT d.generation
               FROM wakelatch.entity_dispatch_state d
               WHERE d.tenant_id = e.tenant_id
                 AND d.entity_url = '/' || left(convert_from(e.body, 'UTF8')::jsonb ->> 'stream', -length('/main'))
                 AND d.outstanding_runner_id = r.runner_id)
              IS DISTINCT FROM (convert_from(e.body, 'UTF8')::jsonb ->> 'generation')::bigint
        ORDER BY e.end_offset
        LIMIT @max_rows::integer
        FOR UPDATE SKIP LOCKED
    ) m
    LIMIT @max_rows::integer
)
DELETE FROM wakelatch.stream_messages g USING old
WHERE g.tenant_id = old.tenant_id AND g.stream_path = old.stream_path AND g.end_offset = old.end_offset;
