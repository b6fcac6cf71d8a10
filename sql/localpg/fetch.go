package localpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// archives are the versions that can be fetched, one for every major version that Wakelatch supports.
func archives() map[int]embeddedpostgres.PostgresVersion {
	return map[int]embeddedpostgres.PostgresVersion{
		15: embeddedpostgres.V15,
		16: embeddedpostgres.V16,
		17: embeddedpostgres.V17,
		18: embeddedpostgres.V18,
	}
}

// fetched returns binaries of the wanted major version, 0 for the newest, from the cache if they are there.
func fetched(ctx context.Context, o Options, acc account, wanted int) (Binaries, error) {
	cache, err := acc.place(o.CacheDir, "unpacked Postgres", o.Progress)
	if err != nil {
		return Binaries{}, err
	}
	// Parallel test binaries all come here at once: the first fetches, the others find what it has fetched.
	lock, err := lockFile(ctx, filepath.Join(cache, "fetch.lock"), func(int) error { return nil })
	if err != nil {
		return Binaries{}, err
	}
	defer func() { _ = unlock(lock) }()
	if b, ok := cached(ctx, cache, wanted); ok {
		return b, nil
	}
	major := cmp.Or(wanted, newestMajor)
	dir := cachedFolder(cache, archives()[major])
	fmt.Fprintf(o.Progress, "fetching Postgres %s from %s, once, to keep in %s\n", archives()[major], o.RepositoryURL, dir)
	if err := fetch(ctx, o.RepositoryURL, archives()[major], dir); err != nil {
		return Binaries{}, err
	}
	b, err := inspect(ctx, filepath.Join(dir, "bin"))
	if err == nil && wanted != 0 && b.Major != wanted {
		err = fmt.Errorf("%s has an archive of Postgres %s that is of Postgres %d inside", o.RepositoryURL, archives()[wanted], b.Major)
	}
	return b, err
}

func cached(ctx context.Context, cache string, major int) (Binaries, bool) {
	for m := newestMajor; m >= oldestMajor; m-- {
		if major != 0 && m != major {
			continue
		}
		if b, err := inspect(ctx, filepath.Join(cachedFolder(cache, archives()[m]), "bin")); err == nil && (major == 0 || b.Major == major) {
			return b, true
		}
	}
	return Binaries{}, false
}

func cachedFolder(cache string, version embeddedpostgres.PostgresVersion) string {
	return filepath.Join(cache, fmt.Sprintf("postgres-%s-%s-%s", version, runtime.GOOS, runtime.GOARCH))
}

// fetch unpacks an archive beside its place and moves it there, so that the place is complete or empty.
func fetch(ctx context.Context, repository string, version embeddedpostgres.PostgresVersion, dir string) (err error) {
	staging, err := os.MkdirTemp(filepath.Dir(dir), "unpack-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staging)) }()

	relay, err := startRelay(ctx, repository)
	if err != nil {
		return err
	}
	unpacked := filepath.Join(staging, "postgres")
	// The library goes on to make and start a server. Ours is started elsewhere, so its initdb is given an encoding that
	// does not exist and gives up at once; whether the binaries are there decides.
	libraryErr := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(version).
		BinaryRepositoryURL(relay.url).
		CachePath(filepath.Join(staging, "archive")).
		RuntimePath(unpacked).
		DataPath(filepath.Join(staging, "data")).
		Port(0).
		Encoding("none").
		Logger(io.Discard)).Start()
	if err := relay.stop(); err != nil {
		return err
	}
	if _, err := inspect(ctx, filepath.Join(unpacked, "bin")); err != nil {
		return fmt.Errorf("unpack Postgres %s: %w", version, errors.Join(libraryErr, err))
	}
	if err := openToAll(unpacked); err != nil {
		return err
	}
	return os.Rename(unpacked, dir)
}

// openToAll undoes a umask, because the server may run as another account.
func openToAll(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if entry.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return root.Chmod(path, mode)
	})
}
