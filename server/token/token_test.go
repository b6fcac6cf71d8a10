package token_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/wakelatch/wakelatch/server/token"
)

// A token outlives the process that made it, so its text is part of the wire.
func TestTokenTextIsStable(t *testing.T) {
	require.Equal(t, "wlw.default.w_one.7.xnAvUfPlwD8JP1dM8d3UFIL18gFPpRgk6ENHeYEbuxQ",
		ring(t).Sign(token.WriteToken, claim(7)))
}

func TestTokenRoundTrip(t *testing.T) {
	k := ring(t)
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]token.Kind{token.ClaimToken, token.WriteToken}).Draw(t, "kind")
		field := rapid.StringN(1, 40, 100)
		c := token.Claim{
			Tenant:   field.Draw(t, "tenant"),
			Stream:   rapid.String().Draw(t, "stream"),
			Consumer: field.Draw(t, "consumer"),
			Epoch:    rapid.Int64Min(0).Draw(t, "epoch"),
		}
		tok := k.Sign(kind, c)
		require.Equal(t, tok, url.QueryEscape(tok), "a token must be URL-safe")

		p, err := token.Parse(tok)
		require.NoError(t, err)
		want := token.Parsed{Kind: kind, Tenant: c.Tenant, Consumer: c.Consumer, Epoch: c.Epoch}
		require.Empty(t, cmp.Diff(want, p, cmpopts.IgnoreUnexported(token.Parsed{})))

		got, err := k.Verify(kind, c.Stream, tok)
		require.NoError(t, err)
		require.Equal(t, c, got)
	})
}

// Every single change of a token, of its kind or of its stream is a refusal.
func TestVerifyRefusesEveryChange(t *testing.T) {
	k := ring(t)
	c := claim(7)
	tok := k.Sign(token.WriteToken, c)
	for i := range len(tok) {
		for _, b := range []byte("aZ9-_.~=\x00\xff") {
			if tok[i] == b {
				continue
			}
			_, err := k.Verify(token.WriteToken, c.Stream, tok[:i]+string(b)+tok[i+1:])
			require.ErrorIs(t, err, token.ErrRefused, "byte %d as %q", i, b)
		}
		_, err := k.Verify(token.WriteToken, c.Stream, tok[:i])
		require.ErrorIs(t, err, token.ErrRefused, "cut at %d", i)
	}
	for name, tc := range map[string]struct {
		kind   token.Kind
		stream string
		tok    string
		want   token.Reason
	}{
		"other stream":    {token.WriteToken, "demo/two/main", tok, token.Forged},
		"other kind":      {token.ClaimToken, c.Stream, tok, token.WrongKind},
		"kind rewritten":  {token.ClaimToken, c.Stream, "wlc" + tok[3:], token.Forged},
		"empty":           {token.WriteToken, c.Stream, "", token.Malformed},
		"prefix only":     {token.WriteToken, c.Stream, "wlw.", token.Malformed},
		"too long":        {token.WriteToken, c.Stream, tok + strings.Repeat("A", token.MaxLen), token.Malformed},
		"leading zero":    {token.WriteToken, c.Stream, strings.Replace(tok, ".7.", ".07.", 1), token.Malformed},
		"negative epoch":  {token.WriteToken, c.Stream, strings.Replace(tok, ".7.", ".-7.", 1), token.Malformed},
		"epoch too large": {token.WriteToken, c.Stream, strings.Replace(tok, ".7.", ".9223372036854775808.", 1), token.Malformed},
		"needless escape": {token.WriteToken, c.Stream, strings.Replace(tok, "w_one", "~77_one", 1), token.Malformed},
		"another epoch":   {token.WriteToken, c.Stream, strings.Replace(tok, ".7.", ".8.", 1), token.Forged},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := k.Verify(tc.kind, tc.stream, tc.tok)
			var refusal *token.RefusedError
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, tc.want, refusal.Reason)
			if tc.tok != "" {
				require.NotContains(t, err.Error(), tc.tok, "an error must not carry a token")
			}
		})
	}
}

