package api_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/api"
	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entity"
	"github.com/wakelatch/wakelatch/server/stream"
)

// sameError are exported errors that are another package's under a second name.
var sameError = map[string]string{"stream.ErrUnavailable": "batch.ErrUnavailable"}

func TestEveryErrorOfTheDomainHasARow(t *testing.T) {
	rows := map[string]bool{}
	for _, name := range api.ErrorNames() {
		require.False(t, rows[name], "%s has two rows", name)
		rows[name] = true
	}
	found := 0
	for _, pkg := range []string{"apikey", "claim", "entity", "entitytype", "runner", "stream", "token", "batch"} {
		for _, name := range exportedErrors(t, filepath.Join("..", pkg)) {
			found++
			full := pkg + "." + name
			if other, ok := sameError[full]; ok {
				full = other
			}
			require.True(t, rows[full], "%s has no row in the error table", full)
		}
	}
	require.Greater(t, found, 25, "the search for exported errors finds too little to mean anything")
}

// exportedErrors are the package's variables Err… and its types …Error that have an Error method.
func exportedErrors(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, entry.Name()), nil, 0)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			names = append(names, errorsOf(decl)...)
		}
	}
	return names
}

func errorsOf(decl ast.Decl) []string {
	var names []string
	switch d := decl.(type) {
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if value, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.VAR {
				for _, name := range value.Names {
					if strings.HasPrefix(name.Name, "Err") {
						names = append(names, name.Name)
					}
				}
			}
		}
	case *ast.FuncDecl:
		if d.Recv == nil || d.Name.Name != "Error" {
			return nil
		}
		receiver := d.Recv.List[0].Type
		if pointer, ok := receiver.(*ast.StarExpr); ok {
			receiver = pointer.X
		}
		if name, ok := receiver.(*ast.Ident); ok && ast.IsExported(name.Name) {
			names = append(names, name.Name)
		}
	}
	return names
}

func TestErrorsOnTheWire(t *testing.T) {
	sql := &pgconn.PgError{Code: "23505", Message: "duplicate key value violates unique constraint", ConstraintName: "secret_name"}
	away := &pgconn.PgError{Code: "57P01", Message: "terminating connection due to administrator command"}
	a := api.New(options(t, func(o *api.Options) {
		o.IsUnavailable = func(err error) bool { return errors.Is(err, away) }
	}))
	for _, tc := range []struct {
		name   string
		err    error
		status int
		code   string
		says   string
		header http.Header
	}{
		{name: "sentinel", err: claim.ErrAlreadyClaimed, status: 409, code: "ALREADY_CLAIMED", says: "already has an active claim"},
		{name: "wrapped, with the value's name", err: fmt.Errorf("entity /demo/one: %w", entity.ErrNotFound), status: 404, code: "NOT_FOUND", says: "entity /demo/one: no such entity"},
		{name: "typed", err: &claim.LostError{Status: "expired", Cause: "lease"}, status: 409, code: "CLAIM_LOST", says: "is expired"},
		{name: "fenced write", err: stream.ErrFenced, status: 401, code: "UNAUTHORIZED", says: "Invalid write token"},
		{
			name: "producer gap", err: &stream.ProducerGapError{Expected: 4, Received: 7}, status: 409, code: "PRODUCER_GAP", says: "expected 4",
			header: http.Header{"Producer-Expected-Seq": {"4"}, "Producer-Received-Seq": {"7"}},
		},
		{name: "driver below a domain error", err: fmt.Errorf("spawn: %w", errors.Join(entity.ErrNotFound, sql)), status: 404, code: "NOT_FOUND", says: "no such entity"},
		{name: "driver alone", err: fmt.Errorf("spawn: %w", sql), status: 500, code: "INTERNAL", says: "request id"},
		{name: "anything else", err: errors.New("secret detail of ours"), status: 500, code: "INTERNAL", says: "request id"},
		{name: "database away", err: fmt.Errorf("spawn: %w", away), status: 503, code: "UNAVAILABLE", says: "try again", header: http.Header{"Retry-After": {"1"}}},
		{
			name: "database away for the whole ride-out", err: fmt.Errorf("done: %w", errors.Join(batch.ErrUnavailable, away)),
			status: 503, code: "UNAVAILABLE", says: "try again", header: http.Header{"Retry-After": {"1"}},
		},
		{name: "time-out", err: fmt.Errorf("spawn: %w", context.DeadlineExceeded), status: 503, code: "UNAVAILABLE", header: http.Header{"Retry-After": {"1"}}},
		{name: "stopped", err: batch.ErrStopped, status: 503, code: "DRAINING", header: http.Header{"Retry-After": {"1"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := a.Answer(tc.err)
			require.Equal(t, tc.status, got.Code)
			said := reply{body: got.Body.String()}.failure(t)
			require.Equal(t, tc.code, said.Code)
			require.Contains(t, said.Message, tc.says)
			for _, secret := range []string{"duplicate key", "secret", "terminating", "23505"} {
				require.NotContains(t, got.Body.String(), secret)
			}
			for name := range tc.header {
				require.Equal(t, tc.header.Get(name), got.Header().Get(name), name)
			}
		})
	}
}

func TestErrorDetails(t *testing.T) {
	a := api.New(options(t))
	exists := a.Answer(&entity.ExistsError{Entity: entity.Entity{URL: "/demo/one", Status: "idle"}})
	said := reply{body: exists.Body.String()}.failure(t)
	require.Equal(t, "/demo/one", said.Details["entity"].(map[string]any)["url"])

	lost := reply{body: a.Answer(&claim.LostError{Status: "released", Cause: "done"}).Body.String()}.failure(t)
	require.Equal(t, map[string]any{"status": "released", "reason": "done"}, lost.Details)

	wrong := reply{body: a.Answer(&entity.InvalidError{Field: "mode", Value: "x", Why: "must be immediate"}).Body.String()}.failure(t)
	require.Equal(t, map[string]any{"field": "mode"}, wrong.Details)
}
