-- name: UpsertEntityType :one
-- Registering again replaces what it says and raises the revision; 1 is a type seen for the first time.
INSERT INTO wakelatch.entity_types AS t
    (tenant_id, name, description, creation_schema, inbox_schemas, state_schemas, default_dispatch_policy)
VALUES (@tenant_id, @name, @description, NULLIF(@creation_schema::text, '')::jsonb, NULLIF(@inbox_schemas::text, '')::jsonb,
        NULLIF(@state_schemas::text, '')::jsonb, NULLIF(@default_dispatch_policy::text, '')::jsonb)
ON CONFLICT (tenant_id, name) DO UPDATE
SET description = EXCLUDED.description, creation_schema = EXCLUDED.creation_schema,
    inbox_schemas = EXCLUDED.inbox_schemas, state_schemas = EXCLUDED.state_schemas,
    default_dispatch_policy = EXCLUDED.default_dispatch_policy,
    revision = t.revision + 1, updated_at = statement_timestamp()
RETURNING t.*;

-- name: GetEntityType :one
SELECT * FROM wakelatch.entity_types WHERE tenant_id = @tenant_id AND name = @name;

-- name: ListEntityTypes :many
SELECT * FROM wakelatch.entity_types
WHERE tenant_id = @tenant_id AND name > @after::text
ORDER BY name
LIMIT @max_rows::bigint;
