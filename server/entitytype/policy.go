package entitytype

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/wakelatch/wakelatch/server/runner"
	"github.com/wakelatch/wakelatch/server/strictjson"
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
	if err := strictjson.Unmarshal(raw, &p); err != nil {
		return "", refused("it must look like " + example + fault(err))
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

// fault says where the policy is of another shape, in the words of JSON.
func fault(err error) string {
	if twice, ok := errors.AsType[*strictjson.DuplicateError](err); ok {
		return ", and " + twice.Error()
	}
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case !ok:
		return ""
	case wrong.Field == "":
		return ", and is no object"
	}
	return fmt.Sprintf(", and %s is of the type %s", wrong.Field, wrong.Value)
}

const example = `{"targets":[{"type":"runner","runnerId":"r1"}]}`

func refused(why string) error { return invalid("dispatch_policy", "", why) }
