-- +goose Up
-- Who may call. A row is found by the id, which is the public half of a key: whoever presents a key does not say which
-- tenant is meant, the row does. secret_hash is SHA-256 of the whole key. The secret has 128 random bits and more, so that
-- nobody can try them, and a slow hash would only slow the node. A key that was revoked stays, with who did it and why.
CREATE TABLE wakelatch.api_keys (
    id             text        NOT NULL,
    tenant_id      text        NOT NULL,
    secret_hash    bytea       NOT NULL,
    principal      text        NOT NULL,
    role           text        NOT NULL,
    label          text        NOT NULL DEFAULT '',
    created_at     timestamptz NOT NULL DEFAULT statement_timestamp(),
    created_by     text        NOT NULL,
    expires_at     timestamptz,
    revoked_at     timestamptz,
    revoked_by     text,
    revoked_reason text,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id),
    CONSTRAINT api_keys_role_known CHECK (role IN ('admin', 'runner', 'client', 'viewer')),
    CONSTRAINT api_keys_hash_whole CHECK (octet_length(secret_hash) = 32),
    CONSTRAINT api_keys_revocation_whole CHECK (
        (revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NULL) = (revoked_reason IS NULL))
);
CREATE INDEX api_keys_by_tenant ON wakelatch.api_keys (tenant_id, id);

-- Whether a principal owns a runner that works for another principal is asked while a request waits.
CREATE INDEX runners_by_owner ON wakelatch.runners (tenant_id, owner_principal);
