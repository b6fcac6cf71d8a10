package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/wakelatch/wakelatch/sql/localpg"
)

// walk is one wake by hand, from a registered runner to a released claim. Every line can be pasted into
// a shell; @URL@ is the node.
const walk = `  W=@URL@
  field() { sed -E "s/.*\"$1\":\"?([^\",}]*).*/\1/"; }

  # a runner, a type of entity that it works for, and an entity with a first message
  curl -s $W/_electric/runners -d '{"id":"r1","label":"my runner"}'
  curl -s $W/_electric/entity-types -d '{"name":"demo","default_dispatch_policy":{"targets":[{"type":"runner","runnerId":"r1"}]}}'
  curl -s -X PUT $W/_electric/entities/demo/one -d '{"initialMessage":"hello"}'

  # the wake is on the runner's stream; the runner claims it, as one process of possibly many
  WAKE=$(curl -s "$W/runners/r1/wake?offset=-1" | sed -E 's/^\[(.*,)?(\{"type":"wake".*\})\]$/\2/')
  CLAIM=$(curl -s $W/_electric/runners/r1/claim -d "$WAKE")
  CALLBACK=$(echo "$CLAIM" | field callback)
  TOKEN=$(echo "$CLAIM" | field claimToken)
  EPOCH=$(echo "$CLAIM" | field epoch)

  # it confirms, reads its input, and writes with the token that the confirm gave it
  WRITE=$(curl -s $CALLBACK -H "electric-claim-token: $TOKEN" -d "{\"epoch\":$EPOCH,\"wakeId\":\"${CALLBACK##*/}\"}" | field writeToken)
  curl -s "$W/demo/one/main?offset=-1"
  curl -s -D - $W/demo/one/main -H "electric-claim-token: $WRITE" -H 'content-type: application/json' -d '[{"type":"text","value":"hi"}]'

  # done: from here on the write token is refused on every node, and the entity is idle again
  OFFSET=$(curl -s -I $W/demo/one/main | tr -d '\r' | sed -n 's/^[Ss]tream-[Nn]ext-[Oo]ffset: //p')
  curl -s $CALLBACK -H "electric-claim-token: $TOKEN" -d "{\"epoch\":$EPOCH,\"done\":true,\"acks\":[{\"path\":\"/demo/one/main\",\"offset\":\"$OFFSET\"}]}"
  curl -s $W/_electric/claims/${CALLBACK##*/}/$EPOCH`

// greeting is what dev says once it serves.
func greeting(url, dsn string) string {
	return fmt.Sprintf("\nWakelatch serves at  %s\nPostgres is at       %s\n\nOne wake by hand:\n\n%s\n\nStop with Ctrl-C.",
		url, dsn, strings.ReplaceAll(walk, "@URL@", url))
}

// devHint adds the flag that helps.
func devHint(err error) error {
	var held *localpg.HeldError
	var version *localpg.VersionError
	switch {
	case errors.As(err, &held), errors.As(err, &version):
		return fmt.Errorf("%w (flag --data-dir)", err)
	case errors.Is(err, localpg.ErrIncompleteBinaries), errors.Is(err, localpg.ErrNoBinaries):
		return fmt.Errorf("%w (flag --postgres-bin)", err)
	}
	return err
}
