package claim

import (
	"crypto/rand"
	"strings"

	"github.com/wakelatch/wakelatch/jobs/args"
)

// Key names one claim.
type Key struct {
	Tenant   string
	Consumer string
	Epoch    int64
}

// keyColumns is a set of claims as the arrays that the statements take.
type keyColumns struct {
	tenants   []string
	consumers []string
	epochs    []int64
}

func columnsOf[T any](items []T, key func(T) Key) keyColumns {
	c := keyColumns{
		tenants:   make([]string, len(items)),
		consumers: make([]string, len(items)),
		epochs:    make([]int64, len(items)),
	}
	for i, item := range items {
		k := key(item)
		c.tenants[i], c.consumers[i], c.epochs[i] = k.Tenant, k.Consumer, k.Epoch
	}
	return c
}

func keyOf(c args.Claim) Key { return Key{Tenant: c.Tenant, Consumer: c.Consumer, Epoch: c.Epoch} }

// NewWakeID makes the id of a wake, which becomes its claim's consumer id.
func NewWakeID() string { return "w_" + strings.ToLower(rand.Text()) }

const mainSuffix = "/main"

// MainStream is the path of an entity's main stream: "demo/one/main" for "/demo/one".
func MainStream(entityURL string) string { return strings.TrimPrefix(entityURL, "/") + mainSuffix }

// EntityURL is the entity whose main stream has this path, and false for any other stream.
func EntityURL(path string) (string, bool) {
	entity, ok := strings.CutSuffix(path, mainSuffix)
	if !ok || strings.Count(entity, "/") != 1 {
		return "", false
	}
	return "/" + entity, true
}
