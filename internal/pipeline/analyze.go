package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"reqpm/internal/index"
	"reqpm/internal/metadata"
	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/reqfile"
	"reqpm/internal/source"
)

// Wanted says which requirements of a checkout are meant.
type Wanted struct {
	Files       []string // requirement files or pyproject.toml; none: those that are found
	Constraints []string
	Extras      []string // optional dependencies of [project]
	Groups      []string // [dependency-groups]
	ToolEnvs    []string // environments of tox and Hatch: "tox:py311"
	Ignore      []string
	NoProject   bool // do not package the project itself
}

// Analysis is what was found in a checkout.
type Analysis struct {
	Candidates []reqfile.Candidate // empty when the files were named
	Files      []string            // the files read at the top
	Set        reqfile.Set
}

// ErrNoRequirements: nothing to build was found.
var ErrNoRequirements = errors.New("no requirements found")

// Analyze reads the requirements of a checkout: the files named, or those it finds.
func (p *Pipeline) Analyze(ctx context.Context, root fs.FS, w Wanted) (Analysis, error) {
	p.stage("analyze", "read the requirements")
	var a Analysis
	a.Files = w.Files
	if len(w.Files) == 0 {
		var err error
		if a.Candidates, err = reqfile.Discover(root); err != nil {
			return a, err
		}
		for _, c := range a.Candidates {
			if c.Chosen {
				a.Files = append(a.Files, c.Path)
			}
		}
		if len(a.Files)+len(w.ToolEnvs) == 0 {
			return a, fmt.Errorf("%w: %s\nName a file with -r FILE", ErrNoRequirements, ignoredText(a.Candidates))
		}
	}
	set, err := reqfile.Read(ctx, reqfile.Request{FS: root, Files: a.Files, Constraints: w.Constraints, Extras: w.Extras, Groups: w.Groups, Envs: w.ToolEnvs, Getenv: p.cfg.Getenv})
	if err != nil {
		return a, err
	}
	for _, warning := range set.Warnings {
		p.warn("analyze", warning)
	}
	for _, r := range p.cfg.Constraints {
		set.Constraints = append(set.Constraints, reqfile.Requirement{Requirement: r, Position: reqfile.Position{File: "--constrain"}, Text: r.String()})
	}
	a.Set = set
	return a, nil
}

// Indexes is what the files of a project say of indexes.
type Indexes struct {
	reqfile.Options
	// Pins lead a package (PEP 503 name) to the one index it must come from: the name of one of
	// Options.Indexes, or an address.
	Pins map[string]string
	Root string // of the project, which folders among Options.FindLinks lie in
}

// followIndexes turns to the indexes that the requirement files name.
func (p *Pipeline) followIndexes(set reqfile.Set, root string) error {
	asked := Indexes{Options: set.Options, Pins: map[string]string{}, Root: root}
	for _, r := range slices.Concat(set.Requirements, set.Constraints) {
		if r.Index == "" || !r.Marker.Eval(p.cfg.Target.Env(), "") {
			continue
		}
		if other, ok := asked.Pins[r.Key()]; ok && other != r.Index {
			return &reqfile.Error{Position: r.Position, Text: r.Text, Err: fmt.Errorf("must come from index %s and from %s", other, r.Index)}
		}
		asked.Pins[r.Key()] = r.Index
	}
	o := set.Options
	if o.IndexURL == "" && len(o.ExtraIndexURLs)+len(o.FindLinks)+len(o.Indexes)+len(asked.Pins) == 0 && !o.NoIndex {
		return nil
	}
	if p.cfg.IndexFor == nil {
		p.warn("analyze", "the requirement files name an index; it is not followed")
		return nil
	}
	reader, err := p.cfg.IndexFor(asked)
	if err != nil {
		return fmt.Errorf("the index named in the requirement files: %w", err)
	}
	p.cfg.Index = reader
	return nil
}

func ignoredText(list []reqfile.Candidate) string {
	if len(list) == 0 {
		return "there is no requirement file and no pyproject.toml"
	}
	var b strings.Builder
	b.WriteString("these files were looked at:")
	for _, c := range list {
		fmt.Fprintf(&b, "\n  %s: %s", c.Path, c.Why)
	}
	return b.String()
}

// Project is the project itself as a package: an archive made of its checkout.
type Project struct {
	Name    string // PEP 503
	Version string
	Meta    metadata.Metadata

	file       index.File
	overridden []string // names of requirements that an override counts in place of
}

// Package makes the project's own source archive and learns its metadata from its
// build backend. A project without a build system is not packaged: nil, nil.
func (p *Pipeline) Package(ctx context.Context, checkout source.Checkout) (*Project, error) {
	if !hasBuildSystem(checkout.Dir) {
		return nil, nil
	}
	file, meta, err := p.packTree(ctx, checkout)
	if err != nil {
		return nil, err
	}
	meta.RequiresDist = p.saidRequires(file.Name, meta.RequiresDist)
	return &Project{Name: file.Name, Version: meta.Version.String(), Meta: meta, file: file}, nil
}

