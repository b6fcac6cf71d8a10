-- name: InsertAction :exec
-- An attempt that is made again finds its own id. '' is none.
INSERT INTO wakelatch.actions (tenant_id, id, action, entity_url, runner_id, actor, reason, details)
VALUES (@tenant_id, @id, @action, NULLIF(@entity_url::text, ''), NULLIF(@runner_id::text, ''), @actor,
        NULLIF(@reason::text, ''), NULLIF(@details::text, '')::jsonb)
ON CONFLICT (tenant_id, id) DO NOTHING;
