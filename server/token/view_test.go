package token_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/wakelatch/wakelatch/server/token"
)

const lease = 30 * time.Second

func noLookup(context.Context, string, string) (token.Claim, bool, error) {
	return token.Claim{}, false, errors.New("nobody should have asked")
}

func newView(tb testing.TB, k *token.Keyring, lookup token.Lookup) *token.View {
	tb.Helper()
	if lookup == nil {
		lookup = noLookup
	}
	return token.NewView(k, token.Options{Trust: lease, Lookup: lookup})
}

func TestCheck(t *testing.T) {
	k := ring(t)
	v := newView(t, k, nil)
	v.Put(claim(5))
	c := claim(5)
	other := c
	other.Consumer = "w_other"
	tok := k.Sign(token.WriteToken, c)
	foreign := c
	foreign.Tenant = "other"
	for name, tc := range map[string]struct {
		stream, tok string
		want        token.Verdict
	}{
		"the holder":                   {c.Stream, tok, token.Valid},
		"an older epoch":               {c.Stream, k.Sign(token.WriteToken, claim(4)), token.Refused},
		"a newer epoch, not heard of":  {c.Stream, k.Sign(token.WriteToken, claim(6)), token.Unknown},
		"same epoch, another consumer": {c.Stream, k.Sign(token.WriteToken, other), token.Refused},
		"same claim, by a foreign key": {c.Stream, ring(t, key(9)).Sign(token.WriteToken, c), token.Refused},
		"the claim token":              {c.Stream, k.Sign(token.ClaimToken, c), token.Refused},
		"another tenant's token":       {c.Stream, k.Sign(token.WriteToken, foreign), token.Refused},
		"garbage":                      {c.Stream, "garbage", token.Refused},
		"nothing":                      {c.Stream, "", token.Refused},
		"last byte changed":            {c.Stream, tok[:len(tok)-1] + "!", token.Refused},
		"a stream nobody has heard of": {"demo/two/main", tok, token.Unknown},
		"garbage on an unknown stream": {"demo/two/main", "garbage", token.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, v.Check("default", tc.stream, tc.tok))
		})
	}
	require.Equal(t, token.Unknown, v.Check("other", c.Stream, k.Sign(token.WriteToken, foreign)),
		"tenants do not share streams")
}

func TestCheckTakesEveryKeyOfTheRing(t *testing.T) {
	k := ring(t, key(2), key(1))
	v := newView(t, k, nil)
	v.Put(claim(5))
	old := ring(t, key(1))
	require.Equal(t, token.Valid, v.Check("default", claim(5).Stream, old.Sign(token.WriteToken, claim(5))))
	require.Equal(t, token.Refused, v.Check("default", claim(5).Stream, old.Sign(token.WriteToken, claim(4))))
	other := claim(5)
	other.Consumer = "w_other"
	require.Equal(t, token.Refused, v.Check("default", claim(5).Stream, old.Sign(token.WriteToken, other)))
}

func TestAnOlderEpochNeverReplacesANewerOne(t *testing.T) {
	k := ring(t)
	v := newView(t, k, nil)
	check := func(epoch int64) token.Verdict {
		return v.Check("default", claim(epoch).Stream, k.Sign(token.WriteToken, claim(epoch)))
	}
	v.Put(claim(5))
	v.Put(claim(4))
	require.Equal(t, token.Valid, check(5))
	v.Drop("default", claim(5).Stream, 4)
	require.Equal(t, token.Valid, check(5), "a late drop must not end a newer claim")
	v.Fenced("default", claim(5).Stream, 4)
	require.Equal(t, token.Valid, check(5), "a late fence must not end a newer claim")
	require.Equal(t, 1, v.Len())

	v.Drop("default", claim(5).Stream, 5)
	require.Equal(t, token.Refused, check(5))
	v.Put(claim(5))
	require.Equal(t, token.Refused, check(5), "a dropped epoch must not come back")
	require.Equal(t, 0, v.Len())
	v.Put(claim(6))
	require.Equal(t, token.Valid, check(6))
}

func TestDropBeforeThePutIsRemembered(t *testing.T) {
	k := ring(t)
	v := newView(t, k, nil)
	v.Drop("default", claim(5).Stream, 5)
	v.Put(claim(5))
	require.Equal(t, token.Refused, v.Check("default", claim(5).Stream, k.Sign(token.WriteToken, claim(5))))
	require.Equal(t, 0, v.Len())
}

// The view is compared with the rules written down in the simplest way.
func TestViewFollowsItsRules(t *testing.T) {
	k := ring(t)
	type held struct{ epoch, over int64 }
	rapid.Check(t, func(t *rapid.T) {
		v := token.NewView(k, token.Options{Trust: time.Hour, Lookup: noLookup})
		model := map[string]held{}
		streams := rapid.SampledFrom([]string{"a/1/main", "a/2/main", "b/1/main"})
		epochs := rapid.Int64Range(1, 6)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				s, e := streams.Draw(t, "stream"), epochs.Draw(t, "epoch")
				v.Put(token.Claim{Tenant: "t", Stream: s, Consumer: "w", Epoch: e})
				if m := model[s]; e > m.over && e >= m.epoch {
					model[s] = held{epoch: e, over: max(m.over, e-1)}
				}
			},
			"drop": func(t *rapid.T) {
				s, e := streams.Draw(t, "stream"), epochs.Draw(t, "epoch")
				v.Drop("t", s, e)
				m := model[s]
				if m.over = max(m.over, e); m.epoch <= e {
					m.epoch = 0
				}
				model[s] = m
			},
			"fenced": func(t *rapid.T) {
				s, e := streams.Draw(t, "stream"), epochs.Draw(t, "epoch")
				v.Fenced("t", s, e)
				if m := model[s]; m.epoch <= e {
					model[s] = held{over: m.over}
				}
			},
			"": func(t *rapid.T) {
				live := 0
				for s, m := range model {
					if m.epoch > 0 {
						live++
					}
					for e := int64(1); e <= 6; e++ {
						tok := k.Sign(token.WriteToken, token.Claim{Tenant: "t", Stream: s, Consumer: "w", Epoch: e})
						want := token.Unknown
						switch {
						case e <= m.over:
							want = token.Refused
						case e == m.epoch:
							want = token.Valid
						}
						require.Equal(t, want, v.Check("t", s, tok), "stream %s epoch %d, model %+v", s, e, m)
					}
				}
				require.Equal(t, live, v.Len())
			},
		})
	})
}

