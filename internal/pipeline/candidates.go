package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"reqpm/internal/index"
	"reqpm/internal/metadata"
	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/solve"
	"reqpm/internal/target"
)

// candidates shows the index to the solver: the versions that could be built or unpacked
// for one target, and what each depends on. Safe for concurrent use.
type candidates struct {
	p *Pipeline

	mu      sync.Mutex
	project map[string]*projectPage
}

// projectPage is one project's releases, fetched once a run so that the answers to the solver do
// not change under it. Files are unpacked only of the releases that somebody asks for.
type projectPage struct {
	once    sync.Once
	err     error
	target  target.Target
	project *index.Project
	list    []solve.Candidate
	direct  *direct // what a direct reference brought; nil: the index's files

	mu       sync.Mutex
	unpacked map[string][]index.File // by normalised version
}

func newCandidates(p *Pipeline) *candidates {
	return &candidates{p: p, project: map[string]*projectPage{}}
}

func (c *candidates) page(ctx context.Context, name string) (*projectPage, error) {
	for {
		c.mu.Lock()
		page := c.project[name]
		if page == nil {
			page = &projectPage{target: c.p.cfg.Target}
			c.project[name] = page
			if len(c.project) == manyProjects {
				c.p.warmFirst()
			}
		}
		c.mu.Unlock()
		page.once.Do(func() { page.load(ctx, c.p, name) })
		if !errors.Is(page.err, context.Canceled) {
			return page, page.err
		}
		// Whoever looked at it ahead of need was called off: that says nothing about the page.
		c.mu.Lock()
		if c.project[name] == page {
			delete(c.project, name)
		}
		c.mu.Unlock()
		if ctx.Err() != nil {
			return page, page.err
		}
	}
}

func (page *projectPage) load(ctx context.Context, p *Pipeline, name string) {
	project, err := p.cfg.Index.Project(ctx, name)
	if err != nil {
		page.err = err
		if errors.Is(err, index.ErrNotFound) {
			page.err = fmt.Errorf("%w: %w", solve.ErrNotFound, err)
		} else if !errors.Is(err, context.Canceled) {
			page.err = fmt.Errorf("%w: %w", solve.ErrFatal, err)
		}
		return
	}
	page.mu.Lock()
	page.project = project
	page.mu.Unlock()
	fits := map[*index.WheelTags]bool{} // a project has some dozen sets of tags for thousands of wheels
	for _, r := range project.Releases() {
		candidate, ok := candidateOf(r.Version, r.Briefs(), func(tags *index.WheelTags) bool {
			fit, known := fits[tags]
			if !known {
				fit = wheelFits(*tags, p.cfg.Target)
				fits[tags] = fit
			}
			return fit
		}, func(tags *index.WheelTags) bool { return p.cfg.wheelAllowed(name, *tags) })
		if ok {
			page.list = append(page.list, candidate)
		}
	}
}

// candidateOf decides whether a version can be had for the target at all: from its sdist, or
// from a wheel that fits, which counts like a source where it is allowed. As pip does, a version counts as yanked when all its files are.
func candidateOf(v pep440.Version, files iter.Seq[index.Brief], fits, allowed func(*index.WheelTags) bool) (solve.Candidate, bool) {
	c := solve.Candidate{Version: v, Yanked: true, NoSource: true}
	usable := false
	for f := range files {
		if f.Kind == index.Wheel && !fits(f.Wheel) {
			continue
		}
		if !usable || f.Kind == index.SDist {
			c.RequiresPython = f.RequiresPython
		}
		usable = true
		c.Yanked = c.Yanked && f.Yanked
		c.NoSource = c.NoSource && f.Kind != index.SDist && !allowed(f.Wheel)
	}
	return c, usable
}

// files are those of one version that are of use for the target: sdists, wheels that fit, and
// wheels whose metadata file speaks for the version.
func (page *projectPage) files(v pep440.Version) []index.File {
	if page.direct != nil {
		if page.direct.file.Version.String() == v.String() {
			return []index.File{page.direct.file}
		}
		return nil
	}
	page.mu.Lock()
	defer page.mu.Unlock()
	key := v.String()
	files, ok := page.unpacked[key]
	if ok || page.project == nil {
		return files
	}
	files = page.filesIf(v, func(f index.File) bool {
		return f.Kind == index.SDist || f.HasMetadata || wheelFits(f.Wheel, page.target)
	})
	if page.unpacked == nil {
		page.unpacked = map[string][]index.File{}
	}
	page.unpacked[key] = files
	return files
}

