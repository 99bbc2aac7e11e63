package pipeline

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"reqpm/internal/index"
	"reqpm/internal/metadata"
	"reqpm/internal/pep508"
	"reqpm/internal/rpmname"
	"reqpm/internal/sdist"
	"reqpm/internal/spec"
	"reqpm/internal/target"
)

// specFiles is a written spec and where its sources are.
type specFiles struct {
	fileName  string
	text      string
	canonical string // text with the question of noarch left open: what the content key is made of
	bare      string // the same without extras: what b is for those built with it
	sources   []sourceFile
	mayBeArch bool // the spec says what it is by decision, not by guess: do not ask again
}

// sourceFile is one source of a spec: a file of ours, or bytes.
type sourceFile struct {
	name   string
	path   string
	data   []byte
	sha256 string
}

// materialise writes spec and sources into dir, a folder of ours, under the names the spec uses.
func (s specFiles) materialise(dir string) (specPath string, sources []string, err error) {
	return s.writeTo(dir, linkOrCopy)
}

// writeTo is materialise with a way to bring the files that lie in caches.
func (s specFiles) writeTo(dir string, bring func(from, to string) error) (specPath string, sources []string, err error) {
	specPath = filepath.Join(dir, s.fileName)
	if err := os.WriteFile(specPath, []byte(s.text), 0o644); err != nil {
		return "", nil, err
	}
	for _, src := range s.sources {
		path := filepath.Join(dir, src.name)
		if src.path == "" {
			err = os.WriteFile(path, src.data, 0o644)
		} else {
			err = bring(src.path, path)
		}
		if err != nil {
			return "", nil, err
		}
		sources = append(sources, path)
	}
	return specPath, sources, nil
}

// linkOrCopy makes to a second name of from, or a copy where it cannot be one.
func linkOrCopy(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	return copyFile(from, to)
}

// copyFile makes to a file of its own, in place of whatever has that name: an earlier to may be a second
// name of from, so it is never written into.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), ".new-")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Chmod(0o644), out.Close()); err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return os.Rename(out.Name(), to)
}

// archRecord remembers what a build showed about an archive: whether it is noarch, and that its
// compiled parts carry no debug information.
type archRecord struct{ Noarch, NoDebug bool }

// in is what a spec is written from, with what was learned.
func (r archRecord) in(input spec.Input) spec.Input {
	input.Noarch, input.NoDebug = &r.Noarch, r.NoDebug
	return input
}

func (p *Pipeline) archPath(f index.File) string {
	return filepath.Join(p.paths.facts(), "arch", fileKey(f)+"-"+p.cfg.Target.Name+"-"+p.cfg.Target.Python.Minor()+".json")
}

// pureTools are build tools that can leave out compiling themselves, by what tells them so.
// Cython compiled takes minutes to build, and saves seconds where it is used.
var pureTools = map[string]string{"cython": "NO_CYTHON_COMPILE=true"}

// pureTool is the variable that makes b a pure package: only a build tool is, what is published is
// built as its authors mean it.
func (b *pkgBuild) pureTool() string {
	if b.runtime || b.file.Kind == index.Wheel {
		return ""
	}
	return pureTools[b.name]
}

// native are the compiled parts that the build of b makes.
func (b *pkgBuild) native() sdist.Native {
	if b.pureTool() != "" {
		return sdist.Native{}
	}
	return b.record.Sdist.Native
}

// pureRecord is the record of b's archive, without compiled parts where b is built without them.
func (p *Pipeline) pureRecord(b *pkgBuild) sdistRecord {
	record := b.record
	record.Sdist.Native = b.native()
	return record
}

// learnArch notes what a build showed and writes the spec again.
func (p *Pipeline) learnArch(ctx context.Context, b *pkgBuild, seen *archError) error {
	if err := writeJSONBy(p.paths.tmp(), p.archPath(b.file), archRecord{Noarch: seen.noarch, NoDebug: seen.noDebug}); err != nil {
		return err
	}
	return p.writeSpec(ctx, b, b.extras)
}

// writeSpec decides and writes the spec of b. The extras are those that anybody in the run asks for.
func (p *Pipeline) writeSpec(ctx context.Context, b *pkgBuild, extras []string) error {
	b.extras = extras
	archive, in, learned, err := p.toGenerate(ctx, b)
	if err != nil {
		return err
	}
	open, own, err := p.ownSpec(b)
	if !own && err == nil {
		open, err = spec.Write(in)
	}
	if err != nil {
		return err
	}
	bare := open.Text
	if len(in.Extras) > 0 && !own {
		without := in
		without.Extras = nil
		out, err := spec.Write(without)
		if err != nil {
			return err
		}
		bare = out.Text
	}
	out := open
	if learned != nil && !own {
		if out, err = spec.Write(learned.in(in)); err != nil {
			return err
		}
	}
	for _, warning := range out.Warnings {
		p.cfg.Log.Warn("spec", "package", b.id, "warning", warning)
	}
	b.spec = specFiles{fileName: out.FileName, text: out.Text, canonical: open.Text, bare: bare, mayBeArch: learned != nil || own || in.Wheel || b.pureTool() != ""}
	b.spec.sources = []sourceFile{{name: b.file.Filename, path: archive, sha256: fileKey(b.file)}}
	if f, ok := b.crateFile(); ok {
		b.spec.sources = append(b.spec.sources, f)
	}
	if patch, ok := b.backendPatch(); ok && slices.Contains(out.Sources, patch.name) {
		b.spec.sources = append(b.spec.sources, patch)
	}
	for _, patch := range p.saidPatches(b) {
		if slices.Contains(out.Sources, patch.name) {
			b.spec.sources = append(b.spec.sources, patch)
		}
	}
	if slices.Contains(out.Sources, sdist.DriverName) {
		b.spec.sources = append(b.spec.sources, sourceFile{name: sdist.DriverName, data: sdist.Driver(), sha256: digest(string(sdist.Driver()))})
	}
	return nil
}