func TestTrustEnds(t *testing.T) {
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprintf("running=%t", running), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := ring(t)
				v := newView(t, k, nil)
				if running {
					go func() { _ = v.Run(t.Context()) }()
				}
				tok := k.Sign(token.WriteToken, claim(5))
				check := func() token.Verdict { return v.Check("default", claim(5).Stream, tok) }
				v.Put(claim(5))
				<-time.After(lease - time.Second)
				require.Equal(t, token.Valid, check())
				v.Put(claim(5))
				<-time.After(lease - time.Second)
				require.Equal(t, token.Valid, check(), "putting a claim again renews its trust")
				<-time.After(2 * time.Second)
				require.Equal(t, token.Unknown, check())
				require.Equal(t, token.Refused,
					v.Check("default", claim(4).Stream, k.Sign(token.WriteToken, claim(4))),
					"an older epoch is over however long ago the newer one was confirmed")
				v.Put(claim(5))
				require.Equal(t, token.Valid, check())
			})
		})
	}
}

func TestDistrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ring(t)
		v := newView(t, k, nil)
		tok := k.Sign(token.WriteToken, claim(5))
		v.Put(claim(5))
		v.Distrust()
		require.Equal(t, token.Unknown, v.Check("default", claim(5).Stream, tok))
		<-time.After(time.Nanosecond)
		v.Put(claim(5))
		require.Equal(t, token.Valid, v.Check("default", claim(5).Stream, tok))
	})
}

func TestEndedEpochsAreForgottenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ring(t)
		v := newView(t, k, nil)
		go func() { _ = v.Run(t.Context()) }()
		tok := k.Sign(token.WriteToken, claim(5))
		v.Put(claim(5))
		v.Drop("default", claim(5).Stream, 5)
		live := claim(5)
		live.Stream = "demo/two/main"
		v.Drop("default", live.Stream, 4)
		v.Put(live)
		<-time.After(55 * time.Second)
		require.Equal(t, token.Refused, v.Check("default", claim(5).Stream, tok),
			"an epoch is remembered for longer than a look-up can last")
		<-time.After(15 * time.Second)
		require.Equal(t, token.Unknown, v.Check("default", claim(5).Stream, tok))
		require.Equal(t, 1, v.Len(), "a claim is never forgotten for its age")
	})
}

// Tables grow, empty and fill again without losing or inventing a claim.
func TestManyStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ring(t)
		v := newView(t, k, nil)
		go func() { _ = v.Run(t.Context()) }()
		const n = 5000
		name := func(i int) string { return fmt.Sprintf("demo/%d/main", i) }
		for round := int64(1); round <= 3; round++ {
			for i := range n {
				v.Put(token.Claim{Tenant: "t", Stream: name(i), Consumer: "w", Epoch: round})
			}
			require.Equal(t, n, v.Len())
			for i := range n {
				c := token.Claim{Tenant: "t", Stream: name(i), Consumer: "w", Epoch: round}
				require.Equal(t, token.Valid, v.Check("t", name(i), k.Sign(token.WriteToken, c)))
				v.Drop("t", name(i), round)
			}
			require.Equal(t, 0, v.Len())
			<-time.After(2 * time.Minute)
		}
	})
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	k := ring(t)
	v := token.NewView(k, token.Options{
		Trust: lease, Registerer: reg,
		Lookup: func(context.Context, string, string) (token.Claim, bool, error) { return claim(6), true, nil },
	})
	v.Put(claim(5))
	v.Check("default", claim(5).Stream, k.Sign(token.WriteToken, claim(5)))
	v.Check("default", claim(5).Stream, k.Sign(token.WriteToken, claim(4)))
	_, err := v.Authorize(t.Context(), "default", claim(6).Stream, k.Sign(token.WriteToken, claim(6)))
	require.NoError(t, err)

	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
	for name, want := range map[string]map[string]float64{
		"wakelatch_tokens":              {"": 1},
		"wakelatch_token_checks_total":  {"valid": 1, "refused": 1, "unknown": 1},
		"wakelatch_token_lookups_total": {"active": 1, "over": 0, "error": 0},
	} {
		require.Equal(t, want, gather(t, reg, name), name)
	}
}

// gather is a family's values by their only label.
func gather(tb testing.TB, reg prometheus.Gatherer, name string) map[string]float64 {
	tb.Helper()
	families, err := reg.Gather()
	require.NoError(tb, err)
	values := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			label := ""
			for _, l := range m.GetLabel() {
				label = l.GetValue()
			}
			values[label] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return values
}
