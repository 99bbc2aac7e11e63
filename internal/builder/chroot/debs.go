package chroot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
	"reqpm/internal/builder/scratch"
	"reqpm/internal/filelock"
	"reqpm/internal/target"
)

// Packages of the machine's own distribution that are not installed on it become a layer: their
// files are unpacked over the machine's /usr, for one build, question or proof. Their maintainer
// scripts do not run; of what those do, the links of update-alternatives are made. Each package
// gets an RPM that stands for it (debPrefix and its name), which provides in RPM's words what it
// brings, as reqpm-host does for the machine.

// debPrefix begins the names of the RPMs that stand for packages of the distribution.
const debPrefix = "reqpm-deb-"

// debsFormat changes when a layer of the same packages would come out differently.
const debsFormat = 1

// debsOrder asks the child to make the layer of order.Debs and nothing else.
type debsOrder struct{}

// deb is one package of the distribution.
type deb struct {
	Path string `json:"path"`
	Sum  string `json:"sum"`
}

// debLayer is a layer of unpacked packages in use: it cannot be pruned before release.
type debLayer struct {
	layer
	rpms []rpmFile
	lock *os.File
}

func (d *debLayer) release() {
	if d != nil && d.lock != nil {
		_ = d.lock.Close()
	}
}

// addDebs notes the packages that an order lays over the base.
func (r *Base) addDebs(o *order, paths []string) error {
	if len(paths) > 0 && r.info.Target.Kind != target.Host {
		return fmt.Errorf("packages of this machine's distribution cannot be laid over a root of %s", r.info.Target.Name)
	}
	for _, p := range paths {
		p, err := filepath.Abs(p)
		if err != nil {
			return err
		}
		sum, err := r.digest(p)
		if err != nil {
			return err
		}
		o.Debs = append(o.Debs, deb{p, sum})
		o.Avoid = append(o.Avoid, p)
	}
	return nil
}

// DebRPMs makes the RPMs that stand for packages of this machine's distribution, given as .deb
// files, and returns their paths. Where such an RPM is installed but its package is not,
// installing ends with the command that brings it.
func (r *Base) DebRPMs(ctx context.Context, debs []string) ([]string, error) {
	if len(debs) == 0 {
		return nil, nil
	}
	o := r.order()
	o.Network = false
	o.Unpack = &debsOrder{}
	if err := r.addDebs(&o, debs); err != nil {
		return nil, err
	}
	temp, err := r.b.state.NewTemp("debs")
	if err != nil {
		return nil, err
	}
	out, err := r.b.spawn(ctx, temp, o, streams{}, nil)
	if err := errors.Join(err, temp.Remove()); err != nil {
		return nil, fmt.Errorf("unpack packages of the distribution: %w", err)
	}
	if err := out.failure(); err != nil {
		return nil, err
	}
	return out.RPMs, nil
}

// unpack does w.Unpack.
func (w *worker) unpack() (outcome, error) {
	d, err := w.debs(context.Background(), io.Discard)
	if err != nil {
		return outcome{}, err
	}
	defer d.release()
	var out outcome
	for _, r := range d.rpms {
		out.RPMs = append(out.RPMs, r.Path)
	}
	return out, nil
}

// debs finds or makes the layer of w.Debs; nil when there are none. The caller releases it.
func (w *worker) debs(ctx context.Context, log io.Writer) (*debLayer, error) {
	if len(w.Debs) == 0 {
		return nil, nil
	}
	h := sha256.New()
	fmt.Fprintf(h, "debs %d %s\n", debsFormat, w.BaseID)
	for _, d := range w.Debs {
		fmt.Fprintln(h, d.Sum)
	}
	dir := filepath.Join(w.Base, "debs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("layers: %w", err)
	}
	path := filepath.Join(dir, hex.EncodeToString(h.Sum(nil))[:32])
	for {
		lock, err := filelock.Shared(path + ".lock")
		if err != nil {
			return nil, err
		}
		if d, err := openDebs(path); err == nil {
			d.lock = lock
			return d, nil
		}
		_ = lock.Close()
		if err := w.keepDebs(ctx, path, log); err != nil {
			return nil, fmt.Errorf("unpack packages of the distribution: %w", err)
		}
	}
}

