package apikey_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/apikey"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestAKeyIsShownOnceAndKeptAsAHash(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.New(t))
	made, text := r.create(func(c *apikey.CreateRequest) { c.Label, c.ExpiresIn = "laptop", time.Hour })
	require.Regexp(t, `^wl_[a-z2-7]{12}_[a-z2-7]{26}$`, text)
	require.True(t, apikey.Looks(text))
	require.Contains(t, text, made.ID)
	require.Equal(t, "valid", made.Status)
	require.Equal(t, time.Hour, made.ExpiresAt.Sub(made.CreatedAt))

	var row string
	var sum []byte
	require.NoError(t, r.pool.QueryRow(t.Context(), "SELECT k::text, secret_hash FROM wakelatch.api_keys k").Scan(&row, &sum))
	require.NotContains(t, row, text[len(text)-26:])
	want := sha256.Sum256([]byte(text))
	require.Equal(t, want[:], sum)

	_, other := r.create()
	require.NotEqual(t, text, other)
}

func TestListIsByTenant(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.New(t))
	for _, tenant := range []string{"a", "b", "a"} {
		r.create(func(c *apikey.CreateRequest) { c.Tenant = tenant })
	}
	all, err := r.keys.List(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, all, 3)
	mine, err := r.keys.List(t.Context(), "a")
	require.NoError(t, err)
	require.Len(t, mine, 2)
	none, err := r.keys.List(t.Context(), "c")
	require.NoError(t, err)
	require.NotNil(t, none)
	require.Empty(t, none)
}

func TestALongListIsWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.New(t))
	_, err := r.pool.Exec(t.Context(), `
		INSERT INTO wakelatch.api_keys (id, tenant_id, secret_hash, principal, role, created_by)
		SELECT lpad(i::text, 12, 'a'), 'a', sha256(i::text::bytea), 'user:alice', 'viewer', 'test' FROM generate_series(1, 1001) i`)
	require.NoError(t, err)
	all, err := r.keys.List(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, all, 1001)
}

func TestAKeyIsRevokedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.New(t))
	made, text := r.create()
	first, err := r.keys.Revoke(t.Context(), made.ID, "operator:bob", "lost laptop")
	require.NoError(t, err)
	require.Equal(t, "revoked", first.Status)
	again, err := r.keys.Revoke(t.Context(), made.ID, "operator:eve", "another reason")
	require.NoError(t, err)
	require.Equal(t, first, again)

	_, err = r.keys.Revoke(t.Context(), "aaaaaaaaaaaa", "operator:bob", "typo")
	require.ErrorIs(t, err, apikey.ErrNotFound)
	_, err = r.keys.Revoke(t.Context(), made.ID, "operator:bob", "")
	require.ErrorContains(t, err, "reason must be")
	_, err = r.keys.Revoke(t.Context(), text, "operator:bob", "the whole key")
	require.ErrorContains(t, err, "id must be")
	require.NotContains(t, err.Error(), text, "a key must not be repeated")
}

func TestWhatCannotBeAKeyIsNamed(t *testing.T) {
	t.Parallel()
	keys := apikey.NewManager(dbtest.New(t).Pool)
	_, _, err := keys.Create(t.Context(), apikey.CreateRequest{
		Tenant: "a b", Principal: "alice", Role: "root", Label: strings.Repeat("x", 201), ExpiresIn: -1,
	})
	for _, field := range []string{"tenant", "principal", "role", "label", "expires-in"} {
		require.ErrorContains(t, err, field+" must")
	}
	_, ok := errors.AsType[*apikey.InvalidError](err)
	require.True(t, ok)
}
