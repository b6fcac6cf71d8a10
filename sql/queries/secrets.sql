-- name: OfferSecret :exec
-- Of several offers for one name the first stays.
INSERT INTO wakelatch.secrets (name, value) VALUES (@name, @value) ON CONFLICT (name) DO NOTHING;

-- name: GetSecret :one
SELECT value FROM wakelatch.secrets WHERE name = @name;
