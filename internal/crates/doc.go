// Package crates brings the Rust crates that a Cargo.lock names to this machine, so that a package with a
// Rust extension can be built without network.
//
// The tool is the user's own cargo, with the user's own configuration: registries, mirrors, proxies and
// credentials are what they are for everything else that he builds. Where the crates come from is written
// nowhere in ReqPM.
//
// Cargo never sees the project. It is run in a folder of ours, on a manifest that requires exactly the
// versions of the Cargo.lock and on a lock with its checksums. So no configuration, no path and no build
// script of the project has a say in what runs here, and a Cargo.lock whose own package has got another
// version meanwhile is no hindrance. What cargo brought is held against the checksums once more.
//
// Facts: the format of Cargo.lock and cargo-vendor(1), "Source Replacement" in The Cargo Book.
package crates

import (
	"errors"
	"fmt"
)

// ErrUnavailable: the registry cannot be reached, or may not be.
var ErrUnavailable = errors.New("the crates cannot be fetched")

// LockError is a Cargo.lock that cannot be followed.
type LockError struct{ Reason string }

func (e *LockError) Error() string { return "Cargo.lock: " + e.Reason }

func lockErrorf(format string, args ...any) error { return &LockError{fmt.Sprintf(format, args...)} }

// CargoError is a cargo that failed, for another reason than the network.
type CargoError struct {
	Command string // "cargo vendor"
	Stderr  string // its last lines
	Err     error
}

func (e *CargoError) Error() string { return fmt.Sprintf("%s: %v: %s", e.Command, e.Err, e.Stderr) }

func (e *CargoError) Unwrap() error { return e.Err }
