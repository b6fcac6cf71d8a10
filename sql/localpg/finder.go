package localpg

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The major versions that Wakelatch supports.
const (
	oldestMajor = 15
	newestMajor = 18
)

// Binaries is a folder that has postgres, initdb and pg_ctl.
type Binaries struct {
	Dir   string
	Major int
}

func programs() []string { return []string{"postgres", "initdb", "pg_ctl"} }

// Finder looks for installed Postgres binaries: PATH, pg_config, and the places distributions put them.
type Finder struct {
	Root   string                   // stands in for "/"; empty means "/"
	Getenv func(name string) string // nil means os.Getenv
}

// Find returns every folder of binaries of a supported version, the newest version first and, within a version, in the
// order of the search.
func (f Finder) Find(ctx context.Context) []Binaries {
	byMajor := map[int][]Binaries{}
	seen := map[string]bool{}
	for _, dir := range f.folders(ctx) {
		resolved, err := filepath.EvalSymlinks(dir)
		if err != nil || seen[resolved] {
			continue
		}
		seen[resolved] = true
		if b, err := inspect(ctx, dir); err == nil {
			byMajor[b.Major] = append(byMajor[b.Major], b)
		}
	}
	var found []Binaries
	for major := newestMajor; major >= oldestMajor; major-- {
		found = append(found, byMajor[major]...)
	}
	return found
}

func (f Finder) folders(ctx context.Context) []string {
	var dirs []string
	for _, dir := range filepath.SplitList(f.getenv("PATH")) {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, f.under(dir))
		}
	}
	for _, dir := range dirs {
		if tool := filepath.Join(dir, "pg_config"); isExecutable(tool) {
			if out, err := output(ctx, tool, "--bindir"); err == nil {
				dirs = append(dirs, f.under(strings.TrimSpace(out)))
			}
			break
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		// The only error of Glob is a malformed pattern; a root that happens to be one has no installations below it.
		matches, _ := filepath.Glob(f.under(pattern))
		dirs = append(dirs, matches...)
	}
	return dirs
}

func (f Finder) under(path string) string {
	if f.Root == "" {
		return path
	}
	return filepath.Join(f.Root, path)
}

func (f Finder) getenv(name string) string {
	if f.Getenv == nil {
		return os.Getenv(name)
	}
	return f.Getenv(name)
}

// inspect answers whether dir is a folder of binaries, and of which version.
func inspect(ctx context.Context, dir string) (Binaries, error) {
	for _, name := range programs() {
		if !isExecutable(filepath.Join(dir, name)) {
			return Binaries{}, fmt.Errorf("%w: %q has no executable %s; set WAKELATCH_POSTGRES_BIN to a folder with postgres, initdb and pg_ctl",
				ErrIncompleteBinaries, dir, name)
		}
	}
	tool := filepath.Join(dir, "postgres")
	text, err := output(ctx, tool, "--version")
	if err != nil {
		return Binaries{}, fmt.Errorf("ask %q for its version: %w", tool, err)
	}
	major := parseMajor(text)
	if major == 0 {
		return Binaries{}, fmt.Errorf("%q is not Postgres: it gives %q as its version", tool, strings.TrimSpace(text))
	}
	return Binaries{Dir: dir, Major: major}, nil
}

// parseMajor reads "postgres (PostgreSQL) 17.5 (Debian …)", and 0 stands for anything else.
func parseMajor(text string) int {
	_, version, _ := strings.Cut(text, "(PostgreSQL) ")
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(version)
	}
	major, err := strconv.Atoi(version[:end])
	if err != nil {
		return 0
	}
	return major
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// output runs a tool that only prints something. The bound is for a tool that waits for a terminal or a network mount.
func output(ctx context.Context, tool, arg string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, arg)
	cmd.Env = environment()
	out, err := cmd.Output()
	return string(out), err
}
