package lifecycle_test

import (
	"os"
	"testing"

	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestMain(m *testing.M) {
	if settings := os.Getenv(nodeEnv); settings != "" {
		os.Exit(runNode(settings))
	}
	dbtest.Main(m)
}
