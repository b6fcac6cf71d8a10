-- name: InsertAPIKey :execrows
-- No row means that the id is taken.
INSERT INTO wakelatch.api_keys (id, tenant_id, secret_hash, principal, role, label, created_by, expires_at)
VALUES (@id, @tenant_id, @secret_hash, @principal, @role, @label, @created_by,
        CASE WHEN @expires_in_ms::bigint > 0 THEN statement_timestamp() + (@expires_in_ms::bigint) * interval '1 millisecond' END)
ON CONFLICT (id) DO NOTHING;

-- name: LookUpAPIKeys :many
-- remaining_ms is by the database's clock, which the nodes share.
SELECT k.id, k.tenant_id, k.secret_hash, k.principal, k.role, (k.revoked_at IS NOT NULL)::boolean AS revoked,
       (k.expires_at IS NOT NULL)::boolean AS expires,
       COALESCE(extract(epoch FROM k.expires_at - statement_timestamp()) * 1000, 0)::bigint AS remaining_ms
FROM wakelatch.api_keys k
WHERE k.id = ANY (@ids::text[]);

-- name: ListAPIKeys :many
SELECT k.id, k.tenant_id, k.principal, k.role, k.label, k.created_at, k.created_by, k.expires_at,
       k.revoked_at, k.revoked_by, k.revoked_reason,
       (CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked'
             WHEN k.expires_at <= statement_timestamp() THEN 'expired'
             ELSE 'valid' END)::text AS status
FROM wakelatch.api_keys k
WHERE (@tenant_id::text = '' OR k.tenant_id = @tenant_id::text)
  AND (@id::text = '' OR k.id = @id::text)
  AND (k.tenant_id, k.id) > (@after_tenant::text, @after_id::text)
ORDER BY k.tenant_id, k.id
LIMIT @max_rows::bigint;

-- name: RevokeAPIKey :exec
-- A key is revoked once: the first one's reason stays.
UPDATE wakelatch.api_keys
SET revoked_at = statement_timestamp(), revoked_by = @revoked_by::text, revoked_reason = @revoked_reason::text
WHERE id = @id AND revoked_at IS NULL;

-- name: WorksForPrincipal :one
-- Whether the owner has a runner that holds a claim of an entity of the principal's.
SELECT EXISTS (
    SELECT 1
    FROM wakelatch.runners r
    JOIN wakelatch.consumer_claims c ON c.tenant_id = r.tenant_id AND c.runner_id = r.id AND c.status = 'active'
    JOIN wakelatch.entities e ON e.tenant_id = c.tenant_id AND e.url = c.entity_url
    WHERE r.tenant_id = @tenant_id AND r.owner_principal = @owner_principal AND e.created_by = @principal)::boolean AS works;
