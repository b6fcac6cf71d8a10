package localpg_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/localpg"
)

// install puts programs that know only their version into dir below root.
func install(t *testing.T, root, dir, version string, programs ...string) {
	t.Helper()
	dir = filepath.Join(root, dir)
	require.NoError(t, os.MkdirAll(dir, 0o755)) //nolint:gosec // holds programs
	for _, name := range programs {
		script := "#!/bin/sh\necho '" + name + " (PostgreSQL) " + version + "'\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755)) //nolint:gosec // a program
	}
}

func TestFinder(t *testing.T) {
	t.Parallel()
	all := []string{"postgres", "initdb", "pg_ctl"}
	tests := []struct {
		name    string
		path    string
		install func(t *testing.T, root string)
		want    []localpg.Binaries
	}{
		{name: "an empty machine", path: "/usr/bin", install: func(*testing.T, string) {}},
		{
			name: "the newest first, wherever it is", path: "/usr/bin",
			install: func(t *testing.T, root string) {
				t.Helper()
				install(t, root, "/usr/bin", "15.14", all...)
				install(t, root, "/usr/lib/postgresql/16/bin", "16.9 (Debian 16.9-1)", all...)
				install(t, root, "/usr/pgsql-18/bin", "18beta1", all...)
				install(t, root, "/opt/homebrew/opt/postgresql@17/bin", "17.5 (Homebrew)", all...)
			},
			want: []localpg.Binaries{
				{Dir: "/usr/pgsql-18/bin", Major: 18},
				{Dir: "/opt/homebrew/opt/postgresql@17/bin", Major: 17},
				{Dir: "/usr/lib/postgresql/16/bin", Major: 16},
				{Dir: "/usr/bin", Major: 15},
			},
		},
		{
			name: "of one version, the one in PATH first", path: "/opt/pg/bin",
			install: func(t *testing.T, root string) {
				t.Helper()
				install(t, root, "/usr/local/opt/postgresql@17/bin", "17.5", all...)
				install(t, root, "/Applications/Postgres.app/Contents/Versions/17/bin", "17.4", all...)
				install(t, root, "/opt/pg/bin", "17.0", all...)
			},
			want: []localpg.Binaries{
				{Dir: "/opt/pg/bin", Major: 17},
				{Dir: "/usr/local/opt/postgresql@17/bin", Major: 17},
				{Dir: "/Applications/Postgres.app/Contents/Versions/17/bin", Major: 17},
			},
		},
		{
			name: "a folder counts only with all three programs", path: "/usr/bin",
			install: func(t *testing.T, root string) {
				t.Helper()
				install(t, root, "/usr/bin", "18.0", "postgres", "initdb")
				install(t, root, "/usr/lib/postgresql/17/bin", "17.0", "initdb", "pg_ctl")
				install(t, root, "/usr/lib/postgresql/16/bin", "16.0", "postgres", "pg_ctl")
				install(t, root, "/usr/lib/postgresql/15/bin", "15.0", all...)
			},
			want: []localpg.Binaries{{Dir: "/usr/lib/postgresql/15/bin", Major: 15}},
		},
		{
			name: "other versions and other programs do not count", path: "/usr/bin",
			install: func(t *testing.T, root string) {
				t.Helper()
				install(t, root, "/usr/lib/postgresql/14/bin", "14.18", all...)
				install(t, root, "/usr/lib/postgresql/19/bin", "19devel", all...)
				install(t, root, "/usr/pgsql-9/bin", "nonsense", all...)
			},
		},
		{
			name: "where pg_config says", path: "/usr/bin",
			install: func(t *testing.T, root string) {
				t.Helper()
				install(t, root, "/srv/postgres/bin", "16.1", all...)
				require.NoError(t, os.MkdirAll(filepath.Join(root, "/usr/bin"), 0o755))                                                                                //nolint:gosec // holds programs
				require.NoError(t, os.WriteFile(filepath.Join(root, "/usr/bin/pg_config"), []byte("#!/bin/sh\n[ $1 = --bindir ] && echo /srv/postgres/bin\n"), 0o755)) //nolint:gosec // a program
			},
			want: []localpg.Binaries{{Dir: "/srv/postgres/bin", Major: 16}},
		},
		{
			name: "a folder found in two ways counts once", path: "/usr/bin:/usr/bin",
			install: func(t *testing.T, root string) {
				t.Helper()
				install(t, root, "/usr/lib/postgresql/16/bin", "16.1", all...)
				require.NoError(t, os.Symlink(filepath.Join(root, "/usr/lib/postgresql/16"), filepath.Join(root, "/usr/lib/postgresql/latest")))
			},
			want: []localpg.Binaries{{Dir: "/usr/lib/postgresql/16/bin", Major: 16}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			test.install(t, root)
			finder := localpg.Finder{Root: root, Getenv: func(name string) string {
				return map[string]string{"PATH": test.path}[name]
			}}
			found := finder.Find(t.Context())
			for i := range found {
				found[i].Dir = strings.TrimPrefix(found[i].Dir, root)
			}
			require.Empty(t, cmp.Diff(test.want, found))
		})
	}
}
