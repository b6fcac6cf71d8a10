package localpg

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// account is who the server runs as. The zero value is whoever runs this process.
type account struct {
	name     string
	uid, gid uint32
	other    bool // another than this process, which then is root
}

// chooseAccount takes the owner of a data directory that exists, else the first of the names that has a passwd entry.
func chooseAccount(names []string, cluster string) (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	owner, owned := ownerOf(cluster)
	var known []account
	for _, name := range names {
		acc, err := lookup(name)
		if err != nil {
			continue
		}
		if owned && acc.uid == owner {
			return acc, nil
		}
		known = append(known, acc)
	}
	if len(known) == 0 {
		return account{}, fmt.Errorf("postgres does not run as root and there is no passwd entry for %s; add one (useradd --system postgres) or start as another user",
			strings.Join(names, " or "))
	}
	if owned {
		return account{}, fmt.Errorf("data directory %q belongs to uid %d; start as that user, or give it away with: chown -R %s %q",
			cluster, owner, known[0].name, cluster)
	}
	return known[0], nil
}

func lookup(name string) (account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, err
	}
	// On macOS nobody is -2, which the kernel keeps as an unsigned number.
	uid, err := strconv.ParseInt(u.Uid, 10, 64)
	if err != nil {
		return account{}, fmt.Errorf("uid of %s: %w", name, err)
	}
	gid, err := strconv.ParseInt(u.Gid, 10, 64)
	if err != nil {
		return account{}, fmt.Errorf("gid of %s: %w", name, err)
	}
	return account{name: name, uid: uint32(uid), gid: uint32(gid), other: true}, nil //nolint:gosec // -2 is meant to wrap.
}

func ownerOf(path string) (uint32, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	return stat(info).Uid, true
}

func stat(info fs.FileInfo) *syscall.Stat_t { return info.Sys().(*syscall.Stat_t) }

// processAttr starts a child as the account and in a session of its own, so that no Ctrl-C of a terminal reaches it.
func (a account) processAttr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if a.other {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attr
}

// give makes the account the owner of path.
func (a account) give(path string) error {
	if !a.other {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

// closedAt returns the first folder on the way to path that the account may not enter, or path itself, and "" when there
// is none. What does not exist yet is made by us and open. It looks at the mode bits: the account has no further groups.
func (a account) closedAt(path string) string {
	if !a.other {
		return ""
	}
	chain := foldersOf(path)
	for _, dir := range slices.Backward(foldersOf(path)) {
		if resolved, err := filepath.EvalSymlinks(dir); err == nil {
			chain = append(chain, foldersOf(resolved)...)
			break
		}
	}
	for _, dir := range chain {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || !a.mayExecute(info) {
			return dir
		}
	}
	return ""
}

func (a account) mayExecute(info fs.FileInfo) bool {
	mode, s := info.Mode().Perm(), stat(info)
	switch {
	case s.Uid == a.uid:
		return mode&0o100 != 0
	case s.Gid == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// mayRun returns why the account cannot run the binaries, nil when it can.
func (a account) mayRun(b Binaries) error {
	for _, name := range programs() {
		if at := a.closedAt(filepath.Join(b.Dir, name)); at != "" {
			return fmt.Errorf("account %s cannot run the Postgres %d in %q: %q is closed to it", a.name, b.Major, b.Dir, at)
		}
	}
	return nil
}

// foldersOf returns the path and all its parents, the root first.
func foldersOf(path string) []string {
	dirs := []string{path}
	for dir := filepath.Dir(path); dir != dirs[len(dirs)-1]; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}

// place returns the folder to use where wanted was asked for, and makes it. It is another one only if the account
// cannot reach wanted; nothing is then made at wanted.
func (a account) place(wanted, what string, progress io.Writer) (string, error) {
	wanted, err := filepath.Abs(wanted)
	if err != nil {
		return "", fmt.Errorf("folder for the %s %q: %w", what, wanted, err)
	}
	closed := a.closedAt(wanted)
	if closed == "" {
		return wanted, a.makeFolder(wanted)
	}
	sum := sha256.Sum256([]byte(wanted))
	chosen := filepath.Join("/var/tmp", "wakelatch-"+hex.EncodeToString(sum[:6]))
	if dir := a.closedAt(chosen); dir != "" {
		return "", fmt.Errorf("account %s can enter neither %q nor %q; open one of them with: chmod o+x", a.name, closed, dir)
	}
	if err := a.makeFolder(chosen); err != nil {
		return "", err
	}
	// Anybody may make a folder in /var/tmp, so one that is not ours alone is not trusted with data.
	info, err := os.Lstat(chosen)
	if err != nil {
		return "", err
	}
	if !info.IsDir() || stat(info).Uid != 0 || info.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("%q was not made by wakelatch: root does not own it alone; remove it, or open %q to account %s", chosen, closed, a.name)
	}
	fmt.Fprintf(progress, "the server runs as %s, which cannot enter %s: the %s is in %s\n", a.name, closed, what, chosen)
	return chosen, nil
}

// makeFolder makes path and its missing parents, open to the account whatever the umask.
func (a account) makeFolder(path string) error {
	mode := fs.FileMode(0o700)
	if a.other {
		mode = 0o755
	}
	for _, dir := range foldersOf(path) {
		switch err := os.Mkdir(dir, mode); {
		case err == nil:
			if err := os.Chmod(dir, mode); err != nil {
				return err
			}
		case errors.Is(err, fs.ErrExist):
		default:
			// "/" on macOS and a read-only file system have other answers than this for a folder that exists.
			if info, statErr := os.Stat(dir); statErr != nil || !info.IsDir() {
				return err
			}
		}
	}
	return nil
}
