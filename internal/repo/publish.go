package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Names inside a root and a snapshot.
const (
	Current      = "current"
	snapshotsDir = "snapshots"
	signedDir    = "signed"
	publicKey    = "RPM-GPG-KEY-reqpm"
	manifestFile = "reqpm-snapshot.json"
	tmpPrefix    = ".tmp-"
)

// defaultKeep is how many snapshots stay when PublishRequest.Keep is 0.
const defaultKeep = 5

// layoutVersion goes into every snapshot id: a change of the layout is another snapshot.
const layoutVersion = "reqpm-snapshot-1"

// PublishRequest is one set of RPMs to publish.
type PublishRequest struct {
	Root  string   // e.g. STATE/repos/PROJECT/CHANNEL/TARGET; made when absent
	RPMs  []string // binary RPM files; one version of each name
	SRPMs []string // source RPM files
	Key   *Key
	Name  string // for people, in the .repo file
	ID    string // repository id: the section and file name of the .repo file
	// RepodataCompress is gz (default), which every dnf and yum reads, or zstd, smaller, not
	// for EL7 and EL8 before 8.4. A createrepo_c that cannot write zstd writes gz.
	RepodataCompress string
	// BaseURL is where clients find what the stable link points at; default its file:// URL.
	BaseURL string
	Keep    int // snapshots kept, the current one among them; 0: 5
}

// Snapshot is one published set.
type Snapshot struct {
	ID       string    `json:"id"` // digest of the contents: the same set has the same id
	Dir      string    `json:"-"`  // absolute
	Current  string    `json:"-"`  // the stable link, absolute
	RepoFile string    `json:"-"`  // the .repo file, absolute
	New      bool      `json:"-"`  // false when this very set was there already
	Pinned   string    `json:"-"`  // the snapshot that clients get all the same, because the repository is pinned to it; "": this one
	OwnFile  string    `json:"-"`  // while another is pinned: a .repo file of this very snapshot, absolute
	Packages []Package `json:"packages"`
	Created  time.Time `json:"created"`
	KeyID    string    `json:"key_id"`
	// Files are the digests of all files, relative path → sha256.
	Files map[string]string `json:"files"`
}

// DuplicateError is a set that holds a name twice.
type DuplicateError struct {
	Name         string
	First, Other string // NEVRAs
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("publish: %s is there as %s and as %s; a published repository holds one version of each name", e.Name, e.First, e.Other)
}

// Publish signs the packages into a new snapshot and makes it the current one. The same
// set again changes nothing and returns the same id. On any error, and on cancel, what
// was current stays current. A missing program is builder.ErrMissingTool.
func Publish(ctx context.Context, req PublishRequest) (Snapshot, error) {
	p, err := newPublication(req)
	if err != nil {
		return Snapshot{}, err
	}
	unlock, err := lockRoot(ctx, p.root)
	if err != nil {
		return Snapshot{}, fmt.Errorf("publish to %s: %w", p.root, err)
	}
	defer unlock()
	snap, err := p.publish(ctx)
	if err != nil {
		return Snapshot{}, fmt.Errorf("publish to %s: %w", p.root, err)
	}
	return snap, nil
}

type publication struct {
	req  PublishRequest
	root string
}

func newPublication(req PublishRequest) (*publication, error) {
	switch {
	case req.Root == "":
		return nil, errors.New("publish: no root directory given")
	case req.Key == nil:
		return nil, errors.New("publish: no signing key given")
	}
	if req.RepodataCompress == "" {
		req.RepodataCompress = "gz"
	}
	if req.RepodataCompress != "zstd" && req.RepodataCompress != "gz" {
		return nil, fmt.Errorf("publish: repodata compression %q is neither zstd nor gz", req.RepodataCompress)
	}
	if req.Keep <= 0 {
		req.Keep = defaultKeep
	}
	if err := checkRepoWords(req.ID, req.Name, req.BaseURL); err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	root, err := filepath.Abs(req.Root)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	for _, dir := range []string{snapshotsDir, signedDir} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return nil, fmt.Errorf("publish: %w", err)
		}
	}
	return &publication{req: req, root: root}, nil
}

