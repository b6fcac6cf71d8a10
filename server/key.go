package server

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/wakelatch/wakelatch/server/token"
	"github.com/wakelatch/wakelatch/sql/db"
)

const (
	keyBytes     = 32
	tokenKeyName = "token_key"
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
	q := db.New()
	if err := q.OfferSecret(ctx, pool, db.OfferSecretParams{Name: tokenKeyName, Value: offer}); err != nil {
		return nil, fmt.Errorf("offer a token key: %w", err)
	}
	key, err := q.GetSecret(ctx, pool, tokenKeyName)
	if err != nil {
		return nil, fmt.Errorf("read the token key: %w", err)
	}
	return key, nil
}
