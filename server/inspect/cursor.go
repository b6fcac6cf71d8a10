package inspect

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"time"
)

// cursor is the last row of a page: its time, and what parts it from others of that time.
type cursor struct {
	at    time.Time
	key   string
	epoch int64
}

// start comes before every row.
func start() cursor {
	return cursor{at: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), epoch: math.MaxInt64}
}

// written is a cursor as callers see it: base64 of JSON, which they hand back as it is.
type written struct {
	Micros int64  `json:"t"`
	Key    string `json:"k"`
	Epoch  int64  `json:"e,omitempty"`
}

// maxCursor is longer than any cursor that was handed out.
const maxCursor = 4096

func (c cursor) String() string {
	text, err := json.Marshal(written{Micros: c.at.UnixMicro(), Key: c.key, Epoch: c.epoch})
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// parseCursor reads what String wrote; nothing is the start.
func parseCursor(text string) (cursor, error) {
	if text == "" {
		return start(), nil
	}
	wrong := &InvalidError{Field: "after", Why: "is no cursor of this list: leave it out, or send next_after of the page before"}
	if len(text) > maxCursor {
		return cursor{}, wrong
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return cursor{}, wrong
	}
	var w written
	if json.Unmarshal(raw, &w) != nil || w.Micros < 0 || w.Micros > start().at.UnixMicro() || checkFilter("after", w.Key) != nil {
		return cursor{}, wrong
	}
	return cursor{at: time.UnixMicro(w.Micros).UTC(), key: w.Key, epoch: w.Epoch}, nil
}
