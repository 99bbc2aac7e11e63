package pages

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/lockfile"
	"reqpm/internal/pep440"
	"reqpm/internal/plan"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/web/runview"
)

// packagePages are the pages of one package of a project: what was built of it, why it is there, and its spec files.
func (p *Pages) packagePages() {
	p.get("/projects/{project}/packages/{package}", auth.Viewer, aboutProject, p.packagePage)
	p.specPages()
}

// shownBuilds is how many builds of a package its page looks at.
const shownBuilds = 200

var packageTabs = []string{"overview", "spec", "builds"}

// packageData is what the page of a package shows.
type packageData struct {
	Project   store.Project
	Name      string
	Base      string // address of the page
	Tab       string
	Targets   []string // the project's, and those that it was built for before
	Versions  []versionBuilds
	Builds    []packageBuild // the newest first
	More      bool           // there are older ones
	Set       []setEntry     // what the newest locks have of it
	From      store.Run      // whose locks those are
	Ways      []way
	MoreWays  bool
	Direct    bool
	Tool      bool // it is only there to build others
	Said      int  // how much people say of it in the settings
	SaidText  string
	State     string
	Newer     string
	HeldBy    string
	Facts     specFacts
	Bars      []runBar // the builds that were done, oldest first
	Median    time.Duration
	RPMs      []store.Artifact // of the newest build that succeeded
	Green     packageBuild
	MayChange bool
	Spec      specData
}

// packageBuild is a build with its run.
type packageBuild struct {
	Step    store.Step
	Version string
	State   string
	Run     int64 // its number; 0: retention took it
}

// versionBuilds are the newest builds of a version, by target.
type versionBuilds struct {
	Version string
	On      map[string]packageBuild
	First   packageBuild // of those that are looked at
}

// setEntry is what a lock has of the package.
type setEntry struct {
	Targets  []string
	Version  string
	Decision lockfile.Decision
	Artifact lockfile.Artifact
	Index    string
	Tool     bool
}

// way is one chain of requirements from the project to the package.
type way struct {
	Names       []string // the package last
	Requirement string   // what the last but one asks for
	Line        string   // of the project's file, where the chain begins
	Kind        string
	Targets     []string
}

func packagePath(project, name string) string {
	return projectPath(project) + "/packages/" + pathPart(name)
}

// packageLink is the page of the package of a build.
func packageLink(project, pkg, tab string) string {
	name, _ := splitPackage(pkg)
	path := packagePath(project, name)
	if tab != "" {
		path += "?tab=" + tab
	}
	return path
}

func (p *Pages) packagePage(q *request) (view, error) {
	d, err := q.packageData(q.PathValue("package"))
	if err != nil {
		return view{}, err
	}
	d.Tab = cmp.Or(q.URL.Query().Get("tab"), "overview")
	if !slices.Contains(packageTabs, d.Tab) {
		return view{}, fmt.Errorf("tab %q: %w", d.Tab, store.ErrNotFound)
	}
	if d.Spec, err = q.specData(d.Name, d.Targets, d.Tab == "spec"); err != nil {
		return view{}, err
	}
	if len(d.Builds)+len(d.Set)+len(d.Spec.Revisions) == 0 {
		return view{}, fmt.Errorf("the package %q: %w", d.Name, store.ErrNotFound)
	}
	d.Facts = q.specFacts(d.Spec)
	v := q.projectView(d.Name+" · "+q.project.Name, "packages", projectData{})
	v.State = d.State
	v.Crumbs = append(v.Crumbs, crumb{"Packages", projectPath(q.project.Name) + "/packages"}, crumb{Text: visibleName(d.Name)})
	v.Body = packagePage(d)
	return v, nil
}

func (q *request) packageData(name string) (packageData, error) {
	d := packageData{Project: q.project, Name: name, Base: packagePath(q.project.Name, name), MayChange: q.may(auth.Maintainer), Targets: slices.Clone(q.project.Targets)}
	if name == "" || len(name) > 200 {
		return d, fmt.Errorf("the package %.40q: %w", name, store.ErrNotFound)
	}
	if err := q.packageBuilds(&d); err != nil {
		return d, err
	}
	if err := q.packageSet(&d); err != nil {
		return d, err
	}
	if d.SaidText = service.OverrideOf(q.project, name); d.SaidText != "" {
		if set, err := service.ReadOverrides(map[string]string{name: d.SaidText}); err == nil { // what was checked when it was written
			for _, l := range set.Layers() {
				d.Said += len(l.Entries())
			}
		}
	}
	return d, q.greenRPMs(&d)
}

