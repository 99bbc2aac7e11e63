// Package spec writes the spec file of one package for one target, and the spec of the
// meta-package that stands for a whole locked set.
//
// It is pure: facts, metadata and decisions in, text out. Everything from outside is
// hostile: identifiers are checked against patterns, free text loses what rpm or a
// shell would read, and every "%" is doubled (see text.go).
package spec

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"reqpm/internal/metadata"
	"reqpm/internal/pep508"
	"reqpm/internal/rpmname"
	"reqpm/internal/sdist"
	"reqpm/internal/target"
)

// Input is everything a spec is made of. Only Target, Facts (with Archive and TopDir)
// and Metadata (with Name and Version) are needed.
type Input struct {
	Target   target.Target
	Style    target.Style      // "" means the target's; StyleDriver works everywhere
	Wheel    bool              // Source0 is a wheel, unpacked and not built: somebody allowed it
	WheelWhy string            // why it is not built; "" means that there is no source distribution
	Facts    sdist.Facts       // of the unpacked sdist
	Metadata metadata.Metadata // of the package as it will be built
	SHA256   string            // of the sdist, for a comment; lower case hex, may be empty

	// BuildRequires are the direct build requirements, those of hooks included,
	// with markers that hold. Written where the target cannot find them itself.
	BuildRequires      []pep508.Requirement
	ExtraBuildRequires []string // RPM dependencies ("libxml2-devel", "gcc >= 11")
	Extras             []Extra  // extras that somebody in the set asks for
	// Overridden names projects (PEP 503) whose requirements in Metadata and Extras stand in
	// place of what the built metadata says.
	Overridden []string

	Crates *Crates // nil when cargo builds nothing

	// Noarch overrides the forecast from Facts.Native, e.g. after a build said otherwise.
	Noarch *bool
	// NoDebug leaves debug packages out: a build showed that there is nothing to put into them.
	NoDebug bool

	License     string    // SPDX expression; "" means License(Metadata, nil)
	Summary     string    // "" means the metadata's
	URL         string    // "" means the metadata's
	Patches     []string  // file names, applied with -p1 in this order
	PatchWhy    string    // what the first patch is for, when ReqPM made it
	Env         []string  // "NAME=value" for the build (sdist.SCMEnv)
	Said        Said      // what people say of it
	UploadTime  time.Time // of the sdist: changelog date and SOURCE_DATE_EPOCH
	Release     int       // at least 1; 0 means 1
	PackagerTag string    // "Name <mail>" of the changelog; "" means ReqPM
}

// Extra is one extra with the requirements it adds (markers hold on the target).
type Extra struct {
	Name     string
	Requires []pep508.Requirement
}

// Output is one written spec.
type Output struct {
	Name     string // RPM name
	Epoch    string // "" when none
	Version  string // of the Version tag
	Release  string // with the target's dist
	FileName string // NAME.spec
	Text     string
	// Sources are the files the spec names, by file name: the sdist, the driver, crates, patches.
	Sources  []string
	Noarch   bool
	Packages []string // binary package names: Name, and one per extra
	Warnings []string
}

// EVR is the version other packages and the meta-package refer to: [E:]V-R.
func (o Output) EVR() string { return rpmname.EVR(o.Epoch, o.Version, o.Release) }

// Write writes the spec of one package. Errors are inputs that cannot be written into a spec
// file: names with forbidden characters, requirements rpm cannot say.
func Write(in Input) (Output, error) {
	name := in.Metadata.Name
	p, err := prepare(in)
	if err != nil {
		return Output{}, fmt.Errorf("spec of %.80q: %w", name, err)
	}
	switch p.style {
	case target.StylePyproject:
		p.pyproject()
	case target.StyleDriver:
		p.driver()
	case target.StyleSetupPy:
		p.setupPy()
	default:
		return Output{}, fmt.Errorf("spec of %.80q: target %s has no spec style", name, in.Target.Name)
	}
	p.changelog()
	return Output{
		Name: p.rpm, Epoch: p.epoch, Version: p.version, Release: p.release + in.Target.Dist,
		FileName: p.rpm + ".spec", Text: p.b.String(), Sources: p.sources,
		Noarch: p.noarch, Packages: p.packages(), Warnings: p.warnings,
	}, nil
}

// page is a spec in the making: checked values and the text so far.
type page struct {
	in        Input
	t         target.Target
	style     target.Style
	key       string // PEP 503
	rpm       string
	epoch     string
	version   string
	release   string
	pypi      string // PEP 440 normal form
	license   string
	summary   string
	noarch    bool
	noELF     bool // arch, but nothing compiled is expected
	buildReq  []string
	requires  []string // written run-time requirements
	conflicts []string // what requirements leave out, where rpm can say it in no other way
	provides  []string
	exclude   []string // dependency names whose generated Requires are wrong
	extras    []extraPage
	sources   []string
	warnings  []string
	b         strings.Builder
}

type extraPage struct {
	name      string
	provides  []string
	requires  []string
	conflicts []string
	ghost     bool
}