// generate is the spec file that ReqPM writes of b, whatever people have put in its place.
func (p *Pipeline) generate(ctx context.Context, b *pkgBuild) (spec.Output, error) {
	_, in, learned, err := p.toGenerate(ctx, b)
	if err != nil {
		return spec.Output{}, err
	}
	if learned != nil {
		in = learned.in(in)
	}
	return spec.Write(in)
}

// toGenerate is what the spec of b is written from: its archive here, what is known of it, and what builds of it have shown; learned is
// nil where none has.
func (p *Pipeline) toGenerate(ctx context.Context, b *pkgBuild) (archive string, in spec.Input, learned *archRecord, err error) {
	if archive, err = p.download(ctx, b.file); err != nil {
		return "", in, nil, err
	}
	in = p.specInput(b)
	if b.file.Kind == index.Wheel {
		if err := p.fromWheel(&in, b, archive); err != nil {
			return "", in, nil, err
		}
	}
	var known archRecord
	decided, err := readJSON(p.archPath(b.file), &known)
	if decided {
		learned = &known
	}
	return archive, in, learned, err
}

// contentKey names a build by everything that goes into it. It is known before anything is
// built: the build root takes part with its own keys, not with files.
func contentKey(base string, b *pkgBuild, roots []string) string {
	return keyOf(base, b, b.spec.canonical, roots)
}

// rootKey is what b is in the build roots of others: its key as though nobody wanted its extras. Their
// sub-packages hold no files, and what they require is in a build root of its own right; so a tool that
// one set wants with an extra and another without is the same to whatever is built with it.
func rootKey(base string, b *pkgBuild, roots []string) string {
	return keyOf(base, b, b.spec.bare, roots)
}

func keyOf(base string, b *pkgBuild, text string, roots []string) string {
	var sources []string
	for _, s := range b.spec.sources {
		sources = append(sources, s.name+" "+s.sha256)
	}
	slices.Sort(sources)
	return b.name + "-" + b.version + "-" + digest([]any{"reqpm-build-1", base, text, sources, roots})
}

// buildKind tells the package of the whole set from ordinary ones.
type buildKind int

const (
	sdistPackage buildKind = iota
	setPackage
)

func (b *pkgBuild) kind() buildKind {
	if b.set {
		return setPackage
	}
	return sdistPackage
}

// specInput collects what the spec of b is made of.
func (p *Pipeline) specInput(b *pkgBuild) spec.Input {
	t := p.Target()
	license, _ := chooseLicense(b.meta, b.record)
	in := spec.Input{
		Target: t, Facts: b.record.Sdist, Metadata: b.meta, Overridden: b.overridden, SHA256: b.record.SHA256, License: license,
		BuildRequires: rootRequirements(b), Env: sdist.SCMEnv(b.version), UploadTime: b.file.UploadTime,
	}
	in.Crates = b.specCrates()
	if variable := b.pureTool(); variable != "" {
		noarch := true
		in.Noarch, in.Env = &noarch, append(in.Env, variable)
		in.Facts.Native = sdist.Native{}
	}
	in.ExtraBuildRequires = append(in.ExtraBuildRequires, b.outside.requires...)
	for _, r := range p.macroNeeds(b.name) {
		if deps, err := rpmname.Requires(t, r); err == nil {
			in.ExtraBuildRequires = append(in.ExtraBuildRequires, deps...)
		}
	}
	p.saySpec(&in, b)
	if patch, ok := b.backendPatch(); ok {
		in.Patches, in.PatchWhy = append([]string{patch.name}, in.Patches...), b.why
	}
	for _, name := range b.extras {
		in.Extras = append(in.Extras, spec.Extra{Name: name, Requires: extraRequirements(b.meta, name, t)})
	}
	return in
}

// fromWheel makes the spec unpack a wheel that somebody allowed in place of a build.
func (p *Pipeline) fromWheel(in *spec.Input, b *pkgBuild, archive string) error {
	wheel, err := sdist.ReadWheel(archive)
	if err != nil {
		return err
	}
	pure := wheel.Pure && !wheel.Native
	in.Wheel, in.Noarch, in.WheelWhy, in.Patches = true, &pure, b.why, nil
	in.Facts = sdist.Facts{Archive: b.file.Filename, TopDir: b.name + "-" + b.version}
	in.SHA256, in.License = b.file.SHA256, ""
	return nil
}

// rootRequirements are the build requirements written into a spec: the direct ones, and by
// name what an extra of one of them adds, which an RPM of the bare tool would not bring.
func rootRequirements(b *pkgBuild) []pep508.Requirement {
	var reqs []pep508.Requirement
	direct := map[string]bool{}
	for _, r := range b.requires {
		r.Marker = nil
		direct[r.Key()] = true
		reqs = append(reqs, r)
	}
	for _, e := range b.root.Edges {
		if e.Req.Marker.UsesExtra() && !direct[e.To] {
			direct[e.To] = true
			reqs = append(reqs, pep508.Requirement{Name: e.To})
		}
	}
	return reqs
}

// extraRequirements are what an extra adds on the target.
func extraRequirements(m metadata.Metadata, extra string, t target.Target) []pep508.Requirement {
	var reqs []pep508.Requirement
	for _, r := range m.RequiresDist {
		if !r.Marker.Eval(t.Env(), "") && r.Marker.Eval(t.Env(), extra) {
			reqs = append(reqs, r)
		}
	}
	return reqs
}
