package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"reqpm/internal/index"
	"reqpm/internal/metadata"
	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/reqfile"
	"reqpm/internal/sdist"
	"reqpm/internal/solve"
	"reqpm/internal/source"
)

// A direct reference names the thing itself: a Git repository, an archive's address, a folder or
// an archive inside of the project. It is brought here before anything is resolved, pinned to a
// commit or a hash, and from then on is the one version that its package has.

// Reference is where a package comes from that comes from no index.
type Reference struct {
	URL          string `json:"url"`              // without credentials; a slash path for what lies in the project
	Commit       string `json:"commit,omitempty"` // of a Git repository
	Subdirectory string `json:"subdirectory,omitempty"`
}

// direct is one reference after it was brought here.
type direct struct {
	file index.File
	meta metadata.Metadata
	ref  Reference
	at   reqfile.Position
	text string
}

// DirectError: a direct reference that cannot be had or used; At is its line.
type DirectError struct {
	At   reqfile.Position
	Text string
	Err  error
}

func (e *DirectError) Error() string {
	if e.At.File == "" {
		return fmt.Sprintf("%s: %v", e.Text, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.At.Where(), e.Text, e.Err)
}
func (e *DirectError) Unwrap() error { return e.Err }

// errTransitiveURL: a package from an index asks for a direct reference. Following it would let
// any package bring code from anywhere.
var errTransitiveURL = errors.New("asks for a direct reference, which only your own requirement lines may: add it to yours")

// fetchDirect brings every direct reference of the requirements and constraints here, and of what
// those ask for directly in turn. It fills in the names that only metadata tells.
func (p *Pipeline) fetchDirect(ctx context.Context, checkout source.Checkout, in *Input, src source.Request) error {
	f := &directFetch{p: p, checkout: checkout, src: src, from: map[string]*direct{}}
	in.Set.Requirements = slices.Clone(in.Set.Requirements)
	in.Set.Constraints = slices.Clone(in.Set.Constraints)
	for _, list := range [][]reqfile.Requirement{in.Set.Requirements, in.Set.Constraints} {
		for i := range list {
			r := &list[i]
			if !r.Direct() || p.left(*in, *r) {
				continue
			}
			name, err := f.bring(ctx, *r)
			if err != nil {
				return err
			}
			r.Name = name
		}
	}
	if in.Project != nil {
		if err := f.follow(ctx, in.Project.Meta.RequiresDist, in.Ignore, in.Project.Name); err != nil {
			return err
		}
	}
	p.from.pin(f.from)
	return nil
}

// left tells whether a requirement takes no part: it is the project itself, was left out by the
// user, or is for another Python.
func (p *Pipeline) left(in Input, r reqfile.Requirement) bool {
	own := r.Path == "." || in.Project != nil && r.Name != "" && r.Key() == in.Project.Name
	return own || r.Name != "" && slices.Contains(in.Ignore, r.Key()) || !r.Marker.Eval(p.cfg.Target.Env(), "")
}

// directFetch is one call of fetchDirect.
type directFetch struct {
	p        *Pipeline
	checkout source.Checkout
	src      source.Request
	from     map[string]*direct // by PEP 503 name
	seen     []string           // addresses on the way, against loops
}

// bring has one reference, and those it asks for; it returns its package's name.
func (f *directFetch) bring(ctx context.Context, r reqfile.Requirement) (string, error) {
	fail := func(err error) (string, error) {
		return "", &DirectError{At: r.Position, Text: source.Redacted(r.Text), Err: err}
	}
	f.p.report(Event{Event: "note", Stage: "source", Message: "bring " + source.Redacted(r.Text)})
	d, err := f.have(ctx, r)
	if err != nil {
		return fail(err)
	}
	d.at, d.text = r.Position, r.Text
	name := pep508.NormalizeName(d.meta.Name)
	if r.Name != "" && r.Key() != name {
		return fail(fmt.Errorf("what is there calls itself %s, not %s", name, r.Name))
	}
	d.file.Name = name
	if before := f.from[name]; before != nil {
		if before.file.SHA256 != d.file.SHA256 {
			return fail(fmt.Errorf("%s comes from %s already (%s)", name, source.Redacted(before.text), before.at.Where()))
		}
		return name, nil
	}
	f.from[name] = d
	return name, f.follow(ctx, d.meta.RequiresDist, nil, name)
}

// follow brings the direct references among the requirements of what was itself had directly.
func (f *directFetch) follow(ctx context.Context, reqs []pep508.Requirement, ignore []string, asker string) error {
	for _, r := range f.p.active(reqs) {
		if r.URL == "" || slices.Contains(ignore, r.Key()) {
			continue
		}
		set, err := reqfile.ParseDirect(r)
		if err == nil && (set.Path != "" || len(f.seen) > 20) {
			err = errors.New("a package cannot ask for a path of the machine it was written on")
		}
		if err != nil {
			return &DirectError{Text: asker + " asks for " + source.Redacted(r.String()), Err: err}
		}
		set.Text = asker + " asks for " + r.String()
		f.seen = append(f.seen, r.URL)
		if _, err := f.bring(ctx, set); err != nil {
			return err
		}
		f.seen = f.seen[:len(f.seen)-1]
	}
	return nil
}

// have brings the file and its metadata, whatever kind of reference it is.
func (f *directFetch) have(ctx context.Context, r reqfile.Requirement) (*direct, error) {
	switch {
	case r.VCS != "":
		return f.repository(ctx, r)
	case r.Path != "":
		return f.local(ctx, r)
	}
	return f.archive(ctx, r)
}

// repository checks out a Git repository at the ref that is asked for.
func (f *directFetch) repository(ctx context.Context, r reqfile.Requirement) (*direct, error) {
	address, ok := strings.CutPrefix(r.VCS, "git+")
	if !ok {
		return nil, fmt.Errorf("%w: of version control systems ReqPM reads Git only", errors.ErrUnsupported)
	}
	req := f.src
	req.URL, req.Ref = cutRef(address)
	if !sameHost(req.URL, f.src.URL) {
		req.Credentials = req.Credentials.Elsewhere() // a token file is for the project's own server
	}
	checkout, err := source.Fetch(ctx, req)
	if err != nil {
		return nil, err
	}
	for _, warning := range checkout.Warnings {
		f.p.warn("source", source.Redacted(r.Text)+": "+warning)
	}
	ref := Reference{URL: source.Redacted(checkout.URL), Commit: checkout.Commit, Subdirectory: r.Subdirectory}
	return f.tree(ctx, checkout, r.Subdirectory, ref)
}

// tree packs a folder of a checkout.
func (f *directFetch) tree(ctx context.Context, checkout source.Checkout, dir string, ref Reference) (*direct, error) {
	sub, err := checkout.Sub(dir)
	if err != nil {
		return nil, err
	}
	if !hasBuildSystem(sub.Dir) {
		return nil, errors.New("neither setup.py nor a pyproject.toml with [build-system] is in it, so it is no Python project")
	}
	file, meta, err := f.p.packTree(ctx, sub)
	return &direct{file: file, meta: meta, ref: ref}, err
}

// local takes a folder or an archive that lies in the project.
func (f *directFetch) local(ctx context.Context, r reqfile.Requirement) (*direct, error) {
	ref := Reference{URL: r.Path}
	if !isArchiveName(r.Path) {
		return f.tree(ctx, f.checkout, r.Path, ref)
	}
	file := filepath.Join(f.checkout.Dir, filepath.FromSlash(r.Path))
	sum, err := fileSHA256(file)
	if err != nil {
		return nil, err
	}
	address := url.URL{Scheme: "file", Path: file}
	return f.file(ctx, r, index.File{URL: address.String(), Filename: path.Base(r.Path), SHA256: sum}, ref)
}

// archive downloads an address.
func (f *directFetch) archive(ctx context.Context, r reqfile.Requirement) (*direct, error) {
	address, _, _ := strings.Cut(r.URL, "#")
	err := source.Permit(ctx, address, f.src.Allow)
	if err != nil && !errors.Is(err, source.ErrNetwork) { // where no name resolves, the cache may still have it
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	file := index.File{URL: address, Filename: path.Base(u.Path), Hashes: map[string]string{}}
	for _, h := range r.Hashes {
		algorithm, hex, _ := strings.Cut(h, ":")
		if file.Hashes[algorithm] = hex; algorithm == "sha256" {
			file.SHA256 = hex
		}
	}
	return f.file(ctx, r, file, Reference{URL: source.Redacted(address), Subdirectory: r.Subdirectory})
}

// file reads an archive: a wheel, a source distribution, or what a forge packs of a commit.
func (f *directFetch) file(ctx context.Context, r reqfile.Requirement, file index.File, ref Reference) (*direct, error) {
	file.Kind = index.SDist
	if strings.HasSuffix(file.Filename, ".whl") {
		file.Kind = index.Wheel
	}
	archive, err := f.p.download(ctx, file)
	if err != nil {
		return nil, err
	}
	if file.SHA256, err = fileSHA256(archive); err != nil {
		return nil, err
	}
	if file.Kind == index.Wheel {
		return f.wheel(archive, file, ref)
	}
	if r.Subdirectory != "" {
		var d *direct
		err := f.p.withSource(ctx, file, func(_, dir string) error {
			whole := source.Checkout{Dir: dir, URL: ref.URL, Describe: versionInStem(file.Filename), CommitTime: zipEpoch}
			d, err = f.tree(ctx, whole, r.Subdirectory, ref)
			return err
		})
		return d, err
	}
	file.Version = versionFromGit(versionInStem(file.Filename)) // what a backend is told that would ask Git
	meta, err := f.p.sdistMetadata(ctx, file)
	if err != nil {
		return nil, err
	}
	file.Version = meta.Version
	return &direct{file: file, meta: meta, ref: ref}, nil
}

func (f *directFetch) wheel(archive string, file index.File, ref Reference) (*direct, error) {
	info, err := sdist.ReadWheel(archive)
	if err != nil {
		return nil, err
	}
	file.Version = info.Metadata.Version
	named, ok := index.ParseFilename(file.Filename, info.Metadata.Name)
	if !ok {
		return nil, fmt.Errorf("%s is not the file name of a wheel of %s", file.Filename, info.Metadata.Name)
	}
	file.Wheel = named.Wheel
	if !wheelFits(file.Wheel, f.p.cfg.Target) {
		return nil, fmt.Errorf("the wheel is not for Python %s on %s", f.p.cfg.Target.Python.Minor(), f.p.cfg.Target.Arch)
	}
	return &direct{file: file, meta: info.Metadata, ref: ref}, nil
}

// zipEpoch is the oldest time that every kind of archive can hold.
var zipEpoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// sdistMetadata is what a source archive says of itself, by its build backend where it does not
// say it in writing.
func (p *Pipeline) sdistMetadata(ctx context.Context, f index.File) (metadata.Metadata, error) {
	facts, err := p.sdistFacts(ctx, f)
	if err != nil {
		return metadata.Metadata{}, err
	}
	if m, ok := facts.Sdist.StaticMetadata(); ok {
		return m, nil
	}
	return p.hookMetadata(ctx, f)
}

// cutRef splits "https://host/path@ref"; an @ before the path belongs to a user name.
func cutRef(address string) (repository, ref string) {
	slash := strings.Index(address, "://") + len("://")
	if host := strings.IndexByte(address[slash:], '/'); host >= 0 {
		slash += host
	}
	if at := strings.LastIndexByte(address, '@'); at > slash {
		return address[:at], address[at+1:]
	}
	return address, ""
}

func sameHost(a, b string) bool {
	one, err := url.Parse(a)
	other, otherErr := url.Parse(b)
	return err == nil && otherErr == nil && one.Host != "" && one.Scheme == other.Scheme && strings.EqualFold(one.Host, other.Host)
}

// archiveEndings are the archives that can be opened.
var archiveEndings = []string{".whl", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip"}

func isArchiveName(name string) bool {
	return slices.ContainsFunc(archiveEndings, func(end string) bool { return strings.HasSuffix(strings.ToLower(name), end) })
}

// versionInStem is what an archive's name says of a version, as git describe would write it:
// "app-1.2.tar.gz" and "v1.2.zip".
func versionInStem(name string) string {
	for _, end := range archiveEndings {
		name = strings.TrimSuffix(name, end)
	}
	return name[strings.LastIndexByte(name, '-')+1:]
}

// pin makes each reference the only version of its package.
func (c *candidates) pin(direct map[string]*direct) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, d := range direct {
		page := &projectPage{direct: d, list: []solve.Candidate{{Version: d.file.Version, RequiresPython: d.meta.RequiresPython}}}
		page.once.Do(func() {})
		c.project[name] = page
	}
}

// known tells whether a package's requirement by URL is one that was brought here.
func (c *candidates) known(r pep508.Requirement) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	page := c.project[r.Key()]
	return page != nil && page.direct != nil
}

// urlRefused is the first direct reference among reqs that holds for the target and nobody
// of the user's own lines asked for.
func (c *candidates) urlRefused(name string, v pep440.Version, reqs []pep508.Requirement) error {
	for _, r := range reqs {
		if r.URL != "" && !c.known(r) && r.Marker.Eval(c.p.cfg.Target.Env(), "") {
			return fmt.Errorf("%s %s %w: %s", name, v, errTransitiveURL, source.Redacted(r.String()))
		}
	}
	return nil
}