// openDebs reads a finished layer that is as it was made.
func openDebs(path string) (*debLayer, error) {
	l, err := openLayer(path)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(path, "rpms.json"))
	if err != nil {
		return nil, err
	}
	d := &debLayer{layer: l.layer}
	return d, json.Unmarshal(text, &d.rpms)
}

// keepDebs makes the layer at path, unless somebody else did while we waited.
func (w *worker) keepDebs(ctx context.Context, path string, log io.Writer) error {
	lock, err := filelock.Exclusive(path + ".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := openDebs(path); err == nil {
		return nil
	}
	if scratch.Exists(path) {
		if err := os.Rename(path, filepath.Join(w.Temp, "damaged-"+filepath.Base(path))); err != nil {
			return err
		}
	}
	start := time.Now()
	l, err := makeLayer(filepath.Join(w.Temp, "debs"))
	if err != nil {
		return err
	}
	known, err := w.baseProvides()
	if err != nil {
		return err
	}
	var contents []debContent
	for _, d := range w.Debs {
		c, err := w.unpackDeb(ctx, d, l)
		if err != nil {
			return err
		}
		contents = append(contents, c)
	}
	for i := range contents {
		if err := linkAlternatives(l, &contents[i]); err != nil {
			return err
		}
	}
	rpms, err := w.standIns(ctx, l, contents, known, log)
	if err != nil {
		return err
	}
	// The files lie in the layer's own folder, so the paths are those after the renaming.
	for i := range rpms {
		rpms[i].Path = filepath.Join(path, filepath.Base(rpms[i].Path))
	}
	text, err := json.Marshal(rpms)
	if err != nil {
		return err
	}
	sum, err := fingerprint(l)
	if err != nil {
		return err
	}
	var names []string
	for _, c := range contents {
		names = append(names, c.name+"="+c.version)
	}
	for name, text := range map[string]string{"rpms.json": string(text), "fingerprint": sum, "manifest": strings.Join(names, "\n")} {
		if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.Rename(l.dir, path); err != nil {
		return err
	}
	fmt.Fprintf(log, "unpacked %s over the machine's in %.1f s\n", strings.Join(names, ", "), time.Since(start).Seconds())
	return nil
}

// baseProvides is what the base itself provides, for leaving it out of the stand-ins.
func (w *worker) baseProvides() (map[string]bool, error) {
	text, err := os.ReadFile(filepath.Join(w.Base, "provides"))
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for l := range strings.Lines(string(text)) {
		known[strings.TrimSpace(l)] = true
	}
	return known, nil
}

// debContent is what one package brought.
type debContent struct {
	name, version string
	files         []string // inside the root, merged: /usr/lib/x86_64-linux-gnu/libzmq.so.5
	postinst      string
}

// merged are the top directories that are links into /usr.
var merged = []string{"bin", "sbin", "lib", "lib64", "lib32", "libx32"}

// unpackDeb puts the files of one package into the layer.
func (w *worker) unpackDeb(ctx context.Context, d deb, l layer) (debContent, error) {
	var c debContent
	fields, err := tool(ctx, "dpkg-deb", "--show", "--showformat=${Package}\n${Version}\n", d.Path)
	if err != nil {
		return c, err
	}
	lines := strings.Fields(fields)
	if len(lines) != 2 || !debName.MatchString(lines[0]) || !debVersion.MatchString(lines[1]) {
		return c, fmt.Errorf("%s: not a name and a version: %.100q", filepath.Base(d.Path), fields)
	}
	c.name, c.version = lines[0], lines[1]
	dir, err := os.MkdirTemp(w.Temp, "deb-")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	if _, err := tool(ctx, "dpkg-deb", "--extract", d.Path, dir); err != nil {
		return c, err
	}
	err = filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		in := strings.TrimPrefix(p, dir+"/")
		if top, rest, _ := strings.Cut(in, "/"); slices.Contains(merged, top) {
			in = path.Join("usr", top, rest)
		}
		part, inPart := l.root(), in
		if rest, ok := strings.CutPrefix(in, "usr/"); ok {
			part, inPart = l.usr(), rest
		} else if in == "usr" {
			return nil
		}
		to := filepath.Join(part, inPart)
		switch {
		case e.IsDir():
			return os.MkdirAll(to, 0o755)
		case !e.Type().IsRegular() && e.Type() != fs.ModeSymlink:
			return nil // no device, no pipe
		}
		c.files = append(c.files, "/"+in)
		if err := os.RemoveAll(to); err != nil { // a later package replaces an earlier one's
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.Rename(p, to)
	})
	if err != nil {
		return c, fmt.Errorf("unpack %s: %w", c.name, err)
	}
	c.postinst, _ = tool(ctx, "dpkg-deb", "--info", d.Path, "postinst") // most have none
	return c, nil
}

