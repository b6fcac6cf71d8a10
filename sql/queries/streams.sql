-- name: LockAppendStreams :exec
-- Main and plain streams in key order, before anything that depends on them is read. Wake streams come
-- later in the lock order and take no appends from outside, so they are left alone.
SELECT 1
FROM wakelatch.streams s
JOIN (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@paths::text[]) AS path) k
  ON s.tenant_id = k.tenant_id AND s.path = k.path
WHERE s.kind <> 'wake'
ORDER BY s.tenant_id, s.path
FOR UPDATE OF s;

-- name: AppendStreams :many
-- One item an append, numbered by ords: the planner sees how many an array holds, and would take
-- generate_subscripts for a thousand. The streams are locked. Every item is judged against the rows as they were before
-- the batch, which is right because the batch holds, for one producer of one stream, a run of consecutive
-- sequence numbers of one epoch, beginning at first_seq, and nothing of a stream behind an item that states
-- a stream_seq or closes it. The fence, which unfenced leaves out, comes before whatever a writer whose claim is over could
-- otherwise learn or change, that the stream is gone included. An item with retry may have been written before; its key tells. A stream that was made
-- after the locks were taken is judged without one: if it has changed by the time it is written, its tail is made
-- impossible (streams_tail_positive), which undoes the batch.
WITH item AS (
    SELECT unnest(@ords::integer[]) AS ord,
           unnest(@tenant_ids::text[]) AS tenant_id,
           unnest(@paths::text[]) AS path,
           unnest(@consumers::text[]) AS consumer,
           unnest(@epochs::bigint[]) AS epoch,
           unnest(@media_types::text[]) AS media_type,
           unnest(@stream_seqs::text[]) AS stream_seq,
           unnest(@producer_ids::text[]) AS producer_id,
           unnest(@producer_epochs::bigint[]) AS producer_epoch,
           unnest(@first_seqs::bigint[]) AS first_seq,
           unnest(@seqs::bigint[]) AS seq,
           unnest(@sizes::bigint[]) AS size,
           unnest(@closes::boolean[]) AS closes,
           unnest(@keys::text[]) AS key,
           unnest(@retries::boolean[]) AS retry
), content AS (
    SELECT unnest(@ords::integer[]) AS ord,
           unnest(@bodies::bytea[]) AS body,
           unnest(@marks::bytea[]) AS marks
), judged AS (
    SELECT i.ord, i.tenant_id, i.path, i.producer_id, i.producer_epoch, i.seq, i.size, i.stream_seq, i.closes, i.key, s.tail, s.closed_at, s.outside_tail > s.claim_outside_tail AS outside,
           p.epoch AS known_epoch, p.last_seq AS known_seq, p.end_offset AS known_end, w.end_offset AS written_end,
           CASE
               WHEN s.path IS NULL THEN CASE WHEN i.consumer = '' THEN 'not_found' ELSE 'fenced' END
               WHEN w.end_offset IS NOT NULL THEN 'appended'
               WHEN s.kind = 'wake' THEN 'forbidden'
               WHEN s.kind = 'main' AND NOT @unfenced::boolean AND (i.consumer = s.claim_consumer_id AND i.epoch = s.claim_epoch
                   AND s.sealed_epoch < i.epoch) IS NOT TRUE THEN 'fenced'
               WHEN s.kind = 'main' AND i.closes THEN 'forbidden'
               WHEN s.closed_at IS NOT NULL THEN
                   CASE WHEN i.closes AND i.size = 0 AND i.producer_id = '' THEN 'duplicate'
                        WHEN i.producer_id <> '' AND i.producer_epoch = p.epoch AND i.seq <= p.last_seq THEN 'duplicate'
                        ELSE 'closed' END
               WHEN i.size > 0 AND i.media_type <> lower(trim(split_part(s.content_type, ';', 1))) THEN 'content_type'
               WHEN i.producer_id <> '' AND i.producer_epoch < p.epoch THEN 'stale'
               WHEN i.producer_id <> '' AND i.producer_epoch > p.epoch AND i.first_seq > 0 THEN 'epoch_start'
               WHEN i.producer_id <> '' AND i.producer_epoch = p.epoch AND i.seq <= p.last_seq THEN 'duplicate'
               WHEN i.producer_id <> '' AND i.first_seq >
                   CASE WHEN i.producer_epoch = p.epoch THEN p.last_seq + 1 ELSE 0 END THEN 'gap'
               WHEN i.stream_seq <> '' AND i.stream_seq <= s.last_stream_seq COLLATE "C" THEN 'stream_seq'
               ELSE 'appended'
           END AS outcome
    FROM item i
    LEFT JOIN wakelatch.streams s ON s.tenant_id = i.tenant_id AND s.path = i.path
    LEFT JOIN wakelatch.stream_producers p
      ON p.tenant_id = i.tenant_id AND p.stream_path = i.path AND p.producer_id = i.producer_id
    LEFT JOIN LATERAL (
        SELECT m.end_offset FROM wakelatch.stream_messages m
        WHERE i.retry AND m.tenant_id = i.tenant_id AND m.stream_path = i.path AND m.key = i.key
    ) w ON true
), accepted AS (
    SELECT j.ord, j.tenant_id, j.path, j.producer_id, j.producer_epoch, j.seq, j.size, j.stream_seq, j.closes, j.key,
           j.tail AS judged_tail,
           (j.tail + sum(j.size) OVER (PARTITION BY j.tenant_id, j.path ORDER BY j.ord))::bigint AS end_offset
    FROM judged j
    WHERE j.outcome = 'appended' AND j.written_end IS NULL
), message AS (
    INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body, offset_marks, key)
    SELECT a.tenant_id, a.path, a.end_offset, c.body, c.marks, NULLIF(a.key, '')
    FROM accepted a JOIN content c ON c.ord = a.ord
    WHERE a.size > 0
), producer AS (
    INSERT INTO wakelatch.stream_producers AS p (tenant_id, stream_path, producer_id, epoch, last_seq, end_offset)
    SELECT DISTINCT ON (a.tenant_id, a.path, a.producer_id)
           a.tenant_id, a.path, a.producer_id, a.producer_epoch, a.seq, a.end_offset
    FROM accepted a
    WHERE a.producer_id <> ''
    ORDER BY a.tenant_id, a.path, a.producer_id, a.ord DESC
    ON CONFLICT (tenant_id, stream_path, producer_id) DO UPDATE
    SET epoch = excluded.epoch, last_seq = excluded.last_seq, end_offset = excluded.end_offset,
        updated_at = statement_timestamp()
), moved AS (
    UPDATE wakelatch.streams s
    SET tail = CASE WHEN s.tail = a.judged_tail AND s.closed_at IS NULL THEN a.tail ELSE -1 END,
        last_stream_seq = COALESCE(a.stream_seq, s.last_stream_seq),
        closed_at = CASE WHEN a.closes THEN statement_timestamp() ELSE s.closed_at END
    FROM (SELECT tenant_id, path, min(judged_tail) AS judged_tail, max(end_offset) AS tail, max(NULLIF(stream_seq, '')) AS stream_seq,
                 bool_or(closes) AS closes
          FROM accepted GROUP BY tenant_id, path) a
    WHERE s.tenant_id = a.tenant_id AND s.path = a.path
)
SELECT j.ord::integer AS ord, j.outcome::text AS outcome,
       COALESCE(a.end_offset, j.written_end, CASE WHEN j.outcome = 'duplicate' THEN j.known_end END, j.tail, 0)::bigint
           AS end_offset,
       COALESCE(j.outside, false)::boolean AS outside,
       (j.closed_at IS NOT NULL OR (j.outcome = 'appended' AND j.closes))::boolean AS closed,
       COALESCE(j.known_epoch, -1)::bigint AS known_epoch,
       COALESCE(j.known_seq, -1)::bigint AS known_seq