// packTree makes a source archive of a tree with a build system, and asks its build backend
// for its metadata. Name and version of the archive are those that the backend says.
func (p *Pipeline) packTree(ctx context.Context, checkout source.Checkout) (index.File, metadata.Metadata, error) {
	probe, err := p.projectArchive(ctx, checkout, "project", versionFromGit(checkout.Describe))
	if err != nil {
		return index.File{}, metadata.Metadata{}, err
	}
	meta, err := p.hookMetadata(ctx, probe)
	if errors.Is(err, errBase) {
		// Resolving needs no base root when the project says everything in its pyproject.toml.
		var static bool
		if meta, static = staticMetadata(checkout.Dir); static {
			p.warn("analyze", fmt.Sprintf("the build backend of %s was not asked: %v", meta.Name, err))
			err = nil
		}
	}
	if err != nil {
		return index.File{}, metadata.Metadata{}, err
	}
	file, err := p.projectArchive(ctx, checkout, pep508.NormalizeName(meta.Name), meta.Version)
	return file, meta, err
}

// staticMetadata reads what [project] says of name, version and dependencies, if it says all
// of it and leaves nothing to the build backend (PEP 621).
func staticMetadata(dir string) (metadata.Metadata, bool) {
	var doc struct {
		Project struct {
			Name           string
			Version        string
			Description    string
			RequiresPython string `toml:"requires-python"`
			Dependencies   []string
			Dynamic        []string
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "pyproject.toml"))
	if err != nil || toml.Unmarshal(text, &doc) != nil {
		return metadata.Metadata{}, false
	}
	pr := doc.Project
	version, err := pep440.Parse(pr.Version)
	if err != nil || pr.Name == "" || slices.Contains(pr.Dynamic, "version") || slices.Contains(pr.Dynamic, "dependencies") {
		return metadata.Metadata{}, false
	}
	requires, err := parseAll(pr.Dependencies)
	if err != nil {
		return metadata.Metadata{}, false
	}
	return metadata.Metadata{Name: pr.Name, Version: version, Summary: pr.Description, RequiresPython: pr.RequiresPython, RequiresDist: requires}, true
}

// hasBuildSystem looks for what makes a folder a Python package that can be built.
func hasBuildSystem(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "setup.py")); err == nil {
		return true
	}
	text, err := os.ReadFile(filepath.Join(dir, "pyproject.toml"))
	return err == nil && regexp.MustCompile(`(?m)^\s*\[\s*build-system\s*\]`).Match(text)
}

// projectArchive writes NAME-VERSION.tar.gz and registers it beside the index's files.
func (p *Pipeline) projectArchive(ctx context.Context, checkout source.Checkout, name string, version pep440.Version) (index.File, error) {
	stem := strings.ReplaceAll(name, "-", "_") + "-" + version.String()
	dir, err := os.MkdirTemp(p.paths.tmp(), "project-")
	if err != nil {
		return index.File{}, err
	}
	defer os.RemoveAll(dir)
	tar := filepath.Join(dir, stem+".tar.gz")
	if checkout.Written, err = versionFiles(checkout.Dir, name, version); err != nil {
		return index.File{}, err
	}
	sum, err := source.SourceTar(ctx, checkout, strings.ReplaceAll(name, "-", "_"), version.String(), tar)
	if err != nil {
		return index.File{}, fmt.Errorf("archive the project: %w", err)
	}
	final := filepath.Join(p.paths.sources(), sum, path.Base(tar))
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return index.File{}, err
	}
	if err := os.Rename(tar, final); err != nil {
		return index.File{}, err
	}
	f := index.File{Name: name, Filename: path.Base(final), Version: version, Kind: index.SDist, SHA256: sum, UploadTime: checkout.CommitTime}
	p.local.add(f, final)
	return f, nil
}

// versionFromGit makes a version of what git describe says ("v2.1", "v2.1-5-gabcdef0"), for
// projects that take theirs from Git; 0 when no tag says anything.
func versionFromGit(describe string) pep440.Version {
	tag, commits := describe, ""
	if m := regexp.MustCompile(`^(.*)-([0-9]+)-g[0-9a-f]+$`).FindStringSubmatch(describe); m != nil {
		tag, commits = m[1], m[2]
	}
	tag = strings.TrimLeft(tag[strings.LastIndexAny(tag, "/")+1:], "vV")
	if commits != "" && commits != "0" {
		if v, err := pep440.Parse(tag + ".post" + commits); err == nil {
			return v
		}
	}
	if v, err := pep440.Parse(tag); err == nil {
		return v
	}
	zero, _ := pep440.Parse("0")
	return zero
}
