package api_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/api"
	"github.com/wakelatch/wakelatch/server/openapitest"
)

// TestEveryRouteIsDescribed holds the route table and docs/openapi.yaml against each other.
func TestEveryRouteIsDescribed(t *testing.T) {
	document, err := openapitest.Load()
	require.NoError(t, err)
	var mounted []string
	for _, route := range api.Routes() {
		method, template, _ := strings.Cut(route, " ")
		switch template {
		case "/{path:.+}":
			// The document names the streams that this route finds.
			mounted = append(mounted, method+" /{type}/{id}/main", method+" /runners/{id}/wake")
		default:
			mounted = append(mounted, method+" "+strings.ReplaceAll(template, ":.+}", "}"))
		}
	}
	slices.Sort(mounted)
	require.Equal(t, mounted, document.Routes())
}

// TestEveryCodeIsDescribed finds an error code that no answer of the document has. A method that a path does not take is
// no operation of the document: its answer is described above them all.
func TestEveryCodeIsDescribed(t *testing.T) {
	document, err := openapitest.Load()
	require.NoError(t, err)
	described := document.Codes()
	for _, code := range api.ErrorCodes() {
		if code == "METHOD_NOT_ALLOWED" {
			continue
		}
		require.Contains(t, described, code)
	}
}
