package pages

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/blob"
	"reqpm/internal/lockfile"
	"reqpm/internal/store"
)

// The sets of a project's runs, as their resolve steps locked them.

// packageRow is a package of a project's set, over its targets.
type packageRow struct {
	Name     string
	Versions []versionOn
	Direct   bool
	By       []lockfile.Edge // that put it into the set
	State    string          // of its builds, the one that needs somebody first; "": none was planned yet
	Build    int64           // that State is of
	Newer    string          // version of the index; "": none is known
	HeldBy   string          // why Newer is not taken
	Fits     string          // the newer version that can be taken; "": none
	From     []string        // sdist, wheel, distribution: on one target or another
}

// versionOn is a version with the targets that have it.
type versionOn struct {
	Version string
	Targets []string
}

// packageRows merges the locks of a run's resolve steps with its builds: what needs somebody is first.
func (q *request) packageRows(steps []store.Step) ([]packageRow, error) {
	byName := map[string]*packageRow{}
	var names []string
	for _, s := range steps {
		if s.Kind != store.Resolve || s.State != store.Succeeded {
			continue
		}
		t, err := q.lock(s.Run, s.Target)
		if errors.Is(err, blob.ErrNotFound) {
			continue // retention took it
		}
		if err != nil {
			return nil, err
		}
		for _, l := range t.Packages {
			row := byName[l.Name]
			if row == nil {
				row = &packageRow{Name: l.Name}
				byName[l.Name] = row
				names = append(names, l.Name)
			}
			row.add(l, s.Target)
		}
	}
	for _, s := range steps {
		name, _ := splitPackage(s.Package)
		row := byName[name]
		if s.Kind != store.Build || row == nil {
			continue
		}
		if state := stateOf(s); row.State == "" || rank(state) < rank(row.State) {
			row.State, row.Build = state, s.ID
		}
	}
	if err := q.outdated(byName); err != nil {
		return nil, err
	}
	rows := make([]packageRow, 0, len(names))
	for _, name := range names {
		rows = append(rows, *byName[name])
	}
	slices.SortFunc(rows, func(a, b packageRow) int {
		if x := rank(a.State) - rank(b.State); x != 0 {
			return x
		}
		return strings.Compare(a.Name, b.Name)
	})
	return rows, nil
}

// rank is a state's place in the order of states; the last is none.
func rank(state string) int {
	if i := slices.Index(states, state); i >= 0 {
		return i
	}
	return len(states)
}

// add notes a target's version, and who wants it.
func (r *packageRow) add(l lockfile.Package, target string) {
	at := slices.IndexFunc(r.Versions, func(v versionOn) bool { return v.Version == l.Version })
	if at < 0 {
		at = len(r.Versions)
		r.Versions = append(r.Versions, versionOn{Version: l.Version})
	}
	r.Versions[at].Targets = append(r.Versions[at].Targets, target)
	from := l.Artifact.Kind
	if l.Decision == lockfile.Reuse {
		from = "distribution"
	}
	if !slices.Contains(r.From, from) {
		r.From = append(r.From, from)
	}
	for _, e := range l.RequiredBy {
		r.Direct = r.Direct || e.Kind == "toplevel"
		same := func(have lockfile.Edge) bool {
			return have.From == e.From && have.File == e.File && have.Line == e.Line
		}
		if !slices.ContainsFunc(r.By, same) {
			r.By = append(r.By, e)
		}
	}
	slices.SortStableFunc(r.By, func(a, b lockfile.Edge) int { return boolInt(b.Kind == "toplevel") - boolInt(a.Kind == "toplevel") })
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// newerVersion is one result of the update check, as service keeps it.
type newerVersion struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Newest   string `json:"newest"`
	Resolves string `json:"resolves"`
	HeldBy   []struct {
		File        string `json:"file"`
		Line        int    `json:"line"`
		Package     string `json:"package"`
		Requirement string `json:"requirement"`
		Reason      string `json:"reason"`
	} `json:"held_by"`
}

// holder says who keeps the newest version out; "": nobody does.
func (n newerVersion) holder() string {
	if n.Resolves == n.Newest {
		return ""
	}
	if len(n.HeldBy) == 0 {
		return "the rest of the set"
	}
	h := n.HeldBy[0]
	who := h.Package
	if h.File != "" {
		who = fmt.Sprintf("%s:%d", shortPath(h.File), h.Line)
	}
	return strings.TrimSpace(who + " " + cmp.Or(h.Requirement, h.Reason))
}

// outdated marks what the last update check found, if it looked at the versions that are seen here.
func (q *request) outdated(rows map[string]*packageRow) error {
	all, err := q.store().OutdatedOf(q.ctx(), q.project.ID)
	for _, o := range all {
		var found []newerVersion
		if json.Unmarshal(o.Found, &found) != nil {
			continue // of another version of this program: the next check writes it anew
		}
		for _, f := range found {
			row := rows[f.Name]
			if row == nil || !slices.ContainsFunc(row.Versions, func(v versionOn) bool { return v.Version == f.Version }) {
				continue
			}
			row.Newer, row.HeldBy = f.Newest, f.holder()
			if f.Resolves != f.Version {
				row.Fits = f.Resolves
			}
		}
	}
	return err
}

// edgeText says who requires a package: a line of the project's, or a package.
func edgeText(e lockfile.Edge) string {
	switch {
	case e.From != "":
		return e.From
	case e.Line > 0:
		return fmt.Sprintf("%s:%d", shortPath(e.File), e.Line)
	case e.File != "":
		return shortPath(e.File)
	}
	return "the project"
}

// shortPath is a file's name with at most one folder.
func shortPath(path string) string {
	parts := strings.Split(path, "/")
	return strings.Join(parts[max(0, len(parts)-2):], "/")
}

// byText is who requires a package, in one line and in full.
func byText(edges []lockfile.Edge) (text, full string) {
	var short, long []string
	for i, e := range edges {
		if i < 3 {
			short = append(short, edgeText(e))
		}
		if i < 40 {
			long = append(long, strings.TrimSpace(edgeText(e)+" "+e.Requirement))
		}
	}
	text = strings.Join(short, ", ")
	if more := len(edges) - len(short); more > 0 {
		text += fmt.Sprintf(" +%d", more)
	}
	return text, strings.Join(long, "\n")
}
