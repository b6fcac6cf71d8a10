package api

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// TooLargeError is a body above the node's limit.
type TooLargeError struct{ Limit int64 }

// Error names the limit and the setting behind it.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the body is larger than the %d bytes that this server takes; send less, or start it with a larger --max-body", e.Limit)
}

// MediaTypeError is a body that is not what the route takes.
type MediaTypeError struct{ Header, Value, Want string }

// Error names the header and what it must be.
func (e *MediaTypeError) Error() string {
	return fmt.Sprintf("%s %.64q is not taken here: %s", e.Header, e.Value, e.Want)
}

// readBody reads the request's body. One that is compressed is refused: it would be taken for what it is not.
func readBody(r *http.Request) ([]byte, error) {
	if sent := r.Header.Get("Content-Encoding"); sent != "" && !strings.EqualFold(sent, "identity") {
		return nil, &MediaTypeError{Header: "Content-Encoding", Value: sent, Want: "send the body as it is"}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, bodyError(err)
	}
	return body, nil
}

// takeJSON refuses a type that says that the body is not JSON. What curl and fetch send unless they are told otherwise
// says nothing.
func takeJSON(contentType string) error {
	if contentType == "" {
		return nil
	}
	kind, params, err := mime.ParseMediaType(contentType)
	known := err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json") || kind == "text/plain" || kind == "application/x-www-form-urlencoded")
	if charset := strings.ToLower(params["charset"]); !known || charset != "" && charset != "utf-8" && charset != "us-ascii" {
		return &MediaTypeError{Header: "Content-Type", Value: contentType, Want: "send application/json in UTF-8"}
	}
	return nil
}