// packageBuilds reads the newest builds, and places them by version and target.
func (q *request) packageBuilds(d *packageData) error {
	part, err := q.store().Steps(q.ctx(), store.StepFilter{Project: q.project.ID, Kinds: []store.Kind{store.Build}, Package: d.Name}, store.Page{Limit: shownBuilds})
	if err != nil {
		return err
	}
	d.More = part.Next != ""
	numbers := map[int64]int64{}
	byVersion := map[string]*versionBuilds{}
	var order []string
	for _, s := range part.Items {
		if _, known := numbers[s.Run]; !known {
			r, err := q.store().Run(q.ctx(), s.Run)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			numbers[s.Run] = r.Number
		}
		_, version := splitPackage(s.Package)
		b := packageBuild{Step: s, Version: version, State: stateOf(s), Run: numbers[s.Run]}
		d.Builds = append(d.Builds, b)
		v := byVersion[version]
		if v == nil {
			v = &versionBuilds{Version: version, On: map[string]packageBuild{}}
			byVersion[version], order = v, append(order, version)
		}
		if _, newer := v.On[s.Target]; !newer {
			v.On[s.Target] = b
		}
		v.First = b
		if !slices.Contains(d.Targets, s.Target) {
			d.Targets = append(d.Targets, s.Target)
		}
	}
	for _, version := range order {
		d.Versions = append(d.Versions, *byVersion[version])
	}
	slices.SortStableFunc(d.Versions, func(a, b versionBuilds) int { return compareVersions(b.Version, a.Version) })
	d.trend()
	return nil
}

// compareVersions compares versions by PEP 440, and what is none as text, before them.
func compareVersions(a, b string) int {
	x, errX := pep440.Parse(a)
	y, errY := pep440.Parse(b)
	switch {
	case errX == nil && errY == nil:
		return x.Compare(y)
	case errX == nil:
		return 1
	case errY == nil:
		return -1
	}
	return strings.Compare(a, b)
}

// trend is the state that needs somebody first, among the newest builds of each target, and how long builds took.
func (d *packageData) trend() {
	seen := map[string]bool{}
	var times []time.Duration
	for _, b := range d.Builds {
		if !seen[b.Step.Target] {
			seen[b.Step.Target] = true
			if d.State == "" || rank(b.State) < rank(d.State) {
				d.State = b.State
			}
		}
		if (b.State == "succeeded" || b.State == "failed") && !b.Step.Started.IsZero() && len(d.Bars) < shownRuns {
			took := b.Step.Finished.Sub(b.Step.Started)
			d.Bars = append(d.Bars, runBar{State: b.State, Seconds: took.Seconds()})
			if b.State == "succeeded" {
				times = append(times, took)
			}
		}
	}
	slices.Reverse(d.Bars)
	if len(times) > 0 {
		slices.Sort(times)
		d.Median = times[len(times)/2]
	}
}