var (
	debName    = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	debVersion = regexp.MustCompile(`^[A-Za-z0-9.+~:-]+$`)
)

// tool runs one of the machine's own programs and returns what it printed.
func tool(ctx context.Context, name string, args ...string) (string, error) {
	out, errs := &rpmlog.Tail{Max: 16 << 20}, &rpmlog.Tail{Max: 4 << 10}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/nonexistent"}
	cmd.Stdout, cmd.Stderr = out, errs
	if err := builder.AsExit(cmd.Run(), errs.String()); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return out.String(), nil
}

var (
	continued   = regexp.MustCompile(`\\\n`)
	alternative = regexp.MustCompile(`(?m)^\s*update-alternatives\s+([^\n;&|]*--install\s[^\n;&|]*)`)
	plainPath   = regexp.MustCompile(`^/usr/[A-Za-z0-9/._+:@-]+$`)
)

// linkAlternatives makes the links that update-alternatives would, where a postinst asks for them
// with plain words: libblas.so.3 and cc are found by nothing else. A file that is there stays.
func linkAlternatives(l layer, c *debContent) error {
	for _, m := range alternative.FindAllStringSubmatch(continued.ReplaceAllString(c.postinst, " "), -1) {
		words := strings.Fields(m[1])
		for i, word := range words {
			if word != "--install" && word != "--slave" || i+3 >= len(words) {
				continue
			}
			link, to := words[i+1], words[i+3]
			if !plainPath.MatchString(link) || !plainPath.MatchString(to) || strings.Contains(link, "..") || !slices.Contains(c.files, to) && !scratch.Exists(filepath.Join(l.usr(), strings.TrimPrefix(to, "/usr/"))) {
				continue
			}
			at := filepath.Join(l.usr(), strings.TrimPrefix(link, "/usr/"))
			if scratch.Exists(at) {
				continue
			}
			if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(to, at)); err != nil {
				return fmt.Errorf("alternatives of %s: %w", c.name, err)
			}
			c.files = append(c.files, link)
		}
	}
	return nil
}

// standIns builds the RPMs that stand for the packages, one for each, into the layer's folder.
func (w *worker) standIns(ctx context.Context, l layer, contents []debContent, known map[string]bool, log io.Writer) ([]rpmFile, error) {
	temp, err := os.MkdirTemp(w.scratch, "standins-")
	if err != nil {
		return nil, err
	}
	upper, err := makeLayer(filepath.Join(temp, "up"))
	if err != nil {
		return nil, err
	}
	if err := w.mount(upper, filepath.Join(temp, "work"), l); err != nil {
		return nil, err
	}
	rpms, err := w.buildStandIns(ctx, l, contents, known, log)
	return rpms, errors.Join(err, w.unmount())
}

func (w *worker) buildStandIns(ctx context.Context, l layer, contents []debContent, known map[string]bool, log io.Writer) ([]rpmFile, error) {
	dirs, err := w.libraryDirs()
	if err != nil {
		return nil, err
	}
	var s strings.Builder
	s.WriteString("Name: reqpm-debs\nVersion: 1\nRelease: 1\nSummary: Packages of the distribution, in RPM's words\nLicense: MIT\nBuildArch: noarch\nAutoReqProv: no\n%description\nGenerated.\n")
	for _, c := range contents {
		provides, libs, err := w.debProvides(ctx, c, dirs)
		if err != nil {
			return nil, err
		}
		provides = slices.DeleteFunc(provides, func(p string) bool { return known[p] || !provideName.MatchString(p) })
		standIn(&s, c, provides, libs)
	}
	s.WriteString("%changelog\n* Mon Jan 01 2024 ReqPM <reqpm@example.org> - 1-1\n- generated\n")
	spec := w.under(buildHome, "reqpm-debs.spec")
	if err := write(spec, s.String()); err != nil {
		return nil, err
	}
	out := &rpmlog.Tail{Max: 64 << 10}
	sink := io.MultiWriter(log, out)
	err = builder.AsExit(w.bwrap(ctx, sandboxed{args: []string{"rpmbuild", "-bb", "--quiet", buildHome + "/reqpm-debs.spec"}, stdout: sink, stderr: sink}).Run(), "")
	if err != nil {
		return nil, fmt.Errorf("build the RPMs that stand for packages of the distribution: %w\n%s", err, rpmlog.LastLines(out.String(), 20))
	}
	var rpms []rpmFile
	found, err := filepath.Glob(filepath.Join(w.under(buildHome, "RPMS", "noarch"), debPrefix+"*.rpm"))
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		to := filepath.Join(l.dir, filepath.Base(f))
		if err := scratch.CopyFile(f, to, 0o644, -1, zeroTime); err != nil {
			return nil, err
		}
		text, err := os.ReadFile(to)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		rpms = append(rpms, rpmFile{Path: to, Sum: hex.EncodeToString(sum[:])})
	}
	if len(rpms) != len(contents) {
		return nil, fmt.Errorf("%d RPMs stand for %d packages of the distribution", len(rpms), len(contents))
	}
	return rpms, nil
}

