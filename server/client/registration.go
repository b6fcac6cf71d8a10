package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// policyOf is the dispatch policy that names a runner.
func policyOf(runnerID string) map[string]any {
	return map[string]any{"targets": []map[string]string{{"type": "runner", "runnerId": runnerID}}}
}

// RegisterRunner records a runner and returns the wake stream offset that its last heartbeat left, Beginning
// for a new one. Registering again changes the label only.
func (c *Client) RegisterRunner(ctx context.Context, id, label string) (offset string, err error) {
	var runner struct {
		WakeStreamOffset *string `json:"wake_stream_offset"`
	}
	body := map[string]string{"id": id, "label": label}
	if err := c.send(ctx, http.MethodPost, c.url("_electric", "runners"), body, &runner); err != nil {
		return "", err
	}
	if runner.WakeStreamOffset == nil {
		return Beginning, nil
	}
	return *runner.WakeStreamOffset, nil
}

// entityType is a registered type. What this package has no use for is kept as it came: registering a
// type again replaces all of it.
type entityType struct {
	Name                  string          `json:"name"`
	Description           string          `json:"description,omitempty"`
	CreationSchema        json.RawMessage `json:"creation_schema,omitempty"`
	InboxSchemas          json.RawMessage `json:"inbox_schemas,omitempty"`
	StateSchemas          json.RawMessage `json:"state_schemas,omitempty"`
	DefaultDispatchPolicy json.RawMessage `json:"default_dispatch_policy,omitempty"`
}

// runner is the runner that works for the type's new entities.
func (t entityType) runner() string {
	var policy struct {
		Targets []struct {
			Type     string `json:"type"`
			RunnerID string `json:"runnerId"`
		} `json:"targets"`
	}
	if json.Unmarshal(t.DefaultDispatchPolicy, &policy) != nil || len(policy.Targets) != 1 || policy.Targets[0].Type != "runner" {
		return ""
	}
	return policy.Targets[0].RunnerID
}

// RegisterType makes a runner the one that works for an entity type's new entities. A type that is
// registered already keeps its description and schemas. It returns the runner it was before, "" for none.
func (c *Client) RegisterType(ctx context.Context, name, runnerID string) (before string, err error) {
	t := entityType{Name: name}
	err = c.send(ctx, http.MethodGet, c.url("_electric", "entity-types", name), nil, &t)
	unknown := hasStatus(err, http.StatusNotFound)
	if err != nil && !unknown {
		return "", err
	}
	if before = t.runner(); before == runnerID && !unknown {
		return before, nil
	}
	if t.DefaultDispatchPolicy, err = jsonBody(policyOf(runnerID)); err != nil {
		return "", err
	}
	return before, c.send(ctx, http.MethodPost, c.url("_electric", "entity-types"), t, nil)
}

// livenessLease is how long a runner counts as online after a heartbeat.
const livenessLease = 90 // seconds

func (c *Client) runnerHeartbeat(runnerID, offset string) (request, error) {
	body, err := jsonBody(map[string]any{"lease_ms": livenessLease * 1000, "wake_stream_offset": offset})
	return request{method: http.MethodPost, url: c.url("_electric", "runners", runnerID, "heartbeat"), body: body}, err
}
