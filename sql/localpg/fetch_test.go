package localpg_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/localpg"
)

func TestFetchedBinaries(t *testing.T) {
	t.Parallel()
	archive := newRepository(t, right)
	var printed bytes.Buffer
	cache := filepath.Join(openFolder(t), "cache")
	options := localpg.Options{Finder: emptyMachine(t), RepositoryURL: archive.URL + "/", CacheDir: cache, Progress: &printed}

	s := start(t, options)
	execute(t, s.DSN("postgres"), "SELECT 1")
	require.Equal(t, cache, filepath.Dir(filepath.Dir(s.BinDir())))
	require.Equal(t, 1, strings.Count(printed.String(), "\n"), printed.String())
	require.Contains(t, printed.String(), archive.URL)

	// Nothing but the binaries is left of the fetching, and the next start needs no network.
	archive.Close()
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, left, 2, "the lock and the binaries")
	printed.Reset()
	start(t, options)
	require.Empty(t, printed.String())
}

// Every package's test binary starts a server, and go test runs several at once.
func TestParallelProcessesFetchOnce(t *testing.T) {
	t.Parallel()
	archive := newRepository(t, right)
	o := order{RepositoryURL: archive.URL, CacheDir: openFolder(t), EmptyRoot: t.TempDir()}
	printed := make([]bytes.Buffer, 3)
	var all sync.WaitGroup
	for i := range printed {
		all.Go(func() { holdWith(t, o, &printed[i]).stop(t) })
	}
	all.Wait()
	require.EqualValues(t, 1, archive.archives.Load())
	lines := printed[0].String() + printed[1].String() + printed[2].String()
	require.Equal(t, 1, strings.Count(lines, "\n"), lines)
}

func TestFetchedBinariesThatTheAccountCannotReach(t *testing.T) {
	t.Parallel()
	archive := newRepository(t, right)
	wanted := filepath.Join(closedFolder(t), "cache")
	want := wanted
	if isRoot() {
		want = substitute(wanted)
		t.Cleanup(func() { require.NoError(t, os.RemoveAll(want)) })
	}
	var printed bytes.Buffer
	s := start(t, localpg.Options{Finder: emptyMachine(t), RepositoryURL: archive.URL, CacheDir: wanted, Progress: &printed})
	require.Equal(t, want, filepath.Dir(filepath.Dir(s.BinDir())))
	require.Contains(t, printed.String(), want)
}

// Data is opened again with binaries of its own version where newer ones are installed.
func TestDataFetchesItsOwnVersion(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	s, err := localpg.Start(t.Context(), localpg.Options{DataDir: dir})
	require.NoError(t, err)
	execute(t, s.DSN("postgres"), "CREATE TABLE kept ()")
	stop(t, s)

	root := openFolder(t)
	for _, major := range []string{"15", "16", "17", "18"} {
		if text, err := os.ReadFile(filepath.Join(dir, "postgres", "PG_VERSION")); err == nil && strings.TrimSpace(string(text)) != major {
			install(t, root, "/usr/lib/postgresql/"+major+"/bin", major+".0", "postgres", "initdb", "pg_ctl")
		}
	}
	s = start(t, localpg.Options{
		DataDir: dir, RepositoryURL: newRepository(t, right).URL, CacheDir: openFolder(t),
		Finder: localpg.Finder{Root: root, Getenv: func(string) string { return "" }},
	})
	execute(t, s.DSN("postgres"), "SELECT FROM kept")
}

func TestArchiveWithoutItsChecksumIsNotUsed(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, checksum, text string }{
		{name: "none", text: "404 Not Found"},
		{name: "another", checksum: strings.Repeat("0", 64), text: "should be 0000"},
		{name: "nonsense", checksum: "<html>", text: "is no checksum"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			archive := newRepository(t, func(string) string { return test.checksum })
			cache := openFolder(t)
			_, err := localpg.Start(t.Context(), localpg.Options{Finder: emptyMachine(t), RepositoryURL: archive.URL, CacheDir: cache})
			require.ErrorIs(t, err, localpg.ErrNoBinaries)
			require.ErrorContains(t, err, test.text)
			left, err := os.ReadDir(cache)
			require.NoError(t, err)
			require.Len(t, left, 1, "only the lock")
		})
	}
}

func TestNoBinariesAndNoNetwork(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	_, err := localpg.Start(t.Context(), localpg.Options{Finder: emptyMachine(t), RepositoryURL: gone.URL, CacheDir: openFolder(t)})
	require.ErrorIs(t, err, localpg.ErrNoBinaries)
	for _, text := range []string{"apt-get install postgresql", "brew install postgresql@", "WAKELATCH_POSTGRES_BIN", gone.URL} {
		require.ErrorContains(t, err, text)
	}
}
