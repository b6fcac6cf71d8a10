package principal_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/wakelatch/wakelatch/server/principal"
)

func TestBothFormsNameTheSame(t *testing.T) {
	want := principal.Principal{Kind: "user", ID: "a b/ü!"}
	for _, text := range []string{want.Key(), want.URL(), "/principal/user:a b/ü!"} {
		got, err := principal.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	require.Equal(t, "/principal/user%3Aa%20b%2F%C3%BC!", want.URL())
}

func TestWhatIsNoPrincipal(t *testing.T) {
	for _, text := range []string{
		"", "alice", ":alice", "user:", "/principal/", "/principal/user%3", "/principal/%ff:a", "user:a\x00", "user:\x7f",
		"user:" + strings.Repeat("x", principal.Max),
	} {
		_, err := principal.Parse(text)
		require.ErrorIs(t, err, principal.ErrMalformed, "%q", text)
	}
}

func TestEveryPrincipalSurvivesItsURL(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		short := rapid.String().Draw(t, "text")
		p, err := principal.Parse(short)
		if err != nil || strings.HasPrefix(short, "/principal/") {
			return
		}
		again, err := principal.Parse(p.URL())
		if err != nil || again != p {
			t.Fatalf("%q became %v by way of %s: %v", short, again, p.URL(), err)
		}
	})
}
