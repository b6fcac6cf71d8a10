package runner

import (
	"encoding/json"
	"math"
	"strings"
	"time"
	"unicode"
)

const (
	maxDiagnosticText  = 1024
	maxDiagnosticCount = 1 << 53
)

// Diagnostics is what a client reports of itself. A field that it did not report, or that was of the
// wrong type, is nil.
type Diagnostics struct {
	Running              *bool      `json:"running,omitempty"`
	StartedAt            *time.Time `json:"started_at,omitempty"`
	Offset               *string    `json:"offset,omitempty"`
	StreamConnected      *bool      `json:"stream_connected,omitempty"`
	StreamConnectedSince *time.Time `json:"stream_connected_since,omitempty"`
	ReconnectCount       *int64     `json:"reconnect_count,omitempty"`
	LastError            *string    `json:"last_error,omitempty"`
	LastErrorAt          *time.Time `json:"last_error_at,omitempty"`
	LastHeartbeatAt      *time.Time `json:"last_heartbeat_at,omitempty"`
	LastHeartbeatOK      *bool      `json:"last_heartbeat_ok,omitempty"`
	LastClaimAt          *time.Time `json:"last_claim_at,omitempty"`
	LastClaimResult      *string    `json:"last_claim_result,omitempty"`
	LastDispatchAt       *time.Time `json:"last_dispatch_at,omitempty"`
	EventsReceived       *int64     `json:"events_received,omitempty"`
	ClaimsSucceeded      *int64     `json:"claims_succeeded,omitempty"`
	ClaimsSkipped        *int64     `json:"claims_skipped,omitempty"`
	ClaimsFailed         *int64     `json:"claims_failed,omitempty"`
}

// ParseDiagnostics takes the known fields out of a client's report, bounded and without control
// characters. It returns nil if the report is no JSON object.
func ParseDiagnostics(report []byte) *Diagnostics {
	var fields map[string]json.RawMessage
	if len(report) == 0 || json.Unmarshal(report, &fields) != nil || fields == nil {
		return nil
	}
	return &Diagnostics{
		Running:              flag(fields["running"]),
		StartedAt:            instant(fields["started_at"]),
		Offset:               text(fields["offset"]),
		StreamConnected:      flag(fields["stream_connected"]),
		StreamConnectedSince: instant(fields["stream_connected_since"]),
		ReconnectCount:       count(fields["reconnect_count"]),
		LastError:            text(fields["last_error"]),
		LastErrorAt:          instant(fields["last_error_at"]),
		LastHeartbeatAt:      instant(fields["last_heartbeat_at"]),
		LastHeartbeatOK:      flag(fields["last_heartbeat_ok"]),
		LastClaimAt:          instant(fields["last_claim_at"]),
		LastClaimResult:      claimResult(fields["last_claim_result"]),
		LastDispatchAt:       instant(fields["last_dispatch_at"]),
		EventsReceived:       count(fields["events_received"]),
		ClaimsSucceeded:      count(fields["claims_succeeded"]),
		ClaimsSkipped:        count(fields["claims_skipped"]),
		ClaimsFailed:         count(fields["claims_failed"]),
	}
}

// decode returns nil for null, for nothing and for another type.
func decode[T any](raw json.RawMessage) *T {
	var value *T
	if len(raw) == 0 || json.Unmarshal(raw, &value) != nil {
		return nil
	}
	return value
}

func flag(raw json.RawMessage) *bool { return decode[bool](raw) }

func text(raw json.RawMessage) *string {
	value := decode[string](raw)
	if value == nil {
		return nil
	}
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, *value)
	if len(clean) > maxDiagnosticText {
		clean = strings.ToValidUTF8(clean[:maxDiagnosticText], "")
	}
	return &clean
}

func claimResult(raw json.RawMessage) *string {
	value := decode[string](raw)
	if value == nil {
		return nil
	}
	switch *value {
	case "claimed", "no_work", "error":
		return value
	}
	return nil
}

func count(raw json.RawMessage) *int64 {
	value := decode[float64](raw)
	if value == nil || *value < 0 || *value > maxDiagnosticCount || *value != math.Trunc(*value) {
		return nil
	}
	n := int64(*value)
	return &n
}

func instant(raw json.RawMessage) *time.Time {
	value := decode[string](raw)
	if value == nil {
		return nil
	}
	t, err := time.Parse(time.RFC3339, *value)
	if err != nil {
		return nil
	}
	t = t.UTC()
	return &t
}
