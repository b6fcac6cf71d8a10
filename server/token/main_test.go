package token_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wakelatch/wakelatch/server/token"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func key(b byte) []byte { return bytes.Repeat([]byte{b}, token.MinKey) }

func ring(tb testing.TB, keys ...[]byte) *token.Keyring {
	tb.Helper()
	if len(keys) == 0 {
		keys = [][]byte{key(1)}
	}
	k, err := token.NewKeyring(keys...)
	require.NoError(tb, err)
	return k
}

func claim(epoch int64) token.Claim {
	return token.Claim{Tenant: "default", Stream: "demo/one/main", Consumer: "w_one", Epoch: epoch}
}
