package reqfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Bounds of Discover.
const (
	maxWalkDepth  = 4
	maxCandidates = 500
	maxWalked     = 100_000  // folder entries
	maxCounted    = 32 << 20 // bytes
)

// Discover looks through a project for files that say what it needs, and marks
// those it would read by itself: the top folder's requirements.txt, else
// requirements/ with base or production, else pyproject.toml, Pipfile, a lock
// without its project, setup.py or setup.cfg, else the only one there is further
// down. The lock of a chosen project is read along with it. Every candidate says
// why it was chosen or not. Chosen ones come first, then by depth and name; the
// same tree gives the same answer. At most 500 are returned, the ones nearest to
// the top. The error is only for a root that cannot be read.
func Discover(fsys fs.FS) ([]Candidate, error) {
	if fsys == nil {
		return nil, errors.New("reqfile: no file system to look through")
	}
	d := &discovery{
		root: confined{fsys: fsys}, names: map[string]bool{},
		looked: &lookedInto{files: map[string]*node{}, spaces: map[string]*workspace{}},
	}
	if err := d.walk(); err != nil {
		return nil, fmt.Errorf("looking for requirement files: %w", err)
	}
	for _, name := range d.paths {
		d.found = append(d.found, d.look(name))
	}
	d.choose()
	result := make([]Candidate, len(d.found))
	slices.SortStableFunc(d.found, func(a, b *found) int {
		return cmp.Or(boolFirst(a.Chosen, b.Chosen), cmp.Compare(depth(a.Path), depth(b.Path)), cmp.Compare(a.Path, b.Path))
	})
	for i, f := range d.found {
		result[i] = f.Candidate
	}
	return result, nil
}

func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func depth(name string) int { return strings.Count(name, "/") }

// discovery is one call of Discover.
type discovery struct {
	root    confined
	paths   []string
	names   map[string]bool // of paths
	found   []*found
	counted int // bytes read, included files each time
	looked  *lookedInto
}

// found is a candidate with what the choice needs to know.
type found struct {
	Candidate
	files  []string // everything read with it
	open   bool     // may be chosen
	lockOf string   // of a lock: the project it belongs to
	nested bool     // a project below the top folder, chosen only when there is nothing else
	static bool     // it has a [project]
}

// walk lists candidates, the top first, so that the bound drops the deepest.
func (d *discovery) walk() error {
	dirs, walked := []string{"."}, 0
	for level := 0; level <= maxWalkDepth && len(dirs) > 0; level++ {
		var deeper []string
		for _, dir := range dirs {
			entries, err := fs.ReadDir(d.root.fsys, dir)
			if err != nil {
				if dir == "." {
					return err
				}
				continue // unreadable folders hold nothing we could use
			}
			if dir != "." && isVenv(entries) {
				continue
			}
			walked += len(entries)
			for _, e := range entries {
				name := path.Join(dir, e.Name())
				switch {
				case e.IsDir() && !skippedDir(e.Name()):
					deeper = append(deeper, name)
				case !e.IsDir() && isCandidate(name) && len(d.paths) < maxCandidates:
					d.paths = append(d.paths, name)
					d.names[name] = true
				}
			}
			if walked > maxWalked || len(d.paths) >= maxCandidates {
				return nil
			}
		}
		dirs = deeper
	}
	return nil
}

func isVenv(entries []fs.DirEntry) bool {
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "pyvenv.cfg" })
}

func isCandidate(name string) bool {
	base := path.Base(name)
	f, known := formatOf(base)
	return known && !f.any || isRequirementFile(name)
}

// look reads one candidate, counts, and rules out what cannot be chosen.
func (d *discovery) look(name string) *found {
	f := &found{Candidate: Candidate{Path: name}}
	if d.counted > maxCounted {
		f.Why = "ignored: not looked into, the files before it were too large together"
		return f
	}
	r := newReader(Request{
		FS:    d.root.fsys,
		Files: []string{name},
		Fetch: func(context.Context, string) ([]byte, error) {
			return []byte("# remote files are not fetched while looking\n"), nil
		},
	})
	r.looked, r.lookOnly = d.looked, true
	format, _ := formatOf(path.Base(name))
	var err error
	if format.lock {
		r.readFile(context.Background(), location{path: name}, Position{}, "", asPins)
		err = errors.Join(r.errs...)
	} else {
		err = r.readAll(context.Background())
	}
	set := r.set
	d.counted += r.bytes
	f.Count, f.files = len(set.Requirements), set.Files
	for _, l := range set.Locks {
		f.Count += len(l.Pins)
	}
	f.static = d.looked.files[name].Get("project").IsTable()
	if set.Project != nil {
		f.Project = set.Project.Name
	}
	if all := Errors(err); len(all) > 0 {
		f.Error = all[0].Error()
		if len(all) > 1 {
			f.Error += fmt.Sprintf(" (and %d more)", len(all)-1)
		}
	}
	f.Why = d.ruleOut(f, set, err)
	f.open = f.Why == ""
	return f
}

