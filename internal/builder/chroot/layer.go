package chroot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
	"reqpm/internal/builder/scratch"
	"reqpm/internal/filelock"
)

// rpmFile is an RPM a build may install.
type rpmFile struct {
	Path string `json:"path"`
	Sum  string `json:"sum"` // SHA-256
}

// needs is what a build root must have installed: it names a dependency layer.
type needs struct {
	rpms []rpmFile
	deps []string  // dependency expressions
	debs *debLayer // lies below; nil for none
}

// candidates are all RPMs that dnf may install: those given, and those that stand for packages of
// the distribution.
func (n needs) candidates() []rpmFile { return slices.Concat(n.rpms, n.debs.debRPMs()) }

// key names the layer: the same base, candidates and wishes always give the same root.
func (n needs) key(baseID string) string {
	h := sha256.New()
	fmt.Fprintf(h, "layer %s\n", baseID)
	sums := make([]string, 0, len(n.rpms))
	for _, r := range n.candidates() {
		sums = append(sums, r.Sum)
	}
	slices.Sort(sums)
	for _, s := range slices.Compact(sums) {
		fmt.Fprintf(h, "rpm %s\n", s)
	}
	deps := slices.Clone(n.deps)
	slices.Sort(deps)
	for _, d := range slices.Compact(deps) {
		fmt.Fprintf(h, "needs %s\n", d)
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// depLayer is a cached layer in use: it cannot be pruned before release.
type depLayer struct {
	layer
	manifest []string
	lock     *os.File
}

func (d *depLayer) release() {
	if d.lock != nil {
		_ = d.lock.Close()
	}
}

// dependencies finds or makes the layer with n installed. The caller releases it.
// Builds that want the same layer at the same time wait for one of them to make it.
func (w *worker) dependencies(ctx context.Context, n needs, log io.Writer) (*depLayer, error) {
	if w.inMemory {
		return w.makeDependencies(ctx, n, "", log)
	}
	dir := filepath.Join(w.Base, "layers")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("layers: %w", err)
	}
	key := n.key(w.BaseID)
	path := filepath.Join(dir, key)
	for {
		lock, err := filelock.Shared(path + ".lock")
		if err != nil {
			return nil, err
		}
		if d, err := openLayer(path); err == nil {
			d.lock = lock
			fmt.Fprintf(log, "build root layer %s (made earlier)\n", key)
			return d, nil
		}
		_ = lock.Close()
		if err := w.keepDependencies(ctx, n, path, log); err != nil {
			return nil, err
		}
	}
}

// keepDependencies makes the layer at path, unless another build did while we waited.
func (w *worker) keepDependencies(ctx context.Context, n needs, path string, log io.Writer) error {
	lock, err := filelock.Exclusive(path + ".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := openLayer(path); err == nil {
		return nil
	}
	if scratch.Exists(path) {
		fmt.Fprintf(log, "build root layer %s is damaged: it is made again\n", filepath.Base(path))
		// Away first, to where it is removed also after a kill.
		if err := os.Rename(path, filepath.Join(w.Temp, "damaged-"+filepath.Base(path))); err != nil {
			return fmt.Errorf("replace a damaged layer: %w", err)
		}
	}
	_, err = w.makeDependencies(ctx, n, path, log)
	return err
}

// openLayer reads a finished layer that is as it was made, and marks it as used now.
func openLayer(path string) (*depLayer, error) {
	text, err := os.ReadFile(filepath.Join(path, "manifest"))
	if err != nil {
		return nil, err
	}
	made, err := os.ReadFile(filepath.Join(path, "fingerprint"))
	if err != nil {
		return nil, err
	}
	if is, err := fingerprint(layer{path}); err != nil || is != string(made) {
		return nil, errors.Join(fmt.Errorf("layer %s is not as it was made", path), err)
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // the age that pruning goes by
	return &depLayer{layer: layer{path}, manifest: strings.Fields(string(text))}, nil
}

// makeDependencies lets dnf install n over the base. The difference is kept as path, or
// for this build alone when path is empty.
func (w *worker) makeDependencies(ctx context.Context, n needs, path string, log io.Writer) (*depLayer, error) {
	start := time.Now()
	temp, err := os.MkdirTemp(w.scratch, "layer-")
	if err != nil {
		return nil, fmt.Errorf("make layer: %w", err)
	}
	upper, err := makeLayer(filepath.Join(temp, "new"))
	if err != nil {
		return nil, err
	}
	if err := w.mount(upper, filepath.Join(temp, "work"), n.debs.lowers()...); err != nil {
		return nil, err
	}
	err = w.installNeeds(ctx, n, temp, log)
	var manifest []string
	if err == nil {
		manifest, err = w.beyondBase(ctx)
	}
	if err := errors.Join(err, w.unmount()); err != nil {
		return nil, err
	}
	fmt.Fprintf(log, "build root layer made in %.1f s\n", time.Since(start).Seconds())
	if path == "" {
		return &depLayer{layer: upper, manifest: manifest}, nil
	}
	sum, err := fingerprint(upper)
	if err == nil {
		err = os.WriteFile(filepath.Join(upper.dir, "fingerprint"), []byte(sum), 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(upper.dir, "manifest"), []byte(strings.Join(manifest, "\n")), 0o644)
	}
	if err == nil {
		err = os.Rename(upper.dir, path)
	}
	if err != nil {
		return nil, fmt.Errorf("keep layer: %w", err)
	}
	return &depLayer{layer: layer{path}, manifest: manifest}, nil
}

// beyondBase lists what is installed in the merged root and not in the base.
func (w *worker) beyondBase(ctx context.Context) ([]string, error) {
	base, err := readBase(w.Base)
	if err != nil {
		return nil, err
	}
	list, err := w.installed(ctx)
	return slices.DeleteFunc(list, func(p string) bool { return slices.Contains(base.Packages, p) }), err
}

// installNeeds makes a repository of exactly n.rpms and asks dnf for n.deps.
func (w *worker) installNeeds(ctx context.Context, n needs, temp string, log io.Writer) error {
	t := transaction{repos: w.Target.Repos, log: log}
	if rpms := n.candidates(); len(rpms) > 0 {
		repo := filepath.Join(temp, "repo")
		if err := w.makeRepo(ctx, repo, rpms); err != nil {
			return err
		}
		t.ownRepo = repo
	}
	// builddep understands every kind of expression, rich ones too; a spec of our own
	// with nothing but the expressions is safe to parse outside of the build root.
	spec := filepath.Join(w.at, "tmp", "reqpm-needs.spec")
	if err := os.WriteFile(spec, []byte(needsSpec(n.deps)), 0o644); err != nil {
		return fmt.Errorf("write build requirements: %w", err)
	}
	t.args = []string{"builddep", "--spec", insideRoot + "/tmp/reqpm-needs.spec"}
	err := w.dnf(ctx, t)
	return errors.Join(err, os.Remove(spec))
}

// needsSpec is a spec that only has BuildRequires.
func needsSpec(deps []string) string {
	var b strings.Builder
	b.WriteString("Name: reqpm-needs\nVersion: 0\nRelease: 0\nSummary: needs\nLicense: none\n")
	for _, d := range deps {
		fmt.Fprintf(&b, "BuildRequires: %s\n", strings.ReplaceAll(d, "%", "%%"))
	}
	b.WriteString("%description\n")
	return b.String()
}

// makeRepo makes a repository of exactly these files.
func (w *worker) makeRepo(ctx context.Context, dir string, rpms []rpmFile) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("make repository of build requirements: %w", err)
	}
	for _, r := range rpms {
		dst := filepath.Join(dir, r.Sum[:16]+"-"+filepath.Base(r.Path))
		if scratch.Exists(dst) {
			continue
		}
		if os.Link(r.Path, dst) == nil {
			if st, err := os.Stat(dst); err == nil && st.Mode().Perm()&0o004 != 0 {
				continue
			}
			_ = os.Remove(dst) // unreadable for the tool's user: a copy then
		}
		if err := scratch.CopyFile(r.Path, dst, 0o644, -1, time.Time{}); err != nil {
			return fmt.Errorf("make repository of build requirements: %w", err)
		}
	}
	if err := os.Chown(dir, buildUID, buildUID); err != nil {
		return fmt.Errorf("make repository of build requirements: %w", err)
	}
	at := filepath.Join(filepath.Dir(w.at), "repo")
	if err := os.Mkdir(at, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make repository of build requirements: %w", err)
	}
	if err := unix.Mount(dir, at, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("make repository of build requirements: %w", err)
	}
	defer func() { _ = unix.Unmount(at, unix.MNT_DETACH) }() // it goes with the mount namespace at the latest
	var out bytes.Buffer
	cmd := w.toolSandbox(ctx, false, [][]string{{"--bind", at, "/reqpm/own"}}, nil,
		"createrepo_c", "--quiet", "--no-database", "--simple-md-filenames", "--workers=1", "/reqpm/own")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := builder.AsExit(cmd.Run(), rpmlog.LastLines(out.String(), 10)); err != nil {
		return &builder.BuildError{Phase: builder.PhaseRoot, Cause: builder.CauseInfra, Tail: rpmlog.LastLines(out.String(), 10),
			Err: fmt.Errorf("createrepo_c of the build requirements: %w", err)}
	}
	return nil
}

// readBase reads base.json of a base root.
func readBase(dir string) (baseInfo, error) {
	var info baseInfo
	text, err := os.ReadFile(filepath.Join(dir, "base.json"))
	if err != nil {
		return info, fmt.Errorf("read base root: %w", err)
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return info, fmt.Errorf("read base root %s: %w", dir, err)
	}
	return info, nil
}