// filesIf picks among all files of a version. Callers hold the lock.
func (page *projectPage) filesIf(v pep440.Version, wanted func(index.File) bool) []index.File {
	var files []index.File
	releases := page.project.Releases()
	i := sort.Search(len(releases), func(i int) bool { return releases[i].Version.Compare(v) >= 0 })
	for ; i < len(releases) && releases[i].Version.Compare(v) == 0; i++ {
		for _, f := range releases[i].Files() {
			// 1.0 and 1.0.0 are one version, and two here: each has its own files.
			if f.Version.String() == v.String() && wanted(f) {
				files = append(files, f)
			}
		}
	}
	return files
}

// foreignWheel is a wheel of the version for another CPython 3, of the target's architecture
// before others, and Linux before other systems; nil when there is none. What it requires is what
// the sdist would answer: requirements that hang on Python or system say so in markers.
func (page *projectPage) foreignWheel(v pep440.Version) *index.File {
	page.mu.Lock()
	defer page.mu.Unlock()
	if page.project == nil {
		return nil
	}
	wheels := page.filesIf(v, func(f index.File) bool {
		return f.Kind == index.Wheel &&
			slices.ContainsFunc(f.Wheel.Python, func(py string) bool { return strings.HasPrefix(py, "cp3") || strings.HasPrefix(py, "py3") })
	})
	if len(wheels) == 0 {
		return nil
	}
	far := func(f index.File) int {
		switch {
		case slices.ContainsFunc(f.Wheel.Platform, func(p string) bool { return platformFits(p, page.target.Arch) }):
			return 0
		case slices.ContainsFunc(f.Wheel.Platform, func(p string) bool { return strings.Contains(p, "linux") }):
			return 1
		}
		return 2
	}
	nearest := slices.MinFunc(wheels, func(a, b index.File) int { return cmp.Compare(far(a), far(b)) })
	return &nearest
}

// Candidates implements solve.Source.
func (c *candidates) Candidates(ctx context.Context, name string) ([]solve.Candidate, error) {
	page, err := c.page(ctx, name)
	if err != nil {
		return nil, err
	}
	return page.list, nil
}

// Requires implements solve.Source.
func (c *candidates) Requires(ctx context.Context, name string, v pep440.Version) ([]pep508.Requirement, error) {
	m, err := c.Metadata(ctx, name, v)
	if fatal(err) || errors.Is(err, index.ErrHash) {
		// An older version would be taken instead, and the lock hang on the network's mood.
		return nil, fmt.Errorf("%w: %s %s: %w", solve.ErrFatal, name, v, err)
	}
	if err != nil {
		return nil, err
	}
	return m.RequiresDist, c.urlRefused(name, v, m.RequiresDist)
}

// Cheap implements solve.Eager: it tells whether the metadata of a version is a small
// download or two away, so that the solver does not have a source built on a mere guess. Where
// it is not, the base root is made ready meanwhile.
func (c *candidates) Cheap(name string, v pep440.Version) bool {
	c.mu.Lock()
	page := c.project[name]
	c.mu.Unlock()
	if page == nil {
		return false
	}
	if bestWheel(page.files(v), c.p.cfg.Target) != nil {
		return true
	}
	c.p.warmBase() // a backend may have to be asked
	return false
}

// Extras implements solve.ExtraLister.
func (c *candidates) Extras(ctx context.Context, name string, v pep440.Version) ([]string, error) {
	m, err := c.Metadata(ctx, name, v)
	return m.ProvidesExtra, err
}

// Metadata finds out what a version says of itself, in the cheapest way that can be
// trusted: a wheel's metadata file, the few bytes of a wheel of the target's own that hold it, an
// sdist's static PKG-INFO, a wheel for another Python or system, and at last the sdist's own build hooks:
// an old release of scikit-image compiles for minutes before it answers, and gssapi answers only
// where Kerberos is. The order depends on what the
// index has and never on what is cached: the same index gives the same answer. Where a wheel
// answered for an sdist, the plan compares the two.
//
// What people say of its requirements is part of the answer.
func (c *candidates) Metadata(ctx context.Context, name string, v pep440.Version) (metadata.Metadata, error) {
	m, err := c.ownMetadata(ctx, name, v)
	m.RequiresDist = c.p.saidRequires(name, m.RequiresDist)
	return m, err
}