func prepare(in Input) (*page, error) {
	p := &page{in: in, t: in.Target, style: in.Style}
	if p.style == "" {
		p.style = in.Target.RPM.Style
	}
	if in.Wheel {
		p.style = target.StyleDriver // the macros know sources only
	}
	if in.Said.needsDriver(in.Target) {
		p.style = target.StyleDriver
	}
	if p.style == target.StyleSetupPy && !p.usesSetupPy() {
		p.style = target.StyleDriver
	}
	version := in.Metadata.Version
	if version.IsZero() {
		return nil, errors.New("the metadata has no version")
	}
	p.key = pep508.NormalizeName(in.Metadata.Name)
	p.rpm = rpmname.Package(in.Target, p.key)
	p.epoch, p.version = rpmname.Version(in.Target, version)
	p.release = strconv.Itoa(max(in.Release, 1))
	p.pypi = version.String()
	for _, err := range []error{
		checked(projectRE, "project name", in.Metadata.Name),
		checked(nameRE, "package name", p.rpm),
		checked(versionRE, "version", p.version),
		checked(pypiRE, "version", p.pypi),
		checked(fileRE, "archive name", in.Facts.Archive),
		checked(fileRE, "top directory", in.Facts.TopDir),
		in.Said.check(),
	} {
		if err != nil {
			return nil, err
		}
	}
	p.decideNoarch()
	p.decideTexts()
	if err := p.files(); err != nil {
		return nil, err
	}
	if err := p.crates(); err != nil {
		return nil, err
	}
	if err := p.buildRequires(); err != nil {
		return nil, err
	}
	if err := p.dependencies(version); err != nil {
		return nil, err
	}
	return p, p.extraPages(version)
}

func (p *page) warn(format string, args ...any) {
	p.warnings = append(p.warnings, fmt.Sprintf(format, args...))
}

func (p *page) decideNoarch() {
	native := p.in.Facts.Native.Any()
	p.noarch = !native
	if p.in.Noarch != nil {
		p.noarch = *p.in.Noarch
		p.noELF = !p.noarch && !native
	}
}

func (p *page) decideTexts() {
	p.license = p.in.License
	if p.license == "" {
		p.license, _ = License(p.in.Metadata, nil)
	}
	if !validExpression(p.license) {
		p.warn("licence %.80q is no SPDX expression: %s is written", p.license, UnknownLicense)
		p.license = UnknownLicense
	} else if p.license == UnknownLicense {
		p.warn("no licence found: %s is written", UnknownLicense)
	}
	text := p.in.Summary
	if text == "" {
		text = p.in.Metadata.Summary
	}
	p.in.Summary = text
	p.summary = summary(text, p.in.Metadata.Name)
	if p.in.URL = safeURL(p.in.URL); p.in.URL == "" {
		p.in.URL = chooseURL(p.in.Metadata.HomePage, p.in.Metadata.ProjectURLs)
	}
}

// files checks the names of all sources and patches and the build's environment.
func (p *page) files() error {
	p.sources = []string{p.in.Facts.Archive}
	if p.style == target.StyleDriver {
		p.sources = append(p.sources, sdist.DriverName)
	}
	for _, name := range p.in.Patches {
		if err := checked(fileRE, "patch name", name); err != nil {
			return err
		}
		if slices.Contains(p.sources, name) {
			return fmt.Errorf("two sources are named %s", name)
		}
		p.sources = append(p.sources, name)
	}
	for _, e := range p.in.Env {
		if len(e) > 1000 || !envRE.MatchString(e) {
			return fmt.Errorf("build environment %.80q: only NAME=value with plain characters can be written", e)
		}
	}
	if s := p.in.SHA256; s != "" && !hexRE.MatchString(s) {
		return fmt.Errorf("SHA-256 %.80q is not 64 hexadecimal digits", s)
	}
	return nil
}

// packages are the names of the binary packages.
func (p *page) packages() []string {
	out := []string{p.rpm}
	for _, e := range p.extras {
		out = append(out, p.rpm+"+"+e.name)
	}
	return out
}

// lines writes text of our own; nothing from outside may be in it.
func (p *page) lines(ls ...string) {
	for _, l := range ls {
		p.b.WriteString(l)
		p.b.WriteByte('\n')
	}
}

// tag writes a preamble line; value is escaped.
func (p *page) tag(name, value string) { p.lines(fmt.Sprintf("%-15s %s", name+":", escape(value))) }

// macroTag is tag for a value of our own that holds macros.
func (p *page) macroTag(name, value string) { p.lines(fmt.Sprintf("%-15s %s", name+":", value)) }

// epochTime bounds the changelog date to what every rpm accepts.
func (in Input) epochTime() time.Time { return changelogTime(in.UploadTime) }

func changelogTime(t time.Time) time.Time {
	first := time.Date(2000, 1, 1, 12, 0, 0, 0, time.UTC)
	last := time.Date(2099, 12, 31, 12, 0, 0, 0, time.UTC)
	t = t.UTC()
	if t.Before(first) {
		return first
	}
	if t.After(last) {
		return last
	}
	return t
}

func (p *page) changelog() {
	p.lines("", "%changelog")
	p.lines(changelogEntry(p.in.epochTime(), p.in.PackagerTag, rpmname.EVR(p.epoch, p.version, p.release))...)
}

// changelogEntry has English names whatever the locale: time.Format knows no other.
func changelogEntry(at time.Time, packager, evr string) []string {
	who := plain(packager, 100)
	if who == "" {
		who = "ReqPM <reqpm@localhost>"
	}
	return []string{
		fmt.Sprintf("* %s %s - %s", at.Format("Mon Jan 02 2006"), escape(who), evr),
		"- Written by ReqPM from the source distribution",
	}
}
