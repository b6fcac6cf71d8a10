package localpg_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/localpg"
)

// dataOf makes what looks like a data directory of the version, with something in it that must stay.
func dataOf(t *testing.T, version string) (dir, precious string) {
	t.Helper()
	dir = openFolder(t)
	cluster := filepath.Join(dir, "postgres")
	require.NoError(t, os.Mkdir(cluster, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(cluster, "PG_VERSION"), []byte(version+"\n"), 0o600))
	precious = filepath.Join(cluster, "precious")
	require.NoError(t, os.WriteFile(precious, []byte("data"), 0o600))
	if isRoot() {
		giveToServer(t, cluster)
	}
	return dir, precious
}

func TestDataOfAnotherMajorIsNotOpened(t *testing.T) {
	t.Parallel()
	empty := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(empty.Close)
	root := openFolder(t)
	install(t, root, "/usr/lib/postgresql/16/bin", "16.9", "postgres", "initdb", "pg_ctl")
	machine := localpg.Finder{Root: root, Getenv: func(string) string { return "" }}
	tests := []struct {
		name    string
		version string
		options localpg.Options
		found   int
		text    string
	}{
		{name: "found by the search", version: "17", options: localpg.Options{Finder: machine}, found: 16, text: "the binaries found are of Postgres 16"},
		{
			name: "set", version: "15", found: 16, text: "the binaries found are of Postgres 16",
			options: localpg.Options{Finder: machine, BinDir: filepath.Join(root, "/usr/lib/postgresql/16/bin")},
		},
		{name: "none", version: "17", options: localpg.Options{Finder: emptyMachine(t)}, text: "no binaries were found"},
		{name: "not supported", version: "12", options: localpg.Options{Finder: machine}, found: 16, text: "wakelatch supports Postgres 15 to 18"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir, precious := dataOf(t, test.version)
			test.options.DataDir, test.options.RepositoryURL, test.options.CacheDir = dir, empty.URL, openFolder(t)
			_, err := localpg.Start(t.Context(), test.options)
			var version *localpg.VersionError
			require.ErrorAs(t, err, &version)
			require.Equal(t, test.found, version.Found)
			require.Equal(t, dir, version.Dir)
			require.ErrorContains(t, err, "made by Postgres "+test.version)
			require.ErrorContains(t, err, test.text)
			require.FileExists(t, precious)
		})
	}
}

func TestBinariesThatAreSetAreTheOnlyOnes(t *testing.T) {
	t.Parallel()
	root := openFolder(t)
	install(t, root, "/half", "17.0", "postgres", "initdb")
	install(t, root, "/old", "14.0", "postgres", "initdb", "pg_ctl")
	half := filepath.Join(root, "half")

	_, err := localpg.Start(t.Context(), localpg.Options{BinDir: half})
	require.ErrorIs(t, err, localpg.ErrIncompleteBinaries)
	require.ErrorContains(t, err, half)
	require.ErrorContains(t, err, "pg_ctl")

	machine := localpg.Finder{Getenv: func(name string) string {
		return map[string]string{"WAKELATCH_POSTGRES_BIN": half, "PATH": os.Getenv("PATH")}[name]
	}}
	_, err = localpg.Start(t.Context(), localpg.Options{Finder: machine})
	require.ErrorIs(t, err, localpg.ErrIncompleteBinaries)

	_, err = localpg.Start(t.Context(), localpg.Options{BinDir: filepath.Join(root, "old")})
	require.ErrorContains(t, err, "has Postgres 14; wakelatch supports 15 to 18")
}

func TestAnotherProgramsDataIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "PG_VERSION"), []byte("16\n"), 0o600))
	_, err := localpg.Start(t.Context(), localpg.Options{DataDir: dir})
	require.ErrorContains(t, err, "choose another data directory")

	dir, _ = dataOf(t, "16")
	require.NoError(t, os.Remove(filepath.Join(dir, "postgres", "PG_VERSION")))
	_, err = localpg.Start(t.Context(), localpg.Options{DataDir: dir})
	require.ErrorContains(t, err, "it has no PG_VERSION")
	require.FileExists(t, filepath.Join(dir, "postgres", "precious"))
}
