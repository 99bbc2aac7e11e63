package spec

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"reqpm/internal/pep508"
	"reqpm/internal/rpmname"
	"reqpm/internal/target"
)

// SetInput is a locked set, to be installed by one name.
type SetInput struct {
	Target     target.Target
	Project    string // its name; the package is <project>-requirements
	Version    string // an RPM version, e.g. the commit's date and short hash: "20260123.gabc1234"
	Release    int    // 0 means 1
	Packages   []SetPackage
	UploadTime time.Time // of the commit
	URL        string    // may be empty
}

// SetPackage is one member: an RPM name or dependency name and its exact version.
type SetPackage struct {
	Name    string // "python3.12-foo", or "python3.12dist(foo)" for a distribution's own package
	Epoch   string
	Version string
	Release string // with dist, "1.el9"; "" accepts every release of the version
}

// SetOutput is the meta-package's spec and its only source.
type SetOutput struct {
	Output
	ListName string // the source's file name
	List     []byte // one "name = version" a line
}

// maxSet bounds the members of a set.
const maxSet = 20000

var notName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// WriteSet writes the spec of the noarch meta-package that requires every package of the
// set in its exact version.
func WriteSet(in SetInput) (SetOutput, error) {
	project := plain(in.Project, 40)
	name := pep508.NormalizeName(strings.Trim(notName.ReplaceAllString(project, "-"), "-._")) + "-requirements"
	fail := func(err error) (SetOutput, error) {
		return SetOutput{}, fmt.Errorf("spec of %.80q: %w", name, err)
	}
	if err := checked(nameRE, "package name", name); err != nil {
		return fail(err)
	}
	if err := checked(versionRE, "version", in.Version); err != nil {
		return fail(err)
	}
	members, err := setMembers(in.Packages)
	if err != nil {
		return fail(err)
	}
	p := &page{
		t: in.Target, rpm: name, version: in.Version, release: fmt.Sprint(max(in.Release, 1)), noarch: true,
		in: Input{UploadTime: in.UploadTime},
	}
	list := name + ".list"
	p.sources = []string{list}
	p.lines("# Written by ReqPM: one name for a whole locked set.",
		"%global source_date_epoch_from_changelog 1",
		"%global use_source_date_epoch_as_buildtime 1",
		"%global clamp_mtime_to_source_date_epoch 1",
		"")
	p.tag("Name", name)
	p.tag("Version", in.Version)
	p.macroTag("Release", p.release+"%{?dist}")
	p.tag("Summary", cut("Everything "+project+" requires, in its locked versions", maxSummary))
	p.tag("License", "CC0-1.0")
	if u := safeURL(in.URL); u != "" {
		p.tag("URL", u)
	}
	p.tag("Source0", list)
	p.tag("BuildArch", "noarch")
	p.tag("AutoReqProv", "no")
	p.lines("")
	for _, m := range members {
		p.tag("Requires", m)
	}
	p.lines("", "%description",
		"This package requires every package that was locked for "+escape(project)+",",
		"each in the version it was locked to. Its only file is their list.",
		"",
		"%prep", "", "%build", "", "%install",
		"install -D -p -m 0644 %{SOURCE0} %{buildroot}%{_datadir}/reqpm/%{name}.list",
		"",
		"%files",
		"%dir %{_datadir}/reqpm",
		"%{_datadir}/reqpm/%{name}.list")
	p.changelog()
	return SetOutput{
		Output: Output{
			Name: name, Version: in.Version, Release: p.release + in.Target.Dist, FileName: name + ".spec",
			Text: p.b.String(), Sources: p.sources, Noarch: true, Packages: []string{name},
		},
		ListName: list,
		List:     []byte(strings.Join(members, "\n") + "\n"),
	}, nil
}

// setMembers checks and sorts "name = version" lines; one name cannot have two versions.
func setMembers(packages []SetPackage) ([]string, error) {
	if len(packages) == 0 {
		return nil, errors.New("the set is empty")
	}
	if len(packages) > maxSet {
		return nil, fmt.Errorf("%d packages; %d are allowed", len(packages), maxSet)
	}
	version := map[string]string{}
	var out []string
	for _, m := range packages {
		line := m.Name + " = " + rpmname.EVR(m.Epoch, m.Version, m.Release)
		if !rpmname.ValidDependency(line) {
			return nil, fmt.Errorf("member %.120q is not an RPM dependency", line)
		}
		if old, ok := version[m.Name]; ok && old != line {
			return nil, fmt.Errorf("%q and %q are both asked for", old, line)
		}
		version[m.Name] = line
		out = append(out, line)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
