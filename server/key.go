package server

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/wakelatch/wakelatch/server/token"
)

const (
	keyBytes     = 32
	tokenKeyName = "token_key"
	offerKey     = "INSERT INTO wakelatch.secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"
	readKey      = "SELECT value FROM wakelatch.secrets WHERE name = $1"
)

// newKeyring holds the keys that were set, or the one that all nodes of the database share.
func newKeyring(ctx context.Context, o Options, pool *pgxpool.Pool) (*token.Keyring, error) {
	keys := o.TokenKeys
	if len(keys) == 0 {
		key, err := sharedKey(ctx, pool)
		if err != nil {
			return nil, err
		}
		keys = [][]byte{key}
	}
	keyring, err := token.NewKeyring(keys...)
	if err != nil {
		return nil, fmt.Errorf("read token keys: %w", err)
	}
	return keyring, nil
}

// sharedKey offers a new key and takes the one that is there: of nodes that start together one wins, and
// all of them read the winner's.
func sharedKey(ctx context.Context, pool *pgxpool.Pool) ([]byte, error) {
	offer := make([]byte, keyBytes)
	_, _ = rand.Read(offer)
	if _, err := pool.Exec(ctx, offerKey, tokenKeyName, offer); err != nil {
		return nil, fmt.Errorf("offer a token key: %w", err)
	}
	var key []byte
	if err := pool.QueryRow(ctx, readKey, tokenKeyName).Scan(&key); err != nil {
		return nil, fmt.Errorf("read the token key: %w", err)
	}
	return key, nil
}
