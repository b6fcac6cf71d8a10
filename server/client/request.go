package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"
)

const (
	callTimeout = 30 * time.Second // for one attempt; longer than a node rides out its database
	pollTimeout = 2 * time.Minute  // for one long-poll; a node that froze does not answer it at all

	tokenHeader = "electric-claim-token"
)

type request struct {
	method string
	url    string
	header http.Header
	body   []byte
	token  string // a secret of the claim, instead of the client's own header
	bound  time.Duration
}

type response struct {
	status int
	header http.Header
	body   []byte
}

// decode reads the answer's JSON.
func (r response) decode(into any) error {
	if err := json.Unmarshal(r.body, into); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	return nil
}

// jsonBody encodes what is made of strings, numbers and JSON that was checked, which cannot fail.
func jsonBody(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return body, nil
}

// send sends v as JSON until it is answered, and reads the answer.
func (c *Client) send(ctx context.Context, method, url string, v, into any) error {
	r := request{method: method, url: url}
	if v != nil {
		body, err := jsonBody(v)
		if err != nil {
			return err
		}
		r.body = body
	}
	answer, err := c.call(ctx, r)
	if err != nil || into == nil || len(answer.body) == 0 {
		return err
	}
	return answer.decode(into)
}

// call repeats a request until it is answered with anything but a failure that passes, or ctx ends.
func (c *Client) call(ctx context.Context, r request) (response, error) {
	return c.callWhile(ctx, ctx, r)
}

// callWhile is call with another say in whether to try again: an attempt that is under way when willing
// ends still gets its answer.
func (c *Client) callWhile(ctx, willing context.Context, r request) (response, error) {
	var wait backoff
	for {
		answer, err := c.try(ctx, r)
		if err == nil || !temporary(err) || ctx.Err() != nil {
			return answer, err
		}
		again := wait.next(err)
		c.log.WarnContext(ctx, "call failed; it is tried again", "error", err, "after", again)
		if !pause(willing, again) {
			return response{}, err
		}
	}
}

// try sends a request once. Any status of 400 or more is an *Error.
func (c *Client) try(ctx context.Context, r request) (response, error) {
	bound := r.bound
	if bound == 0 {
		bound = callTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, bound, fmt.Errorf("no answer within %s", bound))
	defer cancel()
	sent, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return response{}, fmt.Errorf("make request: %w", err)
	}
	c.dress(sent, r)
	answer, err := c.http.Do(sent)
	if err != nil {
		return response{}, explained(ctx, err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return response{}, explained(ctx, fmt.Errorf("%s %s: %w", r.method, sent.URL.Path, err))
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return response{}, readError(sent, answer.StatusCode, answer.Header, body)
	}
	return response{status: answer.StatusCode, header: answer.Header, body: body}, nil
}

func (c *Client) dress(sent *http.Request, r request) {
	maps.Copy(sent.Header, r.header)
	if r.body != nil {
		sent.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		sent.Header.Set(tokenHeader, r.token)
		return
	}
	for name, values := range c.header {
		sent.Header[http.CanonicalHeaderKey(name)] = values
	}
}

// explained adds why the context ended, which net/http leaves out.
func explained(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w (%w)", err, cause)
	}
	return err
}