// ruleOut says why a file may not be chosen by itself, "" if it may.
func (d *discovery) ruleOut(f *found, set Set, err error) string {
	if place := sidePlace(f.Path); place != "" {
		return "ignored: belongs to " + place
	}
	base := path.Base(f.Path)
	if format, known := formatOf(base); known {
		switch {
		case errors.Is(err, errNoProject):
			f.Error = ""
			return "ignored: no [project] table, settings of tools only"
		case errors.Is(err, errNoSetup):
			f.Error = ""
			return "ignored: settings of tools only"
		case base == "setup.py" && set.Project == nil:
			return "ignored: it calls no setup()"
		case format.lock && d.ruleOutLock(f) != "":
			return d.ruleOutLock(f)
		case base == "pyproject.toml" && set.Project == nil && f.Count == 0 && err != nil:
			return "ignored: cannot be read"
		case strings.HasPrefix(base, "environment.") && f.Count == 0:
			return "ignored: Conda's own packages only"
		case depth(f.Path) > 0 && !strings.HasPrefix(base, "environment."):
			f.nested = true
			return "ignored: a project of its own below the top folder"
		}
		return ""
	}
	if isConstraintFile(f.Path) {
		return "ignored: constraints only restrict versions; name it as a constraint file to use it"
	}
	if why := purpose(f.Path); why != "" {
		return "ignored: " + why
	}
	if txt := strings.TrimSuffix(f.Path, ".in") + ".txt"; txt != f.Path && d.names[txt] {
		return "ignored: " + path.Base(txt) + " is compiled from it"
	}
	if f.Count == 0 && err == nil {
		return "ignored: nothing is asked for in it"
	}
	return ""
}

// ruleOutLock says why a lock may not be chosen by itself: the project it belongs to
// says what is wanted.
func (d *discovery) ruleOutLock(f *found) string {
	dir, base := path.Split(f.Path)
	project := dir + "pyproject.toml"
	if strings.EqualFold(base, "Pipfile.lock") {
		project = strings.TrimSuffix(f.Path, path.Ext(f.Path))
	}
	switch {
	case isPylock(base) && base != "pylock.toml":
		return "ignored: one of several locks by its name; name it to read it"
	case d.names[project]:
		f.lockOf = project
		return "ignored: belongs to " + project + ", which is not read"
	}
	return ""
}

func isLock(name string) bool {
	f, known := formatOf(path.Base(name))
	return known && f.lock
}

// choose applies the rules in order; the first that fits decides.
func (d *discovery) choose() {
	pick, why := d.pick()
	if pick == nil {
		for _, f := range d.found {
			if f.open {
				f.Why = "ignored: one of several that may be meant; name the ones to read"
			}
			if f.nested {
				f.Why = "ignored: one of several projects below the top folder; name the one to read"
			}
		}
		return
	}
	pick.Chosen, pick.Why = true, why
	for _, f := range d.found {
		switch {
		case f == pick:
		case slices.Contains(pick.files, f.Path):
			f.Why = "read along with " + pick.Path
		case f.open && f.Path == "pyproject.toml":
			f.Why = "ignored: " + pick.Path + " goes before [project] dependencies"
		case f.lockOf == pick.Path:
			if i := slices.IndexFunc(pick.files, isLock); i >= 0 {
				f.Why = "ignored: " + pick.files[i] + " is the project's lock"
			}
		case f.open:
			f.Why = "ignored: " + pick.Path + " is read instead"
		}
	}
}

func (d *discovery) pick() (f *found, why string) {
	for _, name := range []string{"requirements.txt", "requirements.in"} {
		if f := d.open(name); f != nil {
			return f, "chosen: the top folder's " + name
		}
	}
	if f, why := d.pickFromFolder(); f != nil {
		return f, why
	}
	if f := d.open("pyproject.toml"); f != nil {
		if f.static {
			return f, "chosen: [project] of the top folder's pyproject.toml"
		}
		return f, "chosen: the top folder's pyproject.toml"
	}
	for _, name := range []string{"Pipfile", "pylock.toml", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "setup.py", "setup.cfg"} {
		if f := d.open(name); f != nil {
			return f, "chosen: the top folder's " + name
		}
	}
	for _, f := range d.found {
		if f.open && depth(f.Path) == 0 && isProduction(f.Path) {
			return f, "chosen: named for production"
		}
	}
	var only *found
	for _, f := range d.found {
		if f.open && only != nil {
			return nil, ""
		}
		if f.open {
			only = f
		}
	}
	if only != nil {
		return only, "chosen: the only requirement file that is not for development"
	}
	return d.onlyProject()
}

// onlyProject is the one folder with a project below the top, where there is no
// other.
func (d *discovery) onlyProject() (only *found, why string) {
	for _, f := range d.found {
		switch {
		case !f.nested || only != nil && path.Dir(only.Path) == path.Dir(f.Path):
		case only != nil:
			return nil, ""
		default:
			only = f
		}
	}
	return only, "chosen: the only project"
}

// pickFromFolder takes from requirements/ the first of the usual names, or a
// production file that includes it.
func (d *discovery) pickFromFolder() (*found, string) {
	for _, ext := range []string{".txt", ".in"} {
		var first *found
		for _, stem := range []string{"base", "prod", "production", "main", "common"} {
			f := d.open("requirements/" + stem + ext)
			switch {
			case f == nil:
			case first == nil:
				first = f
			case slices.Contains(f.files, first.Path):
				return f, "chosen: production requirements, which include " + path.Base(first.Path)
			}
		}
		if first != nil {
			return first, "chosen: the usual name for what the project runs with"
		}
	}
	return nil, ""
}

// open returns the candidate of that path if it may be chosen.
func (d *discovery) open(name string) *found {
	for _, f := range d.found {
		if f.open && f.Path == name {
			return f
		}
	}
	return nil
}
