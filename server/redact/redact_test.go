package redact_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/redact"
)

func TestSecretsDoNotReachTheLog(t *testing.T) {
	const (
		key   = "wl_abcdefghijkl_234567abcdefghijklmnopqrst"
		mac   = "dGhpcyBpcyBub3QgYSBNQUMgYnV0IGxvbmcgZW5vdWdo"
		token = "wlw.tenant~2Da.w_1.7." + mac
	)
	var out bytes.Buffer
	log := slog.New(redact.Handler(slog.NewTextHandler(&out, nil))).With("with", key).WithGroup("group")
	log.InfoContext(t.Context(), "message "+key, "path", "/runners/"+key+"/wake", "token", "Bearer "+token, "error", errors.New("invalid id "+token),
		slog.Group("inner", "deep", key), "escaped", strings.ReplaceAll(key, "_", "%5F"), "dots", strings.ReplaceAll(token, ".", "%2E"),
		"loud", strings.ToUpper(key), "number", 7, "other", "wl_ is how a key begins, and wlw. a token")
	text := out.String()
	require.NotContains(t, strings.ToLower(text), key[16:])
	require.NotContains(t, text, mac)
	for _, stays := range []string{"wl_abcdefghijkl_redacted", "wlw.tenant~2Da.w_1.7.redacted", "number=7", "wl_ is how a key begins, and wlw. a token", "group.inner.deep"} {
		require.Contains(t, text, stays)
	}
}

func FuzzHandler(f *testing.F) {
	f.Add("wl_abcdefghijkl_", "/x")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "wl_abcdefghijkl_234567abcdefghijklmnopqrst"
		var out bytes.Buffer
		slog.New(redact.Handler(slog.NewTextHandler(&out, nil))).InfoContext(t.Context(), "m", "text", before+"/"+secret+"/"+after)
		require.NotContains(t, out.String(), secret[16:])
	})
}