// packageSet reads what the newest locks say of the package.
func (q *request) packageSet(d *packageData) error {
	runs, err := q.store().Runs(q.ctx(), store.RunFilter{Project: q.project.ID}, store.Page{Limit: 4})
	if err != nil {
		return err
	}
	row := &packageRow{Name: d.Name}
	for _, r := range runs.Items {
		for _, target := range r.Targets {
			lock, err := q.lock(r.ID, target)
			if errors.Is(err, blob.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			d.readLock(lock, target, row)
		}
		if len(d.Set) > 0 {
			d.From = r
			break
		}
	}
	d.Tool = len(d.Set) > 0 && !slices.ContainsFunc(d.Set, func(e setEntry) bool { return !e.Tool })
	if err := q.outdated(map[string]*packageRow{d.Name: row}); err != nil {
		return err
	}
	d.Newer, d.HeldBy = row.Newer, row.HeldBy
	return nil
}

// readLock takes what one target's lock has of the package.
func (d *packageData) readLock(lock *lockfile.Target, target string, row *packageRow) {
	there := false
	for i, list := range [][]lockfile.Package{lock.Packages, lock.Tools} {
		for _, p := range list {
			if p.Name != d.Name {
				continue
			}
			there = true
			if i == 0 {
				row.add(p, target)
			}
			d.Direct = d.Direct || slices.ContainsFunc(p.RequiredBy, func(e lockfile.Edge) bool { return e.Kind == "toplevel" })
			e := setEntry{Version: p.Version, Decision: p.Decision, Artifact: p.Artifact, Index: p.Index, Tool: i == 1}
			at := slices.IndexFunc(d.Set, func(have setEntry) bool {
				return have.Version == e.Version && have.Artifact == e.Artifact && have.Decision == e.Decision && have.Tool == e.Tool
			})
			if at < 0 {
				at = len(d.Set)
				d.Set = append(d.Set, e)
			}
			d.Set[at].Targets = append(d.Set[at].Targets, target)
		}
	}
	if !there {
		return
	}
	paths, more := plan.Paths(lockEdges(lock), plan.ID(d.Name), mostPaths)
	d.MoreWays = d.MoreWays || more
	for _, steps := range paths {
		d.addWay(steps, target)
	}
}

// addWay notes a chain of requirements; the same one on several targets is one.
func (d *packageData) addWay(steps []plan.Step, target string) {
	w := way{Targets: []string{target}}
	for i, s := range steps {
		w.Names = append(w.Names, string(s.To))
		if i == 0 && s.From != "" {
			w.Names = append([]string{string(s.From)}, w.Names...)
		}
		if len(s.Requirements) == 0 {
			continue
		}
		first := s.Requirements[0]
		if i == 0 && first.File != "" {
			w.Line = fmt.Sprintf("%s:%d", shortPath(first.File), first.Line)
		}
		w.Kind, w.Requirement = string(first.Kind), requirementTail(first.Requirement, d.Name)
	}
	for i, have := range d.Ways {
		if slices.Equal(have.Names, w.Names) && have.Requirement == w.Requirement && have.Line == w.Line {
			d.Ways[i].Targets = append(d.Ways[i].Targets, target)
			return
		}
	}
	d.Ways = append(d.Ways, w)
}

// requirementTail is a requirement without the name, which stands before it.
func requirementTail(text, name string) string {
	if len(text) >= len(name) && strings.EqualFold(text[:len(name)], name) {
		text = text[len(name):]
	}
	return strings.TrimSpace(text)
}

// greenRPMs finds the files of the newest build that succeeded.
func (q *request) greenRPMs(d *packageData) error {
	for _, b := range d.Builds {
		if b.State != "succeeded" {
			continue
		}
		part, err := q.store().Artifacts(q.ctx(), store.ArtifactFilter{Run: b.Step.Run, Step: b.Step.ID, Kinds: []string{"rpm", "srpm"}}, store.Page{Limit: mostRPMs, Sort: "name"})
		if err != nil {
			return err
		}
		if d.Green, d.RPMs = b, part.Items; len(part.Items) > 0 {
			break
		}
	}
	return nil
}

// specFacts are what the newest spec file says of the package.
type specFacts struct {
	Summary, Licence, Home, RPM string
	Arch                        string
}

// specFacts reads the spec that is shown, or the newest that there is.
func (q *request) specFacts(s specData) (f specFacts) {
	text := s.Text
	if text == "" {
		for _, r := range s.Revisions {
			if r.Kind == store.SpecBack {
				continue
			}
			var err error
			if text, err = service.ReadRevision(q.ctx(), q.p.cfg.Blobs, r.SpecRevision); err == nil {
				break
			}
		}
	}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		value = strings.ReplaceAll(strings.TrimSpace(value), "%%", "%")
		if !ok || value == "" {
			if strings.HasPrefix(line, "%package") || strings.HasPrefix(line, "%description") {
				break // of its parts the rest speaks
			}
			continue
		}
		to := map[string]*string{"summary": &f.Summary, "license": &f.Licence, "url": &f.Home, "name": &f.RPM, "buildarch": &f.Arch}[strings.ToLower(strings.TrimSpace(key))]
		if to != nil && *to == "" {
			*to = value
		}
	}
	return f
}

