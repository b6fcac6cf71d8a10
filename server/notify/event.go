package notify

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Channel is the one channel of LISTEN and NOTIFY.
const Channel = "wakelatch"

// Kind says what a hint is about.
type Kind string

// The kinds of hint. A handler ignores kinds it does not know, because a newer
// node may send them.
const (
	// KindClaim says that a claim's epoch is over: drop its token.
	KindClaim Kind = "claim"
	// KindTail says that a stream has a newer tail.
	KindTail Kind = "tail"
	// KindEntity says that an entity has a newer version.
	KindEntity Kind = "entity"

	// This stands in for an event that does not fit into a payload.
	kindResync Kind = "resync"
	// A listener sends this one to itself.
	kindProbe Kind = "probe"
)

// Event is one hint. Key is a stream's path or an entity's URL, Number the
// epoch, tail or version.
type Event struct {
	Kind   Kind
	Tenant string
	Key    string
	Number int64
}

// Postgres takes payloads of fewer than 8,000 bytes. A byte of text takes at
// most six in JSON, so an event within these limits always fits into one.
const (
	MaxPayload = 7999
	MaxTenant  = 200
	MaxKey     = 1024
)

// Encode packs events into as few payloads as the limit of Postgres allows. An
// event beyond [MaxTenant] or [MaxKey] that does not fit into one is sent as
// the demand to resync, which costs more and says no less.
func Encode(events []Event) []string {
	var payloads []string
	var b []byte
	for _, e := range events {
		t := tuple(e)
		if len(t)+2 > MaxPayload {
			t = tuple(Event{Kind: kindResync})
		}
		if len(b) > 0 && len(b)+len(t)+2 > MaxPayload {
			payloads = append(payloads, string(append(b, ']')))
			b = b[:0]
		}
		if len(b) == 0 {
			b = append(b, '[')
		} else {
			b = append(b, ',')
		}
		b = append(b, t...)
	}
	if len(b) > 0 {
		payloads = append(payloads, string(append(b, ']')))
	}
	return payloads
}

func tuple(e Event) []byte {
	t, err := json.Marshal([4]any{e.Kind, e.Tenant, e.Key, e.Number})
	if err != nil {
		panic(err) // texts and an integer always have a JSON form
	}
	return t
}

// Decode reads a payload. It reads all of it or nothing.
func Decode(payload string) ([]Event, error) {
	if len(payload) > MaxPayload {
		return nil, fmt.Errorf("notification of %d bytes: the limit is %d", len(payload), MaxPayload)
	}
	var tuples []parsed
	if err := json.Unmarshal([]byte(payload), &tuples); err != nil {
		return nil, fmt.Errorf("notification %.40q: %w", payload, err)
	}
	if tuples == nil {
		return nil, fmt.Errorf("notification %.40q: not an array", payload)
	}
	events := make([]Event, len(tuples))
	for i, t := range tuples {
		if t.Kind == "" {
			return nil, fmt.Errorf("notification %.40q: item %d has no kind", payload, i)
		}
		events[i] = Event(t)
	}
	return events, nil
}

type parsed Event

// UnmarshalJSON takes [kind, tenant, key, number] and nothing else.
func (p *parsed) UnmarshalJSON(b []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	if len(parts) != 4 {
		return errors.New("an event is an array of kind, tenant, key and number")
	}
	for i, to := range []any{&p.Kind, &p.Tenant, &p.Key, &p.Number} {
		if string(parts[i]) == "null" {
			return errors.New("an event has no null in it")
		}
		if err := json.Unmarshal(parts[i], to); err != nil {
			return err
		}
	}
	return nil
}
