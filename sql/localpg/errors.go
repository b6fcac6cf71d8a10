package localpg

import (
	"errors"
	"fmt"
)

// ErrNoBinaries says that neither the machine nor the network had a Postgres to run. The message names what to install.
var ErrNoBinaries = errors.New("no usable Postgres")

// ErrIncompleteBinaries says that the folder set for the binaries is not one.
var ErrIncompleteBinaries = errors.New("incomplete folder of Postgres binaries")

// VersionError says that a data directory and the binaries at hand are of different major versions. The directory has
// not been touched.
type VersionError struct {
	Dir   string
	Data  int   // what the data directory was made with
	Found int   // the newest binaries at hand, 0 for none
	Cause error // why binaries of the data's version were not fetched, nil when that is not possible at all
}

func (e *VersionError) Error() string {
	found := "no binaries were found"
	if e.Found != 0 {
		found = fmt.Sprintf("the binaries found are of Postgres %d", e.Found)
	}
	text := fmt.Sprintf("data directory %q was made by Postgres %d and %s; install Postgres %d or choose another data directory",
		e.Dir, e.Data, found, e.Data)
	if e.Cause != nil {
		text += fmt.Sprintf(" (%v)", e.Cause)
	}
	return text
}

func (e *VersionError) Unwrap() error { return e.Cause }

// HeldError says that a live process uses the data directory.
type HeldError struct {
	Dir string
	PID int
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("data directory %q is held by pid %d; stop that process or choose another directory", e.Dir, e.PID)
}
