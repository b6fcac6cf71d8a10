package entity

import (
	neturl "net/url"
	"strings"
	"unicode"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entitytype"
	"github.com/wakelatch/wakelatch/server/stream"
)

// CheckURL builds the url of an entity from its type and id, "/demo/one", or fails with an InvalidError.
// Ids may hold any printable character but a slash, and are no path segment with a meaning of its own.
func CheckURL(typeName, id string) (string, error) {
	if err := entitytype.CheckName(typeName); err != nil {
		return "", err
	}
	why := ""
	switch {
	case id == "":
		why = "must not be empty"
	case len(id) > maxIDBytes:
		why = "must be at most 256 bytes long"
	case id == "." || id == "..":
		why = "must not be a relative path segment"
	case strings.ContainsFunc(id, func(r rune) bool {
		return r == '/' || r == '\\' || r == unicode.ReplacementChar || !unicode.IsPrint(r)
	}):
		why = "must hold printable characters only, and neither a slash nor a backslash"
	}
	url := "/" + typeName + "/" + id
	if why == "" {
		// The entity is of use only if its stream can be named in a request.
		if _, err := stream.ParsePath(neturl.PathEscape(claim.MainStream(url))); err != nil {
			why = "must not look percent-encoded, nor make the path of the entity's stream longer than 512 bytes"
		}
	}
	if why != "" {
		return "", &InvalidError{Field: "id", Value: clip(id), Why: why}
	}
	return url, nil
}
