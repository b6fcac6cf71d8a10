package api

import (
	"net/http"
	"strconv"

	"github.com/wakelatch/wakelatch/server/stream"
)

const (
	expectedSeqHeader = "Producer-Expected-Seq"
	receivedSeqHeader = "Producer-Received-Seq"
)

// bearable is a refusal as a producer can bear it, which repeats its append by what it is told: after a 403 with the next
// epoch and no pause, after a 409 once everything before its own sequence number is written, which it takes for 0 unless
// it is told. Where neither helps it must be told what ends it: that its own number is the expected one, which it knows for
// an error, and that the last epoch there is has been used, whose successor is no epoch.
func (a *API) bearable(h http.Header, r *http.Request, said answer) answer {
	if r.Method != http.MethodPost || said.Code == codeGap || said.Code == codeStale {
		return said
	}
	producer, err := producerOf(r.Header)
	switch {
	case said.Status == http.StatusForbidden && err != nil:
		return a.explain(r, err)
	case producer == nil:
		return said
	case said.Status == http.StatusForbidden:
		h.Set(producerEpochHeader, strconv.FormatInt(stream.MaxProducerNumber, 10))
	case said.Status == http.StatusConflict:
		seq := strconv.FormatInt(producer.Seq, 10)
		h.Set(expectedSeqHeader, seq)
		h.Set(receivedSeqHeader, seq)
	}
	return said
}