// Fields are length-prefixed in the MAC: moving a byte from one to the next
// must make another token.
func TestFieldsDoNotRunTogether(t *testing.T) {
	k := ring(t)
	mac := func(c token.Claim) string {
		tok := k.Sign(token.WriteToken, c)
		return tok[strings.LastIndexByte(tok, '.'):]
	}
	seen := map[string]token.Claim{}
	for _, c := range []token.Claim{
		{Tenant: "ab", Stream: "c", Consumer: "d", Epoch: 1},
		{Tenant: "a", Stream: "bc", Consumer: "d", Epoch: 1},
		{Tenant: "a", Stream: "b", Consumer: "cd", Epoch: 1},
		{Tenant: "abc", Stream: "", Consumer: "d", Epoch: 1},
		{Tenant: "ab", Stream: "c", Consumer: "d", Epoch: 256},
	} {
		m := mac(c)
		require.NotContains(t, seen, m, "%v and %v share a MAC", c, seen[m])
		seen[m] = c
	}
}

func TestRotation(t *testing.T) {
	old, both, moved, after := ring(t, key(1)), ring(t, key(1), key(2)), ring(t, key(2), key(1)), ring(t, key(2))
	c := claim(1)
	byOld, byNew := old.Sign(token.WriteToken, c), moved.Sign(token.WriteToken, c)
	require.NotEqual(t, byOld, byNew)
	require.Equal(t, byOld, both.Sign(token.WriteToken, c))
	for _, k := range []*token.Keyring{both, moved} {
		for _, tok := range []string{byOld, byNew} {
			got, err := k.Verify(token.WriteToken, c.Stream, tok)
			require.NoError(t, err)
			require.Equal(t, c, got)
		}
	}
	_, err := after.Verify(token.WriteToken, c.Stream, byOld)
	require.ErrorIs(t, err, token.ErrRefused)
}

func TestKeyringRefusesBadKeys(t *testing.T) {
	_, err := token.NewKeyring()
	require.ErrorContains(t, err, "at least one key")
	_, err = token.NewKeyring(key(1), key(2)[:31])
	require.ErrorContains(t, err, "token key 2 has 31 bytes")
}

func TestKeyringIsNeverPrinted(t *testing.T) {
	secret := []byte("a-very-secret-key-of-32-bytes-ok")
	k := ring(t, secret)
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p"} {
		fmt.Fprintf(&out, verb+" "+verb+"\n", k, struct{ K *token.Keyring }{k})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("start", "keyring", k)
	slog.New(slog.NewTextHandler(&out, nil)).Info("start", "keyring", k)
	b, err := json.Marshal(k)
	require.NoError(t, err)
	out.Write(b)
	require.Contains(t, out.String(), "redacted")
	for _, form := range []string{string(secret), hex.EncodeToString(secret), fmt.Sprintf("%X", secret), fmt.Sprintf("%d", secret)} {
		require.NotContains(t, out.String(), form)
	}
}

func FuzzParse(f *testing.F) {
	k := ring(f)
	f.Add(k.Sign(token.WriteToken, claim(7)))
	f.Add(k.Sign(token.ClaimToken, token.Claim{Tenant: "té.na~nt", Consumer: "w/1", Epoch: 0}))
	f.Add("wlw....")
	f.Add("wlw.~2E.~.1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, tok string) {
		p, err := token.Parse(tok)
		if err != nil {
			require.ErrorIs(t, err, token.ErrRefused)
			return
		}
		require.LessOrEqual(t, len(tok), token.MaxLen)
		// The readable part has one text only: signing the same fields gives
		// the same bytes up to the MAC.
		again := k.Sign(p.Kind, token.Claim{Tenant: p.Tenant, Consumer: p.Consumer, Epoch: p.Epoch})
		cut := strings.LastIndexByte(again, '.')
		require.Equal(t, again[:cut], tok[:cut])
		require.Len(t, tok, len(again))
		// The ring's key is known here, so a token may verify; then it must
		// name what it says.
		if c, err := k.Verify(p.Kind, "demo/one/main", tok); err == nil {
			require.Equal(t, p.Epoch, c.Epoch)
		}
	})
}
