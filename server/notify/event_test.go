package notify_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/wakelatch/wakelatch/server/notify"
)

func TestPayloadText(t *testing.T) {
	require.Equal(t, []string{`[["claim","default","demo/one/main",7],["tail","t","s",-1]]`}, notify.Encode([]notify.Event{
		{Kind: notify.KindClaim, Tenant: "default", Key: "demo/one/main", Number: 7},
		{Kind: notify.KindTail, Tenant: "t", Key: "s", Number: -1},
	}))
	require.Empty(t, notify.Encode(nil))
}

func TestEncodeDecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		event := rapid.Custom(func(t *rapid.T) notify.Event {
			return notify.Event{
				Kind:   rapid.SampledFrom([]notify.Kind{notify.KindClaim, notify.KindTail, notify.KindEntity}).Draw(t, "kind"),
				Tenant: rapid.StringN(0, -1, notify.MaxTenant).Draw(t, "tenant"),
				Key:    rapid.StringN(0, -1, notify.MaxKey).Draw(t, "key"),
				Number: rapid.Int64().Draw(t, "number"),
			}
		})
		events := rapid.SliceOfN(event, 0, 200).Draw(t, "events")
		var got []notify.Event
		payloads := notify.Encode(events)
		for i, p := range payloads {
			require.LessOrEqual(t, len(p), notify.MaxPayload)
			if i > 0 {
				require.Greater(t, len(p)+len(payloads[i-1]), notify.MaxPayload/2, "payloads must be filled")
			}
			decoded, err := notify.Decode(p)
			require.NoError(t, err)
			got = append(got, decoded...)
		}
		require.Empty(t, cmp.Diff(append([]notify.Event(nil), events...), got))
	})
}

func TestEncodeFillsPayloadsToTheLimit(t *testing.T) {
	var events []notify.Event
	for n := range int64(1000) {
		events = append(events, notify.Event{Kind: notify.KindTail, Tenant: "t", Key: strings.Repeat("k", 100), Number: n})
	}
	var got []notify.Event
	payloads := notify.Encode(events)
	for i, p := range payloads {
		require.LessOrEqual(t, len(p), notify.MaxPayload)
		if i < len(payloads)-1 {
			require.Greater(t, len(p), notify.MaxPayload-130, "one more would have fitted")
		}
		decoded, err := notify.Decode(p)
		require.NoError(t, err)
		got = append(got, decoded...)
	}
	require.Equal(t, events, got)
}

// The limits are what makes an oversized event impossible.
func TestTheLargestEventFits(t *testing.T) {
	for name, c := range map[string]string{"control": "\x01", "html": "<", "invalid": "\xff", "quote": `"`, "plain": "a"} {
		t.Run(name, func(t *testing.T) {
			e := notify.Event{
				Kind: notify.KindEntity, Number: math.MinInt64,
				Tenant: strings.Repeat(c, notify.MaxTenant), Key: strings.Repeat(c, notify.MaxKey),
			}
			payloads := notify.Encode([]notify.Event{e})
			require.Len(t, payloads, 1)
			got, err := notify.Decode(payloads[0])
			require.NoError(t, err)
			require.Equal(t, notify.KindEntity, got[0].Kind)
			require.NotContains(t, payloads[0], "\x00", "Postgres takes no NUL")
		})
	}
}

func TestAnEventBeyondTheLimitsDemandsAResync(t *testing.T) {
	huge := notify.Event{Kind: notify.KindTail, Tenant: "t", Key: strings.Repeat("a", 9000)}
	require.Equal(t, []string{`[["resync","","",0]]`}, notify.Encode([]notify.Event{huge}))
}

func TestDecodeRefuses(t *testing.T) {
	for _, payload := range []string{
		``, `null`, `{}`, `"x"`, `[null]`, `[[]]`, `[["tail","t","s"]]`, `[["tail","t","s",1,2]]`, `[["tail","t","s","1"]]`,
		`[["tail","t","s",1.5]]`, `[["tail","t","s",9223372036854775808]]`, `[["tail",null,"s",1]]`, `[["tail","t",null,1]]`,
		`[["tail","t","s",null]]`, `[["","t","s",1]]`, `[[1,"t","s",1]]`, `[["tail","t","s",1]]x`, `[["tail","t","s",1]`,
		`[` + strings.Repeat(" ", notify.MaxPayload) + `]`,
	} {
		_, err := notify.Decode(payload)
		require.Error(t, err, payload)
	}
	events, err := notify.Decode(`[["from a newer node","t","s",1]]`)
	require.NoError(t, err)
	require.Len(t, events, 1)
}

func FuzzDecode(f *testing.F) {
	f.Add(`[["tail","default","demo/one/main",7]]`)
	f.Add(`[["claim","\u0000","\ud800",-9223372036854775808],["entity","","",0]]`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, payload string) {
		events, err := notify.Decode(payload)
		if err != nil {
			require.Empty(t, events)
			return
		}
		var again []notify.Event
		for _, p := range notify.Encode(events) {
			require.LessOrEqual(t, len(p), notify.MaxPayload)
			more, err := notify.Decode(p)
			require.NoError(t, err)
			again = append(again, more...)
		}
		require.Len(t, again, len(events))
		for i := range events {
			if again[i].Kind != "resync" {
				require.Equal(t, events[i], again[i])
			}
		}
	})
}
