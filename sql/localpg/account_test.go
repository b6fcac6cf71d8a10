package localpg_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/localpg"
)

// serverUser is the account that a server of this process runs as.
func serverUser(t *testing.T) *user.User {
	t.Helper()
	if !isRoot() {
		me, err := user.Current()
		require.NoError(t, err)
		return me
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return u
		}
	}
	require.FailNow(t, "a root that runs these tests needs a passwd entry for postgres or nobody")
	return nil
}

func giveToServer(t *testing.T, path string) {
	t.Helper()
	uid, err := strconv.Atoi(serverUser(t).Uid)
	require.NoError(t, err)
	require.NoError(t, os.Chown(path, uid, -1))
}

func requireOwner(t *testing.T, path, uid string) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, uid, strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Uid)))
}

func TestServerRunsAsAnOrdinaryAccount(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	start(t, localpg.Options{DataDir: dir})
	// The server makes this file itself.
	requireOwner(t, filepath.Join(dir, "postgres", "postmaster.pid"), serverUser(t).Uid)
	requireOwner(t, filepath.Join(dir, "password"), strconv.Itoa(os.Getuid()))
	info, err := os.Stat(filepath.Join(dir, "password"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	nobody := localpg.Options{DataDir: dir, Accounts: []string{"no-such-account", "nobody"}}
	want := serverUser(t).Uid
	if isRoot() {
		u, err := user.Lookup("nobody")
		require.NoError(t, err)
		want = u.Uid
	}
	s, err := localpg.Start(t.Context(), nobody)
	require.NoError(t, err)
	requireOwner(t, filepath.Join(dir, "postgres", "postmaster.pid"), want)
	stop(t, s)

	// The data stays with the account that has made it, also when one that would be preferred appears later.
	s, err = localpg.Start(t.Context(), localpg.Options{DataDir: dir, Accounts: []string{serverUser(t).Username, "nobody"}})
	require.NoError(t, err)
	requireOwner(t, filepath.Join(dir, "postgres", "postmaster.pid"), want)
	stop(t, s)

	s, err = localpg.Start(t.Context(), localpg.Options{Accounts: []string{"no-such-account"}})
	if isRoot() {
		require.ErrorContains(t, err, "no passwd entry for no-such-account")
		_, err = localpg.Start(t.Context(), localpg.Options{DataDir: dir, Accounts: []string{"daemon"}})
		require.ErrorContains(t, err, "belongs to uid "+want)
		return
	}
	require.NoError(t, err, "an ordinary user needs no other account")
	stop(t, s)
}

// closedFolder is one that only this user can enter, as a home folder is.
func closedFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(openFolder(t), "home")
	require.NoError(t, os.Mkdir(dir, 0o700))
	return dir
}

// substitute is where root finds what belongs at the path.
func substitute(path string) string {
	sum := sha256.Sum256([]byte(path))
	return filepath.Join("/var/tmp", "wakelatch-"+hex.EncodeToString(sum[:6]))
}

func TestDataThatTheAccountCannotReach(t *testing.T) {
	t.Parallel()
	wanted := filepath.Join(closedFolder(t), "clone", ".wakelatch")
	want := wanted
	if isRoot() {
		want = substitute(wanted)
		t.Cleanup(func() { require.NoError(t, os.RemoveAll(want)) })
	}
	var printed bytes.Buffer
	options := localpg.Options{DataDir: wanted, Progress: &printed}

	s, err := localpg.Start(t.Context(), options)
	require.NoError(t, err)
	require.Equal(t, want, s.DataDir())
	execute(t, s.DSN("postgres"), "CREATE TABLE kept ()")
	stop(t, s)
	if isRoot() {
		require.Contains(t, printed.String(), want)
		require.NoDirExists(t, filepath.Dir(wanted))
	} else {
		require.Empty(t, printed.String())
	}

	s = start(t, options)
	require.Equal(t, want, s.DataDir())
	execute(t, s.DSN("postgres"), "SELECT FROM kept")
}

// A symbolic link leads through the folders of its target.
func TestDataBehindALink(t *testing.T) {
	t.Parallel()
	target := filepath.Join(closedFolder(t), "open")
	require.NoError(t, os.Mkdir(target, 0o755)) //nolint:gosec // another account looks at it
	link := filepath.Join(openFolder(t), "link")
	require.NoError(t, os.Symlink(target, link))
	wanted := filepath.Join(link, "data")
	want := wanted
	if isRoot() {
		want = substitute(wanted)
		t.Cleanup(func() { require.NoError(t, os.RemoveAll(want)) })
	}
	s := start(t, localpg.Options{DataDir: wanted})
	require.Equal(t, want, s.DataDir())
}

func TestASubstituteOfSomebodyElseIsNotTrusted(t *testing.T) {
	t.Parallel()
	wanted := filepath.Join(closedFolder(t), "data")
	if !isRoot() {
		s := start(t, localpg.Options{DataDir: wanted})
		require.Equal(t, wanted, s.DataDir())
		return
	}
	planted := substitute(wanted)
	require.NoError(t, os.Mkdir(planted, 0o755)) //nolint:gosec // another account looks at it
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(planted)) })
	giveToServer(t, planted)
	_, err := localpg.Start(t.Context(), localpg.Options{DataDir: wanted})
	require.ErrorContains(t, err, "was not made by wakelatch")
}

func TestBinariesThatTheAccountCannotReach(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	root := closedFolder(t)
	install(t, root, "/usr/lib/postgresql/17/bin", "17.5", "postgres", "initdb", "pg_ctl")
	machine := localpg.Finder{Root: root, Getenv: func(string) string { return "" }}

	_, searched := localpg.Start(t.Context(), localpg.Options{Finder: machine, RepositoryURL: gone.URL, CacheDir: openFolder(t)})
	_, set := localpg.Start(t.Context(), localpg.Options{BinDir: filepath.Join(root, "/usr/lib/postgresql/17/bin")})
	for _, err := range []error{searched, set} {
		if isRoot() {
			require.ErrorContains(t, err, fmt.Sprintf("%q is closed to it", root))
		} else {
			require.ErrorContains(t, err, "postgres 17 has exited", "these programs are taken, and do nothing")
		}
	}
}