// tabPath is the page with another tab.
func (d packageData) tabPath(tab string) string {
	if tab == "overview" {
		return d.Base
	}
	return d.Base + "?tab=" + tab
}

func (d packageData) tabs() []tab {
	all := []tab{{Text: "Overview", Path: d.Base}, {Text: "Spec", Path: d.tabPath("spec"), Count: len(d.Spec.Revisions)}, {Text: "Builds", Path: d.tabPath("builds"), Count: len(d.Builds)}}
	for i := range all {
		all[i].Current = packageTabs[i] == d.Tab
	}
	return all
}

// specTarget is the address of the spec of one target, with more of a query.
func (d packageData) specTarget(target string, more ...string) string {
	query := url.Values{"tab": {"spec"}, "target": {target}}
	for i := 0; i+1 < len(more); i += 2 {
		if more[i+1] != "" {
			query.Set(more[i], more[i+1])
		}
	}
	return d.Base + "?" + query.Encode()
}

// packageStateText is where it is as it is.
func packageStateText(d packageData) string {
	n := 0
	seen := map[string]bool{}
	for _, b := range d.Builds {
		if !seen[b.Step.Target] {
			seen[b.Step.Target] = true
			n += boolInt(b.State == d.State)
		}
	}
	return fmt.Sprintf("%s on %s", stateWords[d.State], plural(n, "target"))
}

// cellTime is what a cell of versions and targets says.
func cellTime(b packageBuild, now time.Time) string {
	switch b.State {
	case "reused":
		if builtOf(b.Step).State == "distribution" {
			return "distro"
		}
		return "cache"
	case "succeeded", "failed", "running":
		return took(b.Step.Started, b.Step.Finished, now)
	case "blocked":
		name, _ := runview.Split(b.Step.Root)
		return "by " + visibleName(name)
	}
	return strings.ToLower(stateWords[b.State])
}

// when is the moment that a build is placed at: its end, or where it stands.
func (b packageBuild) when() time.Time {
	for _, t := range []time.Time{b.Step.Finished, b.Step.Started, b.Step.Created} {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func (b packageBuild) title() string {
	text := fmt.Sprintf("Run %d, %s, %s", b.Run, b.Step.Target, stateWords[b.State])
	if t := b.when(); !t.IsZero() {
		text += ", " + exact(t)
	}
	return text
}

// sourceText is where an entry of a set comes from, in a word.
func (e setEntry) sourceText() string {
	switch {
	case e.Decision == lockfile.Reuse:
		return "the distribution's package"
	case e.Artifact.Commit != "":
		return "Git, " + short(e.Artifact.Commit)
	case e.Index != "":
		return e.Artifact.Kind + " of " + e.Index
	}
	return e.Artifact.Kind
}

// endOf is when a build ended; of one that was not begun never.
func endOf(b packageBuild) time.Time {
	if b.Step.Started.IsZero() {
		return time.Time{}
	}
	return b.Step.Finished
}

// wayKind says what the last requirement of a way is for.
func wayKind(w way) string {
	switch plan.Kind(w.Kind) {
	case plan.TopLevel:
		return "named by the project"
	case plan.Install:
		return "to run"
	}
	return "to build, " + w.Kind
}

func specTitle(d specData) string {
	if d.Shown.ID == 0 {
		return d.Target
	}
	return fmt.Sprintf("%s, %s on %s", d.Shown.name(), plain(d.Shown.version()), d.Target)
}

func specTargets(d packageData) []tab {
	var all []tab
	for _, t := range d.Spec.Targets {
		all = append(all, tab{Text: t, Path: d.specTarget(t), Current: t == d.Spec.Target})
	}
	return all
}

// specValues are what a form says of the revision that is shown.
func specValues(d packageData) [][2]string {
	return [][2]string{{"target", d.Spec.Target}, {"version", d.Spec.Shown.Package}, {"revision", itoa(d.Spec.Shown.ID)}, {"base", itoa(d.Spec.Newest)}}
}