FROM judged j LEFT JOIN accepted a ON a.ord = j.ord
ORDER BY j.ord;

-- name: CreateStream :many
-- No row: a stream is at the path already.
WITH created AS (
    INSERT INTO wakelatch.streams (tenant_id, path, kind, content_type, tail, outside_tail, closed_at)
    VALUES (@tenant_id, @path, 'plain', @content_type, @size::bigint, @size::bigint,
            CASE WHEN @closed::boolean THEN statement_timestamp() END)
    ON CONFLICT (tenant_id, path) DO NOTHING
    RETURNING tenant_id, path, tail
), message AS (
    INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body, offset_marks)
    SELECT c.tenant_id, c.path, c.tail, @body::bytea, @marks
    FROM created c WHERE c.tail > 0
)
SELECT c.tail FROM created c;

-- name: GetStream :many
-- One row, or none. generation tells one stream from another that was at the path before it.
SELECT s.kind, s.content_type, s.tail, (s.closed_at IS NOT NULL)::boolean AS closed,
       (extract(epoch FROM s.created_at) * 1000000)::bigint AS generation
FROM wakelatch.streams s
WHERE s.tenant_id = @tenant_id AND s.path = @path;

-- name: ReadStream :many
-- The appends that end after a position, whole, in order: as many as lie within the page, but at least
-- one. Offsets count bytes, so the page is bounded by where an append ends.
WITH page AS (
    SELECT (CASE WHEN min(f.end_offset) > @page_end::bigint THEN min(f.end_offset) ELSE @page_end::bigint END) AS last_end
    FROM wakelatch.stream_messages f
    WHERE f.tenant_id = @tenant_id AND f.stream_path = @path AND f.end_offset > @after::bigint
)
SELECT m.end_offset, m.body, m.offset_marks
FROM wakelatch.stream_messages m
WHERE m.tenant_id = @tenant_id AND m.stream_path = @path AND m.end_offset > @after::bigint
  AND m.end_offset <= (SELECT p.last_end FROM page p)
