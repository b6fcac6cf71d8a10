package entity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/wakelatch/wakelatch/server/stream"
)

// Modes of a message. A queued or paused one waits in the inbox for the agent to take it up.
const (
	ModeImmediate = "immediate"
	ModeQueued    = "queued"
	ModePaused    = "paused"
	ModeSteer     = "steer"
)

// event is what the server writes to an entity's stream.
type event struct {
	Type    string            `json:"type"`
	Key     string            `json:"key"`
	Value   any               `json:"value,omitempty"`
	Headers map[string]string `json:"headers"`
}

type inboxValue struct {
	From        string          `json:"from"`
	Payload     json.RawMessage `json:"payload,omitempty"`
	Timestamp   string          `json:"timestamp"`
	Mode        string          `json:"mode"`
	MessageType string          `json:"message_type,omitempty"`
	Status      string          `json:"status"`
	ProcessedAt string          `json:"processed_at,omitempty"`
}

func timestamp() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func newKey(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()) }

// txidOf is the id under which a write comes back on the stream. It follows from the write's key, so that a
// send repeated with its key gets the first one's.
func txidOf(tenant, entityURL, key string) string {
	h := sha256.New()
	for _, field := range []string{tenant, entityURL, key} {
		fmt.Fprintf(h, "%d:%s", len(field), field)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func inbox(r SendRequest, txid string) (stream.Message, error) {
	now := timestamp()
	value := inboxValue{
		From: r.Principal, Payload: r.Payload, Timestamp: now, Mode: r.Mode, MessageType: r.Type,
		Status: "processed", ProcessedAt: now,
	}
	if r.Mode == ModeQueued || r.Mode == ModePaused {
		value.Status, value.ProcessedAt = "pending", ""
	}
	return encode(event{
		Type: "inbox", Key: r.Key, Value: value, Headers: map[string]string{"txid": txid, "operation": "insert"},
	})
}

func encode(e event) (stream.Message, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return stream.Message{}, fmt.Errorf("encode %s event: %w", e.Type, err)
	}
	m, err := stream.JSONMessages(body)
	if err != nil {
		return stream.Message{}, fmt.Errorf("encode %s event: %w", e.Type, err)
	}
	return m, nil
}
