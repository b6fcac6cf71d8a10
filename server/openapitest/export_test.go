package openapitest

import (
	"net/http"
	"testing"
)

// Reporting is Transport with another end for what it finds.
func Reporting(tb testing.TB, next http.RoundTripper, report func(error)) http.RoundTripper {
	tb.Helper()
	made, _ := Transport(tb, next).(*transport)
	made.report = report
	return made
}