// standIn writes the sub-package for one package. Its scriptlet keeps it out of a system that has
// not the libraries it vouches for.
func standIn(s *strings.Builder, c debContent, provides, libs []string) {
	epoch, rest, ok := strings.Cut(c.version, ":")
	if !ok {
		epoch, rest = "", c.version
	}
	upstream, revision := rest, "0"
	if i := strings.LastIndex(rest, "-"); i >= 0 {
		upstream, revision = rest[:i], rest[i+1:]
	}
	name := debPrefix + c.name
	fmt.Fprintf(s, "%%package -n %s\nVersion: %s\nRelease: %s\nSummary: The package %s of this distribution, in RPM's words\nAutoReqProv: no\n",
		name, strings.ReplaceAll(upstream, "-", "_"), revision, c.name)
	if epoch != "" {
		fmt.Fprintf(s, "Epoch: %s\n", epoch)
	}
	for _, p := range provides {
		fmt.Fprintf(s, "Provides: %s\n", strings.ReplaceAll(p, "%", "%%"))
	}
	fmt.Fprintf(s, "%%description -n %s\nStands for %s %s, which apt installs.\n%%files -n %s\n", name, c.name, c.version, name)
	if len(libs) == 0 {
		return
	}
	fmt.Fprintf(s, "%%pre -n %s\nfor f in", name)
	for _, lib := range libs {
		fmt.Fprintf(s, " '%s'", lib)
	}
	fmt.Fprintf(s, "; do\n  [ -e \"$f\" ] || { echo \"$f is missing; run: apt-get install %s\" >&2; exit 1; }\ndone\nexit 0\n", c.name)
}

// debProvides is what one package brings, and the files of the shared libraries among it.
func (w *worker) debProvides(ctx context.Context, c debContent, dirs []string) (provides, libs []string, err error) {
	var pcs []string
	for _, f := range c.files {
		dir, base := path.Split(f)
		dir = strings.TrimSuffix(dir, "/")
		switch {
		case slices.Contains(dirs, dir) && strings.Contains(base, ".so."):
			if plainPath.MatchString(f) {
				libs = append(libs, f)
			}
		case dir == "/usr/bin" || dir == "/usr/sbin":
			provides = append(provides, f)
			provides = append(provides, programPackages[base]...)
		case path.Base(dir) == "pkgconfig" && path.Ext(base) == ".pc":
			pcs = append(pcs, w.under(f))
		}
	}
	if len(libs) > 0 {
		elf, err := w.output(ctx, sandboxed{args: []string{"/bin/sh", "-c", "/usr/lib/rpm/elfdeps --provides || [ $? = 1 ]"}, stdin: strings.NewReader(strings.Join(libs, "\n") + "\n")})
		if err != nil {
			return nil, nil, err
		}
		provides = append(provides, strings.Fields(elf)...)
	}
	provides = append(provides, pkgConfigProvides(pcs)...)
	slices.Sort(provides)
	return slices.Compact(provides), libs, nil
}

// debRPMs are the stand-ins of a layer, for the repository of a build root.
func (d *debLayer) debRPMs() []rpmFile {
	if d == nil {
		return nil
	}
	return d.rpms
}

// lowers are the layers below a build root of w, topmost first.
func (d *debLayer) lowers(above ...layer) []layer {
	if d == nil {
		return above
	}
	return append(above, d.layer)
}
