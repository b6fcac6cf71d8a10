package server_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/wakelatch/wakelatch/"

// layers says what each layer's packages may import of the others; their own layer is always among it.
var layers = []struct {
	packages []string
	may      []string
}{
	{packages: []string{"cmd/wakelatch"}, may: []string{"cmd/wakelatch/demo", "server", "server/apikey", "server/doctor", "server/client", "sql/localpg", "sql/migrations", "sql/pg"}},
	{packages: []string{"cmd/wakelatch/demo"}, may: []string{"server/client", "sql/localpg", "sql/migrations", "sql/pg", "sql/db"}},
	{packages: []string{"server"}, may: []string{
		"server/api", "server/apikey", "server/claim", "server/entity", "server/entitytype", "server/inspect", "server/runner", "server/stream",
		"server/token", "server/notify", "server/batch", "server/redact", "server/retention", "jobs", "sql/migrations", "sql/pg", "sql/db",
	}},
	{packages: []string{"server/doctor"}, may: []string{"server/claim", "sql/pg", "sql/db", "sql/migrations"}},
	{packages: []string{"server/api"}, may: []string{
		"server/apikey", "server/claim", "server/entity", "server/entitytype", "server/inspect", "server/principal", "server/runner",
		"server/stream", "server/strictjson", "server/token", "server/batch",
	}},
	{packages: []string{"jobs"}, may: []string{"jobs/args", "sql/pg", "sql/db", "sql/migrations"}},
	{packages: []string{"jobs/args"}},
	{packages: []string{"server/claim", "server/entity", "server/entitytype", "server/inspect", "server/runner", "server/stream"}, may: []string{
		"jobs/args", "server/strictjson", "server/token", "server/notify", "server/batch", "sql/pg", "sql/db",
	}},
	{packages: []string{"server/apikey"}, may: []string{"server/principal", "server/batch", "sql/pg", "sql/db"}},
	{packages: []string{"server/retention"}, may: []string{"sql/pg", "sql/db"}},
	{packages: []string{"server/token", "server/notify", "server/batch", "server/principal", "server/redact", "server/strictjson"}},
	{packages: []string{"sql/pg", "sql/db", "sql/migrations", "sql/localpg"}},
	{packages: []string{"server/openapitest"}},
	{packages: []string{"sql/dbtest"}, may: []string{"sql/pg", "sql/migrations", "sql/localpg"}},
	{packages: []string{"dashboards"}},
	// What users import brings nothing of ours along.
	{packages: []string{"server/client"}},
	{packages: []string{"server/compat", "server/lifecycle", "server/wire"}},
}

func TestImportsGoDown(t *testing.T) {
	for path, file := range sources(t) {
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "cmd/tools") {
			continue
		}
		dir := filepath.Dir(path)
		i := slices.IndexFunc(layers, func(l struct{ packages, may []string }) bool { return slices.Contains(l.packages, dir) })
		require.GreaterOrEqual(t, i, 0, "%s is in no layer: add it to the table", dir)
		for _, imported := range file.imports {
			own, ok := strings.CutPrefix(imported, module)
			if !ok {
				continue
			}
			may := slices.Contains(layers[i].may, own) || slices.Contains(layers[i].packages, own)
			require.True(t, may, "%s must not import %s", path, own)
		}
	}
}

func TestForeignPackagesStayWhereTheyBelong(t *testing.T) {
	for path, file := range sources(t) {
		isTest := strings.HasSuffix(path, "_test.go")
		for _, imported := range file.imports {
			switch {
			case imported == "github.com/gorilla/mux":
				require.Equal(t, "server/api/routes.go", path)
			case strings.HasPrefix(imported, "github.com/jackc/pgx/v5") && !isTest:
				require.False(t, strings.HasPrefix(path, "server/api/"), "%s must know no driver", path)
			case strings.HasPrefix(imported, "github.com/getkin/kin-openapi"):
				require.Equal(t, "server/openapitest", filepath.Dir(path), "%s: kin-openapi stays out of the binary", path)
			case strings.HasPrefix(imported, "github.com/stretchr/testify/assert"):
				t.Errorf("%s imports assert; use require", path)
			}
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for path, file := range sources(t) {
		if file.generated {
			continue
		}
		require.LessOrEqual(t, file.lines, 600, "%s is too long: one operation a file", path)
	}
}

func TestPackagesAreExplained(t *testing.T) {
	explained := map[string]bool{}
	for path, file := range sources(t) {
		if strings.HasSuffix(path, "_test.go") || file.generated {
			continue
		}
		explained[filepath.Dir(path)] = explained[filepath.Dir(path)] || file.doc
	}
	for dir, ok := range explained {
		if dir == "sql/db" {
			continue
		}
		require.True(t, ok, "package %s has no comment", dir)
		require.NotContains(t, []string{"util", "utils", "common", "helpers"}, filepath.Base(dir))
	}
}

func TestNobodySleepsOrSkips(t *testing.T) {
	forbidden := []string{"time." + "Sleep(", "t." + "Skip(", "t." + "SkipNow(", "t." + "Skipf("}
	for path, file := range sources(t) {
		for _, call := range forbidden {
			require.False(t, bytes.Contains(file.text, []byte(call)), "%s calls %s…)", path, call)
		}
	}
}

func TestTopLevelIsAsAgreed(t *testing.T) {
	allowed := []string{
		"cmd", "server", "jobs", "sql", "dashboards", "docs", ".ci",
		"go.mod", "go.sum", "docker-compose.yml", "Dockerfile", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
		"Makefile", ".golangci.yml", ".gitignore",
	}
	list := exec.CommandContext(t.Context(), "git", "ls-files")
	list.Dir = root(t)
	out, err := list.Output()
	if err != nil {
		// An archive of the sources has no git; then what lies there is what was delivered.
		entries, err := os.ReadDir(root(t))
		require.NoError(t, err)
		for _, e := range entries {
			require.Contains(t, allowed, e.Name())
		}
		return
	}
	found := map[string]bool{}
	for path := range strings.Lines(string(out)) {
		first, _, _ := strings.Cut(strings.TrimSpace(path), "/")
		found[first] = true
	}
	require.ElementsMatch(t, allowed, slices.Collect(maps.Keys(found)))
}

type source struct {
	imports   []string
	lines     int
	doc       bool
	generated bool
	text      []byte
}

// sources is every Go file of the project by its path from the top.
func sources(t *testing.T) map[string]source {
	t.Helper()
	top := root(t)
	all := map[string]source{}
	require.NoError(t, filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && path != top && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path) //nolint:gosec // the sources are our own
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		file := source{
			lines: bytes.Count(text, []byte("\n")), doc: parsed.Doc != nil, text: text,
			generated: bytes.HasPrefix(text, []byte("// Code generated ")),
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			file.imports = append(file.imports, imported)
		}
		relative, err := filepath.Rel(top, path)
		all[filepath.ToSlash(relative)] = file
		return err
	}))
	return all
}

func root(t *testing.T) string {
	t.Helper()
	top, err := filepath.Abs("..")
	require.NoError(t, err)
	return top
}
