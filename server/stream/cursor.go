package stream

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// A cursor is the number of an interval since an epoch that the protocol fixes. It makes the URL of a repeated live read
// differ from time to time, so that no cache answers it for ever.
const (
	cursorEpoch     = 1728432000 // 2024-10-09T00:00:00Z
	cursorInterval  = 20
	cursorJitterMax = 3600
)

// Cursor is what a live read answers: the interval of now, or, for a client that is there or ahead already, a random
// step beyond what it sent. It never goes back.
func Cursor(sent string, now time.Time) string {
	current := (now.Unix() - cursorEpoch) / cursorInterval
	known, err := strconv.ParseInt(sent, 10, 64)
	if err != nil || known < current || known > 1<<53 {
		return strconv.FormatInt(current, 10)
	}
	step := 1 + rand.Int64N(cursorJitterMax/cursorInterval) //nolint:gosec // jitter is no secret
	return strconv.FormatInt(known+step, 10)
}