func (c *candidates) ownMetadata(ctx context.Context, name string, v pep440.Version) (metadata.Metadata, error) {
	page, err := c.page(ctx, name)
	if err != nil {
		return metadata.Metadata{}, err
	}
	if page.direct != nil {
		return page.direct.meta, nil
	}
	files := page.files(v)
	if len(files) == 0 {
		return metadata.Metadata{}, fmt.Errorf("%s %s: %w", name, v, index.ErrNotFound)
	}
	if wheel := bestWheel(files, c.p.cfg.Target); wheel != nil {
		return c.p.wheelMetadata(ctx, *wheel)
	}
	sdistFile := sdistOf(files)
	facts, err := c.p.sdistFacts(ctx, *sdistFile)
	if err != nil {
		return metadata.Metadata{}, err
	}
	if m, ok := facts.Sdist.StaticMetadata(); ok {
		return m, nil
	}
	if wheel := page.foreignWheel(v); wheel != nil {
		m, err := c.p.wheelMetadata(ctx, *wheel)
		// A wheel that cannot be had is no reason to give up what can still be asked.
		if err == nil || ctx.Err() != nil || errors.Is(err, index.ErrUnavailable) || errors.Is(err, index.ErrHash) {
			return m, err
		}
	}
	return c.p.hookMetadata(ctx, *sdistFile)
}

// wheelMetadata reads a wheel's metadata, from its metadata file where the index has one.
func (p *Pipeline) wheelMetadata(ctx context.Context, f index.File) (metadata.Metadata, error) {
	raw, err := p.cfg.Index.Metadata(ctx, f)
	if err != nil {
		return metadata.Metadata{}, fmt.Errorf("metadata of %s: %w", f.Filename, err)
	}
	m, err := metadata.Parse(raw)
	if err != nil {
		return metadata.Metadata{}, fmt.Errorf("metadata of %s: %w", f.Filename, err)
	}
	return m, nil
}

// sdistOf picks the source distribution, .tar.gz before any other kind.
func sdistOf(files []index.File) *index.File {
	var found *index.File
	for i, f := range files {
		if f.Kind != index.SDist {
			continue
		}
		if found == nil || strings.HasSuffix(f.Filename, ".tar.gz") && !strings.HasSuffix(found.Filename, ".tar.gz") {
			found = &files[i]
		}
	}
	return found
}

// bestWheel picks the wheel whose metadata stands for the version: one that fits the
// target before others, one with a metadata file before one without, pure before compiled.
func bestWheel(files []index.File, t target.Target) *index.File {
	var best *index.File
	bestScore := -1
	for i, f := range files {
		if f.Kind != index.Wheel {
			continue
		}
		score := 0
		if f.HasMetadata {
			score += 4
		}
		if wheelFits(f.Wheel, t) {
			score += 2
		} else if !f.HasMetadata {
			continue
		}
		if slices.Contains(f.Wheel.Platform, "any") {
			score++
		}
		if score > bestScore {
			best, bestScore = &files[i], score
		}
	}
	return best
}

// wheelFits tells whether CPython of the target could install a wheel with these tags.
// The C library's version is not judged: what ReqPM installs it builds itself.
func wheelFits(tags index.WheelTags, t target.Target) bool {
	return slices.ContainsFunc(tags.Platform, func(p string) bool { return platformFits(p, t.Arch) }) &&
		slices.ContainsFunc(tags.Python, func(py string) bool { return pythonFits(py, tags.ABI, t.Python.Minor()) })
}

func platformFits(platform, arch string) bool {
	if platform == "any" {
		return true
	}
	return (strings.HasPrefix(platform, "manylinux") || strings.HasPrefix(platform, "linux_")) && strings.HasSuffix(platform, "_"+arch)
}

func pythonFits(py string, abis []string, minor string) bool {
	_, want, _ := strings.Cut(minor, ".")
	target, err := strconv.Atoi(want)
	if err != nil {
		return false
	}
	own := "cp3" + want
	switch {
	case py == "py3" || py == own || py == "py3"+want:
		return py != own || slices.ContainsFunc(abis, func(a string) bool { return a == own || a == "abi3" || a == "none" })
	case strings.HasPrefix(py, "py3"):
		older, err := strconv.Atoi(py[len("py3"):])
		return err == nil && older <= target
	case strings.HasPrefix(py, "cp3") && slices.Contains(abis, "abi3"):
		older, err := strconv.Atoi(py[len("cp3"):])
		return err == nil && older <= target
	}
	return false
}
