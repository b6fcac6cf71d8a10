package entitytype

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/wakelatch/wakelatch/server/runner"
)

type policy struct {
	Targets []target `json:"targets"`
}

type target struct {
	Type     string `json:"type"`
	RunnerID string `json:"runnerId"`
}

// ParsePolicy reads a dispatch policy, {"targets":[{"type":"runner","runnerId":"r1"}]}, and returns the
// runner it names. Nothing and null name none. Errors are *InvalidError for the field dispatch_policy.
func ParsePolicy(raw json.RawMessage) (runnerID string, err error) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return "", nil
	}
	var p policy
	if err := json.Unmarshal(raw, &p); err != nil {
		return "", refused(fmt.Sprintf("it must look like %s (%v)", example, err))
	}
	if len(p.Targets) != 1 {
		return "", refused(fmt.Sprintf("it must have exactly one target, not %d: %s", len(p.Targets), example))
	}
	t := p.Targets[0]
	if t.Type != "runner" {
		return "", refused(fmt.Sprintf("a target of type %.32q is not supported: use %s", t.Type, example))
	}
	if err := runner.CheckID(t.RunnerID); err != nil {
		return "", refused("its runnerId is no runner's: " + err.Error())
	}
	return t.RunnerID, nil
}

const example = `{"targets":[{"type":"runner","runnerId":"r1"}]}`

func refused(why string) error { return invalid("dispatch_policy", "", why) }
