package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// Operation is a request of the API that has no method of its own, such as those that operators make.
type Operation struct {
	// Method is GET if left empty.
	Method string
	// Path is its segments, as they are: "_electric", "claims".
	Path []string
	// Query may be nil; values that are "" are left out.
	Query map[string]string
	// Body is sent as JSON; nil for none.
	Body any
}

// Operate makes the request once and returns the JSON of the answer. A refusal is an *Error. It is not tried
// again: whoever waits for it should hear at once that nobody answers.
func (c *Client) Operate(ctx context.Context, o Operation) (json.RawMessage, error) {
	r := request{method: o.Method, url: c.url(o.Path...)}
	if r.method == "" {
		r.method = http.MethodGet
	}
	query := url.Values{}
	for name, value := range o.Query {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(query) > 0 {
		r.url += "?" + query.Encode()
	}
	if o.Body != nil {
		body, err := jsonBody(o.Body)
		if err != nil {
			return nil, err
		}
		r.body = body
	}
	answer, err := c.try(ctx, r)
	return answer.body, err
}