func (p *publication) publish(ctx context.Context) (Snapshot, error) {
	if err := p.removeLeftovers(); err != nil {
		return Snapshot{}, err
	}
	set, err := p.readSet(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	id := p.snapshotID(set)
	dir := filepath.Join(p.root, snapshotsDir, id)
	snap, err := readSnapshot(ctx, dir)
	if err != nil {
		if snap, err = p.build(ctx, id, set); err != nil {
			return Snapshot{}, err
		}
	}
	snap.Dir, snap.Current = dir, filepath.Join(p.root, Current)
	if err := p.published(&snap); err != nil {
		return Snapshot{}, err
	}
	if snap.RepoFile, err = p.writeRepoFile(); err != nil {
		return Snapshot{}, err
	}
	return snap, p.prune()
}

// input is one file of the set.
type input struct {
	Package
	path string
}

// readSet reads the headers and refuses a set with two versions of one name. The same
// file given twice is one.
func (p *publication) readSet(ctx context.Context) ([]input, error) {
	paths := append(append([]string{}, p.req.RPMs...), p.req.SRPMs...)
	all := make([]input, len(paths))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.NumCPU())
	for i, path := range paths {
		g.Go(func() error {
			if err := gctx.Err(); err != nil {
				return err
			}
			pkg, err := readPackage(path)
			if err != nil {
				return err
			}
			if source := i >= len(p.req.RPMs); source != pkg.Source() {
				return fmt.Errorf("%s: given as source %v, but its header says source %v", path, source, pkg.Source())
			}
			half := "Packages"
			if pkg.Source() {
				half = "Source"
			}
			pkg.File = filepath.Join(half, pkg.fileName())
			all[i] = input{pkg, path}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	seen := map[string]input{}
	var set []input
	for _, in := range all {
		key := filepath.Dir(in.File) + "/" + in.Name
		first, dup := seen[key]
		switch {
		case !dup:
			seen[key] = in
			set = append(set, in)
		case first.Input != in.Input:
			return nil, &DuplicateError{Name: in.Name, First: first.NEVRA(), Other: in.NEVRA()}
		}
	}
	sort.Slice(set, func(i, j int) bool { return set[i].File < set[j].File })
	return set, nil
}

// snapshotID is a digest of everything that decides the snapshot's contents.
func (p *publication) snapshotID(set []input) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n", layoutVersion, p.req.Key.Fingerprint(), p.req.RepodataCompress)
	for _, in := range set {
		fmt.Fprintf(h, "%s %s\n", in.Input, in.File)
	}
	return hex.EncodeToString(h.Sum(nil))[:20]
}

// build makes the snapshot in a temporary directory and renames it into place.
func (p *publication) build(ctx context.Context, id string, set []input) (Snapshot, error) {
	tmp, err := os.MkdirTemp(p.root, tmpPrefix+"s*")
	if err != nil {
		return Snapshot{}, err
	}
	defer os.RemoveAll(tmp)
	for _, half := range []string{"Packages", "Source"} {
		if err := os.Mkdir(filepath.Join(tmp, half), 0o755); err != nil {
			return Snapshot{}, err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil { // MkdirTemp makes 0700; web servers read this
		return Snapshot{}, err
	}
	if err := p.placeSigned(ctx, tmp, set); err != nil {
		return Snapshot{}, err
	}
	if err := p.repodata(ctx, tmp); err != nil {
		return Snapshot{}, err
	}
	if err := os.WriteFile(filepath.Join(tmp, publicKey), p.req.Key.public, 0o644); err != nil {
		return Snapshot{}, err
	}
	snap, err := p.writeManifest(ctx, tmp, id, set)
	if err != nil {
		return Snapshot{}, err
	}
	if err := syncTree(tmp); err != nil {
		return Snapshot{}, err
	}
	dir := filepath.Join(p.root, snapshotsDir, id)
	if err := os.RemoveAll(dir); err != nil { // there, but damaged
		return Snapshot{}, err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return Snapshot{}, err
	}
	snap.New = true
	return snap, syncDir(filepath.Dir(dir))
}

// repodata writes and signs the metadata of both halves. Sources have their own, so that
// their BuildRequires are not taken for requirements of the published set.
func (p *publication) repodata(ctx context.Context, tmp string) error {
	if err := needTool("createrepo_c"); err != nil {
		return err
	}
	for _, dir := range []string{tmp, filepath.Join(tmp, "Source")} {
		err := createrepo(ctx, dir, p.req.RepodataCompress)
		if err != nil && p.req.RepodataCompress != "gz" && strings.Contains(err.Error(), "compression type") {
			err = createrepo(ctx, dir, "gz") // before 0.18 it knows no zstd
		}
		if err != nil {
			return fmt.Errorf("write repository metadata: %w", err)
		}
		repomd := filepath.Join(dir, "repodata", "repomd.xml")
		data, err := os.ReadFile(repomd)
		if err != nil {
			return fmt.Errorf("write repository metadata: %w", err)
		}
		signature, err := p.req.Key.Sign(data)
		if err != nil {
			return err
		}
		if err := os.WriteFile(repomd+".asc", signature, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// createrepo runs in dir with relative names: no path of this machine gets into the metadata.
func createrepo(ctx context.Context, dir, compress string) error {
	return run(ctx, dir, gnupgEnv(dir), nil, "createrepo_c", "--quiet", "--no-database", "--simple-md-filenames",
		"--general-compress-type="+compress, "--excludes", "Source/*", ".")
}

// writeManifest records every file with its digest: what a later publication checks
// before it trusts the snapshot.
func (p *publication) writeManifest(ctx context.Context, tmp, id string, set []input) (Snapshot, error) {
	snap := Snapshot{ID: id, Created: time.Now().UTC().Truncate(time.Second), KeyID: p.req.Key.ID()}
	var err error
	if snap.Files, err = digestTree(ctx, tmp); err != nil {
		return Snapshot{}, err
	}
	for _, in := range set {
		pkg := in.Package
		info, err := os.Stat(filepath.Join(tmp, pkg.File))
		if err != nil {
			return Snapshot{}, err
		}
		pkg.Size, pkg.SHA256 = info.Size(), snap.Files[pkg.File]
		snap.Packages = append(snap.Packages, pkg)
	}
	data, err := json.MarshalIndent(snap, "", "  ")
	if err != nil {
		return Snapshot{}, err
	}
	return snap, os.WriteFile(filepath.Join(tmp, manifestFile), append(data, '\n'), 0o644)
}

// readSnapshot returns the snapshot in dir, or an error when it is not there or not as it was written.
func readSnapshot(ctx context.Context, dir string) (Snapshot, error) {
	data, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return Snapshot{}, err
	}
	var snap Snapshot
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&snap); err != nil {
		return Snapshot{}, fmt.Errorf("%w: %s: %w", ErrDamaged, filepath.Join(dir, manifestFile), err)
	}
	now, err := digestTree(ctx, dir)
	if err != nil {
		return Snapshot{}, err
	}
	delete(now, manifestFile)
	if len(now) != len(snap.Files) {
		return Snapshot{}, fmt.Errorf("%w: %s holds %d files, %d were written", ErrDamaged, dir, len(now), len(snap.Files))
	}
	for name, sum := range snap.Files {
		if now[name] != sum {
			return Snapshot{}, fmt.Errorf("%w: %s in %s was changed", ErrDamaged, name, dir)
		}
	}
	snap.Dir = dir
	return snap, nil
}
