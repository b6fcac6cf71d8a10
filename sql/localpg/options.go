package localpg

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// Options describe the server to start. The zero value is what a test wants: a fresh temporary server, as fast as
// possible.
type Options struct {
	// DataDir keeps everything of the server, see the package comment. Empty means a fresh one in TMPDIR, removed at the
	// end however the end comes. In memory (TMPDIR=/dev/shm) it starts in half the time.
	DataDir string

	// BinDir is the only folder to take binaries from. Empty means WAKELATCH_POSTGRES_BIN, and when that is not set
	// either, what Finder finds.
	BinDir string

	// Durable makes a commit survive a crash of the machine. Without it only the end of the process is survived.
	Durable bool

	// Progress takes the lines a person should see: what is fetched, and paths other than those asked for.
	Progress io.Writer

	// Settings are further Postgres settings. They win over all of ours but the addresses, the port and the sockets.
	Settings map[string]string

	// RepositoryURL is the Maven repository that archives of binaries are fetched from. Empty means the public one.
	RepositoryURL string

	// CacheDir keeps fetched binaries. Empty means "wakelatch" in the user's cache folder.
	CacheDir string

	// Finder looks for binaries; the zero value looks at this machine.
	Finder Finder

	// Accounts are tried in this order for the server of a process that runs as root. Nil means postgres, nobody.
	Accounts []string
}

func (o Options) withDefaults() Options {
	if o.BinDir == "" {
		o.BinDir = o.Finder.getenv("WAKELATCH_POSTGRES_BIN")
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.RepositoryURL == "" {
		o.RepositoryURL = "https://repo1.maven.org/maven2"
	}
	if o.CacheDir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			cache = filepath.Join(os.TempDir(), "cache-of-uid-"+strconv.Itoa(os.Getuid()))
		}
		o.CacheDir = filepath.Join(cache, "wakelatch")
	}
	if o.Accounts == nil {
		o.Accounts = []string{"postgres", "nobody"}
	}
	return o
}