ORDER BY m.end_offset
LIMIT @page_appends::integer;

-- name: LockPlainStream :exec
SELECT s.path FROM wakelatch.streams s
WHERE s.tenant_id = @tenant_id AND s.path = @path AND s.kind = 'plain'
FOR UPDATE;

-- name: DeletePlainStream :many
-- The stream is locked. No row: there is no plain stream at the path. One that holds more than a batch is closed
-- only, to be emptied and deleted then.
WITH target AS (
    SELECT s.tenant_id, s.path, (extract(epoch FROM s.created_at) * 1000000)::bigint AS generation,
           NOT EXISTS (SELECT 1 FROM wakelatch.stream_messages m
                       WHERE m.tenant_id = s.tenant_id AND m.stream_path = s.path AND m.end_offset <= s.tail - @max_bytes::bigint)
           AND NOT EXISTS (SELECT 1 FROM wakelatch.stream_messages m
                           WHERE m.tenant_id = s.tenant_id AND m.stream_path = s.path
                           ORDER BY m.end_offset OFFSET @max_rows::integer LIMIT 1)
           AND NOT EXISTS (SELECT 1 FROM wakelatch.stream_producers p
                           WHERE p.tenant_id = s.tenant_id AND p.stream_path = s.path
                           ORDER BY p.producer_id OFFSET @max_rows::integer LIMIT 1) AS small
    FROM wakelatch.streams s
    WHERE s.tenant_id = @tenant_id AND s.path = @path AND s.kind = 'plain'
), closed AS (
    UPDATE wakelatch.streams s
    SET closed_at = COALESCE(s.closed_at, statement_timestamp())
    FROM target t WHERE NOT t.small AND s.tenant_id = t.tenant_id AND s.path = t.path
), gone AS (
    DELETE FROM wakelatch.streams s USING target t
    WHERE t.small AND s.tenant_id = t.tenant_id AND s.path = t.path
), messages AS (
    DELETE FROM wakelatch.stream_messages m USING target t
    WHERE t.small AND m.tenant_id = t.tenant_id AND m.stream_path = t.path
), producers AS (
    DELETE FROM wakelatch.stream_producers p USING target t
    WHERE t.small AND p.tenant_id = t.tenant_id AND p.stream_path = t.path
)
SELECT t.generation, t.small::boolean AS deleted FROM target t;

-- name: WatchedStreamTails :many
-- What the reconcile compares with what its waiters know.
SELECT s.tenant_id, s.path, s.tail, (s.closed_at IS NOT NULL)::boolean AS closed
FROM wakelatch.streams s
JOIN (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@paths::text[]) AS path) k
  ON s.tenant_id = k.tenant_id AND s.path = k.path;

-- name: WatchedEntityVersions :many
SELECT e.tenant_id, e.url, e.version
FROM wakelatch.entities e
JOIN (SELECT unnest(@tenant_ids::text[]) AS tenant_id, unnest(@urls::text[]) AS url) k
  ON e.tenant_id = k.tenant_id AND e.url = k.url;
