// Package args holds the arguments of every job. It is a leaf, so that the code that inserts a job and
// the code that works it need not know each other.
package args

// QueueRelease is the queue of ReleaseClaims.
const QueueRelease = "release"

// Claim names one claim and the stream it writes to.
type Claim struct {
	Tenant   string `json:"tenant"`
	Consumer string `json:"consumer"`
	Epoch    int64  `json:"epoch"`
	Stream   string `json:"stream"`
}

// MaxClaims bounds the claims of one ReleaseClaims job.
const MaxClaims = 128

// ReleaseClaims releases claims whose done is recorded.
type ReleaseClaims struct {
	Claims []Claim `json:"claims"`
}

// Kind names the job in river_job.
func (ReleaseClaims) Kind() string { return "release_claims" }

// QueueDelayed is the queue of SendDelayed.
const QueueDelayed = "delayed"

// SendDelayed sends a message when it is due.
type SendDelayed struct {
	Tenant    string `json:"tenant"`
	EntityURL string `json:"entity_url"`
	// SpawnTxID tells the entity from one that has its name by then.
	SpawnTxID string `json:"spawn_txid"`
	// Key makes an attempt that follows one whose outcome is unknown add nothing.
	Key       string `json:"key"`
	Type      string `json:"type,omitempty"`
	Mode      string `json:"mode"`
	Principal string `json:"principal"`
	// Payload is the JSON text as it was sent, which a jsonb column would rewrite.
	Payload []byte `json:"payload"`
}

// Kind names the job in river_job.
func (SendDelayed) Kind() string { return "send_delayed" }
