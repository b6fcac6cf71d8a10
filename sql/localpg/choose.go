package localpg

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// choose returns the binaries for a data directory of the given major version, 0 for one that is yet to be made.
func choose(ctx context.Context, o Options, acc account, dir string, major int) (Binaries, error) {
	if major != 0 && (major < oldestMajor || major > newestMajor) {
		return Binaries{}, &VersionError{Dir: dir, Data: major, Found: newest(o.Finder.Find(ctx)), Cause: fmt.Errorf(
			"wakelatch supports Postgres %d to %d", oldestMajor, newestMajor)}
	}
	if o.BinDir != "" {
		return explicit(ctx, o, acc, dir, major)
	}
	found := o.Finder.Find(ctx)
	if err := ctx.Err(); err != nil {
		return Binaries{}, fmt.Errorf("look for Postgres binaries: %w", err)
	}
	usable := slices.DeleteFunc(slices.Clone(found), func(b Binaries) bool { return acc.mayRun(b) != nil })
	if b, ok := pick(usable, major); ok {
		return b, nil
	}
	b, err := fetched(ctx, o, acc, major)
	if err == nil {
		return b, nil
	}
	if ctx.Err() != nil {
		return Binaries{}, err
	}
	if major != 0 {
		return Binaries{}, &VersionError{Dir: dir, Data: major, Found: newest(found), Cause: err}
	}
	for _, b := range found {
		err = errors.Join(err, acc.mayRun(b))
	}
	return Binaries{}, fmt.Errorf("%w: none is installed and none could be fetched; install one (Debian and Ubuntu: apt-get install postgresql; "+
		"Fedora: dnf install postgresql-server; macOS: brew install postgresql@%d) or set WAKELATCH_POSTGRES_BIN: %w", ErrNoBinaries, newestMajor-1, err)
}

// explicit takes the folder that the user has set, and refuses rather than search for another.
func explicit(ctx context.Context, o Options, acc account, dir string, major int) (Binaries, error) {
	bin, err := filepath.Abs(o.BinDir)
	if err != nil {
		return Binaries{}, fmt.Errorf("folder of Postgres binaries %q: %w", o.BinDir, err)
	}
	b, err := inspect(ctx, bin)
	if err != nil {
		return Binaries{}, err
	}
	if major != 0 && b.Major != major {
		return Binaries{}, &VersionError{Dir: dir, Data: major, Found: b.Major}
	}
	if b.Major < oldestMajor || b.Major > newestMajor {
		return Binaries{}, fmt.Errorf("%q has Postgres %d; wakelatch supports %d to %d", bin, b.Major, oldestMajor, newestMajor)
	}
	return b, acc.mayRun(b)
}

// pick takes the first of the major version; 0 takes the first, which is the newest.
func pick(found []Binaries, major int) (Binaries, bool) {
	for _, b := range found {
		if major == 0 || b.Major == major {
			return b, true
		}
	}
	return Binaries{}, false
}

func newest(found []Binaries) int {
	b, _ := pick(found, 0)
	return b.Major
}
