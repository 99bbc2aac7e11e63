// Package index is the client of Python package indexes: it lists the files of a
// project, reads the core metadata of wheels and downloads files into a cache that
// many processes may share.
//
// Sources of fact: PEP 503 (HTML pages), PEP 691 (JSON pages), PEP 592 (yanked files),
// PEP 658 and 714 (metadata files), PEP 700 (size and upload time), PEP 625 and the
// binary distribution format (file names), pip's documentation (configuration).
//
// No address of an index is written in this package: see Discover.
package index

import (
	"context"
	"errors"
	"time"

	"reqpm/internal/pep440"
)

// File is one file of a project page.
type File struct {
	Name           string // PEP 503 form of the project
	Filename       string
	Version        pep440.Version
	Kind           Kind
	URL            string // absolute, without credentials and fragment
	SHA256         string // hex, lower case; "" when the index gives none
	Hashes         map[string]string
	Size           int64 // bytes; 0: unknown
	RequiresPython string
	Yanked         bool
	YankedReason   string
	UploadTime     time.Time // zero: unknown (PEP 700)
	HasMetadata    bool      // PEP 658/714: URL + ".metadata" exists
	MetadataSHA256 string
	Index          string    // name of the index that has it
	Owner          string    // of the secret that shows it; "": everybody is shown it
	Wheel          WheelTags // for wheels
}

// WheelTags of a wheel's file name, each expanded: "py2.py3-none-any" has two Pythons.
type WheelTags struct{ Python, ABI, Platform []string }

// Kind tells a source distribution from a built one.
type Kind string

// The kinds of files an index has; eggs, installers and other relics are left out.
const (
	SDist Kind = "sdist"
	Wheel Kind = "wheel"
)

// ErrNotFound: no index has the project or file. ErrHash: what was
// downloaded is not what the index promised. ErrOffline: not in the cache and the
// client may not use the network. ErrUnavailable: the index could not be reached or
// answered nonsense after all retries.
var (
	ErrNotFound    = errors.New("not found on the index")
	ErrHash        = errors.New("wrong hash")
	ErrOffline     = errors.New("not in the cache, and offline")
	ErrUnavailable = errors.New("index unavailable")
)

// Reader is what the stages behind need of an index; Client is the one implementation.
// All methods are safe for concurrent use and idempotent.
type Reader interface {
	// Files lists the files of a project, every version, oldest version first;
	// names that are no valid sdist or wheel names are left out.
	Files(ctx context.Context, name string) ([]File, error)
	// Project is the same list, kept packed: what of it is not looked at costs nearly nothing.
	// The error is nil when everything is held back (see Config), too.
	Project(ctx context.Context, name string) (*Project, error)
	// Metadata returns the core metadata of a wheel: by the PEP 658 file where the index
	// has it, else from the wheel itself (downloaded).
	Metadata(ctx context.Context, f File) ([]byte, error)
	// Download returns the path of the verified file in the cache. The path
	// stays valid and its content never changes.
	Download(ctx context.Context, f File) (string, error)
}

// Bounds on what an index may send. An index that goes beyond is not believed.
const (
	maxPage     = 200 << 20 // bytes of a project page, unpacked
	maxFiles    = 100_000   // files of a project page
	maxMetadata = 20 << 20  // bytes of core metadata
	maxFile     = 4 << 30   // bytes of a distribution file
	maxRequests = 16        // at the same time
)
